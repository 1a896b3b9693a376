use super::turn::{Judged, Tool};
use super::*;
use crate::protocol::approvals::ProgressReport;
use crate::protocol::http::{AskResponse, ErrorBody, ErrorCode, SessionMessage, ToolCallReport};
use crate::types::{Citation, Message as Said, Role, Timings, ToolCall, Usage};
use crossterm::event::{KeyCode, KeyModifiers};
use serde_json::json;

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(letter: char) -> Event {
    Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

fn state() -> State {
    State { size: (80, 24), now: 1000, ..State::default() }
}

impl State {
    fn type_in(&mut self, text: &str) -> Vec<Effect> {
        text.chars().flat_map(|letter| self.update(key(KeyCode::Char(letter)))).collect()
    }

    /// Types a line and Enter.
    fn enter(&mut self, text: &str) -> Vec<Effect> {
        self.type_in(text);
        self.update(key(KeyCode::Enter))
    }

    /// Asks, and is answered.
    fn talk(&mut self, question: &str) -> u64 {
        self.enter(question);
        let entry = self.answering().unwrap();
        self.update(Event::Answer(entry, AskEvent::Done(Box::new(answer()))));
        entry
    }

    fn last(&self) -> &Turn {
        self.turns().next().unwrap().1
    }

    fn says(&self) -> &str {
        self.message.as_ref().map_or("", |message| &message.text)
    }
}

pub fn citation(n: u32) -> Citation {
    Citation {
        n,
        path: "/home/me/notes/house.md".into(),
        start: 0,
        end: 10,
        line: 3,
        page: None,
        hash: "00".into(),
        quote: "The spare key is under the blue flower pot.".into(),
        stale: false,
    }
}

pub fn answer() -> AskResponse {
    AskResponse {
        answer: "Under the **blue** pot [1].".into(),
        citations: vec![citation(1)],
        tool_calls: vec![],
        session: "s1".into(),
        model: "ember".into(),
        adapter: None,
        usage: Usage::default(),
        timings: Timings { ttft_ms: 120, total_ms: 900, tokens_per_s: 31.26 },
        left_out: vec![],
    }
}

pub fn approval(id: &str) -> Approval {
    Approval {
        id: id.into(),
        plugin: "web-fetch".into(),
        digest: "d".into(),
        tool: "fetch".into(),
        session: "s1".into(),
        kind: "egress".into(),
        action: "send 42 bytes to example.org".into(),
        reason: "text that others may have written led to this".into(),
        destination: "GET example.org".into(),
        content: Some("GET https://example.org/?q=key\x1b[2J\n\nbody".into()),
        content_hex: None,
        sources: vec!["/home/me/notes/mail.txt".into()],
        untrusted: true,
        private: true,
        always: true,
        options: Vec::new(),
        asked: 1000,
        expires: 1120,
    }
}

#[test]
fn a_question_that_came_with_the_command_waits_for_its_conversation_and_for_no_key() {
    let begin = |session: Option<&str>| {
        Event::Begin(Begin { session: session.map(Into::into), question: Some("where?".into()) })
    };
    let mut fresh = state();
    assert_eq!(
        fresh.update(begin(None)),
        [Effect::Ask { entry: 1, question: "where?".into(), session: None }]
    );
    let mut known = state();
    assert_eq!(known.update(begin(Some("s1"))), [Effect::Read("s1".into())]);
    let effects = known.update(Event::Read(stored_session()));
    assert!(matches!(&effects[..], [Effect::Ask { session: Some(id), .. }] if id == "s1"), "{effects:?}");
    // Where the owner goes on typing it is a draft like any other.
    let mut touched = state();
    touched.update(begin(Some("s1")));
    touched.type_in("!");
    assert!(touched.update(Event::Read(stored_session())).is_empty());
    assert_eq!(touched.input.text(), "where?!");
}

#[test]
fn a_question_is_asked_in_the_conversation_and_answered() {
    let mut state = state();
    let effects = state.enter("where?");
    assert_eq!(effects, [Effect::Ask { entry: 1, question: "where?".into(), session: None }]);
    assert!(state.input.is_empty());
    state.update(Event::Answer(1, AskEvent::Started { session: "s1".into(), passages: 2 }));
    state.update(Event::Answer(1, AskEvent::Text { text: "Under".into() }));
    assert_eq!((state.last().answer.as_str(), state.session.as_deref()), ("Under", Some("s1")));
    let effects = state.update(Event::Answer(1, AskEvent::Done(Box::new(answer()))));
    assert_eq!(effects, [Effect::List]);
    assert_eq!((state.last().phase.clone(), state.last().number), (Phase::Done, Some(1)));
    assert_eq!(state.last().by, "ember · 0.9 s · 31 tokens/s");
    let effects = state.enter("and then?");
    assert_eq!(effects, [Effect::Ask { entry: 2, question: "and then?".into(), session: Some("s1".into()) }]);
    // One at a time; what was typed stays.
    assert!(state.enter("and?").is_empty() && state.input.text() == "and?");
    assert!(state.says().contains("^C") || state.says().contains("Ctrl-C"));
}

#[test]
fn ctrl_c_stops_then_leaves_and_any_other_key_disarms_it() {
    let mut state = state();
    state.enter("where?");
    assert_eq!(state.update(control('c')), [Effect::Stop]);
    assert_eq!(state.last().phase, Phase::Stopped);
    // What still comes of it is not heard.
    state.update(Event::Answer(1, AskEvent::Text { text: "late".into() }));
    assert_eq!(state.last().answer, "");
    state.type_in("x");
    assert!(state.update(control('c')).is_empty() && state.input.is_empty());
    assert_eq!(state.update(control('c')), [Effect::Leave]);
    state.update(key(KeyCode::Up));
    assert_eq!(state.input.text(), "x");
    // Ctrl-D leaves where nothing is typed, and deletes elsewhere.
    assert!(state.update(control('d')).is_empty());
    state.update(control('u'));
    assert_eq!(state.update(control('d')), [Effect::Leave]);
}

#[test]
fn what_was_stopped_or_failed_is_asked_again_on_demand() {
    let mut state = state();
    state.enter("where?");
    let error = ErrorBody { code: ErrorCode::Busy, message: "the engine went away".into() };
    state.update(Event::Answer(1, AskEvent::Error(error)));
    assert_eq!(state.last().phase, Phase::Failed("the engine went away".into()));
    let effects = state.update(control('r'));
    assert_eq!(effects, [Effect::Ask { entry: 1, question: "where?".into(), session: None }]);
    assert_eq!(state.last().phase, Phase::Answering);
    state.update(Event::Answer(1, AskEvent::Done(Box::new(answer()))));
    assert!(state.update(control('r')).is_empty());
}

#[test]
fn a_lost_daemon_is_waited_for_and_the_question_is_asked_again_once() {
    let mut state = state();
    let up = || Event::Link(Link::Up(About::default()));
    state.update(up());
    state.enter("where?");
    let lose = |state: &mut State| {
        state.update(Event::Lost(1));
        state.update(Event::Link(Link::Down("gone".into())));
    };
    lose(&mut state);
    assert_eq!(state.last().phase, Phase::Lost);
    let effects = state.update(up());
    assert_eq!(effects[0], Effect::Ask { entry: 1, question: "where?".into(), session: None });
    // A question that ends the daemon does so twice, and no more.
    lose(&mut state);
    assert_eq!(state.update(up()), [Effect::List]);
    // Where a tool was called, asking again may do something again: that is the owner's to say.
    state.update(control('r'));
    let call = AskEvent::ToolCall { name: "notes__add".into(), arguments: json!({}) };
    state.update(Event::Answer(1, call));
    lose(&mut state);
    assert_eq!(state.update(up()), [Effect::List]);
    assert_eq!(state.says(), "The daemon is back.");
}

#[test]
fn nothing_typed_decides_before_the_owner_turned_to_the_request() {
    let mut state = state();
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(approval("k1")))));
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(approval("k1")))));
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(approval("k2")))));
    assert!(state.type_in("yan").is_empty());
    state.update(Event::Paste("y\n".into()));
    assert_eq!(state.approvals.len(), 2);
    state.update(key(KeyCode::Tab));
    assert!(state.type_in("q1").is_empty());
    let request = DecideRequest { allow: true, ..DecideRequest::default() };
    assert_eq!(state.type_in("y"), [Effect::Decide { id: "k1".into(), request }]);
    // The next one is turned to by itself.
    assert!(state.type_in("y").is_empty());
    state.update(key(KeyCode::Tab));
    assert_eq!(state.type_in("n"), [Effect::Decide { id: "k2".into(), request: DecideRequest::default() }]);
    // One that ends meanwhile takes its keys along.
    let asks = Approval { always: false, options: vec!["red".into(), "green".into()], ..approval("k3") };
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(asks))));
    state.update(key(KeyCode::Tab));
    assert!(state.type_in("ya03").is_empty());
    let request = DecideRequest { allow: true, always: false, choice: Some(1) };
    assert_eq!(state.type_in("2"), [Effect::Decide { id: "k3".into(), request }]);
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(approval("k4")))));
    state.update(key(KeyCode::Tab));
    state.update(Event::Owner(OwnerEvent::ApprovalEnded { id: "k4".into() }));
    assert!(state.type_in("y").is_empty() && state.focus == Focus::Input);
}

