use super::*;
use crate::cli::output::harmless;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const PLAIN: Theme = Theme { colour: false };

fn drawn(text: &str, width: usize) -> String {
    let lines = lines(text, width, PLAIN);
    lines.iter().map(|line| format!("{}\n", line.to_string().trim_end())).collect()
}

fn check(text: &str, width: usize, expected: &Expect) {
    expected.assert_eq(&drawn(text, width));
}

#[test]
fn blocks_stand_apart_and_lists_hang() {
    check(
        "# Keys\nThey hang **by the door**, the *spare* one is `under` the pot [1].\n\n- one\n- two which is long enough to be wrapped\n  1. inner\n  2. more\n\n> quoted\n> twice\n\n---\n- [x] done\n",
        36,
        &expect![[r#"
            Keys

            They hang by the door, the spare one
            is under the pot [1].

            • one
            • two which is long enough to be
              wrapped
              1. inner
              2. more

            │ quoted
            │ twice

            ────────────────────────────────────

            • [x] done
        "#]],
    );
}

#[test]
fn code_keeps_its_spaces_and_links_say_where_they_lead() {
    check(
        "Run:\n\n```sh\nfor f in *; do\n    echo \"$f\"\ndone\n```\nSee [the guide](https://example.org/x) or <https://example.org>.\n\n* a\n\n* b\n",
        40,
        &expect![[r#"
            Run:

              sh
              for f in *; do
                  echo "$f"
              done

            See the guide (https://example.org/x) or
            https://example.org.

            • a

            • b
        "#]],
    );
}

#[test]
fn tables_are_narrowed_and_at_last_are_lists() {
    let table =
        "| Bird | Food | Seen |\n|---|:-:|--:|\n| Wren | spiders, beetles, moths | 3 |\n| Owl | mice |\n";
    check(
        table,
        40,
        &expect![[r#"
            Bird │ Food                    │ Seen
            ─────┼─────────────────────────┼─────
            Wren │ spiders, beetles, moths │ 3
            Owl  │ mice                    │
        "#]],
    );
    check(
        table,
        28,
        &expect![[r#"
            Bird │ Food           │ Seen
            ─────┼────────────────┼─────
            Wren │ spiders,       │ 3
                 │ beetles, moths │
            Owl  │ mice           │
        "#]],
    );
    check(
        table,
        16,
        &expect![[r#"
            Bird: Wren
            Food: spiders,
            beetles, moths
            Seen: 3

            Bird: Owl
            Food: mice
            Seen:
        "#]],
    );
}

#[test]
fn an_answer_that_is_still_coming_is_drawn_as_far_as_it_is() {
    check(
        "**bold and",
        20,
        &expect![[r#"
        **bold and
    "#]],
    );
    check(
        "It is:\n```rust\nfn main() {",
        30,
        &expect![[r#"
            It is:

              rust
              fn main() {
        "#]],
    );
}

#[test]
fn colours_and_weight_are_where_they_belong() {
    let line = &lines("a **b** [2, 3] `c`", 40, Theme { colour: true })[0];
    let spans: Vec<(String, Style)> =
        line.spans.iter().map(|span| (span.content.to_string(), span.style)).collect();
    let theme = Theme { colour: true };
    assert_eq!(
        spans,
        [
            ("a ".into(), Style::new()),
            ("b".into(), theme.bold()),
            (" ".into(), Style::new()),
            ("[2, 3]".into(), theme.cite()),
            (" ".into(), Style::new()),
            ("c".into(), theme.code()),
        ]
    );
}

#[test]
fn hostile_nesting_ends_in_time_and_in_width() {
    for text in [
        "> ".repeat(5000),
        "- ".repeat(5000),
        "[".repeat(5000),
        "*a ".repeat(5000),
        "|a".repeat(3000) + "\n" + &"|-".repeat(3000) + "\n",
    ] {
        let lines = lines(&(text + "end"), 30, PLAIN);
        assert!(lines.iter().all(|line| line.width() <= 30));
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "# ",
            "- ",
            "> ",
            "| a | b |\n|--|--|\n",
            "```\n",
            "`",
            "**",
            "_",
            "[x](http://y)",
            "&#27;[2J",
            "&#x9b;",
            "&#x202e;",
            "\x1b]0;t\x07",
            "\u{9b}2J",
            "\u{202e}",
            "\t",
            "\r\n",
            "1. ",
            "    ",
            "<b>",
            "日本",
            "a\u{301}\u{301}",
            "![i](j)",
            "[1]",
            "- [ ] ",
            "---\n",
            "\n\n",
            "~~",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_panics_or_commands_the_terminal_or_leaves_its_width(text in hostile(), width in 2..60usize) {
        for line in lines(&text, width, PLAIN) {
            let said = line.to_string();
            prop_assert!(!said.contains(char::is_control) && harmless(&said) == said, "{said:?}");
            prop_assert!(line.width() <= width, "{said:?} is {} wide", line.width());
        }
    }
}
