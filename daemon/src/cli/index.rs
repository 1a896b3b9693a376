//! `index add|remove|list|status`. With `--wait` one connection waits for the daemon's answer while
//! another asks how far it is.

use super::args;
use super::client::decode;
use super::exit::{Exit, Failure, Outcome};
use super::output::{self, Look, bytes, count, harmless, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::http::{FailedFile, IndexStatus, PathRequest};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// How often the daemon is asked how far it is, and how often that is a line when nobody watches it move.
const POLL: Duration = Duration::from_millis(250);
const POLLS_A_LINE: u32 = 20;
/// Failed files that are listed before the rest is only counted.
const LISTED: usize = 10;

pub async fn index(
    paths: &Paths,
    start: bool,
    args: args::Index,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    match args {
        args::Index::Add { path, wait: true } => add_and_wait(paths, start, &path, out, look).await,
        args::Index::Add { path, wait: false } => {
            let request = PathRequest { path: existing(&path)?, wait: false };
            connect(paths, start).await?.post("index/add", &request).await?;
            let path = harmless(&request.path);
            writeln!(
                out,
                "{path} is being indexed and watched. `familiar index status` tells how far it is."
            )?;
            Ok(())
        }
        args::Index::Remove { path } => {
            let request = PathRequest { path: absolute(&path)?, wait: false };
            connect(paths, start).await?.post("index/remove", &request).await?;
            writeln!(out, "{} is no longer searched.", harmless(&request.path))?;
            Ok(())
        }
        args::Index::List(json) => {
            let answer = connect(paths, start).await?.get("index/roots").await?;
            if json.json { output::json(out, &answer) } else { list(answer, out) }
        }
        args::Index::Status(json) => {
            let answer = connect(paths, start).await?.get("index").await?;
            if json.json { output::json(out, &answer) } else { status(&decode(answer)?, out, look) }
        }
    }
}

#[derive(serde::Deserialize)]
struct Roots {
    roots: Vec<String>,
}

fn list(answer: serde_json::Value, out: &mut impl Write) -> Outcome {
    let Roots { roots } = decode(answer)?;
    for root in &roots {
        writeln!(out, "{}", harmless(root))?;
    }
    if roots.is_empty() {
        writeln!(io::stderr(), "Nothing is indexed; `familiar index add FOLDER` does it.")?;
    }
    Ok(())
}

async fn add_and_wait(paths: &Paths, start: bool, path: &Path, out: &mut impl Write, look: Look) -> Outcome {
    let request = PathRequest { path: existing(path)?, wait: true };
    let mut adding = connect(paths, start).await?;
    let mut asking = connect(paths, false).await?;
    let mut progress = Progress::new();
    let added = adding.post("index/add", &request);
    tokio::pin!(added);
    let mut poll = tokio::time::interval(POLL);
    let outcome = loop {
        tokio::select! {
            outcome = &mut added => break outcome,
            _ = poll.tick() => progress.show(&decode(asking.get("index").await?)?)?,
        }
    };
    progress.end();
    outcome?;
    let status: IndexStatus = decode(asking.get("index").await?)?;
    let documents = count(status.documents, "document", "documents");
    writeln!(
        out,
        "{} is searchable: {documents} in the index, {}.",
        harmless(&request.path),
        bytes(status.bytes)
    )?;
    let below: Vec<&FailedFile> =
        status.failed.iter().filter(|file| Path::new(&file.path).starts_with(&request.path)).collect();
    failures(&below, out, look)?;
    warnings(&status.warnings, out, look)
}

pub fn status(status: &IndexStatus, out: &mut impl Write, look: Look) -> Outcome {
    writeln!(out, "documents  {}, {}", count(status.documents, "file", "files"), bytes(status.bytes))?;
    writeln!(out, "pending    {}", count(status.pending, "file", "files"))?;
    writeln!(out, "failed     {}", count(status.failed.len() as u64, "file", "files"))?;
    let polled = match status.polled_dirs {
        0 => String::new(),
        polled => format!(", {} looked at from time to time", polled),
    };
    writeln!(out, "watched    {}{polled}", count(status.watched_dirs, "folder", "folders"))?;
    for root in &status.roots {
        writeln!(out, "root       {}", harmless(root))?;
    }
    failures(&status.failed.iter().collect::<Vec<_>>(), out, look)?;
    warnings(&status.warnings, out, look)
}

fn failures(failed: &[&FailedFile], out: &mut impl Write, look: Look) -> Outcome {
    if !failed.is_empty() {
        writeln!(out, "{} could not be indexed:", count(failed.len() as u64, "file", "files"))?;
    }
    for file in failed.iter().take(LISTED) {
        writeln!(out, "  {}  {}", one_line(&file.path, 4096), look.yellow(&one_line(&file.error, 200)))?;
    }
    if failed.len() > LISTED {
        writeln!(out, "  and {} more; `familiar index status --json` lists all", failed.len() - LISTED)?;
    }
    Ok(())
}

pub fn warnings(warnings: &[String], out: &mut impl Write, look: Look) -> Outcome {
    for warning in warnings {
        writeln!(out, "{} {}", look.yellow("warning:"), one_line(warning, 400))?;
    }
    out.flush()?;
    Ok(())
}

/// A bar that moves on a terminal; a line now and then elsewhere. Both on standard error.
struct Progress {
    bar: Option<ProgressBar>,
    polls: u32,
}

impl Progress {
    fn new() -> Progress {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is ours and valid; the default look would do as well.
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {pos}/{len} files {wide_bar} {elapsed}")
            {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar, polls: 0 }
    }

    fn show(&mut self, status: &IndexStatus) -> Outcome {
        self.polls += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_length(status.documents + status.pending);
                bar.set_position(status.documents);
            }
            None if self.polls.is_multiple_of(POLLS_A_LINE) => {
                writeln!(io::stderr(), "indexing: {} done, {} to go", status.documents, status.pending)?;
            }
            None => {}
        }
        Ok(())
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The absolute path of something that must be there; links are followed.
pub fn existing(path: &Path) -> Outcome<String> {
    let found = std::fs::canonicalize(path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("{}: {error}", path.display()))
    })?;
    text(&found)
}

