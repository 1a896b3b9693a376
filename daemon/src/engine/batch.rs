//! The batch loop: several conversations decoded together, each in its own sequence of the model's
//! KV cache, whose beginning is reused when the next prompt begins the same. It knows no llama.cpp
//! (that is behind [`Model`]), no frames and no clock but for timings: requests go in, events and answers come out.

use super::text::TextOut;
use crate::protocol::frames::{Event, Fault, Generate, Reply, Score, Scored, Tokens};
use crate::types::{Finish, Timings, Usage};
use std::collections::VecDeque;
use std::time::Instant;

/// A token's number in the vocabulary.
pub type Token = i32;

/// Tokens of prompts that one step may decode, over all sequences.
const STEP: usize = 512;
/// The same while another conversation is being written: its reader waits for the step.
const STEP_WHILE_WRITING: usize = 256;
/// Room that a prompt must leave for the answer, in tokens.
const LEAST_ANSWER: u32 = 64;
/// Requests that may wait for a sequence.
const MAX_WAITING: usize = 256;

/// One token to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    pub sequence: usize,
    pub position: usize,
    pub token: Token,
    /// The token after this one will be sampled.
    pub last: bool,
}

/// What sampling gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Sampled {
    Token {
        token: Token,
        bytes: Vec<u8>,
    },
    /// The model ended its answer.
    End,
}

/// What the loop needs of a model. KV state belongs to one load of one model, so nothing in this
/// trait changes weights or adapters.
pub trait Model {
    /// Sampling state of one answer: its random numbers, its grammar.
    type Sampler;

    /// Tokens that each sequence holds.
    fn context(&self) -> u32;
    fn sequences(&self) -> usize;
    /// Tokens of a prompt that are decoded in one call, always from a multiple of it on.
    fn grid(&self) -> usize;
    fn prompt(&self, request: &Generate) -> Result<Vec<Token>, Fault>;
    fn sampler(&self, request: &Generate) -> Result<Self::Sampler, Fault>;
    /// Forgets a sequence from position `length` on; returns how much is left, which is less when
    /// the model's memory cannot be cut there.
    fn keep(&mut self, sequence: usize, length: usize) -> usize;
    fn decode(&mut self, feeds: &[Feed]) -> Result<(), Fault>;
    /// Samples after the feed at `index` of the last decode.
    fn sample(&mut self, sampler: &mut Self::Sampler, index: usize) -> Result<Sampled, Fault>;
    /// How well it predicts a text, read in this sequence, which is empty afterwards.
    fn score(&mut self, sequence: usize, score: &Score) -> Result<Scored, Fault>;

    /// The tokens that [`Model::score`] would read.
    fn tokens(&self, score: &Score) -> Result<Tokens, Fault>;
    /// Whether an answer that ended by itself is a tool call.
    fn called_tool(&self, sampler: &Self::Sampler) -> bool;
}

/// How an answer ended, for the ticket that asked.
pub type Answer<T> = (T, Result<Reply, Fault>);

/// The conversations of one model. `T` is the asker's ticket: a job, or a number in tests.
pub struct Batch<M: Model, T> {
    model: M,
    /// What each sequence of the KV cache holds.
    cached: Vec<Cached>,
    running: Vec<Running<M::Sampler, T>>,
    waiting: VecDeque<Waiting<M::Sampler, T>>,
    steps: u64,
}

#[derive(Default)]
struct Cached {
    tokens: Vec<Token>,
    /// Tokens at the beginning that were decoded in whole grid calls. Kernels round differently for
    /// other shapes of a call, so only these are what a cold start would have made, bit for bit.
    exact: usize,
    busy: bool,
    last_used: u64,
}

struct Waiting<S, T> {
    ticket: T,
    prompt: Vec<Token>,
    sampler: S,
    text: TextOut,
    max_tokens: u32,
    asked: Instant,
}

struct Running<S, T> {
    request: Waiting<S, T>,
    sequence: usize,
    /// Tokens to decode: the rest of the prompt, or the last sampled token.
    feed: VecDeque<Token>,
    cached_tokens: u32,
    written: u32,
    first: Option<Instant>,
}

impl<M: Model, T> Batch<M, T> {
    pub fn new(model: M) -> Batch<M, T> {
        let cached = (0..model.sequences()).map(|_| Cached::default()).collect();
        Batch { model, cached, running: Vec::new(), waiting: VecDeque::new(), steps: 0 }
    }

    pub fn model(&self) -> &M {
        &self.model
    }

    pub fn idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Takes a request, or answers it at once when it cannot be served.
    pub fn admit(&mut self, ticket: T, request: &Generate) -> Option<Answer<T>> {
        match self.prepare(request) {
            Ok((prompt, sampler)) => {
                self.waiting.push_back(Waiting {
                    ticket,
                    prompt,
                    sampler,
                    text: TextOut::new(&request.sampling.stop),
                    max_tokens: request.sampling.max_tokens,
                    asked: Instant::now(),
                });
                None
            }
            Err(fault) => Some((ticket, Err(fault))),
        }
    }

