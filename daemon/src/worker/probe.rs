//! What a break-out would begin with, tried from inside a worker: tests and `doctor` ask for it, and
//! every attempt must be refused. Nothing here does harm where it succeeds.

use crate::protocol::frames::Attempt;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

/// Tries each thing once. `folder` is the one that this worker may write in, if there is one.
pub fn attempts(folder: Option<&Path>) -> Vec<Attempt> {
    let scratch = format!("/tmp/familiar-probe-{}", std::process::id());
    let attempts = [
        ("read /etc/passwd", std::fs::read("/etc/passwd").is_ok()),
        ("list /", std::fs::read_dir("/").is_ok()),
        ("list /home", std::fs::read_dir("/home").is_ok()),
        ("read the environment of another process", std::fs::read("/proc/1/environ").is_ok()),
        ("write a file in /tmp", write(Path::new(&scratch))),
        ("listen on TCP", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("connect by TCP", TcpStream::connect("127.0.0.1:1").err().is_none_or(reached_network)),
        ("open a UDP socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("open a unix socket", UnixDatagram::unbound().is_ok() || UnixStream::pair().is_ok()),
        ("run a program", run("/bin/true")),
        ("signal another process", signal_parent()),
    ];
    let beyond = folder.map(beyond).into_iter().flatten();
    let all = attempts.into_iter().chain(beyond);
    all.map(|(what, managed)| Attempt { what: what.into(), refused: !managed }).collect()
}

/// What leads out of a folder that may be written, or makes more of it than files.
fn beyond(folder: &Path) -> [(&'static str, bool); 6] {
    let link = folder.join("familiar-probe");
    let linked = std::os::unix::fs::symlink("/etc/passwd", &link).is_ok();
    let made = std::fs::create_dir(&link).is_ok();
    let outside = folder.with_file_name(format!("familiar-probe-{}", std::process::id()));
    let moved = std::fs::write(&link, "x").is_ok() && std::fs::rename(&link, &outside).is_ok();
    let attempts = [
        ("write beside its folder", write(&outside)),
        ("link out of its folder", linked),
        ("make a folder in its folder", made),
        ("move a file out of its folder", moved),
        ("make a file of its folder a program", executable(&link)),
        ("make a program in its folder", program(&folder.join("familiar-probe-program"))),
    ];
    // Written above, which is allowed.
    let _ = std::fs::remove_file(&link);
    attempts
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o700)).is_ok()
}

fn program(file: &Path) -> bool {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o777).open(file);
    let runs =
        made.and_then(|made| made.metadata()).is_ok_and(|found| found.permissions().mode() & 0o177 != 0);
    let _ = std::fs::remove_file(file);
    runs
}

fn write(path: &Path) -> bool {
    let written = std::fs::write(path, "x").is_ok();
    if written {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// A connection that the other side refused was one all the same.
fn reached_network(error: std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionRefused
}

fn run(program: &str) -> bool {
    match std::process::Command::new(program).spawn() {
        Ok(mut child) => child.wait().is_ok(),
        Err(_) => false,
    }
}

fn signal_parent() -> bool {
    rustix::process::getppid().is_some_and(|parent| rustix::process::test_kill_process(parent).is_ok())
}
