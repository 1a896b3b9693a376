//! The owner's set-up: settings, model, folders, disk, and the daemon.

use super::super::output::{bytes, duration, one_line};
use super::{Check, Level};
use crate::config::paths::Paths;
use crate::config::{ConfigError, DesktopConfig, Loaded};
use crate::protocol::http::Status;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

pub fn config(loaded: &Result<Loaded, ConfigError>) -> Check {
    match loaded {
        Ok(loaded) if loaded.file.exists() => Check::ok("config", loaded.file.display().to_string()),
        Ok(loaded) => Check::ok("config", format!("defaults ({} is absent)", loaded.file.display())),
        Err(error) => Check::fail(
            "config",
            error.to_string(),
            "mend these lines; `familiar config schema` says what may stand there",
        ),
    }
}

/// A running daemon knows its model; otherwise the file is looked at.
pub fn model(paths: &Paths, name: &str, running: Option<&Status>) -> Check {
    if let Some(model) = running.map(|status| &status.model).filter(|model| model.name != name) {
        let found = format!("the daemon answers with {}, the settings name {name}", model.name);
        return Check::warn("model", found, format!("familiar model use {name}"));
    }
    if name == "ember" {
        return Check::ok("model", "ember, in the program itself");
    }
    let file = paths.models().join(format!("{name}.gguf"));
    match magic(&file) {
        Ok(magic) if &magic == b"GGUF" => Check::ok("model", file.display().to_string()),
        Ok(_) => Check::fail(
            "model",
            format!("{} is no GGUF file", file.display()),
            "import it again: familiar model import FILE",
        ),
        Err(error) => Check::fail(
            "model",
            format!("{}: {error}", file.display()),
            format!("familiar model import FILE --name {name}, or familiar model use ember"),
        ),
    }
}

fn magic(file: &Path) -> std::io::Result<[u8; 4]> {
    let mut magic = [0; 4];
    fs::File::open(file)?.read_exact(&mut magic)?;
    Ok(magic)
}

/// Free space where the data lies, or would lie.
pub fn disk(data: &Path) -> Check {
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(found) => disk_of(found.f_bavail.saturating_mul(found.f_frsize), data),
        Err(error) => {
            Check::fail("disk", format!("{}: {error}", there.display()), "check that the disk is mounted")
        }
    }
}

fn disk_of(free: u64, data: &Path) -> Check {
    let found = format!("{} free for {}", bytes(free), data.display());
    let fix = "make room, or move the folder and set XDG_DATA_HOME";
    match free {
        0..100_000_000 => Check::fail("disk", found, fix),
        100_000_000..2_000_000_000 => Check::warn("disk", found, fix),
        _ => Check::ok("disk", found),
    }
}

/// A folder that must be the owner's alone. An absent one is made when the daemon starts.
pub fn folder(name: &'static str, folder: &Path) -> Check {
    let shown = folder.display();
    let found = match fs::metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::ok(name, format!("{shown} (made when the daemon starts)"));
        }
        Err(error) => return Check::fail(name, format!("{shown}: {error}"), "mend the folder's permissions"),
    };
    let us = rustix::process::geteuid().as_raw();
    match found.mode() & 0o777 {
        _ if !found.is_dir() => {
            Check::fail(name, format!("{shown} is not a folder"), format!("move {shown} away"))
        }
        _ if found.uid() != us => Check::fail(
            name,
            format!("{shown} belongs to uid {}", found.uid()),
            "use a folder of your own: FAMILIAR_HOME",
        ),
        0o700 => Check::ok(name, format!("{shown}, yours alone")),
        mode => Check::warn(name, format!("{shown} has mode {mode:04o}"), format!("chmod 700 {shown}")),
    }
}

/// What the authors of plugins need; whoever writes none needs nothing.
pub fn plugin_authors() -> Check {
    const NAME: &str = "plugin authors";
    let told = std::process::Command::new("rustc").args(["--print", "sysroot"]).output();
    let Some(told) = told.ok().filter(|told| told.status.success()) else {
        return Check::ok(NAME, "no Rust here; only needed to write plugins in it");
    };
    let sysroot = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    match Path::new(&sysroot).join("lib/rustlib/wasm32-wasip2").is_dir() {
        true => Check::ok(NAME, "Rust with the target wasm32-wasip2"),
        false => {
            Check::ok(NAME, "Rust without wasm32-wasip2; `rustup target add wasm32-wasip2` to write plugins")
        }
    }
}

/// Whether the session's bus is served. Only a running daemon knows.
pub fn desktop(settings: &DesktopConfig, running: Option<&Status>) -> Check {
    const NAME: &str = "desktop";
    let Some(desktop) = running.map(|status| &status.desktop) else {
        return match settings.dbus {
            true => Check::ok(NAME, "a daemon is org.familiar.Agent where a session bus is"),
            false => Check::ok(NAME, "off in the settings (desktop.dbus)"),
        };
    };
    match (desktop.state.as_str(), settings.dbus) {
        ("off", true) => Check::warn(NAME, "switched on since the daemon started", "familiar stop"),
        ("starting" | "serving" | "off" | "no_bus", _) => Check::ok(NAME, one_line(&desktop.says, 200)),
        _ => Check::warn(
            NAME,
            one_line(&desktop.says, 200),
            "familiar stop, once that is mended; or dbus = false under [desktop]",
        ),
    }
}

