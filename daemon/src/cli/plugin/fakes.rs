//! The house as a test case gives it: what a plugin asks for is answered from the case, and what it does is
//! written down. No disk, no network, no clock.

use super::cases::{self, Given};
use crate::plugins::{Calling, HostServices};
use crate::protocol::plugins::{
    Answer, Ask, File, Hit, HttpRequest, HttpResponse, Notice, Refusal, Scheduled, TextReply, TextRequest,
};
use crate::types::Origin;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

/// Most files that are listed at once, and most bytes that are read, as in the daemon.
const FILES: usize = 1000;
const READ: usize = 64 << 10;

/// What the call did.
#[derive(Debug, Default, Clone)]
pub struct Done {
    pub kv: BTreeMap<String, Vec<u8>>,
    pub notices: Vec<cases::Notice>,
    pub requests: Vec<cases::Request>,
    pub prompts: Vec<String>,
    pub questions: Vec<String>,
    pub pending: Vec<Scheduled>,
    pub planned: u64,
}

struct State {
    given: Given,
    replies: VecDeque<String>,
    answers: VecDeque<cases::Answer>,
    done: Done,
}

/// One case's services.
#[derive(Clone)]
pub struct Fakes {
    state: Arc<Mutex<State>>,
    /// Names of the manifest's credentials.
    credentials: Arc<[String]>,
}

impl Fakes {
    pub fn new(given: Given, credentials: Vec<String>) -> Fakes {
        let kv = given.kv.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect();
        let (replies, answers) = (given.replies.clone().into(), given.answers.clone().into());
        let state = State { given, replies, answers, done: Done { kv, ..Done::default() } };
        Fakes { state: Arc::new(Mutex::new(state)), credentials: credentials.into() }
    }

    pub fn done(&self) -> Done {
        self.lock().done.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl HostServices for Fakes {
    fn answer(&self, calling: Arc<Calling>, ask: Ask) -> BoxFuture<'static, Answer> {
        let answer = self.lock().answer(&calling, ask, &self.credentials);
        Box::pin(async move { answer.unwrap_or_else(Answer::Refused) })
    }
}

impl State {
    fn answer(&mut self, calling: &Calling, ask: Ask, credentials: &[String]) -> Result<Answer, Refusal> {
        match ask {
            Ask::Now => Ok(Answer::Now { seconds: self.given.now, nanoseconds: 0 }),
            Ask::LocalOffset { .. } => Ok(Answer::Offset(self.given.offset)),
            Ask::KvGet { key } => Ok(Answer::Value(self.done.kv.get(&key).cloned())),
            Ask::KvSet { key, value } => self.set(calling, key, value).map(|()| Answer::Done),
            Ask::KvSwap { key, old, new } => {
                let same = self.done.kv.get(&key) == old.as_ref();
                if same {
                    self.set(calling, key, new)?;
                }
                Ok(Answer::Flag(same))
            }
            Ask::KvDelete { key } => Ok(Answer::Flag(self.done.kv.remove(&key).is_some())),
            Ask::KvKeys { prefix } => {
                let keys = self.done.kv.keys().filter(|key| key.starts_with(&prefix));
                Ok(Answer::Keys(keys.cloned().collect()))
            }
            Ask::Find { limit, .. } => Ok(Answer::Hits(self.hits(calling, limit))),
            Ask::Files { suffix, after } => Ok(Answer::Files(self.files(calling, &suffix, after))),
            Ask::Read { path, start, length } => self.read(&path, start, length),
            Ask::Generate(request) => self.generate(calling, request),
            Ask::Send(request) => self.send(request, credentials),
            Ask::Notify(notice) => {
                self.notice(notice, None);
                Ok(Answer::Done)
            }
            Ask::Schedule { notice, at } => {
                self.done.planned += 1;
                let id = format!("notice-{}", self.done.planned);
                self.done.pending.push(Scheduled { id: id.clone(), at, notice: notice.clone() });
                self.notice(notice, Some(at));
                Ok(Answer::Id(id))
            }
            Ask::Unschedule { id } => {
                let before = self.done.pending.len();
                self.done.pending.retain(|planned| planned.id != id);
                Ok(Answer::Flag(self.done.pending.len() < before))
            }
            Ask::Pending => {
                let mut pending = self.done.pending.clone();
                pending.sort_by_key(|planned| planned.at);
                Ok(Answer::Pending(pending))
            }
            Ask::Confirm { question } => {
                self.done.questions.push(question);
                match self.answers.pop_front() {
                    Some(cases::Answer::Yes) => Ok(Answer::Flag(true)),
                    Some(cases::Answer::No) => Ok(Answer::Flag(false)),
                    Some(_) => Err(Refusal::Failed("the case answers this question with a choice".into())),
                    None => Err(Refusal::Unanswered),
                }
            }
            Ask::Choose { question, options } => {
                self.done.questions.push(question);
                match self.answers.pop_front() {
                    Some(cases::Answer::Choice(place)) if (place as usize) < options.len() => {
                        Ok(Answer::Chosen(Some(place)))
                    }
                    Some(cases::Answer::NoneOfThem) => Ok(Answer::Chosen(None)),
                    Some(_) => Err(Refusal::Failed("the case's answer is none of the options".into())),
                    None => Err(Refusal::Unanswered),
                }
            }
            Ask::Progress { .. } => Ok(Answer::Done),
        }
    }

