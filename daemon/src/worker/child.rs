//! The child's side of a worker: takes its two sockets from stdin and stdout, stands in its jail
//! before it reads a byte, then hands out jobs. Plain threads, no runtime: a worker's work blocks.

use super::jail::{self, Jail};
use super::{codec, probe};
use crate::protocol::frames::{Event, Fault, Frame, Reply, Request};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
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

    /// A broker that cannot be written to is gone, and this process has no reason to be.
    fn send(&self, frame: &Frame) {
        let bytes = codec::encode(frame);
        if lock(&self.shared.writer).write_all(&bytes).is_err() {
            std::process::exit(0);
        }
    }

    fn forget(&self, id: u64) {
        lock(&self.shared.running).remove(&id);
    }
}

/// Takes the sockets, enters the jail, says hello and starts reading.
///
/// Must be called once, first thing in `familiar worker KIND`, while the process has one thread.
pub fn start(jail: &Jail) -> std::io::Result<(Receiver<Job>, Port)> {
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
    let (tx, rx) = mpsc::channel();
    let reader = Reader { frames, fds, port: port.clone(), jobs: tx, write: jail.write.clone() };
    std::thread::Builder::new().name("frames".into()).spawn(move || {
        let _ends_the_process = ExitOnPanic;
        reader.run();
    })?;
    Ok((rx, port))
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

/// A worker whose reader is gone would wait for ever.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        std::process::exit(1);
    }
}

struct Reader {
    frames: UnixStream,
    fds: OwnedFd,
    port: Port,
    jobs: Sender<Job>,
    write: Option<PathBuf>,
}

impl Reader {
    /// Ends the process when the broker closes its side: a worker never outlives its broker.
    fn run(mut self) {
        loop {
            match codec::read(&mut self.frames) {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => std::process::exit(0),
                Err(error) => {
                    eprintln!("worker: unreadable frame: {error}");
                    std::process::exit(1);
                }
            }
        }
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Request { id, deadline_ms, body } => self.request(id, deadline_ms, body),
            Frame::Cancel { id } => {
                if let Some(flag) = lock(&self.port.shared.running).get(&id) {
                    flag.store(true, Ordering::Relaxed);
                }
            }
            Frame::Reply { id, body } => {
                if let Some(waiter) = lock(&self.port.shared.asked).remove(&id) {
                    // The asker may have given up meanwhile; then nobody misses the answer.
                    let _ = waiter.send(body);
                }
            }
            Frame::Hello(_) | Frame::Event { .. } => {}
        }
    }

    fn request(&mut self, id: u64, deadline_ms: u64, body: Request) {
        if body == Request::Probe {
            let reply = Ok(Reply::Probed(probe::attempts(self.write.as_deref())));
            return self.port.send(&Frame::Reply { id, body: reply });
        }
        let fd = match &body {
            Request::Extract(_) | Request::PluginLoad(_) => self.receive_fd(id),
            _ => None,
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        lock(&self.port.shared.running).insert(id, cancelled.clone());
        let deadline = Instant::now() + Duration::from_millis(deadline_ms);
        let job = Job { body, fd, deadline, id, cancelled, port: self.port.clone(), answered: false };
        // A closed channel means that the worker's loop has ended, and the process with it.
        let _ = self.jobs.send(job);
    }

    /// The descriptor was sent before the request's frame; ones of requests given up are skipped.
    fn receive_fd(&self, id: u64) -> Option<OwnedFd> {
        loop {
            let (tag, fd) = codec::receive_fd(self.fds.as_fd()).ok()?;
            if tag == id {
                return Some(fd);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
