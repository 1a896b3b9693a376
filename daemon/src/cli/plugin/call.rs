//! `plugin call|secret`: a tool called by the owner's hand, and a credential given. What the tool says goes
//! to standard output; log lines, progress and what waits for a yes go to standard error.

use super::super::approvals::Desk;
use super::super::client::{decode, segment};
use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::{self, Look, harmless, one_line};
use super::super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::approvals::OwnerEvent;
use crate::protocol::packages::{PluginCallEvent, PluginCallRequest, PluginCallResponse};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Read, Write};

/// Most bytes of arguments, and of a credential with its line's end, that are read.
const LONGEST: u64 = 4 << 20;

pub async fn call(
    paths: &Paths,
    start: bool,
    tool: &str,
    arguments: &str,
    json: bool,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let arguments = match arguments {
        "-" => input()?,
        arguments => arguments.to_owned(),
    };
    let arguments: Value = serde_json::from_str(&arguments)
        .map_err(|error| Failure::new(Exit::Usage, format!("the arguments are not JSON: {error}")))?;
    let request = PluginCallRequest { tool: tool.into(), arguments, stream: true };
    let mut events = connect(paths, start).await?.events("plugins/call", &request).await?;
    let (mut desk, notes) = (Desk::new(paths, look), &mut io::stderr());
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            line = desk.line() => {
                desk.answer(&line, notes).await?;
                continue;
            }
        };
        match event {
            Some(PluginCallEvent::Meanwhile { event }) => meanwhile(*event, &mut desk, notes, look)?,
            Some(PluginCallEvent::Done(response)) => return ended(&response, json, out, notes, look),
            Some(PluginCallEvent::Error(error)) => return Err(error.into()),
            None => {
                return Err(Failure::failed("the daemon ended the call in the middle; its log tells why"));
            }
        }
    }
}

fn meanwhile(event: OwnerEvent, desk: &mut Desk<'_>, notes: &mut impl Write, look: Look) -> Outcome {
    match event {
        OwnerEvent::Progress(report) => {
            let far = match report.total {
                0 => "…".to_owned(),
                total => format!("{}/{total}", report.done),
            };
            writeln!(notes, "{}", look.dim(&format!("{far} {}", one_line(&report.message, 200))))?;
        }
        OwnerEvent::Approval(approval) => desk.ask(*approval, notes)?,
        OwnerEvent::ApprovalEnded { id } => desk.ended(&id, notes)?,
        OwnerEvent::Notice(notice) => desk.notice(&notice, notes)?,
    }
    Ok(())
}

fn ended(
    response: &PluginCallResponse,
    json: bool,
    out: &mut impl Write,
    notes: &mut impl Write,
    look: Look,
) -> Outcome {
    if json {
        output::json(out, response)?;
    } else {
        for line in &response.log {
            let level = one_line(&line.level, 10);
            writeln!(notes, "{}", look.dim(&format!("{level:5} {}", harmless(&line.message))))?;
        }
        if response.log_dropped > 0 {
            writeln!(
                notes,
                "{}",
                look.dim(&format!("{} more bytes of log did not fit", response.log_dropped))
            )?;
        }
    }
    let Some(error) = &response.error else {
        if !json {
            writeln!(out, "{}", harmless(&response.text))?;
        }
        return Ok(());
    };
    let exit = match response.status.as_str() {
        "invalid_arguments" => Exit::Usage,
        "not_found" => Exit::NotFound,
        "denied" => Exit::Denied,
        "unavailable" => Exit::Busy,
        _ => Exit::Failed,
    };
    if json { Err(Failure::Silent(exit)) } else { Err(Failure::new(exit, harmless(error))) }
}

pub async fn secret(
    paths: &Paths,
    start: bool,
    name: &str,
    credential: &str,
    out: &mut impl Write,
) -> Outcome {
    let mut client = connect(paths, start).await?;
    let resource = format!("plugins/{}", segment(name));
    // A wrong name is told before anything secret is typed.
    let plugin: crate::protocol::packages::PluginEntry = decode(client.get(&resource).await?)?;
    let known = plugin.credentials.iter().find(|known| known.name == credential);
    let Some(known) = known else {
        let message = format!("{} names no credential `{}`", harmless(name), harmless(credential));
        return Err(Failure::new(Exit::NotFound, message));
    };
    let host = one_line(&known.host, 260);
    let value = match io::stdin().is_terminal() {
        true => typed(&format!("{} for {host}: ", harmless(credential)))?,
        false => input()?,
    };
    let value = value.trim_end_matches(['\r', '\n']);
    client.post(&format!("{resource}/secret"), &json!({"credential": credential, "value": value})).await?;
    writeln!(out, "{} is kept, and is sent to {host} alone.", harmless(credential))?;
    Ok(())
}

fn input() -> Outcome<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}")))?;
    Ok(text)
}

/// A line from the terminal that it does not show.
fn typed(prompt: &str) -> Outcome<String> {
    let failed = |error: io::Error| Failure::failed(format!("the terminal cannot be read: {error}"));
    let (terminal, mut notes) = (io::stdin(), io::stderr());
    write!(notes, "{prompt}")?;
    notes.flush()?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut hidden = before.clone();
    hidden.local_modes &= !LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &hidden).map_err(|error| failed(error.into()))?;
    let mut line = String::new();
    let read = terminal.read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Now, &before).map_err(|error| failed(error.into()))?;
    writeln!(notes)?;
    read.map_err(failed)?;
    Ok(line)
}
