//! `approvals` and `notices`, and asking the owner inline: what exactly would be done, where it would go,
//! and where the text came from that led to it. Nothing is decided here that the owner did not type.

use super::args::{Answer, Approvals};
use super::client::{decode, segment};
use super::exit::Outcome;
use super::output::{self, Look, duration, moment, one_line, spelled_out};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::approvals::{
    Approval, ApprovalList, DecideRequest, NoticeEntry, NoticeList, StandingRules,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Characters of content that are shown before it is said that there are more.
const SHOWN: usize = 4000;
/// Sources that are named before they are counted.
const SOURCES: usize = 6;

/// `familiar approvals`
pub async fn approvals(
    paths: &Paths,
    start: bool,
    args: Approvals,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    match args.answer {
        None => list(paths, start, args.json.json, out, look).await,
        Some(Answer::Allow { id, always, choice }) => {
            let request = DecideRequest { allow: true, always, choice: choice.map(|n| n - 1) };
            decide(paths, &id, &request).await?;
            let how = if always { "allowed, and from now on without asking" } else { "allowed" };
            Ok(writeln!(out, "{how}")?)
        }
        Some(Answer::Deny { id }) => {
            decide(paths, &id, &DecideRequest::default()).await?;
            Ok(writeln!(out, "denied")?)
        }
        Some(Answer::Forget { rule }) => {
            connect(paths, start).await?.delete(&format!("rules/{rule}")).await?;
            Ok(writeln!(out, "you will be asked again")?)
        }
    }
}

async fn list(paths: &Paths, start: bool, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let mut client = connect(paths, start).await?;
    let waiting = client.get("approvals").await?;
    let rules = client.get("rules").await?;
    if json {
        return output::json(
            out,
            &serde_json::json!({ "approvals": waiting["approvals"], "rules": rules["rules"] }),
        );
    }
    let (waiting, rules): (ApprovalList, StandingRules) = (decode(waiting)?, decode(rules)?);
    if waiting.approvals.is_empty() {
        writeln!(out, "Nothing waits for your yes.")?;
    }
    for approval in &waiting.approvals {
        writeln!(out, "{}{}\n", shown(approval, look), how_to_decide(approval))?;
    }
    if !rules.rules.is_empty() {
        writeln!(out, "Always allowed (`familiar approvals forget NUMBER` takes one back):")?;
    }
    for rule in &rules.rules {
        let what = format!("{} {}: {} {}", rule.plugin, rule.tool, rule.kind, rule.destination);
        writeln!(
            out,
            "{:>4}  {}  (since {})",
            rule.id,
            one_line(&spelled_out(&what), 200),
            moment(rule.made)
        )?;
    }
    Ok(())
}

/// `familiar notices`
pub async fn notices(paths: &Paths, start: bool, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let listed = connect(paths, start).await?.get("notices").await?;
    if json {
        return output::json(out, &listed);
    }
    let listed: NoticeList = decode(listed)?;
    if listed.sent.is_empty() && listed.pending.is_empty() {
        writeln!(out, "There are no notices.")?;
    }
    for notice in listed.pending.iter().rev() {
        writeln!(out, "{}  to come: {}", moment(notice.at), notice_line(notice, look))?;
    }
    for notice in &listed.sent {
        writeln!(out, "{}  {}", moment(notice.sent.unwrap_or(notice.at)), notice_line(notice, look))?;
    }
    Ok(())
}

/// A notice on one line, under the name of the plugin that sent it.
fn notice_line(notice: &NoticeEntry, look: Look) -> String {
    let title = look.bold(&one_line(&spelled_out(&notice.title), 200));
    let plugin = one_line(&notice.plugin, 60);
    format!("[{plugin}] {title}  {}", one_line(&spelled_out(&notice.body), 400)).trim_end().to_owned()
}

/// Sends the owner's decision.
pub async fn decide(paths: &Paths, id: &str, request: &DecideRequest) -> Outcome {
    let mut client = connect(paths, false).await?;
    client.post(&format!("approvals/{}", segment(id)), request).await.map(drop)
}

/// Everything that the owner must know to decide, over several lines.
pub fn shown(approval: &Approval, look: Look) -> String {
    shown_at(approval, now(), look)
}

/// The same at a moment, in seconds since 1970.
pub fn shown_at(approval: &Approval, now: i64, look: Look) -> String {
    let mut text = String::new();
    let plugin = one_line(&spelled_out(&approval.plugin), 60);
    let action = one_line(&spelled_out(&approval.action), 2000);
    let verb = if approval.kind == "question" { "asks" } else { "wants to" };
    let left = duration((approval.expires - now).max(0) as u64);
    let _ = writeln!(text, "{} {verb} {}", look.bold(&plugin), look.bold(&action));
    let _ = writeln!(text, "  id {}, tool {}, a no in {left}", approval.id, one_line(&approval.tool, 60));
    for (n, option) in approval.options.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", n + 1, one_line(&spelled_out(option), 200));
    }
    if !approval.destination.is_empty() {
        let _ = writeln!(text, "  to: {}", look.bold(&one_line(&spelled_out(&approval.destination), 600)));
    }
    if !approval.reason.is_empty() {
        let _ = writeln!(text, "  why you are asked: {}", one_line(&approval.reason, 400));
    }
    for source in approval.sources.iter().take(SOURCES) {
        let _ = writeln!(text, "  from: {}", one_line(&spelled_out(source), 400));
    }
    if approval.sources.len() > SOURCES {
        let _ = writeln!(text, "  and from {} other places", approval.sources.len() - SOURCES);
    }
    content(approval, &mut text);
    text
}

