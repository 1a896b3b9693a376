//! `doctor`: looks at the machine and the set-up, says what it found and how to mend it. It changes
//! nothing and needs no daemon; with one it knows more. It starts one worker, to try the jail's walls.

mod kernel;
mod machine;
mod setup;

use super::client::Client;
use super::exit::{Exit, Failure, Outcome};
use super::output::{self, Look, one_line};
use crate::config::paths::Paths;
use crate::protocol::http::Status;
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// How bad it is. Only `Fail` makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do about it; `None` when nothing needs doing.
    pub fix: Option<String>,
}

impl Check {
    pub fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, level: Level::Ok, found: found.into(), fix: None }
    }
    pub fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name, level: Level::Warn, found: found.into(), fix: Some(fix.into()) }
    }
    pub fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name, level: Level::Fail, found: found.into(), fix: Some(fix.into()) }
    }
}

pub async fn doctor(paths: &Paths, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let status = ask(paths).await;
    let mut checks = checks(paths, &status);
    checks.insert(0, kernel::jail().await);
    if json {
        output::json(out, &json!({"ok": worst(&checks) < Level::Fail, "checks": checks}))?;
    } else {
        render(&checks, out, look)?;
    }
    if worst(&checks) == Level::Fail { Err(Failure::Silent(Exit::Failed)) } else { Ok(()) }
}

/// What the daemon says of itself; the error is worded for people.
async fn ask(paths: &Paths) -> Result<Option<Status>, String> {
    use super::client::{ConnectError, decode};
    let mut client = match Client::connect(paths).await {
        Ok(client) => client,
        Err(ConnectError::NoDaemon) => return Ok(None),
        Err(ConnectError::Refused(failure)) => return Err(failure.to_string()),
    };
    let answer = client.get("status").await.map_err(|failure| failure.to_string())?;
    decode(answer).map(Some).map_err(|failure: Failure| failure.to_string())
}

fn checks(paths: &Paths, status: &Result<Option<Status>, String>) -> Vec<Check> {
    let running = status.as_ref().ok().and_then(Option::as_ref);
    let loaded = crate::config::load(&paths.config_file);
    let settings = loaded.as_ref().map(|loaded| loaded.config.clone()).unwrap_or_default();
    vec![
        kernel::landlock(),
        kernel::seccomp(),
        kernel::watches(running.map(|status| &status.index), settings.index.watch_percent),
        kernel::queued_events(),
        kernel::instances(),
        kernel::open_files(),
        machine::kernels(),
        machine::gpu(settings.model.gpu_layers),
        machine::quiet(),
        setup::config(&loaded),
        setup::model(paths, &settings.model.name, running),
        setup::disk(&paths.data),
        setup::folder("data folder", &paths.data),
        setup::folder("runtime folder", &paths.runtime),
        setup::socket(paths),
        setup::desktop(&settings.desktop, running),
        setup::plugin_authors(),
        setup::daemon(status),
    ]
    .into_iter()
    .chain(running.into_iter().flat_map(setup::workers))
    .collect()
}

fn worst(checks: &[Check]) -> Level {
    checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok)
}

fn render(checks: &[Check], out: &mut impl Write, look: Look) -> Outcome {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in checks {
        let level = match check.level {
            Level::Ok => look.green("ok  "),
            Level::Warn => look.yellow("warn"),
            Level::Fail => look.red("FAIL"),
        };
        writeln!(out, "{level}  {:width$}  {}", check.name, one_line(&check.found, 300))?;
        if let Some(fix) = &check.fix {
            writeln!(out, "      {:width$}  → {}", "", one_line(fix, 300))?;
        }
    }
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let (warn, fail) = (count(Level::Warn), count(Level::Fail));
    writeln!(out, "\n{} checks: {warn} to look at, {fail} to mend", checks.len())?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_line_says_what_to_do() {
        let checks = [
            Check::ok("landlock", "ABI 7"),
            Check::warn("watches", "8192", "sysctl fs.inotify.max_user_watches=524288"),
            Check::fail("model", "x is\nnot there", "familiar model import FILE --name x"),
        ];
        let mut out = Vec::new();
        render(&checks, &mut out, PLAIN).unwrap();
        expect![[r#"
            ok    landlock  ABI 7
            warn  watches   8192
                            → sysctl fs.inotify.max_user_watches=524288
            FAIL  model     x is not there
                            → familiar model import FILE --name x

            3 checks: 1 to look at, 1 to mend
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
        assert_eq!(worst(&checks), Level::Fail);
        assert_eq!(worst(&checks[..2]), Level::Warn);
    }

    #[tokio::test]
    async fn it_works_without_a_daemon_and_without_any_folder() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(&folder.path().join("not/yet"));
        let mut out = Vec::new();
        // Whether this machine passes is not what is asked here.
        let _ = doctor(&paths, true, &mut out, PLAIN).await;
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let names: Vec<&str> =
            report["checks"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
        assert!(names.contains(&"landlock") && names.contains(&"daemon"), "{names:?}");
        assert!(!folder.path().join("not").exists());
    }

    #[test]
    fn a_broken_file_of_settings_fails() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        std::fs::write(&paths.config_file, "[model]\nthread = 1\n").unwrap();
        let checks = checks(&paths, &Ok(None));
        let config = checks.iter().find(|check| check.name == "config").unwrap();
        assert_eq!(config.level, Level::Fail);
        assert!(config.found.contains(":2: `model.thread`"), "{}", config.found);
    }
}
