//! Measures calls of plugins on this machine: through the same handle and worker as the daemon's, with a
//! small guest written in Rust that reads its JSON and writes it back (`tests/guests/echo`), and beside a
//! peer that does the same as an MCP server over stdio.

use super::{Calling, HostServices, PluginError, Run, Runtime};
use crate::policy::grants::Grants;
use crate::protocol::plugins::{Answer, Ask, Called, Limits, ToolError};
use crate::types::Label;
use crate::worker::rss_bytes;
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Built by `tests/bench/plugin.py`.
const GUEST: &[u8] = include_bytes!("../../../tests/guests/echo/echo.wasm");
/// Calls before any is timed.
const WARM: usize = 500;
/// Instances alive at once while their memory is measured.
const ALIVE: usize = 8;
/// What a runaway may run.
const RUNAWAY: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// What to measure.
pub struct Wanted {
    /// Calls that are timed, of each.
    pub calls: usize,
    pub runaways: usize,
    /// The MCP server's program.
    pub peer: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub struct Figures {
    pub calls: usize,
    /// Bytes of JSON in, and out again.
    pub json_bytes: usize,
    /// From the broker to the plugin and back, in microseconds.
    pub call_p50_us: f64,
    pub call_p99_us: f64,
    /// Making an instance, as the worker measures it.
    pub instantiate_p50_us: f64,
    pub instantiate_p99_us: f64,
    /// The whole call inside the worker.
    pub worker_p50_us: f64,
    /// Resident memory that one more live instance takes.
    pub rss_per_instance_bytes: u64,
    /// Of the worker, with the plugin loaded and nothing running.
    pub rss_worker_bytes: u64,
    pub runaways: usize,
    /// How long past its deadline a runaway's end was known to the broker, at most and in the middle.
    pub runaway_late_max_ms: f64,
    pub runaway_late_p50_ms: f64,
    pub peer: Option<Peer>,
}

/// The same by the peer.
#[derive(Debug, Serialize)]
pub struct Peer {
    pub call_p50_us: f64,
    pub call_p99_us: f64,
    pub rss_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("the guest failed: {0}")]
    Guest(#[from] ToolError),
    #[error("the peer {0}")]
    Peer(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Wrong(String),
}

/// Measures, in a folder that is removed afterwards.
///
/// # Errors
/// What failed, in a sentence.
pub async fn measure(wanted: &Wanted, folder: &Path) -> Result<Figures, BenchError> {
    let stage = Stage::new(folder)?;
    let arguments = kilobyte();
    for _ in 0..WARM {
        stage.echo(&arguments).await?;
    }
    let mut peer = wanted.peer.as_deref().map(McpServer::start).transpose()?;
    if let Some(peer) = &mut peer {
        (0..WARM).try_for_each(|_| peer.echo(&arguments).map(drop))?;
    }
    let (mut calls, mut makes, mut inside, mut theirs) =
        (Times::new(), Times::new(), Times::new(), Times::new());
    // By turns, so that a busy machine slows both alike.
    for _ in 0..wanted.calls {
        let start = Instant::now();
        let called = stage.echo(&arguments).await?;
        calls.push(start.elapsed());
        makes.push(Duration::from_nanos(called.instantiate_ns));
        inside.push(Duration::from_micros(called.micros));
        if let Some(peer) = &mut peer {
            theirs.push(peer.echo(&arguments)?);
        }
    }
    let (rss_worker_bytes, rss_per_instance_bytes) = stage.memory().await?;
    let mut late = Times::new();
    for _ in 0..wanted.runaways {
        late.push(stage.runaway().await?);
    }
    stage.runtime.stop().await;
    Ok(Figures {
        calls: wanted.calls,
        json_bytes: arguments.len(),
        call_p50_us: calls.micros(0.5),
        call_p99_us: calls.micros(0.99),
        instantiate_p50_us: makes.micros(0.5),
        instantiate_p99_us: makes.micros(0.99),
        worker_p50_us: inside.micros(0.5),
        rss_per_instance_bytes,
        rss_worker_bytes,
        runaways: wanted.runaways,
        runaway_late_max_ms: late.micros(1.0) / 1000.0,
        runaway_late_p50_ms: late.micros(0.5) / 1000.0,
        peer: peer.map(|peer| Peer {
            call_p50_us: theirs.micros(0.5),
            call_p99_us: theirs.micros(0.99),
            rss_bytes: rss_bytes(peer.child.id()).unwrap_or(0),
        }),
    })
}

/// An object of about 1 KB.
fn kilobyte() -> String {
    let items: Vec<Value> = (0..15)
        .map(|n| json!({ "id": n, "name": format!("item number {n}"), "price": 1.25, "tags": ["a", "böe"] }))
        .collect();
    json!({ "query": "what is there to be found here?", "limit": 20, "items": items }).to_string()
}

struct Times(Vec<Duration>);

impl Times {
    fn new() -> Times {
        Times(Vec::new())
    }

    fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that a share of them stays below; 0 if there are none.
    fn micros(&mut self, share: f64) -> f64 {
        self.0.sort();
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).map_or(0.0, |time| time.as_nanos() as f64 / 1000.0)
    }
}

/// Holds whoever asks for a yes until it is let go.
struct Owner {
    asked: Semaphore,
    go: Arc<Semaphore>,
}

impl HostServices for Owner {
    fn answer(&self, _: Arc<Calling>, _: Ask) -> BoxFuture<'static, Answer> {
        self.asked.add_permits(1);
        let go = self.go.clone();
        Box::pin(async move {
            // The semaphore is never closed.
            if let Ok(permit) = go.acquire().await {
                permit.forget();
            }
            Answer::Flag(true)
        })
    }
}

