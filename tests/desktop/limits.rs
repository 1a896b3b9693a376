//! Many calls at once, and clients that leave, close, cancel or ask for too much.

use super::desk::{Client, Desk, none, refused};
use crate::serving::adopt;
use crate::serving::parrot::endless;
use crate::support::{path, runtime, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use zbus::zvariant::OwnedFd as Handed;

/// Requests that one client may have.
const MOST: usize = 8;

/// An engine that stands still, so that what it was asked for never ends by itself.
struct Still(Pid);

impl Still {
    /// Begins a request and stops the engine while it is being answered.
    async fn desk() -> (Desk, Still, Client) {
        let desk = Desk::new("[model]\nthreads = 1\ncontext = 65536\n[ask]\nmax_tokens = 65536\n");
        adopt(&desk.home, &endless(desk.home.dir.path(), "endless", "Yes.", 1_000_000));
        let mut client = desk.client().await;
        let id = client.ask("Is it so?").await;
        assert_eq!(client.signal().await.member, "Chunk");
        let engine = Pid::from_raw(desk.home.worker_pid("engine").unwrap() as i32).unwrap();
        kill_process(engine, Signal::STOP).unwrap();
        client.call::<()>("Cancel", &(id.as_str(),)).await.unwrap();
        let failed = client.signals(&id).await.pop().unwrap();
        assert_eq!(
            (failed.member.as_str(), failed.rest[0].as_str()),
            ("Failed", "org.familiar.Error.Cancelled")
        );
        (desk, Still(engine), client)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // The daemon may have ended it already.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[test]
fn a_thousand_calls_at_once_are_all_answered() {
    let desk = Desk::with_note("");
    runtime().block_on(async {
        let client = desk.client().await;
        let agent = client.agent().await;
        let arguments = ("spare key", none());
        let calls = (0..1000).map(|_| agent.call::<_, _, String>("Search", &arguments));
        let answers = futures::future::join_all(calls).await;
        let note = desk.home.docs().join("notes.md");
        for answer in answers {
            let found: Json = serde_json::from_str(&answer.unwrap()).unwrap();
            assert_eq!(found["hits"][0]["path"], path(&note));
        }
        client.until("Status", "idle").await;
    });
    assert!(!desk.model_loaded(), "searching loaded the model");
}

#[test]
fn who_leaves_the_bus_frees_the_requests() {
    runtime().block_on(async {
        let (desk, _still, observer) = Still::desk().await;
        observer.until("Status", "idle").await;
        let leaving = desk.client().await;
        for _ in 0..MOST {
            leaving.ask("Is it so?").await;
        }
        let (name, said) = refused(leaving.call::<String>("Ask", &("One more?", none())).await);
        assert!(name == "org.familiar.Error.Busy" && said.contains("cancel one"), "{name}: {said}");
        // Others have places of their own.
        let id = observer.ask("And I?").await;
        let (name, _) = refused(leaving.call::<()>("Cancel", &(id.as_str(),)).await);
        assert_eq!(name, "org.familiar.Error.NotFound", "somebody else's request was cancelled");
        observer.call::<()>("Cancel", &(id,)).await.unwrap();
        assert_eq!(observer.property::<String>("Status").await, "answering");
        leaving.connection.close().await.unwrap();
        observer.until("Status", "idle").await;
    });
}

#[test]
fn a_closed_pipe_frees_its_request() {
    runtime().block_on(async {
        let (_desk, _still, client) = Still::desk().await;
        let mut pipes: Vec<Handed> = Vec::new();
        for _ in 0..MOST {
            let (_, pipe) = client.call::<(String, Handed)>("AskFd", &("Is it so?", none())).await.unwrap();
            pipes.push(pipe);
        }
        let (name, _) = refused(client.call::<(String, Handed)>("AskFd", &("One more?", none())).await);
        assert_eq!(name, "org.familiar.Error.Busy");
        drop(pipes);
        client.until("Status", "idle").await;
    });
}

#[test]
fn a_cancelled_pipe_ends_with_the_reason() {
    runtime().block_on(async {
        let (_desk, _still, client) = Still::desk().await;
        let (id, pipe): (String, Handed) = client.call("AskFd", &("Is it so?", none())).await.unwrap();
        client.call::<()>("Cancel", &(id,)).await.unwrap();
        let mut said = String::new();
        let mut pipe = std::fs::File::from(OwnedFd::from(pipe));
        tokio::task::spawn_blocking(move || pipe.read_to_string(&mut said).map(|_| said))
            .await
            .unwrap()
            .map(|said| {
                let last: Json = serde_json::from_str(said.lines().last().unwrap()).unwrap();
                assert!(
                    last["type"] == "error" && last["message"].as_str().unwrap().contains("cancelled"),
                    "{last}"
                );
            })
            .unwrap();
    });
}

#[test]
fn who_does_not_read_is_waited_for_and_loses_nothing() {
    let desk = Desk::new("[model]\nthreads = 1\ncontext = 65536\n[ask]\nmax_tokens = 8000\n");
    adopt(&desk.home, &endless(desk.home.dir.path(), "endless", "Yes.", 1_000_000));
    runtime().block_on(async {
        let client = desk.client().await;
        let (_, pipe): (String, Handed) = client.call("AskFd", &("Is it so?", none())).await.unwrap();
        // Far more than a pipe holds waits here while others are served.
        client.call::<String>("Search", &("words", none())).await.unwrap();
        let pipe = BufReader::new(std::fs::File::from(OwnedFd::from(pipe)));
        let lines = tokio::task::spawn_blocking(move || pipe.lines().map(Result::unwrap).collect::<Vec<_>>());
        let lines = lines.await.unwrap();
        let events: Vec<Json> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text = |event: &Json| event["text"].as_str().map(str::to_owned);
        let said: String = events.iter().filter_map(text).collect();
        let last = events.last().unwrap();
        assert_eq!(last["type"], "done", "{last}");
        assert_eq!(said.trim_end(), last["answer"].as_str().unwrap().trim_end());
        assert!(said.len() > 7000, "{} bytes", said.len());
    });
}

#[test]
fn a_daemon_that_stops_tells_whoever_waits() {
    runtime().block_on(async {
        let (mut desk, still, mut client) = Still::desk().await;
        let id = client.ask("Is it so?").await;
        let pid = Pid::from_raw(desk.home.pid() as i32).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let failed = client.signals(&id).await.pop().unwrap();
        assert_eq!(failed.rest, ["org.familiar.Error.Busy", "the daemon is stopping"]);
        drop(still);
        wait_for("the daemon's end", || std::os::unix::net::UnixStream::connect(desk.home.socket()).err());
        desk.home.kill();
    });
}
