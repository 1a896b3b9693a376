use super::*;
use crate::api::socket::{admits, owner};
use std::os::unix::fs::PermissionsExt;

#[test]
fn only_the_owner_is_admitted() {
    assert!(admits(1000, Some(1000)));
    for peer in [Some(0), Some(1001), None] {
        assert!(!admits(1000, peer), "{peer:?}");
    }
    assert!(!admits(0, Some(1000)));
}

#[tokio::test]
async fn another_user_is_closed_before_a_byte_is_read() {
    let server = Server::start(Limits { owner: owner() + 1, ..Limits::default() }).await;
    let mut stream = server.connect().await;
    // The server may have closed already, which is fine, too.
    let _ = stream.write_all(b"GET /familiar/v1/status HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(Reply::read(stream).await.status, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_socket_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(&folder);
    let _bound = bind(&paths).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(paths.runtime.clone()), mode(paths.socket())), (0o700, 0o600));
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_a_dead_ones_socket_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let paths = paths(&folder);
    let bound = bind(&paths).unwrap();
    assert!(matches!(bind(&paths), Err(ApiError::AlreadyRunning(_))));
    drop(bound);
    assert!(paths.socket().exists());
    let bound = bind(&paths).unwrap();
    drop(bound);
    // One that listens without holding the lock is a living one all the same.
    std::fs::remove_file(paths.socket()).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(paths.socket()).unwrap();
    assert!(matches!(bind(&paths), Err(ApiError::AlreadyRunning(_))));
}

#[tokio::test]
async fn a_place_that_cannot_hold_the_socket_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut long = paths(&folder);
    long.runtime = folder.path().join("x".repeat(120));
    assert!(bind(&long).err().unwrap().to_string().contains("bytes long"));
    assert!(!long.runtime.exists());

    let paths = paths(&folder);
    std::fs::create_dir(&paths.runtime).unwrap();
    std::fs::set_permissions(&paths.runtime, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(bind(&paths), Err(ApiError::OpenFolder { mode: 0o755, .. })));
    std::fs::set_permissions(&paths.runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(paths.socket(), "mine").unwrap();
    assert!(matches!(bind(&paths), Err(ApiError::InTheWay(_))));
    assert_eq!(std::fs::read_to_string(paths.socket()).unwrap(), "mine");

    let mut file = paths.clone();
    file.runtime = paths.socket();
    assert!(bind(&file).is_err());
}