fn content(approval: &Approval, text: &mut String) {
    let (what, content) = match (&approval.content, &approval.content_hex) {
        (Some(content), _) => (format!("exactly this, {} bytes", content.len()), spelled_out(content)),
        (None, Some(hex)) => (format!("exactly this, {} bytes, in hex", hex.len() / 2), hex.clone()),
        (None, None) => return,
    };
    let _ = writeln!(text, "  {what}:");
    let length = content.chars().count();
    let first: String = content.chars().take(SHOWN).collect();
    for line in first.split('\n') {
        let _ = writeln!(text, "  | {line}");
    }
    if length > SHOWN {
        let _ =
            writeln!(text, "  … and {} more characters: `familiar approvals --json` has all", length - SHOWN);
    }
}

fn how_to_decide(approval: &Approval) -> String {
    let id = &approval.id;
    let (choice, always) = (if approval.options.is_empty() { "" } else { " --choice N" }, approval.always);
    let always = if always { " [--always]" } else { "" };
    format!("  familiar approvals allow {id}{choice}{always}   or   familiar approvals deny {id}")
}

/// The owner at this terminal, if there is one, to be asked while something else goes on.
pub struct Desk<'a> {
    paths: &'a Paths,
    look: Look,
    /// Somebody sits here, who can be asked.
    here: bool,
    /// What is typed. Not read before something is asked, so that standard input is left alone.
    lines: Option<mpsc::Receiver<String>>,
    asked: Vec<Approval>,
    /// Notices that were shown, and from when on they are news.
    told: BTreeSet<i64>,
    since: i64,
}

