//! Clients that know nothing of the daemon but its introspection: systemd's `busctl`, and one in Python.

use super::desk::{AGENT, Desk, NAME, PATH, SHORT, WHERE};
use crate::serving::{python, works};
use crate::support::{path, runtime};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

#[test]
fn a_python_client_calls_hears_and_reads_everything() {
    let desk = Desk::with_note(SHORT);
    let note = desk.home.docs().join("notes.md");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/dbus_client.py");
    let output = Command::new(python()).args([script, &desk.bus.address, path(&note)]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 9, "{said}");
}

/// `busctl` on the desk's bus.
fn busctl(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = Command::new("busctl");
    command.arg(format!("--address={}", desk.bus.address)).args(arguments);
    command
}

/// What it says, or why the call was refused.
fn said(desk: &Desk, arguments: &[&str]) -> Result<String, String> {
    let output = busctl(desk, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn call(desk: &Desk, arguments: &[&str]) -> Result<String, String> {
    said(desk, &[&["call", NAME, PATH, AGENT], arguments].concat())
}

#[test]
fn busctl_calls_every_method_and_reads_every_property() {
    if !works(&["busctl", "--version"]) {
        eprintln!("SKIPPED: busctl is not installed");
        return;
    }
    let desk = Desk::with_note(SHORT);
    assert!(
        call(&desk, &["Ask", "sa{sv}", WHERE, "1", "no_tools", "b", "true"]).unwrap().starts_with("s \"")
    );
    assert!(call(&desk, &["AskFd", "sa{sv}", WHERE, "0"]).unwrap().starts_with("sh \""));
    assert!(call(&desk, &["Cancel", "s", "none"]).unwrap_err().contains("no such request of yours"));
    assert!(
        call(&desk, &["Search", "sa{sv}", "spare key", "1", "k", "u", "1"]).unwrap().contains("notes.md")
    );
    call(&desk, &["Remember", "s", "The code is 4417."]).unwrap();
    assert!(call(&desk, &["LearnNow"]).unwrap().starts_with("s \""));
    assert!(call(&desk, &["ListApprovals"]).unwrap().contains("approvals"));
    assert!(call(&desk, &["Decide", "ss", "none", "deny"]).unwrap_err().contains("none"));
    let note = desk.home.docs().join("notes.md");
    assert!(call(&desk, &["Forget", "a{sv}", "1", "path", "s", path(&note)]).unwrap().contains("index"));
    let read = |property| said(&desk, &["get-property", NAME, PATH, AGENT, property]).unwrap();
    assert_eq!(read("Model").trim(), "s \"ember\"");
    assert_eq!(read("AdapterGeneration").trim(), "s \"\"");
    assert_eq!(read("Approvals").trim(), "u 0");
    for (property, begins) in [("Status", "s \""), ("Learning", "s \"off"), ("Indexing", "b ")] {
        assert!(read(property).starts_with(begins), "{property}: {}", read(property));
    }
    let told = said(&desk, &["introspect", NAME, PATH, AGENT]).unwrap();
    for member in [".Chunk", ".Done", ".Failed"] {
        let line = told.lines().find(|line| line.starts_with(member)).expect(member);
        assert!(line.contains("signal"), "{line}");
    }
}

/// A process that ends with this.
struct Monitor(Child);

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn busctl_sees_the_signals_of_an_answer() {
    if !works(&["busctl", "--version"]) {
        eprintln!("SKIPPED: busctl is not installed");
        return;
    }
    let desk = Desk::with_note(SHORT);
    let mut watching = busctl(&desk, &["monitor", "--match=type='signal',interface='org.familiar.Agent1'"]);
    let watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut monitor = Monitor(watching);
    // It says so when it has begun.
    let mut begun = String::new();
    BufReader::new(monitor.0.stderr.take().unwrap()).read_line(&mut begun).unwrap();
    assert!(begun.contains("Monitoring"), "{begun}");
    runtime().block_on(async {
        let mut client = desk.client().await;
        let id = client.ask(WHERE).await;
        client.signals(&id).await;
    });
    let lines = BufReader::new(monitor.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut members = Vec::new();
    for line in lines {
        members.extend(line.split_once("Member=").map(|(_, member)| member.to_owned()));
        if members.last().is_some_and(|member| member == "Done") {
            break;
        }
    }
    assert!(members[..members.len() - 1].iter().all(|member| member == "Chunk"), "{members:?}");
    assert!(members.len() > 1 && members.last().unwrap() == "Done", "{members:?}");
}
