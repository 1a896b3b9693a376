use super::*;
use crate::cli::chat::core::turn::{Entry, Kind, Phase, Tool, Turn};
use crate::cli::chat::core::{About, Editor, Event, Link, Message, Overlay};
use crate::cli::output::harmless;
use crate::protocol::approvals::{Approval, OwnerEvent};
use crate::protocol::http::SessionSummary;
use crate::types::Citation;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

fn drawn(state: &State) -> String {
    let mut terminal = Terminal::new(TestBackend::new(state.size.0, state.size.1)).unwrap();
    let mut view = View::new(Theme { colour: true });
    terminal.draw(|frame| _ = view.draw(state, frame)).unwrap();
    let cells = &terminal.backend().buffer().content;
    let rows = cells.chunks(state.size.0.into()).map(|row| {
        let (mut text, mut column) = (String::new(), 0);
        while let Some(cell) = row.get(column) {
            text.push_str(cell.symbol());
            // A wide letter covers the cell after it.
            column += cell.symbol().width().max(1);
        }
        format!("{}\n", text.trim_end())
    });
    rows.collect()
}

fn check(state: &State, expected: &Expect) {
    expected.assert_eq(&drawn(state));
}

fn citation(n: u32, path: &str) -> Citation {
    Citation {
        n,
        path: path.into(),
        start: 0,
        end: 10,
        line: 12,
        page: None,
        hash: "00".into(),
        quote: "The spare key is under the blue flower pot, on the left of the door.".into(),
        stale: false,
    }
}

fn turn() -> Turn {
    Turn {
        number: Some(1),
        question: "Where is the spare key?".into(),
        tools: vec![Tool {
            name: "search_files".into(),
            arguments: json!({"query": "spare key"}),
            status: Some("ok".into()),
            result: Some("1 hit".into()),
            ..Tool::default()
        }],
        answer: "It is **under the blue pot** [1]:\n\n- left of the door\n- *not* in the shed [2]\n".into(),
        citations: vec![
            citation(1, "/home/me/notes/house.md"),
            Citation {
                stale: true,
                page: Some(3),
                ..citation(2, "/home/me/a/very/long/path/that/leads/to/shed.pdf")
            },
        ],
        by: "ember · 0.9 s · 31 tokens/s".into(),
        phase: Phase::Done,
        ..Turn::default()
    }
}

fn entries(turns: Vec<Turn>) -> Vec<Entry> {
    let entry = |(id, turn)| Entry { id, revision: 0, kind: Kind::Turn(Box::new(turn)) };
    (1..).zip(turns).map(entry).collect()
}

fn state(size: (u16, u16), turns: Vec<Turn>) -> State {
    let about = About { model: "ember".into(), adapter: None, documents: 3 };
    State {
        size,
        now: 1000,
        home: Some("/home/me".into()),
        data: "/home/me/.local/share/familiar".into(),
        link: Link::Up(about),
        session: Some("s1".into()),
        entries: entries(turns),
        ..State::default()
    }
}

fn listed(state: &mut State) {
    let summary = |id: &str, question: &str, updated| SessionSummary {
        id: id.into(),
        first_question: question.into(),
        created: 0,
        updated,
        turns: 1,
    };
    let list = vec![
        summary("s1", "Where is the spare key?", 990),
        summary("s2", "When is the rent due, and to which account does it go?", -8000),
    ];
    state.update(Event::Listed(list));
}

#[test]
fn a_conversation_at_80x24() {
    check(
        &state((80, 24), vec![turn()]),
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────── ember ─
         › Where is the spare key?

           ▸ search_files {"query":"spare key"} ✓

           It is under the blue pot [1]:

           • left of the door
           • not in the shed [2]

           [1] ~/notes/house.md:12  “The spare key is under the blue flower pot, on t…”
           [2] ~/a/very/long/path/that/leads/to/shed.pdf:12 (page 3) (changed since)
           ember · 0.9 s · 31 tokens/s








        ────────────────────────────────────────────────────────────────────────────────
         ›
         Enter ask  ^J new line  Tab sources  ^O conversations  ? help  ^D leave
    "#]],
    );
}

