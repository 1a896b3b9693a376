//! The broker's side of one running worker: its process, its two sockets and the requests under way.
//! When the process ends, however it does, every request under way fails at once and says how.

use super::outbox::Outbox;
use super::supervise::Spec;
use super::{Call, WorkerError, codec};
use crate::protocol::frames::{Event, Fault, Frame, JailReport, MAX_FRAME, Reply, Request};
use futures::StreamExt;
use futures::future::BoxFuture;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// Answers a worker's own requests.
pub type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

/// How long a worker may take to stand in its jail and say so.
const HELLO: Duration = Duration::from_secs(20);
/// How long past its deadline a request may stay unanswered before the process is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Environment that a worker keeps; nothing else of the owner's reaches it.
const ENVIRONMENT: [&str; 9] = [
    "PATH",
    "LANG",
    "TZ",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
];

pub struct Link {
    pub pid: u32,
    kind: &'static str,
    shared: Arc<Shared>,
    descriptors: OwnedFd,
    /// Keeps the order "descriptor, then frame" when several requests are sent at once.
    sending: Mutex<()>,
}

struct Shared {
    out: Outbox,
    pending: Mutex<HashMap<u64, Pending>>,
    /// When the link looks at deadlines next, of a request that may have been answered meanwhile.
    /// Locked inside `pending` only.
    looks: Mutex<Option<Instant>>,
    next_id: AtomicU64,
    ended: AtomicBool,
    answered: AtomicBool,
    /// Woken when a request is added whose deadline is the next, or the link is to close.
    changed: Notify,
    closing: AtomicBool,
    closed: Notify,
}

struct Pending {
    events: mpsc::UnboundedSender<Event>,
    reply: oneshot::Sender<Result<Reply, WorkerError>>,
    deadline: Instant,
    deadline_ms: u64,
}

/// Tells the worker that nobody waits for the answer any more.
pub struct CancelOnDrop {
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.shared.pending().contains_key(&self.id) {
            self.shared.out.send(&Frame::Cancel { id: self.id });
        }
    }
}

