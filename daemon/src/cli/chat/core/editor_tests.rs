use super::*;
use proptest::prelude::*;

fn at(text: &str, cursor: usize) -> Editor {
    Editor { cursor, ..Editor::of(text) }
}

#[test]
fn words_and_lines_are_moved_over_and_deleted() {
    let mut editor = Editor::of("where is\nthe blue  key");
    editor.word_left();
    assert_eq!(editor.cursor, 19);
    editor.delete_word();
    assert_eq!(editor.text(), "where is\nthe key");
    editor.home();
    assert_eq!(editor.cursor, 9);
    editor.delete_to_end();
    editor.delete_to_start();
    assert_eq!(editor.text(), "where is\n");
    editor.backspace();
    editor.insert('?');
    assert_eq!(editor.text(), "where is?");
    (0..20).for_each(|_| editor.left());
    editor.word_right();
    assert_eq!(editor.cursor, 5);
    editor.delete_to_end();
    editor.delete();
    assert_eq!(editor.text(), "where");
}

#[test]
fn a_long_paste_is_one_step_and_nothing_of_it_is_lost() {
    let lines: String = (0..10_000).map(|n| format!("line {n}\r\n")).collect();
    let mut editor = Editor::of("read: ");
    editor.paste(&lines);
    editor.insert('!');
    assert_eq!(editor.rows(80).rows, ["read: [pasted 10,000 lines]!"]);
    assert_eq!(editor.text(), format!("read: {}!", lines.replace('\r', "")));
    editor.backspace();
    editor.backspace();
    assert_eq!(editor.text(), "read: ");
    editor.paste("two\rlines");
    assert_eq!(editor.rows(80).rows, ["read: two", "lines"]);
}

#[test]
fn rows_are_wrapped_and_the_cursor_stays_in_its_column() {
    let mut editor = at("abcdefgh\nxy\n日本語です", 2);
    let rows = editor.rows(5);
    assert_eq!(rows.rows, ["abcde", "fgh", "xy", "日本", "語で", "す"]);
    assert_eq!(rows.cursor, (0, 2));
    for row in 1..=5 {
        assert!(editor.down(5));
        assert_eq!(editor.rows(5).cursor, (row, 2), "row {row}");
    }
    assert!(!editor.down(5));
    assert!(editor.up(5));
    (0..9).for_each(|_| _ = editor.up(5));
    assert!(!editor.up(5));
    // A full row: what is typed next stands on the next one.
    assert_eq!(Editor::of("abcde").rows(5).cursor, (1, 0));
}

#[test]
fn a_mark_joins_its_letter() {
    let mut editor = Editor::of("e");
    editor.insert('\u{301}');
    assert_eq!((editor.steps.len(), editor.text()), (1, "e\u{301}".into()));
    editor.backspace();
    assert!(editor.is_empty());
}

#[test]
fn the_past_comes_back_and_the_draft_after_it() {
    let mut past = Past::default();
    ["one", "two", "two"].iter().for_each(|text| past.keep(Editor::of(text)));
    let text = |editor: Option<Editor>| editor.map(|editor| editor.text());
    let draft = Editor::of("draft");
    assert_eq!(past.forth(), None);
    assert_eq!(text(past.back(&draft)).unwrap(), "two");
    assert_eq!(text(past.back(&draft)).unwrap(), "one");
    assert_eq!(past.back(&draft), None);
    assert_eq!(text(past.forth()).unwrap(), "two");
    assert_eq!(text(past.forth()).unwrap(), "draft");
    assert_eq!(past.forth(), None);
}

#[derive(Debug, Clone)]
enum Deed {
    Insert(char),
    Paste(String),
    Move(u8),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        any::<char>().prop_map(Deed::Insert),
        ".{0,30}".prop_map(Deed::Paste),
        (0..14u8).prop_map(Deed::Move)
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    #[test]
    fn no_deed_leaves_the_text_or_shows_what_commands_a_terminal(deeds in deeds(), width in 0..40usize) {
        let mut editor = Editor::default();
        for deed in deeds {
            match deed {
                Deed::Insert(letter) => editor.insert(letter),
                Deed::Paste(text) => editor.paste(&text),
                Deed::Move(0) => editor.left(),
                Deed::Move(1) => editor.right(),
                Deed::Move(2) => editor.word_left(),
                Deed::Move(3) => editor.word_right(),
                Deed::Move(4) => editor.home(),
                Deed::Move(5) => editor.end(),
                Deed::Move(6) => editor.backspace(),
                Deed::Move(7) => editor.delete(),
                Deed::Move(8) => editor.delete_word(),
                Deed::Move(9) => editor.delete_to_end(),
                Deed::Move(10) => editor.delete_to_start(),
                Deed::Move(11) => drop(editor.up(width)),
                Deed::Move(12) => drop(editor.down(width)),
                Deed::Move(_) => { editor.paste(&"long\n".repeat(20)); }
            }
            prop_assert!(editor.cursor <= editor.steps.len());
            let rows = editor.rows(width);
            prop_assert!(rows.cursor.0 < rows.rows.len());
            prop_assert!(!rows.rows.concat().contains(char::is_control));
        }
    }
}
