//! A worker of one's own, the services that its guests reach, and a folder for their files.

use crate::support::BINARY;
use familiar::plugins::{Calling, HostServices, PluginError, Run, Runtime};
use familiar::policy::grants::Grants;
use familiar::protocol::plugins::{Answer, Ask, Called, HttpResponse, Limits, Refusal, TextReply};
use familiar::types::Label;
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Says yes to everything, and remembers what it was asked.
#[derive(Default)]
pub struct Recorder {
    pub asked: Mutex<Vec<Ask>>,
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
pub struct Stage {
    pub runtime: Runtime,
    pub folder: TempDir,
    pub services: Arc<Recorder>,
}

impl Stage {
    pub fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(folder.path().join("compiled"), Some(BINARY.into()));
        Stage { runtime, folder, services: Arc::default() }
    }

    pub fn file(&self, guest: &[u8]) -> (PathBuf, String) {
        let digest = blake3::hash(guest).to_hex().to_string();
        let file = self.folder.path().join(&digest);
        // Written once: a call under way may be reading it.
        if !file.exists() {
            std::fs::write(&file, guest).unwrap();
        }
        (file, digest)
    }

    pub fn run(&self, guest: &[u8], tool: &str, grants: Grants, deadline: Duration) -> Run {
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

    pub async fn call(
        &self,
        guest: &[u8],
        grants: Grants,
        deadline: Duration,
    ) -> Result<Called, PluginError> {
        self.runtime.call(self.run(guest, "tool", grants, deadline), self.services.clone()).await
    }

    /// A good call is answered, by a worker that was never started again.
    pub async fn is_well(&self, good: &[u8], after: &str) {
        let called = self.call(good, Grants::default(), Duration::from_secs(60)).await;
        let text = called.unwrap_or_else(|error| panic!("after {after}: {error}")).result.unwrap().text;
        assert_eq!(text, "ok", "after {after}");
        assert_eq!(self.runtime.status().restarts, 0, "after {after}: the worker was started again");
    }

    pub fn asked(&self) -> Vec<Ask> {
        std::mem::take(&mut self.services.asked.lock().unwrap())
    }
}