#[test]
fn answers_are_judged_and_put_right() {
    let mut state = state();
    assert!(state.enter("/good").is_empty() && state.says().contains("no answer yet"));
    let entry = state.talk("where?");
    let request = |kind, text: Option<&str>| {
        let text = text.map(String::from);
        Effect::Judge(entry, SignalRequest { session: "s1".into(), turn: Some(1), kind, text })
    };
    assert_eq!(state.enter("/good"), [request(SignalKind::Good, None)]);
    assert_eq!(state.enter("/edit in the shed"), [request(SignalKind::Edit, Some("in the shed"))]);
    state.update(key(KeyCode::Tab));
    assert_eq!(state.focus, Focus::Part(Part::Answer(entry)));
    assert_eq!(state.type_in("b"), [request(SignalKind::Bad, None)]);
    // Put right in the input; the draft comes back.
    state.update(key(KeyCode::Esc));
    state.type_in("draft");
    state.update(key(KeyCode::Tab));
    state.type_in("e");
    assert_eq!(state.input.text(), "Under the **blue** pot [1].");
    state.update(control('u'));
    assert_eq!(state.enter("In the shed."), [request(SignalKind::Edit, Some("In the shed."))]);
    assert_eq!(state.input.text(), "draft");
    let text = Some("In the shed.".to_owned());
    state.update(Event::Judged(entry, SignalKind::Edit, text, "Noted.".into()));
    assert_eq!(state.last().judged, Some(Judged::Edit("In the shed.".into())));
}