#[test]
fn a_conversation_at_200x50() {
    let mut state = state((200, 50), vec![turn(), Turn::asked("And the second one?".into())]);
    listed(&mut state);
    state.asked_at = 993;
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────── ember ─
           + new conversation              │ › Where is the spare key?
         ▪ Where is the spare key?     now │
           When is the rent due, and … 2 h │   ▸ search_files {"query":"spare key"} ✓
                                           │
                                           │   It is under the blue pot [1]:
                                           │
                                           │   • left of the door
                                           │   • not in the shed [2]
                                           │
                                           │   [1] ~/notes/house.md:12  “The spare key is under the blue flower pot, on the left of the door.”
                                           │   [2] …a/very/long/path/that/leads/to/shed.pdf:12 (page 3) (changed since)  “The spare key is under th…”
                                           │   ember · 0.9 s · 31 tokens/s
                                           │
                                           │ › And the second one?
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │
                                           │────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
                                           │ ›
         ⠋ 7 s  ^C stop  ? help
    "#]],
    );
}

#[test]
fn a_beginning() {
    check(
        &state((60, 8), vec![]),
        &expect![[r#"
        ─ familiar ───────────────────────────────────────── ember ─

           Ask your own files.

           3 documents are indexed. ember answers, on this machine
        ────────────────────────────────────────────────────────────
         › Ask your files
         Enter ask  ^J new line  Tab sources  ^O conversations  ? he
    "#]],
    );
    let mut empty = state((60, 8), vec![]);
    empty.link = Link::Up(About { model: "ember".into(), ..About::default() });
    check(
        &empty,
        &expect![[r#"
        ─ familiar ───────────────────────────────────────── ember ─

           Ask your own files.

           Nothing is indexed yet. In another terminal: familiar
        ────────────────────────────────────────────────────────────
         › Ask your files
         Enter ask  ^J new line  Tab sources  ^O conversations  ? he
    "#]],
    );
}

#[test]
fn conversations_beside_the_open_one() {
    let mut state = state((80, 14), vec![turn()]);
    listed(&mut state);
    state.update(Event::Key(crossterm::event::KeyEvent::new(
        crossterm::event::KeyCode::Char('o'),
        crossterm::event::KeyModifiers::CONTROL,
    )));
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────── ember ─
           + new conversation            │
         ▪ Where is the spare key?   now │   It is under the blue pot [1]:
           When is the rent due, an… 2 h │
                                         │   • left of the door
                                         │   • not in the shed [2]
                                         │
                                         │   [1] ~/notes/house.md:12  “The spare key …”
                                         │   [2] …/shed.pdf:12 (page 3) (changed since)
                                         │   ember · 0.9 s · 31 tokens/s
                                         │
                                         │──────────────────────────────────────────────
                                         │ ›
         Enter open  n new  ↑↓ move  ^O hide  Esc back
    "#]],
    );
}

#[test]
fn what_waits_for_a_yes_is_shown_to_the_byte() {
    let mut state = state((80, 24), vec![Turn::asked("Send it.".into())]);
    let approval = crate::cli::chat::core::tests::approval("k3f9a2x");
    state.update(Event::Owner(OwnerEvent::Approval(Box::new(approval.clone()))));
    check(
        &state,
        &expect![[r#"
        ─ familiar · Send it. ────────────────────────────────────────────────── ember ─
         › Send it.









        ─ waits for your yes ───────────────────────────────────────────────────────────
         web-fetch wants to send 42 bytes to example.org
           id k3f9a2x, tool fetch, a no in 2 min 0 s
           to: GET example.org
           why you are asked: text that others may have written led to this
           from: /home/me/notes/mail.txt
           exactly this, 40 bytes:
           | GET https://example.org/?q=key\u{1b}[2J
           |
           | body
        ────────────────────────────────────────────────────────────────────────────────
         ›
         ⠋ 1000 s  Tab answer what waits for your yes
    "#]],
    );
    state.focus = Focus::Approval;
    state.size = (60, 16);
    state.approvals = vec![Approval { content: Some("x".repeat(700)), ..approval.clone() }, approval];
    state.approval_top = 3;
    check(
        &state,
        &expect![[r#"
        ─ familiar · Send it. ────────────────────────────── ember ─
         › Send it.


        ─ waits for your yes ───────── rows 4-11 of 20  and 1 more ─
           why you are asked: text that others may have written led
          to this
           from: /home/me/notes/mail.txt
           exactly this, 700 bytes:
           | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        ────────────────────────────────────────────────────────────
         ›
         ⠋ 1000 s  y this once  a always exactly this  n no  ↑↓ read
    "#]],
    );
}

#[test]
fn overlays() {
    let mut state = state((80, 24), vec![turn()]);
    state.overlay = Some(Overlay::Help);
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────── ember ─
         › Where is the spare key?

         ╭ keys ──────────────────────────────────────────────────────────────────────╮
         │ Enter           ask                     ^J  Alt-Enter   a new line         │
         │ ↑ ↓             what was asked before   ^R              ask again          │
         │ ^C              stop; twice leaves      ^D              leave              │
         │ PgUp PgDn       scroll, or the wheel    Esc             to the end         │
         │ ^O  F2          conversations           ^Z              to the background  │
         │ Tab             point at calls of tools, sources and answers               │
         │   Enter         unfold a call; open a source at its line                   │
         │   g  b  e       it was right, it was wrong, say it as it should be         │
         │ Alt-1 to Alt-9  open a source of the last answer                           │
         │ Shift-drag      select text with the mouse                                 │
         │                                                                            │
         │ /good  /bad  /edit TEXT     of the last answer                             │
         │ /remember TEXT              keep this in mind                              │
         │ /forget                     forget this conversation, wherever it went     │
         │ /new                        begin another one                              │
         ╰────────────────────────────────────────────────────────────────────────────╯

        ────────────────────────────────────────────────────────────────────────────────
         ›
         Enter ask  ^J new line  Tab sources  ^O conversations  ? help  ^D leave
    "#]],
    );
    state.overlay = Some(Overlay::Forget);
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────── ember ─
         › Where is the spare key?

           ▸ search_files {"query":"spare key"} ✓

           It is under the blue pot [1]:

           • left of the door
           • not in the shed [2]
                  ╭ forget this conversation? ───────────────────────────────╮
           [1] ~/n│ This conversation and what was learned from it would be  │t, on t…”
           [2] ~/a│ gone, everywhere and for good.                           │since)
           ember ·│                                                          │
                  │ y forgets it, any other key keeps it.                    │
                  ╰──────────────────────────────────────────────────────────╯






        ────────────────────────────────────────────────────────────────────────────────
         ›
         Enter ask  ^J new line  Tab sources  ^O conversations  ? help  ^D leave
    "#]],
    );
    state.update(Event::ConsentDue);
    let enter = || Event::Key(crossterm::event::KeyCode::Enter.into());
    state.update(enter());
    state.update(enter());
    state.update(Event::Paste("/home/me/diary".into()));
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────────────────────────── ember ─
         › Where is the spare key?

          ╭ before you begin ────────────────────────────────────────────────────────╮
          │ Familiar can learn from you. While nobody needs the machine it trains a  │
          │ small addition to its model, and uses it only when it is measurably      │
          │ better. What is learned from, and what comes of it, is kept in           │
          │ /home/me/.local/share/familiar and nothing of it leaves this machine.    │
          │ Passwords and the like are left out where they can be told. `familiar    │
          │ forget` takes back any of it, `familiar learn sources none` ends it.     │
          │ Without a yes nothing is learned; Enter means no.                        │”
          │                                                                          │
          │ From conversations: what you write here, and answers that you call       │
          │ /good? [y/N] no                                                          │
          │ From corrections: answers that you put right with /edit, and what you    │
          │ /remember? [y/N] no                                                      │
          │ From your own writing? The path of its folder, below an indexed one, or  │
          │ Enter for no:                                                            │
          │ › /home/me/diary                                                         │
          ╰──────────────────────────────────────────────────────────────────────────╯

        ────────────────────────────────────────────────────────────────────────────────
         ›
         Enter ask  ^J new line  Tab sources  ^O conversations  ? help  ^D leave
    "#]],
    );
}

#[test]
fn a_long_input_and_what_went_wrong() {
    let lost = Turn { phase: Phase::Lost, answer: "It is".into(), ..Turn::asked("one\n".repeat(40)) };
    let mut state = state((60, 20), vec![lost]);
    state.link = Link::Down("gone".into());
    state.input = Editor::of(&(1..=9).map(|n| format!("line {n}\n")).collect::<String>());
    state.input.paste(&"x\n".repeat(10_000));
    state.message = Some(Message { text: "Not pasted.".into(), trouble: true });
    check(
        &state,
        &expect![[r#"
        ─ familiar · one one one one one one… ──────────────────────
           one
           one
           one
           one
           one
           … and 30 more lines

           It is
           ✗ The daemon went away before the answer was whole. ^R
           asks it again.

        ──────────────────────────────────────────────────── 10/10 ─
           line 5
           line 6
           line 7
           line 8
           line 9
           [pasted 10,000 lines]
         Not pasted.
    "#]],
    );
}

#[test]
fn an_unfolded_call_and_the_part_that_is_pointed_at() {
    let mut turn = turn();
    turn.tools[0].open = true;
    let mut state = state((60, 20), vec![turn]);
    state.focus = Focus::Part(Part::Tool(1, 0));
    state.reveal = true;
    check(
        &state,
        &expect![[r#"
        ─ familiar · Where is the spare key? ─────────────── ember ─

           ▾ search_files {"query":"spare key"} ✓
             {
               "query": "spare key"
             }
             1 hit

           It is under the blue pot [1]:

           • left of the door
           • not in the shed [2]

           [1] ~/notes/house.md:12  “The spare key is under the b…”
           [2] …/that/leads/to/shed.pdf:12 (page 3) (changed since)
           ember · 0.9 s · 31 tokens/s

        ────────────────────────────────────────────────────────────
         ›
         Enter unfold  ↑↓ move  g right  b wrong  e say it better  E
    "#]],
    );
}

#[test]
fn what_was_drawn_is_drawn_again_only_when_it_changed() {
    let mut state = state((80, 24), vec![turn()]);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut view = View::new(Theme { colour: false });
    let mut text = |state: &State| {
        terminal.draw(|frame| _ = view.draw(state, frame)).unwrap();
        terminal.backend().to_string()
    };
    let first = text(&state);
    let Kind::Turn(turn) = &mut state.entries[0].kind else { panic!() };
    turn.answer = "Other words.".into();
    assert_eq!(text(&state), first);
    state.entries[0].revision += 1;
    assert!(text(&state).contains("Other words."));
}

#[test]
fn without_colours_there_are_none() {
    let mut state = state((80, 24), vec![turn()]);
    listed(&mut state);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut view = View::new(Theme { colour: false });
    terminal.draw(|frame| _ = view.draw(&state, frame)).unwrap();
    let reset = ratatui::style::Color::Reset;
    assert!(terminal.backend().buffer().content.iter().all(|cell| cell.fg == reset && cell.bg == reset));
}

proptest! {
    #[test]
    fn no_text_of_anybody_reaches_the_terminal_as_a_command(
        texts in prop::collection::vec(any::<String>(), 12),
        size in (1..120u16, 1..40u16),
        top in 0..30usize,
        focus in 0..4u8,
    ) {
        let evil = |n: usize| format!("{}\x1b[2J\u{9b}31m\u{202e}\r\n\t\x07{}", texts[n], texts[(n + 1) % 12]);
        let mut turn = turn();
        (turn.question, turn.answer, turn.by) = (evil(0), evil(1), evil(2));
        turn.left_out = vec![evil(3)];
        (turn.citations[0].path, turn.citations[0].quote) = (evil(4), evil(5));
        turn.tools[0] = Tool {
            name: evil(6), arguments: json!({ evil(7): evil(8) }), status: Some(evil(9)), progress: Some(evil(10)),
            result: Some(evil(11)), open: true,
        };
        let failed = Turn { phase: Phase::Failed(evil(1)), ..Turn::asked(evil(2)) };
        let mut state = state(size, vec![turn, failed]);
        state.link = Link::Up(About { model: evil(3), adapter: Some(evil(4)), documents: 1 });
        state.entries.push(Entry { id: 9, revision: 0, kind: Kind::Note(evil(5)) });
        state.input = Editor::of(&evil(6));
        state.message = Some(Message { text: evil(7), trouble: false });
        state.sessions.list = vec![SessionSummary { id: evil(8), first_question: evil(9), created: 0, updated: 0, turns: 1 }];
        if focus > 1 {
            let approval = crate::cli::chat::core::tests::approval("k1");
            let approval = Approval { action: evil(1), content: Some(evil(2)), plugin: evil(3), sources: vec![evil(4)], ..approval };
            state.approvals = vec![Approval { destination: evil(5), reason: evil(6), id: evil(7), tool: evil(8), ..approval }];
        }
        state.focus = [Focus::Input, Focus::Sessions, Focus::Approval, Focus::Part(Part::Citation(1, 0))][usize::from(focus)];
        (state.scroll, state.reveal) = (Scroll::From(top), focus == 3);
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let mut view = View::new(Theme { colour: true });
        terminal.draw(|frame| _ = view.draw(&state, frame)).unwrap();
        for cell in &terminal.backend().buffer().content {
            let symbol = cell.symbol();
            prop_assert!(!symbol.contains(char::is_control) && harmless(symbol) == symbol, "{symbol:?}");
            prop_assert!(symbol.chars().count() <= 24, "a tower of {symbol:?}");
        }
    }
}
