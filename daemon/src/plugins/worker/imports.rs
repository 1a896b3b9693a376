//! The imports of `familiar:plugin`. Each becomes a request to the broker, which alone knows what is granted
//! and has the means; only `log` and `is-cancelled` are answered here. Nothing is decided in this process
//! that the broker does not check again.

use super::bindings::familiar::plugin::{ask_user, clock, generate, http, kv, log, notify, progress, search};
use super::call::Running;
use super::stop::Stop;
use crate::protocol::plugins::{
    Answer, Ask, File, Hit, HttpRequest, HttpResponse, Notice, Refusal, Scheduled, TextReply, TextRequest,
};
use crate::types::Origin;
use wasmtime::Result;

/// An answer that does not fit its question: the broker and this worker do not speak the same protocol.
fn strange(answer: &Answer) -> Stop {
    Stop::Broker(format!("it does not fit the question: {answer:?}").chars().take(200).collect())
}

/// The words of a refusal for an import that has none of its own for it.
fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Denied(why) | Refusal::NotFound(why) | Refusal::Invalid(why) | Refusal::Failed(why) => why,
        Refusal::Quota(bytes) => format!("the quota is {bytes} bytes"),
        Refusal::Budget(left) => format!("{left} tokens are left"),
        Refusal::TooLong(tokens, limit) => format!("the prompt is {tokens} tokens and {limit} fit"),
        Refusal::TooLarge(limit) => format!("the answer is larger than {limit} bytes"),
        Refusal::Timeout => "it took too long".into(),
        Refusal::Unanswered => "nobody answered".into(),
    }
}

/// Asks the broker, takes the answers of one kind apart, and makes refusals the import's own error.
macro_rules! ask {
    ($running:expr, $ask:expr, $refused:expr, $($answer:pat => $value:expr),+ $(,)?) => {
        match $running.ask($ask)? {
            $($answer => Ok(Ok($value)),)+
            Answer::Refused(refusal) => Ok(Err($refused(refusal))),
            other => Err(strange(&other).into()),
        }
    };
}

impl log::Host for Running {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        if !self.granted.log {
            return Err(Stop::Refused("`log` is not granted to this plugin".into()).into());
        }
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.log.line(level, message);
        Ok(())
    }
}

impl clock::Host for Running {
    fn now(&mut self) -> Result<clock::Datetime> {
        let (seconds, nanoseconds) = self.now()?;
        Ok(clock::Datetime { seconds, nanoseconds })
    }

    fn local_offset(&mut self, at: i64) -> Result<i32> {
        match self.ask(Ask::LocalOffset { at })? {
            Answer::Offset(minutes) => Ok(minutes),
            Answer::Refused(refusal) => Err(Stop::Refused(words(refusal)).into()),
            other => Err(strange(&other).into()),
        }
    }
}

impl Running {
    /// Seconds since 1970 and the nanoseconds of the second, as the broker tells them.
    ///
    /// # Errors
    /// `clock` is not granted, or the broker does not answer.
    pub fn now(&mut self) -> Result<(i64, u32), Stop> {
        match self.ask(Ask::Now)? {
            Answer::Now { seconds, nanoseconds } => Ok((seconds, nanoseconds)),
            Answer::Refused(refusal) => Err(Stop::Refused(words(refusal))),
            other => Err(strange(&other)),
        }
    }
}

impl kv::Host for Running {
    fn get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, kv::Error>> {
        ask!(self, Ask::KvGet { key }, kv::Error::from, Answer::Value(value) => value)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<Result<(), kv::Error>> {
        ask!(self, Ask::KvSet { key, value }, kv::Error::from, Answer::Done => ())
    }

    fn swap(&mut self, key: String, old: Option<Vec<u8>>, new: Vec<u8>) -> Result<Result<bool, kv::Error>> {
        ask!(self, Ask::KvSwap { key, old, new }, kv::Error::from, Answer::Flag(done) => done)
    }

    fn delete(&mut self, key: String) -> Result<Result<bool, kv::Error>> {
        ask!(self, Ask::KvDelete { key }, kv::Error::from, Answer::Flag(found) => found)
    }

    fn keys(&mut self, prefix: String) -> Result<Result<Vec<String>, kv::Error>> {
        ask!(self, Ask::KvKeys { prefix }, kv::Error::from, Answer::Keys(keys) => keys)
    }
}

impl From<Refusal> for kv::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => kv::Error::Denied(why),
            Refusal::Quota(bytes) => kv::Error::Quota(bytes),
            other => kv::Error::Failed(words(other)),
        }
    }
}

impl search::Host for Running {
    fn find(&mut self, query: String, limit: u32) -> Result<Result<Vec<search::Hit>, search::Error>> {
        ask!(self, Ask::Find { query, limit }, search::Error::from,
            Answer::Hits(hits) => hits.into_iter().map(search::Hit::from).collect())
    }

    fn files(
        &mut self,
        suffix: String,
        after: Option<String>,
    ) -> Result<Result<Vec<search::File>, search::Error>> {
        ask!(self, Ask::Files { suffix, after }, search::Error::from,
            Answer::Files(files) => files.into_iter().map(search::File::from).collect())
    }

    fn read(&mut self, path: String, start: u64, length: u32) -> Result<Result<search::Hit, search::Error>> {
        match self.ask(Ask::Read { path, start, length })? {
            Answer::Hits(mut hits) if hits.len() == 1 => Ok(Ok(hits.swap_remove(0).into())),
            Answer::Refused(refusal) => Ok(Err(refusal.into())),
            other => Err(strange(&other).into()),
        }
    }
}