pub fn socket(paths: &Paths) -> Check {
    let socket = paths.socket();
    let shown = socket.display();
    match fs::symlink_metadata(&socket) {
        Err(_) => Check::ok("socket", format!("{shown} (made when the daemon starts)")),
        Ok(found) if !found.file_type().is_socket() => {
            Check::fail("socket", format!("{shown} is not a socket"), format!("rm {shown}"))
        }
        Ok(found) if found.mode() & 0o077 != 0 => Check::warn(
            "socket",
            format!("{shown} has mode {:04o}", found.mode() & 0o777),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) => Check::ok("socket", shown.to_string()),
    }
}

pub fn daemon(status: &Result<Option<Status>, String>) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    match status {
        Ok(None) => Check::ok("daemon", "not running; the next question starts it"),
        Ok(Some(status)) if status.version != ours => Check::warn(
            "daemon",
            format!("version {} runs, this program is {ours}", status.version),
            "familiar stop; the next question starts the new one",
        ),
        Ok(Some(status)) => {
            Check::ok("daemon", format!("pid {}, up {}", status.pid, duration(status.uptime_s)))
        }
        Err(message) => {
            Check::fail("daemon", message.clone(), "familiar stop, or end the process, then try again")
        }
    }
}

/// Workers that crash, and jails that do not stand. Without trouble there is nothing to say.
pub fn workers(status: &Status) -> Vec<Check> {
    status
        .workers
        .iter()
        .filter_map(|worker| {
            let refused = worker.jail_refused.join("; ");
            let (level, found, fix) = match worker.state.as_str() {
                "stopped" => (
                    Level::Fail,
                    "crashed too often and is stopped".to_owned(),
                    "see the log, then familiar stop",
                ),
                "backing_off" => (Level::Warn, "crashed and waits to start again".to_owned(), "see the log"),
                _ if !refused.is_empty() => {
                    (Level::Warn, format!("not jailed: {refused}"), "see landlock and seccomp above")
                }
                _ => return None,
            };
            let found = format!("{}: {found}", worker.kind);
            Some(Check { name: "worker", level, found, fix: Some(fix.into()) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_model_that_is_missing_or_no_model_fails() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        assert_eq!(model(&paths, "ember", None).level, Level::Ok);
        assert_eq!(model(&paths, "qwen", None).level, Level::Fail);
        fs::create_dir_all(paths.models()).unwrap();
        let file = paths.models().join("qwen.gguf");
        for (bytes, level) in
            [(&b"GG"[..], Level::Fail), (b"PK\x03\x04", Level::Fail), (b"GGUF\x03", Level::Ok)]
        {
            fs::write(&file, bytes).unwrap();
            assert_eq!(model(&paths, "qwen", None).level, level);
        }
    }

    #[test]
    fn the_desktop_is_told_as_the_daemon_has_it() {
        let on = DesktopConfig::default();
        let off = DesktopConfig { dbus: false, ..on.clone() };
        assert!(desktop(&off, None).found.contains("off") && desktop(&on, None).level == Level::Ok);
        let running = |state: &str| {
            let mut status: Status = serde_json::from_value(serde_json::json!({
                "version": "1", "pid": 1, "uptime_s": 1, "rss_bytes": 1, "workers": [], "adapter": null,
                "model": {"name": "ember", "loaded": false, "context": null},
                "index": {"documents": 0, "bytes": 0, "pending": 0, "failed": [], "watched_dirs": 0, "roots": []},
                "learning": null
            }))
            .unwrap();
            (status.desktop.state, status.desktop.says) = (state.into(), "what the\nbus says".into());
            status
        };
        for (state, level) in [
            ("serving", Level::Ok),
            ("no_bus", Level::Ok),
            ("taken", Level::Warn),
            ("refused", Level::Warn),
            ("lost", Level::Warn),
        ] {
            let check = desktop(&on, Some(&running(state)));
            assert_eq!((check.level, check.found.as_str()), (level, "what the bus says"), "{state}");
        }
        assert_eq!(desktop(&on, Some(&running("off"))).level, Level::Warn);
        assert_eq!(desktop(&off, Some(&running("off"))).level, Level::Ok);
    }

    #[test]
    fn little_disk_warns_before_it_fails() {
        let levels =
            [0, 99_999_999, 100_000_000, 5_000_000_000].map(|free| disk_of(free, Path::new("/d")).level);
        assert_eq!(levels, [Level::Fail, Level::Fail, Level::Warn, Level::Ok]);
        assert_ne!(disk(Path::new("/no/such/folder")).found, "");
    }

    #[test]
    fn folders_and_sockets_must_be_private() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        assert_eq!(folder("f", &paths.runtime).level, Level::Ok);
        paths.create().unwrap();
        assert_eq!(folder("f", &paths.runtime).level, Level::Ok);
        fs::set_permissions(&paths.runtime, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(folder("f", &paths.runtime).level, Level::Warn);
        fs::write(paths.socket(), "").unwrap();
        assert_eq!(folder("f", &paths.socket()).level, Level::Fail);
        assert_eq!(socket(&paths).level, Level::Fail);
    }
}
