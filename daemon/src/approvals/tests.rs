//! Deciding, running out of time, withdrawing, and the bound on how many wait.

use super::*;
use crate::types::Origin;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(1000);

fn approvals() -> (TempDir, Approvals) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("familiar.db")).unwrap();
    (folder, Approvals::new(store))
}

fn request(bytes: &[u8]) -> Request {
    Request {
        plugin: "web-fetch".into(),
        digest: "d1".into(),
        tool: "fetch".into(),
        session: "s".into(),
        subject: Subject::Action {
            target: Target::Egress { method: "GET".into(), host: "example.org".into(), credential: None },
            action: "send a request to example.org".into(),
            reason: "text that others may have written led to this".into(),
            bytes: bytes.to_vec(),
        },
        label: Label::from(Origin::File, "/notes/a.md"),
    }
}

/// The next list that is not empty.
async fn listed(approvals: &Approvals) -> Vec<Approval> {
    let mut changes = approvals.changes();
    loop {
        changes.borrow_and_update();
        let pending = approvals.pending();
        if !pending.is_empty() {
            return pending;
        }
        changes.changed().await.unwrap();
    }
}

fn yes(always: bool) -> DecideRequest {
    DecideRequest { allow: true, always, choice: None }
}

#[tokio::test]
async fn what_is_asked_is_shown_whole_and_decided_once() {
    let (_folder, approvals) = approvals();
    let (decided, ()) = tokio::join!(approvals.ask(request(b"GET https://example.org/?q=1"), LONG), async {
        let shown = listed(&approvals).await.remove(0);
        assert_eq!(shown.content.as_deref(), Some("GET https://example.org/?q=1"));
        assert_eq!((shown.kind.as_str(), shown.destination.as_str()), ("egress", "GET example.org"));
        assert_eq!(shown.sources, ["/notes/a.md"]);
        assert!(shown.untrusted && shown.private && shown.always && shown.expires > shown.asked);
        assert!(matches!(approvals.decide("nope", &yes(false)).await, Err(ApprovalsError::NotFound(_))));
        approvals.decide(&shown.id, &yes(false)).await.unwrap();
        assert!(matches!(approvals.decide(&shown.id, &yes(false)).await, Err(ApprovalsError::NotFound(_))));
    });
    assert_eq!(decided, Decision::Allow { always: false });
    assert!(approvals.pending().is_empty() && approvals.rules().await.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_in_hex() {
    let (_folder, approvals) = approvals();
    let asking = approvals.ask(request(&[0, 255, 16]), LONG);
    tokio::select! {
        _ = asking => panic!("nobody decided"),
        shown = listed(&approvals) => {
            assert_eq!((shown[0].content.as_deref(), shown[0].content_hex.as_deref()), (None, Some("00ff10")));
        }
    }
}

#[tokio::test]
async fn always_makes_a_rule_for_exactly_this_and_it_can_be_taken_back() {
    let (_folder, approvals) = approvals();
    for _ in 0..2 {
        let (decided, ()) = tokio::join!(approvals.ask(request(b"x"), LONG), async {
            let id = listed(&approvals).await.remove(0).id;
            approvals.decide(&id, &yes(true)).await.unwrap();
        });
        assert_eq!(decided, Decision::Allow { always: true });
    }
    let rules = approvals.rules().await.unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!((rules[0].kind.as_str(), rules[0].destination.as_str()), ("egress", "GET example.org"));
    assert_eq!(approvals.rules_of("d1").await.unwrap().len(), 1);
    assert!(approvals.rules_of("d2").await.unwrap().is_empty());
    approvals.remove_rule(rules[0].id).await.unwrap();
    assert!(approvals.rules().await.unwrap().is_empty());
    assert!(matches!(approvals.remove_rule(rules[0].id).await, Err(ApprovalsError::NoRule(_))));
}

#[tokio::test]
async fn what_nobody_answers_is_a_no() {
    let (_folder, approvals) = approvals();
    assert_eq!(approvals.ask(request(b"x"), Duration::ZERO).await, Decision::Unanswered);
    assert!(approvals.pending().is_empty());
}

#[tokio::test]
async fn a_call_that_is_given_up_withdraws_its_request() {
    let (_folder, approvals) = approvals();
    let mut asking = Box::pin(approvals.ask(request(b"x"), LONG));
    assert!(futures::poll!(asking.as_mut()).is_pending());
    let id = approvals.pending().remove(0).id;
    drop(asking);
    assert!(approvals.pending().is_empty());
    assert!(matches!(approvals.decide(&id, &yes(true)).await, Err(ApprovalsError::NotFound(_))));
}

#[tokio::test]
async fn only_so_many_wait() {
    let (_folder, approvals) = approvals();
    let mut asking: Vec<_> =
        (0..MOST_WAITING).map(|_| Box::pin(approvals.ask(request(b"x"), LONG))).collect();
    for ask in &mut asking {
        assert!(futures::poll!(ask.as_mut()).is_pending());
    }
    assert!(matches!(approvals.ask(request(b"y"), LONG).await, Decision::Deny(_)));
    assert_eq!(approvals.pending().len(), MOST_WAITING);
}

#[tokio::test]
async fn a_question_is_answered_with_one_of_its_options() {
    let (_folder, approvals) = approvals();
    let options = vec!["red".to_string(), "green".into()];
    let subject = Subject::Question { question: "Which?".into(), options };
    let (decided, ()) = tokio::join!(approvals.ask(Request { subject, ..request(b"") }, LONG), async {
        let id = listed(&approvals).await.remove(0).id;
        let choose = |choice| DecideRequest { allow: true, always: false, choice };
        assert!(matches!(approvals.decide(&id, &yes(true)).await, Err(ApprovalsError::NotAlways)));
        assert!(matches!(approvals.decide(&id, &choose(None)).await, Err(ApprovalsError::NoOption(0))));
        assert!(matches!(approvals.decide(&id, &choose(Some(2))).await, Err(ApprovalsError::NoOption(2))));
        approvals.decide(&id, &choose(Some(1))).await.unwrap();
    });
    assert_eq!(decided, Decision::Chosen(1));
}
