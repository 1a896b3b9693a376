//! Starts what the owner chose among the rows: a file's default application, or a terminal that asks. The programs are
//! the owner's own, found in PATH; a path or a question is one argument of theirs, and no shell reads it.

use super::super::error::Error;
use super::place::{self, Place};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Programs started from here that may run at once. Most end at once, having asked another to open the file.
const RUNNING: usize = 32;

/// For `xdg-mime` to say what opens a file.
const PATIENCE: Duration = Duration::from_secs(2);

/// What opens a file, best first, with what stands before the file.
const OPENERS: [(&str, &[&str]); 2] = [("xdg-open", &[]), ("gio", &["open"])];

/// Terminals, best first, with what stands before the command that they run.
const TERMINALS: [(&str, &[&str]); 6] = [
    ("xdg-terminal-exec", &[]),
    ("gnome-terminal", &["--"]),
    ("kgx", &["--"]),
    ("konsole", &["-e"]),
    ("x-terminal-emulator", &["-e"]),
    ("xterm", &["-e"]),
];

/// What the desktop says of the owner's click, so that the new window may come to the front: a variable of the started
/// program's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click(pub &'static str, pub String);

/// Starts programs; cheap to clone.
#[derive(Clone)]
pub struct Opener {
    running: Arc<Semaphore>,
}

impl Opener {
    pub fn new() -> Opener {
        Opener { running: Arc::new(Semaphore::new(RUNNING)) }
    }

    /// Opens a file or folder with the owner's default application; at the place, if that can be told where to begin.
    pub async fn open(&self, path: &Path, place: Option<Place>, click: Option<Click>) -> Result<(), Error> {
        if !path.exists() {
            return Err(Error::NotFound(format!("{} does not exist any more", path.display())));
        }
        if let Some(place) = place
            && let Some((program, there)) = place::told(&default_for(path).await.unwrap_or_default(), place)
            && let Some(program) = found(&[(program, &[])])
        {
            return self.start(program, [there.into(), path.into()], click);
        }
        let none = "nothing here opens files: install xdg-utils";
        self.start(found(&OPENERS).ok_or(Error::NotFound(none.into()))?, [path.into()], click)
    }

    /// Asks in a terminal, in a conversation that can go on.
    pub fn ask(&self, question: &str, click: Option<Click>) -> Result<(), Error> {
        let us = program().map_err(|error| Error::Failed(error.to_string()))?;
        let none = "there is no terminal here: install xdg-terminal-exec or xterm";
        let terminal = found(&TERMINALS).ok_or(Error::NotFound(none.into()))?;
        // After `--` a question is never an option.
        self.start(terminal, [us.into(), "chat".into(), "--".into(), question.into()], click)
    }

    fn start<const N: usize>(
        &self,
        (program, before): (PathBuf, &[&str]),
        arguments: [OsString; N],
        click: Option<Click>,
    ) -> Result<(), Error> {
        let busy = |_| Error::Busy("too many programs were started from here: close some".into());
        let permit = self.running.clone().try_acquire_owned().map_err(busy)?;
        let mut command = Command::new(&program);
        command.args(before).args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(click.map(|Click(name, value)| (name, value)));
        let failed = |error| Error::Failed(format!("{} cannot be started: {error}", program.display()));
        let mut child = command.spawn().map_err(failed)?;
        tokio::spawn(async move {
            // How it ended is between the owner and the program.
            let _ = child.wait().await;
            drop(permit);
        });
        Ok(())
    }
}

/// The desktop entry of what opens a file by the owner's choice; `None` where nobody knows.
async fn default_for(path: &Path) -> Option<String> {
    let kind = asked([OsStr::new("filetype"), path.as_os_str()]).await?;
    asked([OsStr::new("default"), OsStr::new(kind.trim())]).await
}

/// What `xdg-mime query` says.
async fn asked(query: [&OsStr; 2]) -> Option<String> {
    let (program, _) = found(&[("xdg-mime", &[])])?;
    let mut command = Command::new(program);
    command.arg("query").args(query).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !said.trim().is_empty()).then_some(said)
}

/// Where this program is, or the one that took its place: the kernel says so in the name.
fn program() -> std::io::Result<PathBuf> {
    let us = std::env::current_exe()?;
    let replaced = us.to_str().and_then(|us| us.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(us))
}

/// The first of these programs that is in PATH.
fn found(programs: &[(&str, &'static [&'static str])]) -> Option<(PathBuf, &'static [&'static str])> {
    found_in(&std::env::var_os("PATH").unwrap_or_default(), programs)
}

fn found_in(
    path: &OsStr,
    programs: &[(&str, &'static [&'static str])],
) -> Option<(PathBuf, &'static [&'static str])> {
    let runs = |file: &PathBuf| {
        // An empty entry of PATH would be the working directory.
        let found = file.metadata().ok().filter(|found| file.is_absolute() && found.is_file());
        found.is_some_and(|found| found.permissions().mode() & 0o111 != 0)
    };
    let in_path = |name: &str| std::env::split_paths(path).map(|folder| folder.join(name)).find(runs);
    programs.iter().find_map(|(name, before)| Some((in_path(name)?, *before)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_program_that_runs_is_found() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let path = std::env::join_paths(folders.iter().map(|folder| folder.path())).unwrap();
        let program = |folder: usize, name: &str, mode: u32| {
            let file = folders[folder].path().join(name);
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        assert_eq!(found_in(&path, &OPENERS), None);
        let gio = program(1, "gio", 0o755);
        assert_eq!(found_in(&path, &OPENERS), Some((gio.clone(), &["open"][..])));
        program(0, "xdg-open", 0o644);
        assert_eq!(found_in(&path, &OPENERS).unwrap().0, gio);
        let opener = program(1, "xdg-open", 0o755);
        assert_eq!(found_in(&path, &OPENERS), Some((opener, &[][..])));
        assert_eq!(found_in(OsStr::new("::relative"), &OPENERS), None);
    }
}