impl From<Hit> for search::Hit {
    fn from(hit: Hit) -> Self {
        let Hit { path, title, breadcrumb, text, start, end, line, page, score, origin } = hit;
        let origin = match origin {
            Origin::Owner => search::Origin::Owner,
            Origin::File => search::Origin::File,
            Origin::Web => search::Origin::Web,
            Origin::Plugin => search::Origin::Plugin,
        };
        search::Hit { path, title, breadcrumb, text, start, end, line, page, score, origin }
    }
}

impl From<File> for search::File {
    fn from(File { path, size, modified }: File) -> Self {
        search::File { path, size, modified }
    }
}

impl From<Refusal> for search::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => search::Error::Denied(why),
            Refusal::NotFound(why) => search::Error::NotFound(why),
            other => search::Error::Failed(words(other)),
        }
    }
}

impl generate::Host for Running {
    fn text(&mut self, request: generate::Request) -> Result<Result<generate::Reply, generate::Error>> {
        let generate::Request { system, prompt, max_tokens, temperature, schema } = request;
        if !(0.0..=2.0).contains(&temperature) {
            let why = format!("the temperature must be a number from 0 to 2, not {temperature}");
            return Ok(Err(generate::Error::Failed(why)));
        }
        let request = TextRequest { system, prompt, max_tokens, temperature, schema };
        ask!(self, Ask::Generate(request), generate::Error::from, Answer::Text(reply) => reply.into())
    }
}

impl From<TextReply> for generate::Reply {
    fn from(TextReply { text, prompt_tokens, completion_tokens, cut }: TextReply) -> Self {
        generate::Reply { text, prompt_tokens, completion_tokens, cut }
    }
}

impl From<Refusal> for generate::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => generate::Error::Denied(why),
            Refusal::Budget(left) => generate::Error::Budget(left),
            Refusal::TooLong(tokens, limit) => generate::Error::TooLong((tokens, limit)),
            other => generate::Error::Failed(words(other)),
        }
    }
}

impl http::Host for Running {
    fn send(&mut self, request: http::Request) -> Result<Result<http::Response, http::Error>> {
        let http::Request { method, url, headers, body, credential } = request;
        let request = HttpRequest { method, url, headers, body, credential };
        ask!(self, Ask::Send(request), http::Error::from, Answer::Response(response) => response.into())
    }
}

impl From<HttpResponse> for http::Response {
    fn from(HttpResponse { status, headers, body, url }: HttpResponse) -> Self {
        http::Response { status, headers, body, url }
    }
}

impl From<Refusal> for http::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => http::Error::Denied(why),
            Refusal::Invalid(why) => http::Error::Invalid(why),
            Refusal::TooLarge(limit) => http::Error::TooLarge(limit),
            Refusal::Timeout => http::Error::Timeout,
            other => http::Error::Failed(words(other)),
        }
    }
}

impl notify::Host for Running {
    fn send(&mut self, notice: notify::Notice) -> Result<Result<(), notify::Error>> {
        ask!(self, Ask::Notify(notice.into()), notify::Error::from, Answer::Done => ())
    }

    fn schedule(&mut self, notice: notify::Notice, at: i64) -> Result<Result<String, notify::Error>> {
        let notice = notice.into();
        ask!(self, Ask::Schedule { notice, at }, notify::Error::from, Answer::Id(id) => id)
    }

    fn cancel(&mut self, id: String) -> Result<Result<bool, notify::Error>> {
        ask!(self, Ask::Unschedule { id }, notify::Error::from, Answer::Flag(found) => found)
    }

    fn pending(&mut self) -> Result<Result<Vec<notify::Scheduled>, notify::Error>> {
        ask!(self, Ask::Pending, notify::Error::from,
            Answer::Pending(all) => all.into_iter().map(notify::Scheduled::from).collect())
    }
}

impl From<notify::Notice> for Notice {
    fn from(notify::Notice { title, body }: notify::Notice) -> Self {
        Notice { title, body }
    }
}

impl From<Scheduled> for notify::Scheduled {
    fn from(Scheduled { id, at, notice: Notice { title, body } }: Scheduled) -> Self {
        notify::Scheduled { id, at, notice: notify::Notice { title, body } }
    }
}

impl From<Refusal> for notify::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => notify::Error::Denied(why),
            other => notify::Error::Failed(words(other)),
        }
    }
}

impl ask_user::Host for Running {
    fn confirm(&mut self, question: String) -> Result<Result<bool, ask_user::Error>> {
        ask!(self, Ask::Confirm { question }, ask_user::Error::from, Answer::Flag(yes) => yes)
    }

    fn choose(
        &mut self,
        question: String,
        options: Vec<String>,
    ) -> Result<Result<Option<u32>, ask_user::Error>> {
        let ask = Ask::Choose { question, options };
        ask!(self, ask, ask_user::Error::from, Answer::Chosen(place) => place)
    }
}

impl From<Refusal> for ask_user::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unanswered => ask_user::Error::Unanswered,
            other => ask_user::Error::Denied(words(other)),
        }
    }
}

impl progress::Host for Running {
    fn report(&mut self, done: u64, total: u64, message: String) -> Result<()> {
        match self.ask(Ask::Progress { done, total, message })? {
            Answer::Done => Ok(()),
            Answer::Refused(refusal) => Err(Stop::Refused(words(refusal)).into()),
            other => Err(strange(&other).into()),
        }
    }

    fn is_cancelled(&mut self) -> Result<bool> {
        if !self.granted.progress {
            return Err(Stop::Refused("`progress` is not granted to this plugin".into()).into());
        }
        Ok(self.clock().cancelled())
    }
}
