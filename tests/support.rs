//! A daemon of one's own: the real binary in a temporary `FAMILIAR_HOME`. Waiting is on conditions, each
//! with a limit that only a broken build reaches.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_familiar");

/// How long any wait lasts before the test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Waits until `done` gives something.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain for {what}");
        // A short breath between looks, so that waiting does not starve what is waited for.
        let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: 5_000_000 });
    }
}

/// A home folder, a folder of documents, and the daemon that serves them.
pub struct Home {
    pub dir: TempDir,
    /// Of every command that is run here. No test meets the desktop of who runs it.
    pub environment: Vec<(&'static str, String)>,
    daemon: Option<Child>,
}

impl Home {
    /// A home without a daemon.
    pub fn new() -> Home {
        let dir = TempDir::with_prefix("familiar-test-").unwrap();
        let environment = vec![("DBUS_SESSION_BUS_ADDRESS", "disabled:".to_owned())];
        let home = Home { dir, environment, daemon: None };
        std::fs::create_dir(home.docs()).unwrap();
        home
    }

    /// A home with a running daemon.
    pub fn started() -> Home {
        let mut home = Home::new();
        home.start();
        home
    }

    pub fn docs(&self) -> PathBuf {
        self.dir.path().join("docs")
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn socket(&self) -> PathBuf {
        self.root().join("run/familiar.sock")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.docs().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn start(&mut self) {
        self.start_from(Path::new(BINARY));
    }

    /// Starts the daemon from another copy of the program.
    pub fn start_from(&mut self, program: &Path) {
        let log = std::fs::File::create(self.dir.path().join("daemon.log")).unwrap();
        let mut command = self.command_of(program, &["daemon"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.daemon = Some(child);
        let socket = self.socket();
        wait_for("the daemon's socket", || {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            UnixStream::connect(&socket).ok()
        });
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a running daemon").id()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(BINARY), args)
    }

    fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("FAMILIAR_HOME", self.root()).env("NO_COLOR", "1");
        command.envs(self.environment.iter().cloned());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed and gives what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {:?}\n{}{}\nlog:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail with this exit code and gives what it said on stderr.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(args);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?} printed no JSON ({e}):\n{text}"))
    }

    /// Indexes the documents folder and waits for it.
    pub fn index(&self) {
        self.ok(&["index", "add", path(&self.docs()), "--wait"]);
    }

    /// Paths of the hits for a query, best first.
    pub fn search(&self, query: &str) -> Vec<String> {
        let found = self.json(&["search", "--json", query]);
        let hits = found["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
    }

    pub fn status(&self) -> Value {
        self.json(&["status", "--json"])
    }

    /// The running process of a worker kind.
    pub fn worker_pid(&self, kind: &str) -> Option<u32> {
        let status = self.status();
        let workers = status["workers"].as_array().unwrap();
        let worker = workers.iter().find(|worker| worker["kind"] == kind)?;
        worker["pid"].as_u64().map(|pid| pid as u32)
    }

    /// A raw request over the socket: status code and body.
    pub fn http(&self, method: &str, route: &str, body: Option<Value>) -> (u16, String) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let head = format!(
            "{method} {route} HTTP/1.1\r\nHost: familiar\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- daemon log ---\n{}", self.log());
        }
        self.kill();
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