/// The absolute path of something that may be gone.
fn absolute(path: &Path) -> Outcome<String> {
    if let Ok(found) = std::fs::canonicalize(path) {
        return text(&found);
    }
    let path = std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    text(&plain)
}

fn text(path: &Path) -> Outcome<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("{}: the name is not UTF-8; rename it or add its parent", path.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use expect_test::expect;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn the_status_is_a_small_table() {
        let failed =
            (0..12).map(|n| FailedFile { path: format!("/d/{n}"), error: "not\ntext".into() }).collect();
        let shown = IndexStatus {
            documents: 5120,
            bytes: 33_554_432,
            pending: 1,
            failed,
            watched_dirs: 812,
            polled_dirs: 3,
            roots: vec!["/d".into()],
            warnings: vec!["The disk is full.".into()],
        };
        let mut out = Vec::new();
        status(&shown, &mut out, PLAIN).unwrap();
        expect![[r#"
            documents  5,120 files, 34 MB
            pending    1 file
            failed     12 files
            watched    812 folders, 3 looked at from time to time
            root       /d
            12 files could not be indexed:
              /d/0  not text
              /d/1  not text
              /d/2  not text
              /d/3  not text
              /d/4  not text
              /d/5  not text
              /d/6  not text
              /d/7  not text
              /d/8  not text
              /d/9  not text
              and 2 more; `familiar index status --json` lists all
            warning: The disk is full.
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn paths_become_absolute_without_going_through_the_disk() {
        assert_eq!(absolute(Path::new("/no/such/../folder/./x/")).unwrap(), "/no/folder/x");
        assert_eq!(absolute(Path::new("/../..")).unwrap(), "/");
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(existing(&real.join("link")).unwrap(), real.to_str().unwrap());
    }

    #[test]
    fn paths_that_cannot_be_sent_are_explained() {
        assert_eq!(existing(Path::new("/no/such")).unwrap_err().code(), Exit::NotFound as u8);
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/no/\xff"));
        assert_eq!(absolute(odd).unwrap_err().code(), Exit::Usage as u8);
    }
}