    /// How well the model predicts a text. Only between answers: it takes a whole sequence.
    pub fn score(&mut self, score: &Score) -> Result<Scored, Fault> {
        if !self.idle() {
            return Err(Fault::Busy("answers are being written; try again when they are done".into()));
        }
        self.cached[0] = Cached::default();
        self.model.score(0, score)
    }

    fn prepare(&self, request: &Generate) -> Result<(Vec<Token>, M::Sampler), Fault> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(Fault::Internal(format!(
                "{MAX_WAITING} questions are waiting already; try again later"
            )));
        }
        let sampler = self.model.sampler(request)?;
        let prompt = self.model.prompt(request)?;
        let limit = prompt_limit(self.model.context(), request.sampling.max_tokens);
        let tokens = prompt.len() as u32;
        if tokens > limit {
            return Err(Fault::PromptTooLong { tokens, limit });
        }
        if prompt.is_empty() {
            return Err(Fault::Invalid("the prompt is empty".into()));
        }
        Ok((prompt, sampler))
    }

    /// Decodes and samples once for every conversation. `given_up` says why a ticket is no longer
    /// wanted; `event` takes what its asker should see. Returns the answers that are complete.
    pub fn step(
        &mut self,
        given_up: impl Fn(&T) -> Option<Fault>,
        mut event: impl FnMut(&T, Event),
    ) -> Vec<Answer<T>> {
        let mut answers = self.drop_unwanted(given_up);
        self.start_waiting(&mut event);
        let room = if self.write(&mut event, &mut answers) { STEP_WHILE_WRITING } else { STEP };
        self.read(room, &mut event, &mut answers);
        answers
    }

    /// One token more for every conversation that is being written, in one call.
    fn write(&mut self, event: &mut impl FnMut(&T, Event), answers: &mut Vec<Answer<T>>) -> bool {
        let writers: Vec<usize> =
            (0..self.running.len()).filter(|&index| self.running[index].written > 0).collect();
        if writers.is_empty() {
            return false;
        }
        let mut feeds = Vec::with_capacity(writers.len());
        for &index in &writers {
            feed(&mut self.running[index], &mut self.cached, 1, &mut feeds);
        }
        if let Err(fault) = self.model.decode(&feeds) {
            answers.extend(self.fail_all(&fault));
            return true;
        }
        // From the last on, so that those that end do not move the others.
        for (at, &index) in writers.iter().enumerate().rev() {
            self.advance(index, at, event, answers);
        }
        true
    }

    /// Decodes up to `room` tokens of prompts, each call within one conversation and one grid cell.
    fn read(&mut self, mut room: usize, event: &mut impl FnMut(&T, Event), answers: &mut Vec<Answer<T>>) {
        let grid = self.model.grid().max(1);
        let mut index = 0;
        while room > 0 && index < self.running.len() {
            let running = &mut self.running[index];
            if running.written > 0 {
                index += 1;
                continue;
            }
            let sequence = running.sequence;
            let cell = grid - self.cached[sequence].tokens.len() % grid;
            let mut feeds = Vec::with_capacity(cell);
            feed(running, &mut self.cached, cell, &mut feeds);
            let complete = running.feed.is_empty();
            if let Err(fault) = self.model.decode(&feeds) {
                answers.extend(self.fail_all(&fault));
                return;
            }
            if feeds.len() == grid {
                self.cached[sequence].exact += grid;
            }
            room = room.saturating_sub(feeds.len());
            if complete {
                let before = self.running.len();
                self.advance(index, feeds.len() - 1, event, answers);
                index += usize::from(self.running.len() == before);
            }
        }
    }

    fn drop_unwanted(&mut self, given_up: impl Fn(&T) -> Option<Fault>) -> Vec<Answer<T>> {
        let mut answers = Vec::new();
        let mut index = 0;
        while index < self.running.len() {
            match given_up(&self.running[index].request.ticket) {
                None => index += 1,
                Some(fault) => answers.push(self.end(index, Err(fault))),
            }
        }
        let mut wanted = VecDeque::with_capacity(self.waiting.len());
        for request in self.waiting.drain(..) {
            match given_up(&request.ticket) {
                None => wanted.push_back(request),
                Some(fault) => answers.push((request.ticket, Err(fault))),
            }
        }
        self.waiting = wanted;
        answers
    }

    fn start_waiting(&mut self, event: &mut impl FnMut(&T, Event)) {
        while self.cached.iter().any(|cached| !cached.busy) {
            let Some(request) = self.waiting.pop_front() else { return };
            let sequence = self.best_sequence(&request.prompt);
            let cached = &mut self.cached[sequence];
            // The last token is decoded again: its logits are needed.
            let same = common_prefix(&cached.tokens, &request.prompt).min(request.prompt.len() - 1);
            let grid = self.model.grid().max(1);
            let kept = self.model.keep(sequence, same.min(cached.exact) / grid * grid);
            cached.tokens.truncate(kept);
            cached.exact = kept;
            cached.busy = true;
            let prompt_tokens = request.prompt.len() as u32;
            event(&request.ticket, Event::Started { prompt_tokens, cached_tokens: kept as u32 });
            self.running.push(Running {
                sequence,
                feed: request.prompt[kept..].iter().copied().collect(),
                cached_tokens: kept as u32,
                written: 0,
                first: None,
                request,
            });
        }
    }

    /// The free sequence that holds most of the prompt already; among equals the one unused longest.
    fn best_sequence(&self, prompt: &[Token]) -> usize {
        let free = self.cached.iter().enumerate().filter(|(_, cached)| !cached.busy);
        let best = free.max_by_key(|(_, cached)| {
            (common_prefix(&cached.tokens[..cached.exact], prompt), u64::MAX - cached.last_used)
        });
        best.map_or(0, |(index, _)| index)
    }

    /// Samples for one conversation after the feed at `at`, and ends it when that was its last token.
    fn advance(
        &mut self,
        index: usize,
        at: usize,
        event: &mut impl FnMut(&T, Event),
        answers: &mut Vec<Answer<T>>,
    ) {
        let Some(end) = self.sample(index, at, event) else { return };
        let request = &mut self.running[index].request;
        let rest = request.text.finish();
        if end.is_ok() && !rest.is_empty() {
            event(&request.ticket, Event::Text(rest));
        }
        answers.push(self.end(index, end));
    }

    /// `Some`: the conversation ends here.
    fn sample(
        &mut self,
        index: usize,
        at: usize,
        event: &mut impl FnMut(&T, Event),
    ) -> Option<Result<Finish, Fault>> {
        let running = &mut self.running[index];
        let (token, bytes) = match self.model.sample(&mut running.request.sampler, at) {
            Ok(Sampled::Token { token, bytes }) => (token, bytes),
            Ok(Sampled::End) => {
                let tool = self.model.called_tool(&running.request.sampler);
                return Some(Ok(if tool { Finish::ToolCalls } else { Finish::Stop }));
            }
            Err(fault) => return Some(Err(fault)),
        };
        running.written += 1;
        running.first.get_or_insert_with(Instant::now);
        let (text, stopped) = running.request.text.push(&bytes);
        if !text.is_empty() {
            event(&running.request.ticket, Event::Text(text));
        }
        if stopped {
            return Some(Ok(Finish::Stop));
        }
        let full = self.cached[running.sequence].tokens.len() + 1 >= self.model.context() as usize;
        if full || running.written >= running.request.max_tokens {
            return Some(Ok(Finish::Length));
        }
        running.feed.push_back(token);
        None
    }
}

