//! Workers as the broker sees them: real child processes of the real binary.

use crate::support::{BINARY, runtime, wait_for};
use familiar::protocol::frames::{Extract, Fault, Reply, Request};
use familiar::worker::{Jail, Kind, Spec, Worker, WorkerError};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn extract_worker() -> Worker {
    let mut spec = Spec::new(Kind::Extract, Jail::default());
    spec.program = Some(BINARY.into());
    Worker::new(spec)
}

async fn ask(worker: &Worker, request: Request) -> Result<Reply, WorkerError> {
    worker.call(request, None, SOON).await?.reply().await
}

fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| Pid::from_raw(pid as i32)).expect("a running worker");
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn every_break_out_is_refused() {
    runtime().block_on(async {
        let worker = extract_worker();
        let reply = ask(&worker, Request::Probe).await.unwrap();
        let Reply::Probed(attempts) = reply else { panic!("{reply:?}") };
        assert!(attempts.len() >= 10);
        let managed: Vec<_> = attempts.iter().filter(|attempt| !attempt.refused).collect();
        assert!(managed.is_empty(), "the jail let through: {managed:?}");
        assert_eq!(worker.status().jail_refused, Vec::<String>::new());
        worker.stop().await;
    });
}

#[test]
fn every_kind_of_document_is_read_inside_of_the_jail() {
    runtime().block_on(async {
        let mut spec = Spec::new(Kind::Extract, Jail { memory: 2 << 30, ..Jail::default() });
        spec.program = Some(BINARY.into());
        let worker = Worker::new(spec);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".txt") {
                continue;
            }
            let file = std::fs::File::open(&path).unwrap();
            let extract = Request::Extract(Extract { name: name.clone(), max_text: 1 << 20 });
            let reply = worker.call(extract, Some(file.into()), SOON).await.unwrap().reply().await;
            match reply {
                Ok(Reply::Extracted(extracted)) => assert!(!extracted.chunks.is_empty(), "{name}"),
                Err(WorkerError::Fault(Fault::Document(reason))) => {
                    assert_eq!(reason, "secret.pdf is locked with a password");
                }
                other => panic!("{name}: {other:?}"),
            }
            read += 1;
        }
        assert!(read >= 20, "{read}");
        assert_eq!(worker.status().restarts, 0);
        worker.stop().await;
    });
}

/// A train worker with the folder that it may write.
fn train_worker(folder: &Path) -> Worker {
    let write = Some(folder.to_owned());
    let jail = Jail { write, background: true, memory: 4 << 30, ..Jail::default() };
    let mut spec = Spec::new(Kind::Train, jail);
    spec.program = Some(BINARY.into());
    Worker::new(spec)
}

#[test]
fn one_that_may_write_in_a_folder_breaks_out_no_more_than_the_others() {
    runtime().block_on(async {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("job");
        std::fs::create_dir(&folder).unwrap();
        let worker = train_worker(&folder);
        let reply = ask(&worker, Request::Probe).await.unwrap();
        let Reply::Probed(attempts) = reply else { panic!("{reply:?}") };
        assert!(attempts.len() >= 16, "{attempts:?}");
        let managed: Vec<_> = attempts.iter().filter(|attempt| !attempt.refused).collect();
        assert!(managed.is_empty(), "the jail let through: {managed:?}");
        assert_eq!(worker.status().jail_refused, Vec::<String>::new());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        worker.stop().await;
    });
}

#[test]
fn the_one_that_runs_plugins_breaks_out_no_more_than_the_others() {
    runtime().block_on(async {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("compiled");
        std::fs::create_dir(&folder).unwrap();
        let jail = Jail { write: Some(folder.clone()), data: 4 << 30, ..Jail::default() };
        let mut spec = Spec::new(Kind::Plugins, jail);
        spec.program = Some(BINARY.into());
        let worker = Worker::new(spec);
        let reply = ask(&worker, Request::Probe).await.unwrap();
        let Reply::Probed(attempts) = reply else { panic!("{reply:?}") };
        assert!(attempts.len() >= 16, "{attempts:?}");
        let managed: Vec<_> = attempts.iter().filter(|attempt| !attempt.refused).collect();
        assert!(managed.is_empty(), "the jail let through: {managed:?}");
        assert_eq!(worker.status().jail_refused, Vec::<String>::new());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        let limits =
            std::fs::read_to_string(format!("/proc/{}/limits", worker.status().pid.unwrap())).unwrap();
        let data = limits.lines().find(|line| line.starts_with("Max data size")).unwrap();
        assert!(data.contains("4294967296"), "{data}");
        worker.stop().await;
    });
}