impl Link {
    /// Spawns the process and waits until it stands in its jail. The error is a sentence.
    pub async fn start(spec: &Spec, handler: Handler) -> Result<(Arc<Link>, JailReport), String> {
        let (frames, their_frames) = pair(SocketType::STREAM)?;
        let (descriptors, their_descriptors) = pair(SocketType::SEQPACKET)?;
        let kind = spec.kind.as_str();
        let mut child = spawn(spec, their_frames, their_descriptors)?;
        let pid = child.id().ok_or("it ended at once")?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log_lines(kind, stderr));
        }
        let frames = std::os::unix::net::UnixStream::from(frames);
        frames.set_nonblocking(true).map_err(|e| e.to_string())?;
        let (reader, writer) = UnixStream::from_std(frames).map_err(|e| e.to_string())?.into_split();
        let mut reader = FramedRead::new(reader, codec());
        let report = match tokio::time::timeout(HELLO, reader.next()).await {
            Ok(Some(Ok(bytes))) => match codec::decode(&bytes) {
                Ok(Frame::Hello(report)) => report,
                _ => return Err("it did not say hello".into()),
            },
            Ok(_) => return Err(how_ended(child.wait().await)),
            Err(_) => return Err("it did not enter its jail in time".into()),
        };
        let shared = Arc::new(Shared {
            out: Outbox::new(writer),
            pending: Mutex::default(),
            looks: Mutex::default(),
            next_id: AtomicU64::new(1),
            ended: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            changed: Notify::new(),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
        });
        tokio::spawn(run(kind, child, reader, shared.clone(), handler));
        tracing::info!(worker = kind, pid, "started");
        let link = Link { pid, kind, shared, descriptors, sending: Mutex::default() };
        Ok((Arc::new(link), report))
    }

    pub fn call(&self, body: Request, fd: Option<OwnedFd>, deadline: Duration) -> Result<Call, WorkerError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (events, events_in) = mpsc::unbounded_channel();
        let (reply, reply_in) = oneshot::channel();
        let deadline_ms = deadline.as_millis() as u64;
        let pending = Pending { events, reply, deadline: Instant::now() + deadline, deadline_ms };
        let is_next = self.shared.add(id, pending);
        if self.ended() {
            // It may have ended before the insert, and then nobody would answer.
            self.shared.pending().remove(&id);
            return Err(WorkerError::Gone { kind: self.kind, how: "it had just ended".into() });
        }
        let _in_order = self.sending.lock();
        if let Some(fd) = fd {
            self.send_descriptor(id, fd)?;
        }
        self.shared.out.send(&Frame::Request { id, deadline_ms, body });
        if is_next {
            self.shared.changed.notify_one();
        }
        let cancel = CancelOnDrop { id, shared: self.shared.clone() };
        Ok(Call { kind: self.kind, events: events_in, reply: reply_in, _cancel: cancel })
    }

    /// The socket holds hundreds of descriptors; a worker that takes none of them is as good as gone.
    fn send_descriptor(&self, id: u64, fd: OwnedFd) -> Result<(), WorkerError> {
        codec::send_fd(self.descriptors.as_fd(), id, fd.as_fd()).map_err(|error| {
            self.shared.pending().remove(&id);
            WorkerError::Gone { kind: self.kind, how: error.to_string() }
        })
    }

    pub fn ended(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// True once any request was answered: then it is the request, not the worker, that is bad.
    pub fn answered(&self) -> bool {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Kills the process and waits until it is gone.
    pub async fn close(&self) {
        let closed = self.shared.closed.notified();
        tokio::pin!(closed);
        closed.as_mut().enable();
        if self.ended() {
            return;
        }
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.changed.notify_one();
        closed.await;
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        self.pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a request; true if nobody looks at deadlines before its own is over.
    fn add(&self, id: u64, request: Pending) -> bool {
        let mut pending = self.pending();
        let due = request.deadline + GRACE;
        pending.insert(id, request);
        self.looks().is_none_or(|at| due < at)
    }

    fn finish(&self, id: u64, result: Result<Reply, WorkerError>) {
        if let Some(pending) = self.pending().remove(&id) {
            // The caller may have gone; then nobody misses the answer.
            let _ = pending.reply.send(result);
        }
    }

    fn looks(&self) -> MutexGuard<'_, Option<Instant>> {
        self.looks.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Decides when to look at deadlines next. That time stays when the request it is for is answered, so
    /// that most requests disturb nobody.
    fn look_again(&self) -> Option<Instant> {
        let pending = self.pending();
        let next = pending.values().map(|pending| pending.deadline + GRACE).min();
        *self.looks() = next;
        next
    }

    fn is_overdue(&self) -> bool {
        let now = Instant::now();
        self.pending().values().any(|pending| pending.deadline + GRACE <= now)
    }
}

/// Owns the process until it ends: takes its frames, watches deadlines, then fails what is left.
async fn run(
    kind: &'static str,
    mut child: Child,
    mut reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    shared: Arc<Shared>,
    handler: Handler,
) {
    let mut overdue = false;
    let mut look = shared.look_again();
    loop {
        tokio::select! {
            frame = reader.next() => match frame {
                Some(Ok(bytes)) => match codec::decode(&bytes) {
                    Ok(frame) => take(frame, &shared, &handler),
                    Err(error) => { tracing::error!(worker = kind, %error, "unreadable frame"); break }
                },
                Some(Err(error)) => { tracing::error!(worker = kind, %error, "broken link"); break }
                None => break,
            },
            error = shared.out.write_rest() => { tracing::error!(worker = kind, %error, "broken link"); break }
            () = shared.changed.notified() => {
                if shared.closing.load(Ordering::SeqCst) { break }
                look = shared.look_again();
            }
            () = sleep_until(look) => {
                overdue = shared.is_overdue();
                if overdue { break }
                look = shared.look_again();
            }
        }
    }
    // Killing is harmless when the process is what ended the loop.
    let _ = child.start_kill();
    let how = how_ended(child.wait().await);
    if !shared.closing.load(Ordering::SeqCst) {
        tracing::warn!(worker = kind, %how, overdue, "ended");
    }
    shared.ended.store(true, Ordering::SeqCst);
    let now = Instant::now();
    for (_, pending) in shared.pending().drain() {
        let error = if overdue && pending.deadline <= now {
            WorkerError::Fault(Fault::Deadline { ms: pending.deadline_ms })
        } else {
            WorkerError::Gone { kind, how: how.clone() }
        };
        let _ = pending.reply.send(Err(error));
    }
    shared.closed.notify_waiters();
}

fn take(frame: Frame, shared: &Arc<Shared>, handler: &Handler) {
    match frame {
        Frame::Event { id, body } => {
            if let Some(pending) = shared.pending().get(&id) {
                let _ = pending.events.send(body);
            }
        }
        Frame::Reply { id, body } => {
            shared.answered.store(true, Ordering::Relaxed);
            shared.finish(id, body.map_err(WorkerError::Fault));
        }
        Frame::Request { id, deadline_ms, body } => {
            let (shared, answer) = (shared.clone(), handler(body));
            tokio::spawn(async move {
                let answer = tokio::time::timeout(Duration::from_millis(deadline_ms), answer).await;
                let body = answer.unwrap_or(Err(Fault::Deadline { ms: deadline_ms }));
                shared.out.send(&Frame::Reply { id, body });
            });
        }
        Frame::Hello(_) | Frame::Cancel { .. } => {}
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec()
}

fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd), String> {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|e| format!("no socket pair: {e}"))
}

/// The very program that runs, also when another was put in its place: an upgrade, say, whose frames may be others.
const SELF: &str = "/proc/self/exe";

/// The child finds its frames on stdin and its descriptors on stdout.
fn spawn(spec: &Spec, frames: OwnedFd, descriptors: OwnedFd) -> Result<Child, String> {
    let program = spec.program.as_deref().unwrap_or(Path::new(SELF));
    let mut command = Command::new(program);
    command.arg0("familiar").arg("worker").arg(spec.kind.as_str());
    for path in &spec.jail.read {
        command.arg("--read").arg(path);
    }
    if let Some(path) = &spec.jail.write {
        command.arg("--write").arg(path);
    }
    command.arg("--memory").arg(spec.jail.memory.to_string());
    command.arg("--data").arg(spec.jail.data.to_string());
    if spec.jail.gpu {
        command.arg("--gpu");
    }
    if spec.jail.background {
        command.arg("--background");
    }
    command.env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.current_dir("/");
    command.stdin(Stdio::from(frames)).stdout(Stdio::from(descriptors)).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command.spawn().map_err(|e| format!("{}: {e}", program.display()))
}

/// A worker's stderr goes to the log, a line at a time, long ones cut.
async fn log_lines(kind: &'static str, stderr: tokio::process::ChildStderr) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines).take(4096).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => tracing::info!(worker = kind, "{}", String::from_utf8_lossy(&line).trim_end()),
        }
    }
}

fn how_ended(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(6), _) => "aborted".into(),
            (Some(9), _) => "killed".into(),
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "ended".into(),
        },
        Err(error) => error.to_string(),
    }
}