impl<M: Model, T> Batch<M, T> {
    /// Ends a conversation; what its sequence holds stays, for the next prompt that begins the same.
    fn end(&mut self, index: usize, how: Result<Finish, Fault>) -> Answer<T> {
        self.steps += 1;
        let running = self.running.remove(index);
        let cached = &mut self.cached[running.sequence];
        cached.busy = false;
        cached.last_used = self.steps;
        let reply = how.map(|finish| Reply::Generated {
            finish,
            usage: Usage {
                prompt_tokens: running.request.prompt.len() as u32,
                cached_tokens: running.cached_tokens,
                completion_tokens: running.written,
            },
            timings: timings(&running),
        });
        (running.request.ticket, reply)
    }

    /// After a failed decode nobody knows what the KV cache holds.
    fn fail_all(&mut self, fault: &Fault) -> Vec<Answer<T>> {
        let mut answers = Vec::new();
        while !self.running.is_empty() {
            answers.push(self.end(0, Err(fault.clone())));
        }
        for (sequence, cached) in self.cached.iter_mut().enumerate() {
            self.model.keep(sequence, 0);
            cached.tokens.clear();
            cached.exact = 0;
        }
        answers
    }
}

/// Moves up to `room` tokens of a conversation into the step.
fn feed<S, T>(running: &mut Running<S, T>, cached: &mut [Cached], room: usize, feeds: &mut Vec<Feed>) {
    let tokens = &mut cached[running.sequence].tokens;
    for _ in 0..room {
        let Some(token) = running.feed.pop_front() else { return };
        let last = running.feed.is_empty();
        feeds.push(Feed { sequence: running.sequence, position: tokens.len(), token, last });
        tokens.push(token);
    }
}

/// Tokens that a prompt may have: the context less a small answer.
pub fn prompt_limit(context: u32, max_tokens: u32) -> u32 {
    context.saturating_sub(max_tokens.clamp(1, LEAST_ANSWER.min(context / 4).max(1)))
}

fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn timings<S, T>(running: &Running<S, T>) -> Timings {
    let now = Instant::now();
    let asked = running.request.asked;
    let first = running.first.unwrap_or(now);
    let writing = now.duration_since(first).as_secs_f32();
    // The first token is the prompt's work.
    let tokens = running.written.saturating_sub(1) as f32;
    Timings {
        ttft_ms: first.duration_since(asked).as_millis() as u64,
        total_ms: now.duration_since(asked).as_millis() as u64,
        tokens_per_s: if writing > 0.0 { tokens / writing } else { 0.0 },
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
