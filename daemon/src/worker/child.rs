//! The child's side of a worker: takes its two sockets from stdin and stdout, stands in its jail
//! before it reads a byte, then hands out jobs. Plain threads, no runtime: a worker's work blocks.

use super::codec;
use super::jail::{self, Jail};
use super::jobs::Jobs;
use crate::protocol::frames::{Event, Fault, Frame, Reply, Request};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One request to work on. It must be answered with [`Job::reply`]; a job dropped unanswered
/// answers [`Fault::Internal`] by itself.
pub struct Job {
    pub body: Request,
    /// The descriptor that travelled with an `Extract` or a `PluginLoad` request.
    pub fd: Option<OwnedFd>,
    pub deadline: Instant,
    id: u64,
    cancelled: Arc<AtomicBool>,
    port: Port,
    answered: bool,
}

impl Job {
    /// True once the broker lost interest or the deadline passed: stop as soon as is convenient.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// Becomes true when the broker loses interest, for work that looks at a flag of its own.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.cancelled.clone()
    }

    /// The fault that [`Job::cancelled`] stands for.
    pub fn cancel_fault(&self) -> Fault {
        if self.cancelled.load(Ordering::Relaxed) { Fault::Cancelled } else { Fault::Deadline { ms: 0 } }
    }

    pub fn event(&self, body: Event) {
        self.port.send(&Frame::Event { id: self.id, body });
    }

    pub fn reply(mut self, body: Result<Reply, Fault>) {
        self.answer(body);
    }

    fn answer(&mut self, body: Result<Reply, Fault>) {
        self.answered = true;
        self.port.forget(self.id);
        self.port.send(&Frame::Reply { id: self.id, body });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Err(Fault::Internal("the worker dropped the request".into())));
        }
    }
}

/// The way to the broker. Cheap to clone; writes whole frames.
#[derive(Clone)]
pub struct Port {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Mutex<UnixStream>,
    running: Mutex<HashMap<u64, Arc<AtomicBool>>>,
    asked: Mutex<HashMap<u64, Sender<Result<Reply, Fault>>>>,
    next_id: AtomicU64,
}

impl Port {
    /// Asks the broker something and waits for its answer, `deadline` at most.
    pub fn call(&self, body: Request, deadline: Duration) -> Result<Reply, Fault> {
        let (tx, rx) = mpsc::channel();
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.asked).insert(id, tx);
        let deadline_ms = deadline.as_millis() as u64;
        self.send(&Frame::Request { id, deadline_ms, body });
        let answer = rx.recv_timeout(deadline);
        lock(&self.shared.asked).remove(&id);
        answer.unwrap_or(Err(Fault::Deadline { ms: deadline_ms }))
    }

    /// A job of the request; it can be cancelled from now on.
    pub(super) fn job(&self, id: u64, deadline_ms: u64, body: Request, fd: Option<OwnedFd>) -> Job {
        let cancelled = Arc::new(AtomicBool::new(false));
        lock(&self.shared.running).insert(id, cancelled.clone());
        let deadline = Instant::now() + Duration::from_millis(deadline_ms);
        Job { body, fd, deadline, id, cancelled, port: self.clone(), answered: false }
    }

    pub(super) fn cancel(&self, id: u64) {
        if let Some(flag) = lock(&self.shared.running).get(&id) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Hands the broker's answer to who asked.
    pub(super) fn answered(&self, id: u64, body: Result<Reply, Fault>) {
        if let Some(waiter) = lock(&self.shared.asked).remove(&id) {
            // The asker may have given up meanwhile; then nobody misses the answer.
            let _ = waiter.send(body);
        }
    }

    /// A broker that cannot be written to is gone, and this process has no reason to be.
    pub(super) fn send(&self, frame: &Frame) {
        let bytes = codec::encode(frame);
        if lock(&self.shared.writer).write_all(&bytes).is_err() {
            std::process::exit(0);
        }
    }

    fn forget(&self, id: u64) {
        lock(&self.shared.running).remove(&id);
    }
}

/// Takes the sockets, enters the jail and says hello.
///
/// Must be called once, first thing in `familiar worker KIND`, while the process has one thread.
pub fn start(jail: &Jail) -> std::io::Result<(Jobs, Port)> {
    let (frames, fds) = take_sockets()?;
    let report = jail::enter(jail);
    let port = Port {
        shared: Arc::new(Shared {
            writer: Mutex::new(frames.try_clone()?),
            running: Mutex::default(),
            asked: Mutex::default(),
            next_id: AtomicU64::new(1),
        }),
    };
    port.send(&Frame::Hello(report));
    Ok((Jobs::new(frames, fds, port.clone(), jail.write.clone()), port))
}

/// stdin carries frames and stdout descriptors. Both are moved away and replaced by /dev/null, so
/// that a library that prints cannot break the protocol.
fn take_sockets() -> std::io::Result<(UnixStream, OwnedFd)> {
    let frames = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let fds = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    Ok((UnixStream::from(frames), fds))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
