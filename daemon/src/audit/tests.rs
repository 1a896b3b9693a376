//! The log over real files: what is written, what a crash leaves, and that no tampering goes unseen.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn entry(n: usize) -> Entry {
    Entry::Egress {
        plugin: "web-fetch".into(),
        tool: "fetch".into(),
        method: "GET".into(),
        host: format!("host{n}.test"),
        request: Trace::of(format!("body {n}")),
        allowed: "once".into(),
    }
}

async fn opened(folder: &TempDir) -> Audit {
    let store = Store::open(&folder.path().join("familiar.db")).unwrap();
    Audit::open(&folder.path().join("audit.jsonl"), store).await.unwrap()
}

async fn with_lines(folder: &TempDir, count: usize) -> Audit {
    let audit = opened(folder).await;
    for n in 0..count {
        audit.append(entry(n)).await.unwrap();
    }
    audit
}

fn log(folder: &TempDir) -> Vec<u8> {
    std::fs::read(folder.path().join("audit.jsonl")).unwrap()
}

#[tokio::test]
async fn what_was_written_is_whole_after_a_restart_and_private_to_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    drop(with_lines(&folder, 3).await);
    let audit = with_lines(&folder, 2).await;
    assert_eq!(audit.verify().await.unwrap(), Verdict { lines: 5, findings: vec![] });
    let last = audit.last(2).await.unwrap();
    assert_eq!((last.len(), &last[1]["n"], &last[1]["event"]), (2, &5.into(), &"egress".into()));
    assert_eq!(last[1]["request"]["bytes"], 6);
    let mode = std::fs::metadata(folder.path().join("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_line_torn_by_a_crash_is_marked_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(with_lines(&folder, 3).await);
    let names = ["audit.jsonl", "familiar.db"];
    let [three, known] = names.map(|name| std::fs::read(folder.path().join(name)).unwrap());
    drop(with_lines(&folder, 1).await);
    let line = log(&folder)[three.len()..].to_vec();
    // The head is not noted before the line is whole, so a crash never leaves it ahead.
    let cuts = [(1, "torn"), (line.len() / 2, "torn"), (line.len() - 2, "torn"), (line.len() - 1, "egress")];
    for (cut, event) in cuts {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("familiar.db"), &known).unwrap();
        std::fs::write(folder.path().join("audit.jsonl"), [&three, &line[..cut]].concat()).unwrap();
        let audit = with_lines(&folder, 2).await;
        assert_eq!(audit.verify().await.unwrap(), Verdict { lines: 6, findings: vec![] }, "cut at {cut}");
        assert_eq!(audit.last(3).await.unwrap()[0]["event"], event);
        drop(audit);
        assert!(opened(&folder).await.verify().await.unwrap().findings.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_go_away_leave_the_chain_whole() {
    let folder = tempfile::tempdir().unwrap();
    let audit = opened(&folder).await;
    for n in 0..200 {
        // Begun and dropped; the next one comes while its line is being written.
        tokio::select! { biased; _ = audit.append(entry(n)) => {} () = std::future::ready(()) => {} }
        audit.append(entry(n)).await.unwrap();
    }
    assert_eq!(audit.verify().await.unwrap().findings, [""; 0]);
}

#[tokio::test]
async fn a_cut_tail_and_a_lost_file_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let audit = with_lines(&folder, 5).await;
    let whole = log(&folder);
    let third = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0 + 1;
    for (kept, says) in
        [(third, "lines 4 to 5 are missing at the end"), (0, "lines 1 to 5 are missing at the end")]
    {
        std::fs::write(folder.path().join("audit.jsonl"), &whole[..kept]).unwrap();
        assert_eq!(audit.verify().await.unwrap().findings, [says]);
    }
}

#[tokio::test]
async fn a_log_made_anew_to_fit_is_found_by_its_end() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let audit = with_lines(&folder, 4).await;
    let forged = opened(&other).await;
    for n in [0, 1, 7, 3] {
        forged.append(entry(n)).await.unwrap();
    }
    std::fs::write(folder.path().join("audit.jsonl"), log(&other)).unwrap();
    let findings = audit.verify().await.unwrap().findings;
    assert!(findings[0].contains("line 4 is not the one that was written"), "{findings:?}");
}

#[tokio::test]
async fn the_line_that_was_changed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    with_lines(&folder, 5).await;
    let text = String::from_utf8(log(&folder)).unwrap();
    let changed = text.replace("host2.test", "host9.test");
    assert_eq!(verify(changed.as_bytes(), None).findings, ["line 3 was changed"]);
    let lines: Vec<&str> = text.lines().collect();
    let joined = |order: &[usize]| {
        let lines: Vec<&str> = order.iter().map(|n| lines[*n]).collect();
        format!("{}\n", lines.join("\n"))
    };
    assert_eq!(verify(joined(&[0, 1, 3, 4]).as_bytes(), None).findings, ["line 3 is missing"]);
    let swapped = verify(joined(&[0, 2, 1, 3, 4]).as_bytes(), None).findings;
    assert!(swapped.contains(&"line 2 stands in the wrong place".to_string()), "{swapped:?}");
    let doubled = verify(joined(&[0, 1, 1, 2, 3, 4]).as_bytes(), None).findings;
    assert!(doubled.contains(&"line 2 stands in the wrong place".to_string()), "{doubled:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("familiar.db")).unwrap();
    let error = Audit::open(folder.path(), store).await.err().unwrap();
    assert!(matches!(error, AuditError::File { .. }), "{error}");
}

/// Any one change to a log of some lines: a flipped bit anywhere, a line gone, two lines swapped, one twice.
#[test]
fn no_tampering_goes_unseen() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let head = runtime.block_on(async {
        let audit = with_lines(&folder, 12).await;
        audit.store.audit_head().await.unwrap().unwrap()
    });
    let whole = log(&folder);
    assert!(verify(&whole, Some(&head)).findings.is_empty());
    let lines: Vec<Vec<u8>> = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let tampered = (0..4u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8u8).prop_map(
        |(kind, a, b, bit)| {
            let mut lines = lines.clone();
            match kind {
                0 => {
                    let mut whole = whole.clone();
                    let place = a.index(whole.len());
                    whole[place] ^= 1 << bit;
                    return whole;
                }
                1 => drop(lines.remove(a.index(lines.len()))),
                2 => lines.swap(a.index(12), b.index(12)),
                _ => lines.insert(b.index(13), lines[a.index(12)].clone()),
            }
            lines.concat()
        },
    );
    let cases = Config { cases: 3000, ..Config::default() };
    TestRunner::new(cases)
        .run(&tampered, |tampered| {
            let found = verify(&tampered, Some(&head)).findings;
            prop_assert_eq!(found.is_empty(), tampered == whole, "{:?}", found);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        verify(&bytes, None);
        Tail::of(&bytes);
    }
}
