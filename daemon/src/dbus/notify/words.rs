//! What a notification says of something that waits for the owner's yes, of a plugin's notice or of what was learned, and
//! what can be chosen in it. Pure.

use crate::protocol::approvals::{Approval, DecideRequest, NoticeEntry};
use crate::visible::spelled_out;

/// Characters of content in a notification. What has more is not allowed from there, since nobody saw it.
const SHOWN: usize = 600;
/// Places that the text came from which are named.
const SOURCES: usize = 3;
/// Characters of anything else.
const WORDS: usize = 400;

/// What begins the key of an option of a question.
const OPTION: &str = "option-";

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub summary: String,
    /// Lines of plain text.
    pub body: String,
    /// What can be chosen: key and label.
    pub choices: Vec<(String, String)>,
    /// How else it can be decided.
    pub otherwise: Option<String>,
    /// It stays until it is decided.
    pub stays: bool,
}

/// Everything that the owner must know to decide.
pub fn asking(approval: &Approval) -> Note {
    let Approval { id, plugin, .. } = approval;
    let action = short(&approval.action);
    let question = approval.kind == "question";
    let mut lines = vec![if question { action } else { format!("It wants to {action}.") }];
    let mut tell = |what: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("{what}: {}", short(text)));
        }
    };
    tell("To", &approval.destination);
    tell("Why you are asked", &approval.reason);
    tell("From", &sources(&approval.sources));
    let (content, whole) = content(approval);
    lines.extend(content);
    let otherwise = match whole {
        true => format!("familiar approvals allow {id}, or familiar approvals deny {id}"),
        false => format!("All of it: familiar approvals. Then: familiar approvals allow {id}"),
    };
    Note {
        summary: format!("{} {}", short(plugin), if question { "asks you" } else { "needs your yes" }),
        body: lines.join("\n"),
        choices: choices(approval, whole),
        otherwise: Some(otherwise),
        stays: true,
    }
}

/// A plugin's notice.
pub fn notice(notice: &NoticeEntry) -> Note {
    let summary = format!("{} ({})", short(&notice.title), short(&notice.plugin));
    Note { summary, body: short(&notice.body), choices: Vec::new(), otherwise: None, stays: false }
}

/// A generation that was promoted, and why.
pub fn learned(generation: u32, reason: &str) -> Note {
    let reason = short(reason);
    Note {
        summary: "Learned something new".into(),
        body: format!("Generation {generation}: {reason}\nWhat it was: familiar learn report"),
        choices: Vec::new(),
        otherwise: None,
        stays: false,
    }
}

/// What the owner's choice says; `None` for one that was not offered.
pub fn chosen(approval: &Approval, key: &str) -> Option<DecideRequest> {
    choices(approval, content(approval).1).iter().find(|(offered, _)| offered == key)?;
    match key {
        "allow" => Some(DecideRequest { allow: true, ..Default::default() }),
        "always" => Some(DecideRequest { allow: true, always: true, choice: None }),
        "deny" => Some(DecideRequest::default()),
        other => {
            let choice = other.strip_prefix(OPTION)?.parse().ok()?;
            Some(DecideRequest { allow: true, always: false, choice: Some(choice) })
        }
    }
}

fn choices(approval: &Approval, whole: bool) -> Vec<(String, String)> {
    let options = approval.options.iter().map(|option| short(option)).enumerate();
    let mut choices: Vec<_> = options.map(|(n, option)| (format!("{OPTION}{n}"), option)).collect();
    let mut offer = |key: &str, label: &str| choices.push((key.into(), label.into()));
    match (approval.kind == "question", approval.options.is_empty()) {
        (true, true) => {
            offer("allow", "Yes");
            offer("deny", "No");
        }
        (true, false) => offer("deny", "None of these"),
        (false, _) => {
            if whole {
                offer("allow", "Allow once");
            }
            if whole && approval.always {
                offer("always", "Always");
            }
            offer("deny", "Deny");
        }
    }
    choices
}

/// Exactly what would be sent or written, and whether that is all of it.
fn content(approval: &Approval) -> (Vec<String>, bool) {
    let (what, text) = match (&approval.content, &approval.content_hex) {
        (Some(text), _) => (format!("Exactly this, {} bytes:", text.len()), spelled_out(text)),
        (None, Some(hex)) => (format!("Exactly this, {} bytes in hex:", hex.len() / 2), hex.clone()),
        (None, None) => return (Vec::new(), true),
    };
    let more = text.chars().count().saturating_sub(SHOWN);
    let mut lines = vec![what, text.chars().take(SHOWN).collect()];
    if more > 0 {
        lines.push(format!("… and {more} more characters"));
    }
    (lines, more == 0)
}

