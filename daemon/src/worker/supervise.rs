//! Starts a worker when it is first needed, and again after it crashed: at once the first time, then
//! with growing waits, and no more after [`CRASH_LIMIT`] crashes without an answer in between.

use super::link::{Handler, Link};
use super::{Call, Jail, WorkerError};
use crate::protocol::frames::{Fault, Reply, Request};
use crate::protocol::http::WorkerStatus;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Crashes in a row after which a worker is not started again by itself.
pub const CRASH_LIMIT: u32 = 8;
/// The longest time a request waits for a restart instead of failing.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Engine,
    Extract,
    Train,
    Plugins,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Engine => "engine",
            Kind::Extract => "extract",
            Kind::Train => "train",
            Kind::Plugins => "plugins",
        }
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    pub kind: Kind,
    pub jail: Jail,
    /// The binary to run; `None` is the one that runs now.
    pub program: Option<PathBuf>,
}

impl Spec {
    pub fn new(kind: Kind, jail: Jail) -> Spec {
        Spec { kind, jail, program: None }
    }
}

/// A supervised child process; cheap to clone. Nothing runs until the first call.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    spec: Spec,
    handler: Handler,
    /// Held while a process is being started, so that only one is.
    starting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    crashes: u32,
    last_crash: Option<Instant>,
    starts: u32,
    jail_refused: Vec<String>,
}

impl Worker {
    /// A worker whose own requests to the broker are all refused, but for `Ping`.
    pub fn new(spec: Spec) -> Worker {
        Worker::with_handler(
            spec,
            Arc::new(|request| {
                Box::pin(async move {
                    match request {
                        Request::Ping => Ok(Reply::Pong),
                        _ => Err(Fault::Unsupported),
                    }
                })
            }),
        )
    }

    /// A worker whose requests to the broker `handler` answers.
    pub fn with_handler(spec: Spec, handler: Handler) -> Worker {
        let (starting, state) = Default::default();
        Worker { inner: Arc::new(Inner { spec, handler, starting, state }) }
    }

    /// Sends a request, starting the process when none runs. `fd` travels beside it. A worker that
    /// has not answered some time after the `deadline` is killed.
    pub async fn call(
        &self,
        body: Request,
        fd: Option<OwnedFd>,
        deadline: Duration,
    ) -> Result<Call, WorkerError> {
        let link = self.link().await?;
        link.call(body, fd, deadline)
    }

    /// Ends the process and forgets past crashes; the next call starts a new one.
    pub async fn stop(&self) {
        let link = {
            let mut state = self.state();
            state.crashes = 0;
            state.last_crash = None;
            state.link.take()
        };
        if let Some(link) = link {
            link.close().await;
        }
    }

    pub fn status(&self) -> WorkerStatus {
        let mut state = self.state();
        self.notice_crash(&mut state);
        let pid = state.link.as_ref().map(|link| link.pid);
        WorkerStatus {
            kind: self.kind().into(),
            pid,
            state: match (pid, self.wait(&state)) {
                (Some(_), _) => "running",
                (None, Err(_)) => "stopped",
                (None, Ok(wait)) if !wait.is_zero() => "backing_off",
                (None, Ok(_)) => "idle",
            }
            .into(),
            restarts: state.starts.saturating_sub(1),
            rss_bytes: pid.and_then(rss_bytes).unwrap_or(0),
            jail_refused: state.jail_refused.clone(),
        }
    }

    fn kind(&self) -> &'static str {
        self.inner.spec.kind.as_str()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The running process' link, or that of a new process.
    async fn link(&self) -> Result<Arc<Link>, WorkerError> {
        if let Some(link) = self.running() {
            return Ok(link);
        }
        let _one_at_a_time = self.inner.starting.lock().await;
        if let Some(link) = self.running() {
            return Ok(link);
        }
        let wait = {
            let state = self.state();
            self.wait(&state)?
        };
        if wait > PATIENCE {
            let crashes = self.state().crashes;
            return Err(WorkerError::BackingOff { kind: self.kind(), crashes, wait });
        }
        tokio::time::sleep(wait).await;
        self.start().await
    }

    fn running(&self) -> Option<Arc<Link>> {
        let mut state = self.state();
        self.notice_crash(&mut state);
        state.link.clone()
    }

    async fn start(&self) -> Result<Arc<Link>, WorkerError> {
        let started = Link::start(&self.inner.spec, self.inner.handler.clone()).await;
        let mut state = self.state();
        match started {
            Ok((link, report)) => {
                for refused in &report.refused {
                    tracing::warn!(worker = self.kind(), "{refused}");
                }
                state.starts += 1;
                state.jail_refused = report.refused;
                state.link = Some(link.clone());
                Ok(link)
            }
            Err(reason) => {
                state.crashes += 1;
                state.last_crash = Some(Instant::now());
                Err(WorkerError::Spawn { kind: self.kind(), reason })
            }
        }
    }

    /// Moves a link that has ended out of the state, and counts it.
    fn notice_crash(&self, state: &mut State) {
        let Some(link) = state.link.take_if(|link| link.ended()) else { return };
        state.crashes = if link.answered() { 1 } else { state.crashes + 1 };
        state.last_crash = Some(Instant::now());
    }

    /// How long to wait before the next start; an error once the worker crashed too often.
    fn wait(&self, state: &State) -> Result<Duration, WorkerError> {
        let crashes = state.crashes;
        if crashes >= CRASH_LIMIT {
            return Err(WorkerError::Stopped { kind: self.kind(), crashes });
        }
        let since = state.last_crash.map_or(Duration::MAX, |at| at.elapsed());
        Ok(backoff(crashes).saturating_sub(since))
    }
}

/// No wait after the first crash, then half a second, doubling, 30 s at most.
fn backoff(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(250 << (n - 1).min(7)).min(Duration::from_secs(30)),
    }
}

/// Resident memory of a process, in bytes.
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The most resident memory that a process has had, in bytes.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crash_costs_no_wait_and_later_ones_grow_to_a_cap() {
        let waits: Vec<u128> = (0..10).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    #[test]
    fn own_memory_is_read_in_bytes() {
        assert!(rss_bytes(std::process::id()).is_some_and(|rss| rss > 100_000));
        assert_eq!(rss_bytes(u32::MAX), None);
        assert!(peak_bytes(std::process::id()).is_some_and(|peak| peak > 100_000));
        assert_eq!(peak_bytes(u32::MAX), None);
    }
}