#[test]
fn the_trainer_stands_back_for_everything_else() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let worker = train_worker(folder.path());
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        let of = |file: &str| {
            std::fs::read_to_string(format!("/proc/{}/{file}", worker.status().pid.unwrap())).unwrap()
        };
        assert_eq!(of("oom_score_adj").trim(), "1000");
        // Fields after the name, as proc(5) numbers them: 19 is nice, 41 the policy (5 is SCHED_IDLE).
        let stat = of("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        assert_eq!((fields[19 - 3], fields[41 - 3]), ("19", "5"), "{stat}");
        worker.stop().await;
    });
}

#[test]
fn the_trainer_ends_soon_after_the_signal() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let worker = train_worker(folder.path());
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        let pid = worker.status().pid.and_then(|pid| Pid::from_raw(pid as i32)).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        wait_for("the worker's end", || worker.status().pid.is_none().then_some(()));
    });
}

#[test]
fn a_killed_worker_fails_its_requests_and_the_next_one_is_answered() {
    runtime().block_on(async {
        let worker = extract_worker();
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        let pid = worker.status().pid;
        // A pipe that nobody writes to keeps the extraction waiting.
        let (reader, _writer) = std::io::pipe().unwrap();
        let extract = Request::Extract(Extract { name: "a.txt".into(), max_text: 1000 });
        let call = worker.call(extract, Some(reader.into()), SOON).await.unwrap();
        kill(pid);
        let error = call.reply().await.unwrap_err();
        assert!(matches!(&error, WorkerError::Gone { .. }), "{error}");
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        assert_ne!(worker.status().pid, pid);
        assert_eq!(worker.status().restarts, 1);
        worker.stop().await;
        assert_eq!(worker.status().pid, None);
    });
}

#[test]
fn a_worker_that_hangs_past_its_deadline_is_killed() {
    runtime().block_on(async {
        let worker = extract_worker();
        let (reader, _writer) = std::io::pipe().unwrap();
        let extract = Request::Extract(Extract { name: "a.txt".into(), max_text: 1000 });
        let call = worker.call(extract, Some(reader.into()), Duration::from_millis(50)).await.unwrap();
        let error = call.reply().await.unwrap_err();
        assert!(matches!(&error, WorkerError::Fault(Fault::Deadline { .. })), "{error}");
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        worker.stop().await;
    });
}

#[test]
fn requests_of_another_kind_are_refused_and_the_worker_lives() {
    runtime().block_on(async {
        let worker = extract_worker();
        let load = familiar::protocol::frames::Load {
            adapter: None,
            path: "/etc/passwd".into(),
            context: 0,
            threads: 1,
            gpu_layers: 0,
            parallel: 1,
        };
        let error = ask(&worker, Request::Load(load)).await.unwrap_err();
        assert!(matches!(&error, WorkerError::Fault(Fault::Unsupported)), "{error}");
        assert_eq!(ask(&worker, Request::Ping).await.unwrap(), Reply::Pong);
        worker.stop().await;
    });
}

#[test]
fn a_worker_that_cannot_start_backs_off_and_then_stops() {
    runtime().block_on(async {
        let mut spec = Spec::new(Kind::Extract, Jail::default());
        spec.program = Some("/bin/false".into());
        let worker = Worker::new(spec);
        let mut last = None;
        for _ in 0..4 {
            last = Some(ask(&worker, Request::Ping).await.unwrap_err());
        }
        assert!(matches!(last, Some(WorkerError::Spawn { .. })), "{last:?}");
        let error = ask(&worker, Request::Ping).await;
        assert!(error.is_err());
        assert_eq!(worker.status().state, "backing_off");
        worker.stop().await;
        assert_eq!(worker.status().state, "idle");
    });
}

#[test]
fn garbage_instead_of_frames_ends_only_the_worker() {
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (_fds, their_fds) = UnixStream::pair().unwrap();
    let mut child = Command::new(BINARY)
        .args(["worker", "extract", "--memory", "0"])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(their_fds)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    ours.write_all(&[0xff; 64]).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
}