fn sources(all: &[String]) -> String {
    let mut named = all.iter().take(SOURCES).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SOURCES {
        named.push_str(&format!(" and {} other places", all.len() - SOURCES));
    }
    named
}

/// Foreign words on one line, to the letter.
fn short(text: &str) -> String {
    let line = spelled_out(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(WORDS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// Text for a server that understands markup.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(kind: &str, content: &str) -> Approval {
        Approval {
            id: "k3f9a2x".into(),
            plugin: "web-fetch".into(),
            digest: "d".into(),
            tool: "fetch".into(),
            session: String::new(),
            kind: kind.into(),
            action: "send 42 bytes to example.org".into(),
            reason: "text that others may have written led to this".into(),
            destination: "GET example.org".into(),
            content: Some(content.into()),
            content_hex: None,
            sources: (0..8).map(|n| format!("/notes/{n}.md")).collect(),
            untrusted: true,
            private: true,
            always: true,
            options: Vec::new(),
            asked: 0,
            expires: 0,
        }
    }

    fn keys(note: &Note) -> Vec<&str> {
        note.choices.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn the_owner_sees_what_where_and_why_and_can_choose() {
        let note = asking(&approval("egress", "GET https://example.org/?q=x"));
        assert_eq!(note.summary, "web-fetch needs your yes");
        expect_test::expect![[r#"
            It wants to send 42 bytes to example.org.
            To: GET example.org
            Why you are asked: text that others may have written led to this
            From: /notes/0.md, /notes/1.md, /notes/2.md and 5 other places
            Exactly this, 28 bytes:
            GET https://example.org/?q=x"#]]
        .assert_eq(&note.body);
        let labels: Vec<&str> = note.choices.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["Allow once", "Always", "Deny"]);
    }

    #[test]
    fn what_is_not_shown_as_a_whole_cannot_be_allowed() {
        let long = approval("egress", &"x".repeat(SHOWN + 1));
        let note = asking(&long);
        assert!(note.body.ends_with("… and 1 more characters"), "{}", note.body);
        assert_eq!(keys(&note), ["deny"]);
        assert!(chosen(&long, "allow").is_none() && chosen(&long, "always").is_none());
        assert!(!chosen(&long, "deny").unwrap().allow);
        // Neither can what hides itself: it is longer when it is spelled out.
        assert_eq!(keys(&asking(&approval("write", &"\u{202e}".repeat(SHOWN / 4)))), ["deny"]);
    }

    #[test]
    fn only_what_was_offered_is_a_choice() {
        let action = approval("write", "x");
        let once = chosen(&action, "allow").unwrap();
        assert!(once.allow && !once.always && chosen(&action, "always").unwrap().always);
        let never = Approval { always: false, ..action };
        assert!(chosen(&never, "always").is_none());
        let yes_or_no = Approval { content: None, always: false, ..approval("question", "") };
        assert_eq!(keys(&asking(&yes_or_no)), ["allow", "deny"]);
        let of_two = Approval { options: vec!["red".into(), "green".into()], ..yes_or_no };
        assert_eq!(keys(&asking(&of_two)), ["option-0", "option-1", "deny"]);
        assert_eq!(chosen(&of_two, "option-1").unwrap().choice, Some(1));
        for made_up in ["option-2", "option--1", "option-", "allow", "default", "", "always"] {
            assert!(chosen(&of_two, made_up).is_none(), "{made_up}");
        }
    }

    #[test]
    fn foreign_words_are_harmless() {
        let hostile = Approval {
            action: "do\nthis\u{202e}<b>&\x1b[2J".into(),
            destination: "y".repeat(5000),
            ..approval("egress", "<a href='x'>")
        };
        let note = asking(&hostile);
        assert!(note.body.starts_with("It wants to do this\\u{202e}<b>&\\u{1b}[2J."), "{}", note.body);
        assert!(note.body.len() < 3 * WORDS + SHOWN);
        assert_eq!(escaped("<a>&\n"), "&lt;a&gt;&amp;\n");
    }
}