#[test]
fn sources_are_pointed_at_and_opened() {
    let mut state = state();
    state.update(key(KeyCode::Tab));
    assert_eq!(state.focus, Focus::Input);
    let entry = state.talk("where?");
    state.update(key(KeyCode::Tab));
    state.update(key(KeyCode::Up));
    assert_eq!(state.focus, Focus::Part(Part::Citation(entry, 0)));
    let open = [Effect::Open { path: "/home/me/notes/house.md".into(), line: 3 }];
    assert_eq!(state.update(key(KeyCode::Enter)), open);
    state.update(key(KeyCode::Esc));
    let alt = |digit| Event::Key(KeyEvent::new(KeyCode::Char(digit), KeyModifiers::ALT));
    assert_eq!(state.update(alt('1')), open);
    assert!(state.update(alt('2')).is_empty() && state.says().contains("[2]"));
}

#[test]
fn calls_are_folded_and_unfold_with_what_they_gave() {
    let mut state = state();
    state.enter("sum?");
    let call = AskEvent::ToolCall { name: "add".into(), arguments: json!({"a": 1}) };
    state.update(Event::Answer(1, call));
    let report = ProgressReport {
        plugin: "p".into(),
        session: String::new(),
        done: 1,
        total: 4,
        message: "adding".into(),
    };
    state.update(Event::Answer(1, AskEvent::Progress(report)));
    assert_eq!(state.last().tools[0].progress.as_deref(), Some("1/4 adding"));
    let tool_calls =
        vec![ToolCallReport { name: "add".into(), arguments: json!({"a": 1}), status: "ok".into() }];
    let done = AskResponse { tool_calls, ..answer() };
    let effects = state.update(Event::Answer(1, AskEvent::Done(Box::new(done))));
    assert_eq!(effects, [Effect::Results("s1".into()), Effect::List]);
    state.update(Event::Results(stored_session()));
    assert_eq!(state.last().tools[0].result.as_deref(), Some("4"));
    state.update(key(KeyCode::Tab));
    (0..9).for_each(|_| drop(state.update(key(KeyCode::Up))));
    assert_eq!(state.focus, Focus::Part(Part::Tool(1, 0)));
    state.update(key(KeyCode::Enter));
    assert!(state.last().tools[0].open);
}

