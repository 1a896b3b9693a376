//! The store over real files: what comes back, what is refused, and what a kill leaves.

use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("familiar.db");
    (folder, path)
}

fn turn(question: &str) -> Turn {
    let mut call = Message::new(Role::Assistant, "");
    call.tool_calls.push(ToolCall { id: "1".into(), name: "read_file".into(), arguments: "{}".into() });
    let mut result = Message::new(Role::Tool, "the lamp is green");
    result.tool_call_id = Some("1".into());
    let citation = Citation {
        n: 1,
        path: "/home/me/lamp.md".into(),
        start: 3,
        end: 9,
        line: 1,
        page: None,
        hash: "00".into(),
        quote: "green".into(),
        stale: false,
    };
    Turn {
        question: question.into(),
        steps: vec![call, result],
        answer: "It is green [1].".into(),
        citations: vec![citation],
        model: "ember".into(),
        adapter: None,
        usage: Usage { prompt_tokens: 9, cached_tokens: 2, completion_tokens: 5 },
        label: Label::from(Origin::File, "/home/me/lamp.md"),
    }
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    assert_eq!(store.messages(&id).await.unwrap(), Some(vec![]));
    store.append_turn(&id, &turn("What colour is the lamp?")).await.unwrap();
    store.append_turn(&id, &turn("And now?")).await.unwrap();
    drop(store);

    let store = Store::open(&path).unwrap();
    let history = store.history(&id).await.unwrap().unwrap();
    assert_eq!(history.len(), 8);
    let expected = turn("What colour is the lamp?");
    assert_eq!(history[0].message, Message::new(Role::User, expected.question));
    assert_eq!([history[1].message.clone(), history[2].message.clone()], expected.steps[..]);
    assert_eq!(history[3].message.content, expected.answer);
    assert_eq!(history[3].citations, expected.citations);
    assert_eq!(history[3].model.as_deref(), Some("ember"));
    assert_eq!((history[2].citations.len(), history[2].model.as_ref()), (0, None));
    let sessions = store.sessions().await.unwrap();
    assert_eq!((sessions[0].first_question.as_str(), sessions[0].turns), ("What colour is the lamp?", 2));
}

#[tokio::test]
async fn ids_are_short_and_different() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(store.create_session().await.unwrap());
    }
    assert!(ids.iter().all(|id| id.len() == 13 && id.bytes().all(|b| b.is_ascii_alphanumeric())));
    let listed: Vec<String> = store.sessions().await.unwrap().into_iter().map(|session| session.id).collect();
    ids.reverse();
    assert_eq!(listed, ids);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn what_is_deleted_leaves_the_file() {
    let (folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    store.append_turn(&id, &turn("Where is the Zanzibar key?")).await.unwrap();
    assert!(store.delete_session(&id).await.unwrap());
    assert!(!store.delete_session(&id).await.unwrap());
    assert_eq!(store.messages(&id).await.unwrap(), None);
    assert!(matches!(store.append_turn(&id, &turn("?")).await, Err(StoreError::NoSession(_))));
    for file in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"Zanzibar"));
    }
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let (folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.create_session().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = folder.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in std::fs::read_dir(&data).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn damaged_and_newer_files_are_refused_by_name() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "certainly not a database, though long enough to have a header ".repeat(40))
        .unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()));

    std::fs::remove_file(&path).unwrap();
    let store = Store::open(&path).unwrap();
    for _ in 0..400 {
        store.create_session().await.unwrap();
    }
    store.delete_session("none").await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");

    std::fs::remove_file(&path).unwrap();
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(folder.path()).err().unwrap();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    let error = Store::open(Path::new("/proc/familiar/familiar.db")).err().unwrap();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

/// SQLite's own limit on pages gives the same code as a full disk, at the same places.
#[tokio::test]
async fn a_full_disk_is_survived() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    store.append_turn(&id, &turn("Before?")).await.unwrap();
    let limit = |pages: i64| {
        store.shared.connection.lock().unwrap().pragma_update(None, "max_page_count", pages).unwrap_or(())
    };
    limit(1);
    let long = Turn { answer: "word ".repeat(50_000), ..turn("Too long?") };
    let error = store.append_turn(&id, &long).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert_eq!(store.messages(&id).await.unwrap().unwrap().len(), 4);
    limit(1 << 30);
    store.append_turn(&id, &long).await.unwrap();
    assert_eq!(store.messages(&id).await.unwrap().unwrap().len(), 8);
}

#[tokio::test]
async fn a_read_only_database_still_reads() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    store.shared.connection.lock().unwrap().pragma_update(None, "query_only", true).unwrap();
    let error = store.append_turn(&id, &turn("?")).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    assert_eq!(store.messages(&id).await.unwrap(), Some(vec![]));
}

/// A copy of the files while the database is open is what a kill would have left.
#[tokio::test]
async fn a_kill_loses_nothing_acknowledged() {
    let (folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    for n in 1..=20 {
        store.append_turn(&id, &turn("And?")).await.unwrap();
        let copy = folder.path().join(format!("copy{n}"));
        std::fs::create_dir(&copy).unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("familiar.db{suffix}");
            std::fs::copy(path.with_file_name(&name), copy.join(&name)).unwrap();
        }
        let left = Store::open(&copy.join("familiar.db")).unwrap();
        assert_eq!(left.messages(&id).await.unwrap().unwrap().len(), n * 4);
    }
}

#[tokio::test]
async fn a_sessions_label_is_the_join_of_its_turns_and_is_private() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    assert_eq!(store.label(&id).await.unwrap(), Label::owner());
    store.append_turn(&id, &Turn { label: Label::owner(), ..turn("Hello?") }).await.unwrap();
    let label = store.label(&id).await.unwrap();
    assert!(label.private && !label.untrusted);
    store.append_turn(&id, &turn("And the lamp?")).await.unwrap();
    let label = store.label(&id).await.unwrap();
    assert!(label.private && label.untrusted && label.sources.contains("/home/me/lamp.md"));
}

#[tokio::test]
async fn turns_from_before_labels_are_trusted_with_nothing() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let id = store.create_session().await.unwrap();
    store.append_turn(&id, &turn("?")).await.unwrap();
    store.shared.connection.lock().unwrap().execute("UPDATE turns SET label = NULL", []).unwrap();
    let label = store.label(&id).await.unwrap();
    assert!(label.private && label.untrusted);
}
