//! Who reads a worker's link. A worker with one thing to do has a thread that reads and hands on
//! ([`Jobs::in_background`]); where many threads work, they take turns at reading (leader and followers,
//! Schmidt 2000) and the one that read a job does it, which saves every job a wake of another thread.

use super::child::{Job, Port};
use super::{codec, probe};
use crate::protocol::frames::{Frame, Reply, Request};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard};
use std::thread::Thread;

/// The jobs that the broker sends. The process ends when the broker closes the link: a worker never
/// outlives its broker.
pub struct Jobs {
    turns: Mutex<Turns<Reader, Job>>,
}

impl Jobs {
    pub(super) fn new(frames: UnixStream, fds: OwnedFd, port: Port, write: Option<PathBuf>) -> Jobs {
        Jobs { turns: Mutex::new(Turns::new(Reader { frames, fds, port, write })) }
    }

    /// Reads on a thread of its own from now on.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn in_background(self) -> std::io::Result<Receiver<Job>> {
        let (tx, rx) = mpsc::channel();
        let turns = self.turns.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut reader = turns.reader.ok_or_else(|| std::io::Error::other("another thread reads"))?;
        std::thread::Builder::new().name("frames".into()).spawn(move || {
            let _or_else = ExitOnPanic;
            // A closed channel means that the worker's loop has ended, and the process with it.
            while tx.send(reader.next_job()).is_ok() {}
        })?;
        Ok(rx)
    }

    /// The next job for the calling thread. While any thread is in here the link is being read, so that
    /// replies and cancellations arrive however many jobs are under way.
    pub fn next(&self) -> Job {
        let _or_else = ExitOnPanic;
        let mut reader = match self.wait() {
            Turn::Read(reader) => reader,
            Turn::Do(job) => return job,
        };
        loop {
            let job = reader.next_job();
            match lock(&self.turns).hand_on(reader, job) {
                Handed::On { to, job } => {
                    to.unpark();
                    return job;
                }
                Handed::Back(kept) => reader = kept,
            }
        }
    }

    fn wait(&self) -> Turn<Reader, Job> {
        loop {
            if let Some(turn) = lock(&self.turns).enter(std::thread::current()) {
                return turn;
            }
            std::thread::park();
        }
    }
}

/// What a thread does next.
#[derive(Debug, PartialEq)]
enum Turn<R, T> {
    Read(R),
    Do(T),
}

/// Where the reader went after a job was read.
#[derive(Debug)]
enum Handed<R, T> {
    /// To this thread, once it is woken; the job is its finder's to do.
    On { to: Thread, job: T },
    /// Every thread is at work: read on; the job waits.
    Back(R),
}

/// The threads without a job and the jobs without a thread. Never both: a job waits only while every
/// thread but the reading one is at work.
struct Turns<R, T> {
    /// `None` while a thread reads.
    reader: Option<R>,
    /// The one that came last goes first: its memory is still in the cache.
    idle: Vec<Thread>,
    waiting: VecDeque<T>,
}

impl<R, T> Turns<R, T> {
    fn new(reader: R) -> Self {
        Turns { reader: Some(reader), idle: Vec::new(), waiting: VecDeque::new() }
    }

    /// A thread has nothing to do; `None`: it is to sleep and then to ask again.
    fn enter(&mut self, thread: Thread) -> Option<Turn<R, T>> {
        // It is still listed when it woke for no reason.
        self.idle.retain(|idle| idle.id() != thread.id());
        if let Some(job) = self.waiting.pop_front() {
            return Some(Turn::Do(job));
        }
        if let Some(reader) = self.reader.take() {
            return Some(Turn::Read(reader));
        }
        self.idle.push(thread);
        None
    }

    fn hand_on(&mut self, reader: R, job: T) -> Handed<R, T> {
        match self.idle.pop() {
            Some(to) => {
                self.reader = Some(reader);
                Handed::On { to, job }
            }
            None => {
                self.waiting.push_back(job);
                Handed::Back(reader)
            }
        }
    }
}

/// A worker whose reader is gone would wait for ever.
struct ExitOnPanic;

impl Drop for ExitOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(1);
        }
    }
}

struct Reader {
    frames: UnixStream,
    fds: OwnedFd,
    port: Port,
    write: Option<PathBuf>,
}

impl Reader {
    /// Reads until a job comes, and handles every other frame by itself.
    fn next_job(&mut self) -> Job {
        loop {
            match codec::read(&mut self.frames) {
                Ok(Some(frame)) => {
                    if let Some(job) = self.take(frame) {
                        return job;
                    }
                }
                Ok(None) => std::process::exit(0),
                Err(error) => {
                    eprintln!("worker: unreadable frame: {error}");
                    std::process::exit(1);
                }
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Option<Job> {
        match frame {
            Frame::Request { id, deadline_ms, body } => return self.request(id, deadline_ms, body),
            Frame::Cancel { id } => self.port.cancel(id),
            Frame::Reply { id, body } => self.port.answered(id, body),
            Frame::Hello(_) | Frame::Event { .. } => {}
        }
        None
    }

    fn request(&mut self, id: u64, deadline_ms: u64, body: Request) -> Option<Job> {
        let fd = match &body {
            Request::Probe => {
                let reply = Ok(Reply::Probed(probe::attempts(self.write.as_deref())));
                self.port.send(&Frame::Reply { id, body: reply });
                return None;
            }
            Request::Extract(_) | Request::PluginLoad(_) => self.receive_fd(id),
            _ => None,
        };
        Some(self.port.job(id, deadline_ms, body, fd))
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> Vec<Thread> {
        let spawn = |_| std::thread::spawn(|| {}).thread().clone();
        (0..count).map(spawn).collect()
    }

    #[test]
    fn the_last_thread_reads_on_and_jobs_wait_in_order() {
        let [a, b] = &threads(2)[..] else { unreachable!() };
        let mut turns = Turns::new("reader");
        assert_eq!(turns.enter(a.clone()), Some(Turn::Read("reader")));
        assert_eq!(turns.enter(b.clone()), None);
        let Handed::On { to, job: 1 } = turns.hand_on("reader", 1) else { panic!("b is idle") };
        assert_eq!(to.id(), b.id());
        assert_eq!(turns.enter(b.clone()), Some(Turn::Read("reader")));
        assert!(matches!(turns.hand_on("reader", 2), Handed::Back("reader")));
        assert!(matches!(turns.hand_on("reader", 3), Handed::Back("reader")));
        assert_eq!(turns.enter(a.clone()), Some(Turn::Do(2)));
        assert_eq!(turns.enter(a.clone()), Some(Turn::Do(3)));
        assert_eq!(turns.enter(a.clone()), None);
    }

    #[test]
    fn the_thread_that_came_last_goes_first_and_is_listed_once() {
        let [a, b, c] = &threads(3)[..] else { unreachable!() };
        let mut turns: Turns<_, u8> = Turns::new(());
        assert!(turns.enter(a.clone()).is_some());
        for thread in [b, c, b, b] {
            assert!(turns.enter(thread.clone()).is_none());
        }
        for expected in [b, c] {
            let Handed::On { to, .. } = turns.hand_on((), 1) else { panic!("two are idle") };
            assert_eq!(to.id(), expected.id());
        }
        assert!(matches!(turns.hand_on((), 1), Handed::Back(())));
    }
}