struct Stage {
    runtime: Runtime,
    file: PathBuf,
    digest: String,
    owner: Arc<Owner>,
}

impl Stage {
    fn new(folder: &Path) -> Result<Stage, BenchError> {
        let file = folder.join("echo.wasm");
        std::fs::write(&file, GUEST)?;
        let owner = Arc::new(Owner { asked: Semaphore::new(0), go: Arc::new(Semaphore::new(0)) });
        let runtime = Runtime::new(folder.join("compiled"), None);
        Ok(Stage { runtime, file, digest: blake3::hash(GUEST).to_hex().to_string(), owner })
    }

    async fn call(
        &self,
        plugin: &str,
        tool: &str,
        arguments: &str,
        deadline: Duration,
    ) -> Result<Called, PluginError> {
        let grants = Grants { ask_user: true, ..Grants::default() };
        let calling = Calling::new(plugin, plugin, tool, "", grants, Label::owner());
        let run = Run {
            file: self.file.clone(),
            file_digest: self.digest.clone(),
            tool: tool.into(),
            arguments: arguments.into(),
            language: "en".into(),
            limits: Limits::default(),
            deadline,
            calling: Arc::new(calling),
        };
        self.runtime.call(run, self.owner.clone()).await
    }

    async fn echo(&self, arguments: &str) -> Result<Called, BenchError> {
        let called = self.call("echo", "echo", arguments, LONG).await?;
        let text = called.result.as_ref().map_err(Clone::clone)?.text.len();
        if text != arguments.len() {
            return Err(BenchError::Wrong(format!("{} bytes came back as {text}", arguments.len())));
        }
        Ok(called)
    }

    /// Resident memory of the worker with nothing running, and what a live instance adds. Told apart only
    /// once, before a place other than the first was used, since places keep their memory; the stack of the
    /// thread that a call runs on counts too.
    async fn memory(&self) -> Result<(u64, u64), BenchError> {
        let idle = self.rss();
        let alive = self.alive().await?;
        Ok((idle, alive.saturating_sub(idle) / (ALIVE as u64 - 1)))
    }

    /// Resident memory while as many instances as can be wait for the owner.
    async fn alive(&self) -> Result<u64, BenchError> {
        let arguments = kilobyte();
        let names: Vec<String> = (0..ALIVE).map(|n| n.to_string()).collect();
        let calls = join_all(names.iter().map(|name| self.call(name, "wait", &arguments, LONG)));
        let look = async {
            if let Ok(all) = self.owner.asked.acquire_many(ALIVE as u32).await {
                all.forget();
            }
            let rss = self.rss();
            self.owner.go.add_permits(ALIVE);
            rss
        };
        let (called, rss) = tokio::join!(calls, look);
        called.into_iter().try_for_each(|called| called?.result.map(drop).map_err(BenchError::from))?;
        Ok(rss)
    }

    fn rss(&self) -> u64 {
        self.runtime.status().pid.and_then(rss_bytes).unwrap_or(0)
    }

    /// How long past its deadline an endless loop's end is known.
    async fn runaway(&self) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let called = self.call("spin", "spin", "{}", RUNAWAY).await?;
        let took = start.elapsed();
        match called.result {
            Err(ToolError::Stopped(_)) => Ok(took.saturating_sub(RUNAWAY)),
            other => Err(BenchError::Wrong(format!("a runaway was not stopped: {other:?}"))),
        }
    }
}

/// An MCP server on the other end of two pipes.
struct McpServer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl McpServer {
    fn start(program: &Path) -> Result<McpServer, BenchError> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| BenchError::Peer(format!("{} cannot be started: {error}", program.display())))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Peer("has no pipes".into()));
        };
        let mut server = McpServer { child, input, output: BufReader::new(output), next: 1 };
        server.ask(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "familiar-bench", "version": env!("CARGO_PKG_VERSION") },
            }),
        )?;
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(server)
    }

    /// Calls the tool as a client does, from JSON text to JSON text; how long that took.
    fn echo(&mut self, arguments: &str) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let arguments_json: Value =
            serde_json::from_str(arguments).map_err(|error| BenchError::Wrong(error.to_string()))?;
        let answer = self.ask("tools/call", json!({ "name": "echo", "arguments": arguments_json }))?;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default().len();
        let took = start.elapsed();
        if text != arguments.len() {
            return Err(BenchError::Peer(format!("answered {answer}")));
        }
        Ok(took)
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Result<Value, BenchError> {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }))?;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err(BenchError::Peer("ended".into()));
            }
            let answer: Value = serde_json::from_str(&line)
                .map_err(|error| BenchError::Peer(format!("writes no JSON: {error}")))?;
            if answer["id"] == id {
                return Ok(answer);
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), BenchError> {
        let mut line = message.to_string();
        line.push('\n');
        Ok(self.input.write_all(line.as_bytes())?)
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        // It ends with its input too; nobody waits for either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_taken_of_sorted_times() {
        let mut times = Times::new();
        assert_eq!(times.micros(0.5), 0.0);
        (1..=100).rev().for_each(|n| times.push(Duration::from_micros(n)));
        assert_eq!((times.micros(0.5), times.micros(0.99), times.micros(1.0)), (51.0, 100.0, 100.0));
    }

    #[test]
    fn the_arguments_are_a_kilobyte() {
        assert!((1000..1200).contains(&kilobyte().len()), "{}", kilobyte().len());
    }
}