/// One turn with a call of a tool.
fn stored_session() -> SessionDetail {
    let call = ToolCall { id: "c".into(), name: "add".into(), arguments: r#"{"a": 1}"#.into() };
    let messages = vec![
        Said::new(Role::User, "sum?"),
        Said { tool_calls: vec![call], ..Said::new(Role::Assistant, "") },
        Said::new(Role::Tool, "4"),
        Said::new(Role::Assistant, "It is 4."),
    ];
    let stored = |message| SessionMessage { message, at: 0, citations: vec![], model: Some("ember".into()) };
    SessionDetail { id: "s1".into(), messages: messages.into_iter().map(stored).collect() }
}

fn summary(id: &str, turns: u64) -> SessionSummary {
    SessionSummary {
        id: id.into(),
        first_question: format!("question of {id}"),
        created: 0,
        updated: 900,
        turns,
    }
}

#[test]
fn conversations_are_listed_opened_and_begun() {
    let mut state = state();
    state.update(Event::Listed(vec![summary("s2", 1), summary("s0", 0), summary("s1", 1)]));
    assert!(!state.sessions_shown());
    state.update(control('o'));
    assert!(state.sessions_shown() && state.focus == Focus::Sessions);
    state.update(key(KeyCode::Down));
    state.update(key(KeyCode::Down));
    assert_eq!(state.update(key(KeyCode::Enter)), [Effect::Read("s1".into())]);
    assert!(!state.sessions_shown(), "on a narrow screen it makes room");
    state.update(Event::Read(stored_session()));
    let tool =
        Tool { name: "add".into(), arguments: json!({"a": 1}), result: Some("4".into()), ..Tool::default() };
    assert_eq!((state.last().answer.as_str(), &state.last().tools[0]), ("It is 4.", &tool));
    // What was asked there is in the past, and it goes on there.
    state.update(key(KeyCode::Up));
    let effects = state.update(key(KeyCode::Enter));
    assert!(
        matches!(&effects[..], [Effect::Ask { question, session: Some(id), .. }] if question == "sum?" && id == "s1")
    );
    state.update(control('c'));
    state.enter("/new");
    assert!(state.entries.is_empty() && state.session.is_none());
    state.update(Event::Resized(200, 50));
    assert!(state.sessions_shown(), "on a wide one it is there");
}

#[test]
fn forgetting_needs_a_yes_of_its_own() {
    let mut state = state();
    assert!(state.enter("/forget").is_empty() && state.overlay.is_none());
    state.talk("where?");
    state.enter("/forget");
    assert!(state.update(key(KeyCode::Enter)).is_empty() && state.overlay.is_none());
    state.enter("/forget");
    assert_eq!(state.type_in("y"), [Effect::Forget("s1".into())]);
    state.update(Event::Forgotten("Forgotten: it.".into()));
    assert!(state.session.is_none() && state.turns().next().is_none());
}

#[test]
fn consent_is_asked_once_more_when_left_and_every_enter_is_a_no() {
    let mut state = state();
    state.update(Event::ConsentDue);
    state.update(Event::Paste("y\n".into()));
    state.type_in("y");
    assert!(state.update(key(KeyCode::Esc)).is_empty() && state.overlay.is_none());
    state.update(Event::ConsentDue);
    state.update(key(KeyCode::Enter));
    state.type_in("xy");
    let effects = state.enter(" /home/me/diary ");
    let folder = Some("/home/me/diary".into());
    assert_eq!(effects, [Effect::Consent(Answers { sources: vec!["corrections".into()], folder })]);
    state.update(Event::ConsentDue);
    (0..2).for_each(|_| drop(state.update(key(KeyCode::Enter))));
    assert_eq!(state.enter("no"), [Effect::Consent(Answers::default())]);
}

#[test]
fn what_the_daemon_would_refuse_for_its_length_is_refused_before() {
    let mut state = state();
    state.update(Event::Paste("x".repeat(2 << 20)));
    assert!(state.input.is_empty() && state.says().contains("1.0 MB is the most"), "{}", state.says());
    // What is short in the input may be long to send.
    state.update(Event::Paste("\u{1}".repeat(400_000)));
    assert!(state.update(key(KeyCode::Enter)).is_empty());
    assert!(state.says().contains("2.4 MB") && !state.input.is_empty(), "{}", state.says());
    state.update(control('u'));
    state.update(Event::Paste("line\n".repeat(10_000)));
    let effects = state.update(key(KeyCode::Enter));
    assert!(matches!(&effects[..], [Effect::Ask { question, .. }] if question.lines().count() == 10_000));
}

#[test]
fn scrolling_stays_within_the_conversation_and_follows_at_its_end() {
    let mut state = state();
    let drawn = |top| Event::Drawn(Drawn { rows: 100, height: 20, top, ..Drawn::default() });
    state.update(drawn(80));
    state.update(Event::Wheel(-3));
    assert_eq!(state.scroll, Scroll::From(77));
    state.update(key(KeyCode::PageUp));
    assert_eq!(state.scroll, Scroll::From(59));
    (0..9).for_each(|_| drop(state.update(key(KeyCode::PageUp))));
    assert_eq!(state.scroll, Scroll::From(0));
    state.update(Event::Wheel(1000));
    assert_eq!(state.scroll, Scroll::Follow);
}
