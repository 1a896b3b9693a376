//! What a line of a chat says: a question, or one of the few words that begin with a slash. Pure.

/// What can be said beside questions.
pub const HELP: &str = "\
Ask a question; Ctrl-C stops an answer. Of the last answer you can say:
  /good            that was right
  /bad             that was not
  /edit TEXT       no, say it like this; without TEXT, the lines up to an empty one
And:
  /remember TEXT   keep this in mind
  /forget          forget this conversation, wherever it went
  /new             begin another conversation
  /quit            leave
";

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Question(String),
    Good,
    Bad,
    /// The answer as it should have been; empty: it follows.
    Edit(String),
    Remember(String),
    Forget,
    /// Another conversation begins.
    New,
    Help,
    Quit,
    /// It looks like one of these words, and is not one as it stands.
    Unknown(String),
}

/// A path, as in `/etc/hosts says what?`, is a question, and so is all that has a space before its slash.
pub fn understood(line: &str) -> Said {
    let text = line.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let unknown = || Said::Unknown(text.into());
    let alone = |said: Said| if rest.is_empty() { said } else { unknown() };
    match word {
        "" => Said::Nothing,
        "/good" => alone(Said::Good),
        "/bad" => alone(Said::Bad),
        "/edit" => Said::Edit(rest.into()),
        "/remember" if !rest.is_empty() => Said::Remember(rest.into()),
        "/forget" => alone(Said::Forget),
        "/new" => alone(Said::New),
        "/help" | "/?" => alone(Said::Help),
        "/quit" | "/exit" => alone(Said::Quit),
        word if line.starts_with('/') && is_word(word) => unknown(),
        _ => Said::Question(text.into()),
    }
}

/// Whether a line is a yes. Everything else is a no.
pub fn yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

fn is_word(word: &str) -> bool {
    word.strip_prefix('/').is_some_and(|name| !name.is_empty() && name.chars().all(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words_and_the_rest_are_questions() {
        let question = |text: &str| Said::Question(text.into());
        for (line, said) in [
            ("\n", Said::Nothing),
            ("  where is it?\n", question("where is it?")),
            ("/good\n", Said::Good),
            (" /bad \n", Said::Bad),
            ("/edit\n", Said::Edit(String::new())),
            ("/edit  in the  shed\n", Said::Edit("in the  shed".into())),
            ("/remember the code is 4417", Said::Remember("the code is 4417".into())),
            ("/remember", Said::Unknown("/remember".into())),
            ("/forget", Said::Forget),
            ("/help", Said::Help),
            ("/exit", Said::Quit),
            ("/godo", Said::Unknown("/godo".into())),
            (" /godo", question("/godo")),
            ("/etc/hosts says what?", question("/etc/hosts says what?")),
            ("/ is what?", question("/ is what?")),
            ("/good morning", Said::Unknown("/good morning".into())),
            ("/godo on", Said::Unknown("/godo on".into())),
        ] {
            assert_eq!(understood(line), said, "{line:?}");
        }
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        assert!(["y", "Yes\n", " yes "].into_iter().all(yes));
        assert!(!["", "\n", "n", "ok", "yes please", "j"].into_iter().any(yes));
    }

    #[test]
    fn help_names_every_word() {
        for word in ["/good", "/bad", "/edit", "/remember", "/forget", "/new", "/quit"] {
            assert!(HELP.contains(&format!("  {word} ")), "{word}");
        }
    }
}
