//! `status` and `stop`.

use super::client::{Client, ConnectError, decode};
use super::exit::{Failure, Outcome};
use super::index::warnings;
use super::output::{self, Look, bytes, count, duration, one_line};
use super::start::{connect, no_daemon};
use crate::config::paths::Paths;
use crate::protocol::http::{Status, WorkerStatus};
use std::io::Write;
use std::time::{Duration, Instant};

/// How long a daemon may take to finish what it writes.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(20);

pub async fn status(paths: &Paths, start: bool, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let answer = connect(paths, start).await?.get("status").await?;
    if json { output::json(out, &answer) } else { render(&decode(answer)?, out, look) }
}

/// Returns when the daemon no longer listens.
pub async fn stop(paths: &Paths, out: &mut impl Write) -> Outcome {
    let mut client = match Client::connect(paths).await {
        Ok(client) => client,
        Err(ConnectError::NoDaemon) => return Err(no_daemon(paths)),
        Err(ConnectError::Refused(failure)) => return Err(failure),
    };
    client.post("stop", &serde_json::json!({})).await?;
    let deadline = Instant::now() + PATIENCE;
    while !ended(paths).await {
        if Instant::now() >= deadline {
            let log = paths.log();
            return Err(Failure::failed(format!(
                "the daemon is still stopping; its log {} tells why",
                log.display()
            )));
        }
        tokio::time::sleep(RETRY).await;
    }
    writeln!(out, "The daemon has stopped.")?;
    Ok(())
}

/// The lock outlives the socket: a new daemon can start only when it is free.
async fn ended(paths: &Paths) -> bool {
    let listens = !matches!(Client::connect(paths).await, Err(ConnectError::NoDaemon));
    let holds = std::fs::File::open(paths.lock()).is_ok_and(|lock| lock.try_lock().is_err());
    !listens && !holds
}

fn render(status: &Status, out: &mut impl Write, look: Look) -> Outcome {
    let Status { version, pid, uptime_s, rss_bytes, workers, model, adapter, index, .. } = status;
    let up = duration(*uptime_s);
    writeln!(out, "familiar {}  pid {pid}, up {up}, {}", one_line(version, 40), bytes(*rss_bytes))?;
    let context = model.context.map(|tokens| format!(", {tokens} tokens of context")).unwrap_or_default();
    let loaded = if model.loaded { "loaded" } else { "not loaded" };
    let adapter = adapter.as_deref().map(|id| format!(", adapter {}", one_line(id, 40))).unwrap_or_default();
    writeln!(out, "model    {} ({loaded}{context}{adapter})", one_line(&model.name, 100))?;
    let documents = count(index.documents, "document", "documents");
    let (pending, failed) = (index.pending, index.failed.len());
    writeln!(out, "index    {documents}, {}, {pending} pending, {failed} failed", bytes(index.bytes))?;
    if let Some(learning) = &status.learning {
        writeln!(out, "learning {}", one_line(&learning.says, 200))?;
    }
    for worker in workers {
        worker_line(worker, out, look)?;
    }
    warnings(&status.warnings, out, look)?;
    warnings(&index.warnings, out, look)
}

fn worker_line(worker: &WorkerStatus, out: &mut impl Write, look: Look) -> Outcome {
    let state = match worker.state.as_str() {
        "running" => look.green("running"),
        "idle" => "idle".into(),
        other => look.red(&one_line(other, 40)),
    };
    let pid = worker.pid.map(|pid| format!(", pid {pid}, {}", bytes(worker.rss_bytes))).unwrap_or_default();
    let restarts = match worker.restarts {
        0 => String::new(),
        restarts => format!(", {}", count(restarts.into(), "restart", "restarts")),
    };
    writeln!(out, "worker   {} {state}{pid}{restarts}", one_line(&worker.kind, 40))?;
    for refused in &worker.jail_refused {
        writeln!(out, "         {} {}", look.yellow("not jailed:"), one_line(refused, 200))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use crate::protocol::http::{IndexStatus, ModelStatus};
    use crate::protocol::learn::LearnStatus;
    use expect_test::expect;

    #[test]
    fn the_status_fits_a_few_lines() {
        let worker = |kind: &str, state: &str, pid| WorkerStatus {
            kind: kind.into(),
            pid,
            state: state.into(),
            restarts: u32::from(pid.is_none()),
            rss_bytes: 120_000_000,
            jail_refused: if kind == "extract" { vec!["landlock: not enabled".into()] } else { vec![] },
        };
        let status = Status {
            version: "0.1.0".into(),
            pid: 7,
            uptime_s: 3700,
            rss_bytes: 42_000_000,
            workers: vec![worker("engine", "running", Some(9)), worker("extract", "backing_off", None)],
            model: ModelStatus { name: "ember".into(), loaded: true, context: Some(2048) },
            adapter: None,
            index: IndexStatus { documents: 5120, bytes: 34_000_000, pending: 2, ..IndexStatus::default() },
            desktop: Default::default(),
            learning: Some(LearnStatus {
                says: "3 new samples are there; a cycle begins with 12.".into(),
                ..LearnStatus::default()
            }),
            warnings: vec!["config.toml:1: `x` is not a setting".into()],
        };
        let mut out = Vec::new();
        render(&status, &mut out, PLAIN).unwrap();
        expect![[r#"
            familiar 0.1.0  pid 7, up 1 h 1 min, 42 MB
            model    ember (loaded, 2048 tokens of context)
            index    5,120 documents, 34 MB, 2 pending, 0 failed
            learning 3 new samples are there; a cycle begins with 12.
            worker   engine running, pid 9, 120 MB
            worker   extract backing_off, 1 restart
                     not jailed: landlock: not enabled
            warning: config.toml:1: `x` is not a setting
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[tokio::test]
    async fn stopping_nothing_is_no_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let failure = stop(&Paths::under(folder.path()), &mut Vec::new()).await.unwrap_err();
        assert_eq!(failure.code(), 3);
    }
}
