//! One call under way: what its guest may use, its clock, and what it wrote. This is the data of a wasmtime
//! store, which the imports (`imports`, `wasi`) work on; a store lives for one call.

use super::engine::TABLE_ENTRIES;
use super::stop::{Reached, Stop};
use crate::protocol::frames::{Fault, Reply, Request};
use crate::protocol::plugins::{Answer, Ask, Import, Limits, LogLine, WAIT_COSTS};
use crate::worker::child::Port;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::ResourceLimiter;

/// Bytes that a guest may hand to one import.
const IMPORT_BYTES: u64 = 8 << 20;
/// How long the broker may take where the owner is asked; it has a shorter limit of its own.
const OWNER: Duration = Duration::from_secs(25 * 3600);
/// How long a call goes on that nobody waits for, so that its guest may see `is-cancelled` and return.
const NOTICE: Duration = Duration::from_millis(100);
/// Bytes of the guest's last words that are kept for the error.
const LAST_WORDS: usize = 300;

pub struct Running {
    pub call: u64,
    pub granted: Granted,
    pub limits: Limits,
    pub log: Log,
    pub reached: Reached,
    pub wasi: super::wasi::State,
    port: Port,
    clock: Clock,
    memory: u64,
    tables: usize,
}

/// Grants that the worker must know of, since it answers these imports itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Granted {
    pub log: bool,
    pub clock: bool,
    pub progress: bool,
}

impl Granted {
    pub fn of(names: &[String]) -> Granted {
        let has = |name: &str| names.iter().any(|granted| granted == name);
        Granted { log: has("log"), clock: has("clock"), progress: has("progress") }
    }
}

/// When a call must end.
pub struct Clock {
    pub started: Instant,
    deadline: Instant,
    allowed: Duration,
    stop: Arc<AtomicBool>,
    cancelled_at: Option<Instant>,
}

impl Clock {
    pub fn new(allowed: Duration, stop: Arc<AtomicBool>) -> Clock {
        let started = Instant::now();
        Clock { started, deadline: started + allowed, allowed, stop, cancelled_at: None }
    }

    pub fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// An error once the call's time is over, or nobody has waited for it for a moment.
    pub fn check(&mut self) -> Result<(), Stop> {
        if self.cancelled() && self.cancelled_at.get_or_insert_with(Instant::now).elapsed() > NOTICE {
            return Err(Stop::Cancelled);
        }
        if self.left().is_zero() {
            return Err(Stop::Deadline(self.allowed));
        }
        Ok(())
    }
}

impl Running {
    pub fn new(call: u64, granted: Granted, limits: Limits, clock: Clock, port: Port) -> Running {
        Running {
            call,
            granted,
            limits,
            log: Log::new(limits.log, granted.log),
            reached: Reached::default(),
            wasi: super::wasi::State::default(),
            port,
            clock,
            memory: 0,
            tables: 0,
        }
    }

    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// Bytes that the guest may hand over at once: to an import, or as its answer.
    pub fn import_bytes(&self) -> usize {
        self.limits.output.max(IMPORT_BYTES) as usize
    }

    /// Has the broker answer an import.
    ///
    /// # Errors
    /// A [`Stop`]: the call's time is over, or the broker does not answer.
    pub fn ask(&mut self, body: Ask) -> Result<Answer, Stop> {
        self.clock.check()?;
        let limit = if body.may_wait_for_owner() { OWNER } else { self.clock.left() };
        let request = Request::PluginImport(Box::new(Import { call: self.call, body }));
        let reply = self.port.call(request, limit);
        if let Ok(Reply::Imported(imported)) = &reply {
            self.clock.deadline += Duration::from_millis(imported.waited_ms).saturating_sub(WAIT_COSTS);
        }
        self.clock.check()?;
        match reply {
            Ok(Reply::Imported(imported)) => Ok(imported.answer),
            Ok(_) => Err(Stop::Broker("it was of another kind".into())),
            Err(Fault::Deadline { .. }) => Err(Stop::Deadline(self.clock.allowed)),
            Err(Fault::Cancelled) => Err(Stop::Cancelled),
            Err(fault) => Err(Stop::Broker(fault.to_string())),
        }
    }
}

impl ResourceLimiter for Running {
    /// Refusing is an answer that a guest may live with, so the call goes on.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add((desired - current) as u64);
        if total > self.limits.memory {
            self.reached.memory = Some(self.limits.memory);
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.tables.saturating_add(desired - current);
        if total > TABLE_ENTRIES {
            self.reached.table = Some(TABLE_ENTRIES);
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }
}

/// Lines that the guest wrote, within its quota.
pub struct Log {
    pub lines: Vec<LogLine>,
    /// Lines that did not fit.
    pub dropped: u64,
    left: u64,
    granted: bool,
    /// What was written to standard output and error since the last line end.
    partial: [Vec<u8>; 2],
    last: Vec<u8>,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Error,
}

impl Log {
    fn new(quota: u64, granted: bool) -> Log {
        Log {
            lines: Vec::new(),
            dropped: 0,
            left: quota,
            granted,
            partial: Default::default(),
            last: Vec::new(),
        }
    }

    pub fn line(&mut self, level: &str, message: String) {
        // A line's place in the list counts too, or empty ones would be free.
        let cost = message.len() as u64 + 32;
        if cost > self.left {
            self.dropped += 1;
            return;
        }
        self.left -= cost;
        self.lines.push(LogLine { level: level.into(), message });
    }

    /// Standard output and error become lines, if `log` is granted; else they are dropped.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Error {
            self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST_WORDS)..]);
            let surplus = self.last.len().saturating_sub(LAST_WORDS);
            self.last.drain(..surplus);
        }
        if !self.granted {
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let partial = &mut self.partial[stream as usize];
            let room = (self.left as usize).saturating_sub(partial.len());
            partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") || room == 0 {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let bytes = std::mem::take(&mut self.partial[stream as usize]);
        let level = if stream == Stream::Error { "warn" } else { "info" };
        self.line(level, String::from_utf8_lossy(&bytes).trim_end().to_owned());
    }

    /// All lines, those without an end too, and how many were dropped.
    pub fn finish(&mut self) -> (Vec<LogLine>, u64) {
        for stream in [Stream::Out, Stream::Error] {
            if !self.partial[stream as usize].is_empty() {
                self.end_line(stream);
            }
        }
        (std::mem::take(&mut self.lines), self.dropped)
    }

    /// The end of what was written to standard error, as one line.
    pub fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.last);
        let plain = text.replace(|c: char| c.is_control(), " ");
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_become_lines_within_the_quota() {
        let mut log = Log::new(200, true);
        log.write(Stream::Out, b"one\ntw");
        log.write(Stream::Error, b"panicked at x\x1b[0m");
        log.write(Stream::Out, b"o\n");
        log.write(Stream::Out, &[0xff; 10_000]);
        let last = log.last_words();
        let (lines, dropped) = log.finish();
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages[..2], ["one", "two"]);
        assert!(lines.iter().map(|line| line.message.len() + 32).sum::<usize>() <= 200 && dropped > 0);
        assert_eq!(last, "panicked at x [0m");

        let mut log = Log::new(200, false);
        log.write(Stream::Out, b"one\n");
        assert_eq!(log.finish(), (vec![], 0));
    }
}
