//! Starts the daemon when none runs, and runs it. A started daemon is detached: its own process group,
//! no terminal, its output in the log file.

use super::client::{Client, ConnectError};
use super::exit::{Exit, Failure, Outcome};
use crate::config::paths::Paths;
use crate::config::{self, Loaded};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take to open its socket: it reads its index first.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(20);
/// The log is started anew, keeping one old one, when it is longer than this many bytes.
const LONGEST_LOG: u64 = 8 << 20;

/// Connects, starting a daemon if none runs and `start` allows it.
pub async fn connect(paths: &Paths, start: bool) -> Outcome<Client> {
    match Client::connect(paths).await {
        Ok(client) => Ok(client),
        Err(ConnectError::Refused(failure)) => Err(failure),
        Err(ConnectError::NoDaemon) if start => start_and_connect(paths).await,
        Err(ConnectError::NoDaemon) => Err(no_daemon(paths)),
    }
}

pub fn no_daemon(paths: &Paths) -> Failure {
    let socket = paths.socket();
    Failure::new(
        Exit::NoDaemon,
        format!("no daemon listens on {}; `familiar daemon` starts one", socket.display()),
    )
}

async fn start_and_connect(paths: &Paths) -> Outcome<Client> {
    paths.create()?;
    let log_start = rotate(&paths.log()).map_err(|error| log_failure(&paths.log(), &error))?;
    let mut child =
        spawn(paths).map_err(|error| Failure::failed(format!("the daemon cannot be started: {error}")))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Looked at before the connection is tried, so that a daemon which another client started in
        // the same moment, and which ours left the field to, is still found.
        let ended =
            child.try_wait().map_err(|error| Failure::failed(format!("the daemon is lost: {error}")))?;
        match Client::connect(paths).await {
            Ok(client) => return Ok(client),
            Err(ConnectError::Refused(failure)) => return Err(failure),
            Err(ConnectError::NoDaemon) => {}
        }
        match ended {
            Some(status) if status.code() != Some(Exit::Busy as i32) => {
                return Err(died(status, &paths.log(), log_start));
            }
            _ if Instant::now() >= deadline => return Err(late(child, &paths.log())),
            _ => tokio::time::sleep(RETRY).await,
        }
    }
}

fn spawn(paths: &Paths) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(paths.log())?;
    Command::new(std::env::current_exe()?)
        .arg("daemon")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

fn died(status: ExitStatus, log: &Path, from: u64) -> Failure {
    let said = tail(log, from).unwrap_or_default();
    let said = said.trim_end();
    if said.is_empty() {
        return Failure::failed(format!(
            "the daemon stopped while starting ({status}) and said nothing in {}",
            log.display()
        ));
    }
    Failure::failed(format!("the daemon stopped while starting ({status}):\n{said}"))
}

fn late(child: Child, log: &Path) -> Failure {
    let message = format!(
        "the daemon (pid {}) does not open its socket after {} s; {} tells how far it is",
        child.id(),
        PATIENCE.as_secs(),
        log.display()
    );
    Failure::new(Exit::Busy, message)
}

fn log_failure(log: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the daemon's log {} cannot be used: {error}", log.display()))
}

/// Moves a long log aside; returns where the next daemon's words will begin.
fn rotate(log: &Path) -> io::Result<u64> {
    let length = match fs::metadata(log) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if length <= LONGEST_LOG {
        return Ok(length);
    }
    fs::rename(log, log.with_extension("log.1"))?;
    Ok(0)
}

/// The last lines of what was written to `log` after `from`.
fn tail(log: &Path, from: u64) -> io::Result<String> {
    const LINES: usize = 12;
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(16 << 10))))?;
    let mut bytes = Vec::new();
    file.take(16 << 10).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

/// `familiar daemon`: serves in the foreground until told to stop.
pub fn serve(paths: Paths) -> Outcome {
    paths.create()?;
    let loaded = config::load(&paths.config_file)?;
    let _lock = lock(&paths)?;
    log_to_stderr(&loaded);
    crate::daemon::run(paths, loaded.config).map_err(|error| Failure::failed(format!("{error:#}")))
}

/// Two daemons on the same data would destroy it. The kernel drops the lock with the process, however it ends.
fn lock(paths: &Paths) -> Outcome<File> {
    let file = paths.lock();
    let failed = |error: io::Error| Failure::failed(format!("{} cannot be used: {error}", file.display()));
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&file)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Only to be helpful: the pid may not be written yet.
            let _ = lock.take(20).read_to_string(&mut pid);
            let message = format!("a daemon uses {} already (pid {})", paths.data.display(), pid.trim());
            return Err(Failure::new(Exit::Busy, message));
        }
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed)?;
    Ok(lock)
}

/// A filter that was valid when the settings were loaded.
fn log_to_stderr(loaded: &Loaded) {
    let filter = tracing_subscriber::EnvFilter::new(&loaded.config.log.level);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only when a log was set up before, which then serves as well.
    let _ = builder.with_ansi(io::stderr().is_terminal()).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_holds_only_what_the_new_daemon_said() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        fs::write(&log, "old\n").unwrap();
        let from = rotate(&log).unwrap();
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        fs::write(&log, format!("old\n{}\n", lines.join("\n"))).unwrap();
        let said = tail(&log, from).unwrap();
        assert!(said.starts_with("line 88\n") && said.ends_with("line 99"), "{said}");
    }

    #[test]
    fn a_long_log_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        assert_eq!(rotate(&log).unwrap(), 0);
        File::create(&log).unwrap().set_len(LONGEST_LOG + 1).unwrap();
        assert_eq!(rotate(&log).unwrap(), 0);
        assert!(folder.path().join("daemon.log.1").exists() && !log.exists());
    }

    #[test]
    fn the_second_daemon_on_the_same_data_is_told_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        paths.create().unwrap();
        let first = lock(&paths).unwrap();
        let second = lock(&paths).unwrap_err();
        assert_eq!(second.code(), Exit::Busy as u8);
        assert!(second.to_string().contains(&format!("pid {}", std::process::id())), "{second}");
        drop(first);
        lock(&paths).unwrap();
    }

    #[tokio::test]
    async fn without_a_daemon_a_client_that_may_not_start_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        let failure = connect(&paths, false).await.err().unwrap();
        assert_eq!(failure.code(), Exit::NoDaemon as u8);
        // A socket nobody listens on any more, as a killed daemon leaves it.
        paths.create().unwrap();
        drop(std::os::unix::net::UnixListener::bind(paths.socket()).unwrap());
        assert_eq!(connect(&paths, false).await.err().unwrap().code(), Exit::NoDaemon as u8);
    }
}