    /// Within the quota, in bytes of keys and values together.
    fn set(&mut self, calling: &Calling, key: String, value: Vec<u8>) -> Result<(), Refusal> {
        let quota = calling.grants.kv.as_ref().map_or(0, |kv| kv.quota);
        let others = self.done.kv.iter().filter(|(other, _)| **other != key);
        let others: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        if (others + key.len() + value.len()) as u64 > quota {
            return Err(Refusal::Quota(quota));
        }
        self.done.kv.insert(key, value);
        Ok(())
    }

    fn hits(&self, calling: &Calling, limit: u32) -> Vec<Hit> {
        let hits = self.given.hits.iter().filter(|hit| granted(calling, &hit.path));
        let hit = |hit: &cases::Hit| Hit {
            path: hit.path.clone(),
            title: hit.title.clone(),
            breadcrumb: hit.breadcrumb.clone(),
            text: hit.text.clone(),
            start: hit.start,
            end: hit.start + hit.text.len() as u64,
            line: hit.line,
            page: hit.page,
            score: hit.score,
            origin: hit.origin,
        };
        hits.take(limit.min(50) as usize).map(hit).collect()
    }

    fn files(&self, calling: &Calling, suffix: &str, after: Option<String>) -> Vec<File> {
        let after = after.unwrap_or_default();
        let mut files: Vec<File> = self
            .given
            .files
            .iter()
            .filter(|file| file.path.ends_with(suffix) && file.path > after && granted(calling, &file.path))
            .map(|file| File {
                path: file.path.clone(),
                size: file.text.len() as u64,
                modified: file.modified,
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.truncate(FILES);
        files
    }

    fn read(&self, path: &str, start: u64, length: u32) -> Result<Answer, Refusal> {
        let file = self.given.files.iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| Refusal::NotFound(format!("{path} is not indexed")))?;
        let from = file.text.floor_char_boundary((start as usize).min(file.text.len()));
        let end = file.text.floor_char_boundary((from + (length as usize).min(READ)).min(file.text.len()));
        let title = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = 1 + file.text[..from].matches('\n').count() as u32;
        Ok(Answer::Hits(vec![Hit {
            path: path.into(),
            title,
            breadcrumb: String::new(),
            text: file.text[from..end].into(),
            start: from as u64,
            end: end as u64,
            line,
            page: None,
            score: 1.0,
            origin: Origin::File,
        }]))
    }

    /// A word counts as a token.
    fn generate(&mut self, calling: &Calling, request: TextRequest) -> Result<Answer, Refusal> {
        let left = calling.tokens_left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(Refusal::Budget(0));
        }
        let prompt_tokens =
            (request.system.split_whitespace().count() + request.prompt.split_whitespace().count()) as u32;
        self.done.prompts.push(request.prompt);
        let reply = self.replies.pop_front();
        let reply = reply.ok_or_else(|| Refusal::Failed("the case has no reply left".into()))?;
        let most = request.max_tokens.min(left);
        let words = reply.split_whitespace().count() as u32;
        let cut = words > most;
        let text = match cut {
            true => reply.split_whitespace().take(most as usize).collect::<Vec<_>>().join(" "),
            false => reply,
        };
        let completion_tokens = words.min(most);
        calling.tokens_left.store(left - completion_tokens, Ordering::Relaxed);
        Ok(Answer::Text(TextReply { text, prompt_tokens, completion_tokens, cut }))
    }

    fn send(&mut self, request: HttpRequest, credentials: &[String]) -> Result<Answer, Refusal> {
        if let Some(name) = request.credential.as_ref().filter(|name| !credentials.contains(name)) {
            return Err(Refusal::Denied(format!("plugin.toml names no credential `{name}`")));
        }
        let body = String::from_utf8_lossy(&request.body.unwrap_or_default()).into_owned();
        let (method, url) = (request.method.to_ascii_uppercase(), request.url);
        let found = self.given.responses.iter();
        let found = found.clone().find(|response| response.method == method && response.url == url).cloned();
        let sent = cases::Request { method, url: url.clone(), body, credential: request.credential };
        self.done.requests.push(sent);
        let response = found.ok_or_else(|| Refusal::Failed(format!("the case has no response for {url}")))?;
        Ok(Answer::Response(HttpResponse {
            status: response.status,
            headers: response.headers.into_iter().collect(),
            body: response.body.into_bytes(),
            url,
        }))
    }

    fn notice(&mut self, notice: Notice, at: Option<i64>) {
        self.done.notices.push(cases::Notice { title: notice.title, body: notice.body, at });
    }
}

fn granted(calling: &Calling, path: &str) -> bool {
    calling.grants.search.as_ref().is_some_and(|search| search.holds(Path::new(path)))
}
