//! Hostile guests through the real jailed worker: each is refused or stopped with words that say why, the
//! broker lives on, and the worker that ran it answers a good call next.

mod cases;
pub mod guest;
mod load;
mod reach;

use crate::support::{BINARY, runtime};
use cases::{Case, Ends, everything};
use familiar::plugins::{Calling, HostServices, PluginError, Run, Runtime};
use familiar::policy::grants::{Grants, Interface};
use familiar::protocol::plugins::{Answer, Ask, Called, HttpResponse, Limits, Refusal, TextReply, ToolError};
use familiar::types::Label;
use futures::future::BoxFuture;
use guest::{GOOD, Guest};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Says yes to everything, and remembers what it was asked.
#[derive(Default)]
struct Recorder {
    asked: Mutex<Vec<Ask>>,
}

impl HostServices for Recorder {
    fn answer(&self, _: Arc<Calling>, ask: Ask) -> BoxFuture<'static, Answer> {
        let answer = match &ask {
            Ask::Now => Answer::Now { seconds: 1_800_000_000, nanoseconds: 5 },
            Ask::LocalOffset { .. } => Answer::Offset(60),
            Ask::KvGet { .. } => Answer::Value(None),
            Ask::KvSet { key, .. } if key.len() > 1024 => Answer::Refused(Refusal::Quota(65536)),
            Ask::KvSet { .. } | Ask::Notify(_) | Ask::Progress { .. } => Answer::Done,
            Ask::KvSwap { .. } | Ask::KvDelete { .. } | Ask::Unschedule { .. } | Ask::Confirm { .. } => {
                Answer::Flag(true)
            }
            Ask::KvKeys { .. } => Answer::Keys(vec!["one".into(), "two".into()]),
            Ask::Find { .. } => Answer::Hits(vec![]),
            Ask::Read { .. } => Answer::Hits(vec![hit()]),
            Ask::Files { .. } => Answer::Files(vec![]),
            Ask::Generate(_) => Answer::Text(TextReply {
                text: "yes".into(),
                prompt_tokens: 1,
                completion_tokens: 1,
                cut: false,
            }),
            Ask::Send(request) => Answer::Response(HttpResponse {
                status: 200,
                headers: vec![],
                body: b"body".to_vec(),
                url: request.url.clone(),
            }),
            Ask::Schedule { .. } => Answer::Id("1".into()),
            Ask::Pending => Answer::Pending(vec![]),
            Ask::Choose { .. } => Answer::Chosen(Some(0)),
        };
        self.asked.lock().unwrap().push(ask);
        Box::pin(async move { answer })
    }
}

fn hit() -> familiar::protocol::plugins::Hit {
    familiar::protocol::plugins::Hit {
        path: "/granted/x".into(),
        title: String::new(),
        breadcrumb: String::new(),
        text: "text".into(),
        start: 0,
        end: 4,
        line: 1,
        page: None,
        score: f32::NAN,
        origin: familiar::types::Origin::File,
    }
}

/// A worker of one's own, and a folder for the guests' files.
struct Stage {
    runtime: Runtime,
    folder: TempDir,
    services: Arc<Recorder>,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(folder.path().join("compiled"), Some(BINARY.into()));
        Stage { runtime, folder, services: Arc::default() }
    }

    fn file(&self, guest: &[u8]) -> (PathBuf, String) {
        let digest = blake3::hash(guest).to_hex().to_string();
        let file = self.folder.path().join(&digest);
        std::fs::write(&file, guest).unwrap();
        (file, digest)
    }

    fn run(&self, guest: &[u8], tool: &str, grants: Grants, deadline: Duration) -> Run {
        let (file, file_digest) = self.file(guest);
        let calling = Calling::new("hostile", &file_digest, tool, "", grants, Label::owner());
        Run {
            file,
            file_digest,
            tool: tool.into(),
            arguments: "{}".into(),
            language: "en".into(),
            limits: Limits::default(),
            deadline,
            calling: Arc::new(calling),
        }
    }

    async fn call(&self, guest: &[u8], grants: Grants, deadline: Duration) -> Result<Called, PluginError> {
        self.runtime.call(self.run(guest, "tool", grants, deadline), self.services.clone()).await
    }

    /// A good call is answered, by a worker that was never started again.
    async fn is_well(&self, good: &[u8], after: &str) {
        let called = self.call(good, Grants::default(), Duration::from_secs(60)).await;
        let text = called.unwrap_or_else(|error| panic!("after {after}: {error}")).result.unwrap().text;
        assert_eq!(text, "ok", "after {after}");
        assert_eq!(self.runtime.status().restarts, 0, "after {after}: the worker was started again");
    }

    fn asked(&self) -> Vec<Ask> {
        std::mem::take(&mut self.services.asked.lock().unwrap())
    }
}

/// How it ended, in a line; `Err` if not as it should.
fn judge(case: &Case, called: &Result<Called, PluginError>) -> Result<String, String> {
    match (&case.ends, called) {
        (Ends::Refused(words), Err(PluginError::Unusable(why))) if why.contains(words) => Ok(why.clone()),
        (Ends::Stopped(words), Ok(Called { result: Err(ToolError::Stopped(why)), .. }))
            if why.contains(words) =>
        {
            Ok(why.clone())
        }
        (Ends::Harmless(text), Ok(Called { result: Ok(output), .. })) if output.text == *text => {
            Ok("came to nothing".into())
        }
        _ => Err(format!("{called:?}")),
    }
}

#[test]
fn every_hostile_guest_is_stopped_with_clear_words_and_the_worker_lives() {
    let all: Vec<Case> = [
        cases::time(),
        cases::memory(),
        cases::traps(),
        cases::answers(),
        cases::lies(),
        reach::values(),
        reach::places(),
        reach::wasi(),
        load::files(),
        load::worlds(),
        load::sizes(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(all.len() >= 60, "{}", all.len());
    let (stage, good) = (Stage::new(), Guest::new(GOOD).build());
    let mut wrong = Vec::new();
    runtime().block_on(async {
        stage.is_well(&good, "nothing").await;
        for case in &all {
            let called = stage.call(&case.guest, case.grants.clone(), Duration::from_millis(300)).await;
            match judge(case, &called) {
                Ok(how) => println!("{}: {how}", case.name),
                Err(how) => wrong.push(format!("{}: {how}", case.name)),
            }
            if let Ok(called) = &called {
                let log: usize = called.log.iter().map(|line| line.message.len()).sum();
                assert!(log <= 64 << 10, "{}", case.name);
            }
            stage.is_well(&good, &case.name).await;
        }
        stage.runtime.stop().await;
    });
    assert!(wrong.is_empty(), "{} of {} end otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    println!("{} hostile guests", all.len());
    let beyond: Vec<Ask> = stage
        .asked()
        .into_iter()
        .filter(|ask| match ask {
            Ask::Read { .. } | Ask::Send(_) | Ask::Generate(_) => true,
            Ask::KvSet { key, value } => key.len() + value.len() > 8 << 20,
            _ => false,
        })
        .collect();
    assert!(beyond.is_empty(), "these came through: {beyond:?}");
}