impl<'a> Desk<'a> {
    pub fn new(paths: &'a Paths, look: Look) -> Desk<'a> {
        let here = io::stdin().is_terminal() && io::stderr().is_terminal();
        Desk { paths, look, here, lines: None, asked: Vec::new(), told: BTreeSet::new(), since: now() }
    }

    /// One whose lines are a conversation, read with [`Desk::typed`].
    pub fn talking(paths: &'a Paths, look: Look) -> Desk<'a> {
        Desk { here: io::stdin().is_terminal(), lines: Some(read_lines()), ..Desk::new(paths, look) }
    }

    /// What was asked in an answer that was broken off is no longer open.
    pub fn start_anew(&mut self) {
        self.asked.clear();
    }

    /// The next line of the conversation; `None` at its end.
    pub async fn typed(&mut self) -> Option<String> {
        self.lines.as_mut()?.recv().await
    }

    /// Shows a request. Where nobody sits, it says how to decide elsewhere.
    pub fn ask(&mut self, approval: Approval, notes: &mut impl Write) -> Outcome {
        write!(notes, "\n{}", shown(&approval, self.look))?;
        if self.here {
            let lines = self.lines.get_or_insert_with(read_lines);
            // What was typed before the question was seen is no answer to it.
            while lines.try_recv().is_ok() {}
            prompt(&approval, notes)?;
        } else {
            writeln!(notes, "{}", how_to_decide(&approval))?;
        }
        notes.flush()?;
        self.asked.push(approval);
        Ok(())
    }

    /// Shows a notice, once.
    pub fn notice(&mut self, notice: &NoticeEntry, notes: &mut impl Write) -> Outcome {
        if self.told.insert(notice.id) {
            writeln!(notes, "{}", notice_line(notice, self.look))?;
        }
        Ok(())
    }

    /// Shows the notices that came since the last look. A daemon that is away has none.
    pub async fn news(&mut self, notes: &mut impl Write) -> Outcome {
        let Ok(mut client) = connect(self.paths, false).await else { return Ok(()) };
        let listed: NoticeList = decode(client.get("notices").await?)?;
        let since = Some(self.since);
        for notice in listed.sent.iter().rev().filter(|notice| notice.sent >= since) {
            self.notice(notice, notes)?;
        }
        Ok(())
    }

    /// It waits no longer.
    pub fn ended(&mut self, id: &str, notes: &mut impl Write) -> Outcome {
        if let Some(at) = self.asked.iter().position(|approval| approval.id == id) {
            self.asked.remove(at);
            writeln!(notes, "{}", self.look.dim("(no longer waiting)"))?;
        }
        Ok(())
    }

    /// The owner's next line; never, while nothing is asked or nobody sits here.
    pub async fn line(&mut self) -> String {
        if self.here
            && !self.asked.is_empty()
            && let Some(line) = self.typed().await
        {
            return line;
        }
        std::future::pending().await
    }

    /// Takes a line as the answer to the first request.
    pub async fn answer(&mut self, line: &str, notes: &mut impl Write) -> Outcome {
        let Some(approval) = self.asked.first().cloned() else { return Ok(()) };
        let Some(request) = understood(&approval, line) else {
            prompt(&approval, notes)?;
            return Ok(notes.flush()?);
        };
        self.asked.remove(0);
        if let Err(failure) = decide(self.paths, &approval.id, &request).await {
            writeln!(notes, "{failure}")?;
        }
        if let Some(next) = self.asked.first() {
            prompt(next, notes)?;
            notes.flush()?;
        }
        Ok(())
    }
}

fn prompt(approval: &Approval, notes: &mut impl Write) -> Outcome {
    let ways = match (approval.options.len(), approval.always) {
        (0, true) => "y = once, a = always for exactly this, n = no".to_owned(),
        (0, false) => "y = yes, n = no".to_owned(),
        (most, _) => format!("1 to {most}, n = none"),
    };
    Ok(write!(notes, "{ways}: ")?)
}

/// What a line says; `None` if it says nothing that was asked for.
fn understood(approval: &Approval, line: &str) -> Option<DecideRequest> {
    let yes = |always, choice| Some(DecideRequest { allow: true, always, choice });
    match line.trim() {
        "n" | "no" => Some(DecideRequest::default()),
        "y" | "yes" if approval.options.is_empty() => yes(false, None),
        "a" | "always" if approval.always => yes(true, None),
        other => {
            let n: usize = other.parse().ok()?;
            let known = (1..=approval.options.len()).contains(&n);
            if known { yes(false, Some(n as u32 - 1)) } else { None }
        }
    }
}

/// Standard input by lines, from a thread of its own: a read of a terminal cannot be given up.
fn read_lines() -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while matches!(input.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if tx.blocking_send(text).is_err() {
                break;
            }
        }
    });
    rx
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;

    fn approval(content: &str) -> Approval {
        Approval {
            id: "k3f9a2x".into(),
            plugin: "web-fetch".into(),
            digest: "d".into(),
            tool: "fetch".into(),
            session: String::new(),
            kind: "egress".into(),
            action: "send 42 bytes to example.org".into(),
            reason: "text that others may have written led to this".into(),
            destination: "GET example.org".into(),
            content: Some(content.into()),
            content_hex: None,
            sources: (0..8).map(|n| format!("/notes/{n}.md")).collect(),
            untrusted: true,
            private: true,
            always: true,
            options: Vec::new(),
            asked: 0,
            expires: 0,
        }
    }

    #[test]
    fn the_owner_sees_what_where_and_why() {
        let text = shown(&approval("GET https://example.org/?q=x\n\nbody"), PLAIN);
        expect_test::expect![[r#"
            web-fetch wants to send 42 bytes to example.org
              id k3f9a2x, tool fetch, a no in 0 s
              to: GET example.org
              why you are asked: text that others may have written led to this
              from: /notes/0.md
              from: /notes/1.md
              from: /notes/2.md
              from: /notes/3.md
              from: /notes/4.md
              from: /notes/5.md
              and from 2 other places
              exactly this, 34 bytes:
              | GET https://example.org/?q=x
              | 
              | body
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn content_is_harmless_and_never_cut_in_silence() {
        let text = shown(&approval("a\x1b[2J\u{202e}b"), PLAIN);
        assert!(text.contains("a\\u{1b}[2J\\u{202e}b") && !text.contains('\x1b'), "{text}");
        let text = shown(&approval(&"x".repeat(5000)), PLAIN);
        assert!(text.contains("and 1000 more characters: `familiar approvals --json` has all"), "{text}");
        let bytes = Approval { content: None, content_hex: Some("00ff".into()), ..approval("") };
        assert!(shown(&bytes, PLAIN).contains("2 bytes, in hex:\n  | 00ff"));
    }

    #[test]
    fn only_clear_answers_count() {
        let (action, question) = (
            approval("x"),
            Approval { always: false, options: vec!["red".into(), "green".into()], ..approval("") },
        );
        let says = |approval, line| understood(approval, line).map(|d| (d.allow, d.always, d.choice));
        assert_eq!(says(&action, "y\n"), Some((true, false, None)));
        assert_eq!(says(&action, "a\n"), Some((true, true, None)));
        assert_eq!(says(&action, "n\n"), Some((false, false, None)));
        assert_eq!(says(&question, "2"), Some((true, false, Some(1))));
        for unclear in ["", "\n", "yes please", "1", "Y", "ok"] {
            assert_eq!(says(&action, unclear), None, "{unclear:?}");
        }
        for unclear in ["y", "a", "0", "3", "-1"] {
            assert_eq!(says(&question, unclear), None, "{unclear:?}");
        }
    }
}
