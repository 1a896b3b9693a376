//! Tells a model's tool calls from its words while the answer is still streaming. Pure: text goes in
//! as it comes, pieces come out. It never guesses: what is not a well-formed call is text again, to
//! the letter, and text that might yet become a call is held back until that is decided.

use crate::types::ToolFormat;
use serde_json::Value;

/// A part of an answer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// `arguments_json` is a JSON object as text.
    Call {
        name: String,
        arguments_json: String,
    },
}

/// Splits one answer. How the text is cut into deltas does not change what comes out, except for
/// where one piece of text ends and the next begins.
#[derive(Debug, Clone)]
pub struct Splitter {
    format: ToolFormat,
    /// Text not decided yet.
    held: String,
    state: State,
    /// The last piece was a call, so blank text that follows is only layout.
    after_call: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Words, with an eye on the opening tag.
    Text,
    /// Only blanks so far, where a bare call may begin (formats without an opening tag).
    Start,
    /// Words to the end, whatever they are.
    Plain,
    /// `held` is blanks, the opening tag, blanks and then JSON up to where the scanner stands.
    Call(Option<Scanner>),
    /// After a call, where the closing tag should follow.
    Closing,
}

const HERMES_OPEN: &str = "<tool_call>";
const HERMES_CLOSE: &str = "</tool_call>";
const MISTRAL_OPEN: &str = "[TOOL_CALLS]";

impl Splitter {
    pub fn new(format: ToolFormat) -> Self {
        let state = if format == ToolFormat::Llama3 { State::Start } else { State::Text };
        Splitter { format, held: String::new(), state, after_call: false }
    }

    /// Takes the next delta; returns what it decides.
    pub fn push(&mut self, delta: &str) -> Vec<Piece> {
        self.held.push_str(delta);
        self.run(false)
    }

    /// The answer is over: everything still held is decided.
    pub fn finish(mut self) -> Vec<Piece> {
        self.run(true)
    }

    fn run(&mut self, end: bool) -> Vec<Piece> {
        let mut out = Vec::new();
        while self.step(end, &mut out) {}
        out
    }

    /// Decides one thing; false when that takes more text.
    fn step(&mut self, end: bool, out: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Text => self.text(end, out),
            State::Start => self.start(end, out),
            State::Plain => {
                self.emit(self.held.len(), out);
                false
            }
            State::Call(None) => self.find_json(end, out),
            State::Call(Some(scanner)) => self.scan(scanner, end, out),
            State::Closing => self.closing(end),
        }
    }

    fn open_tag(&self) -> &'static str {
        match self.format {
            ToolFormat::Hermes => HERMES_OPEN,
            ToolFormat::Llama3 => "",
            ToolFormat::Mistral => MISTRAL_OPEN,
        }
    }

    /// Blanks in front of a tag are held with it: they are layout when a call follows.
    fn text(&mut self, end: bool, out: &mut Vec<Piece>) -> bool {
        let open = self.open_tag();
        if let Some(at) = self.held.find(open) {
            self.emit(self.held[..at].trim_end().len(), out);
            self.state = State::Call(None);
            return true;
        }
        let undecided = (1..open.len()).rev().find(|&n| self.held.ends_with(&open[..n])).unwrap_or(0);
        if !end {
            self.emit(self.held[..self.held.len() - undecided].trim_end().len(), out);
        } else if self.after_call && self.held.trim().is_empty() {
            self.held.clear();
        } else {
            self.emit(self.held.len(), out);
        }
        false
    }

    fn start(&mut self, end: bool, out: &mut Vec<Piece>) -> bool {
        // Several bare calls are parted by semicolons.
        let parting = |c: char| c.is_whitespace() || (self.after_call && c == ';');
        let rest = self.held.trim_start_matches(parting);
        if rest.is_empty() {
            if end && self.after_call {
                self.held.clear();
            } else if end {
                self.emit(self.held.len(), out);
            }
            return false;
        }
        let at = self.held.len() - rest.len();
        self.state = if rest.starts_with('{') { State::Call(Some(Scanner::new(at))) } else { State::Plain };
        true
    }

    fn find_json(&mut self, end: bool, out: &mut Vec<Piece>) -> bool {
        let tag_end = self.held.find(self.open_tag()).unwrap_or(0) + self.open_tag().len();
        let rest = self.held[tag_end..].trim_start();
        let array = self.format == ToolFormat::Mistral && rest.starts_with('[');
        if rest.starts_with('{') || array {
            self.state = State::Call(Some(Scanner::new(self.held.len() - rest.len())));
            return true;
        }
        if rest.is_empty() && !end {
            return false;
        }
        // A tag without JSON behind it is just words.
        self.emit(tag_end, out);
        self.state = State::Text;
        true
    }

    fn scan(&mut self, mut scanner: Scanner, end: bool, out: &mut Vec<Piece>) -> bool {
        let Some(json_end) = scanner.advance(self.held.as_bytes()) else {
            self.state = State::Call(Some(scanner));
            if end {
                self.emit(self.held.len(), out);
            }
            return false;
        };
        let calls = parse(&self.held[scanner.start..json_end], self.format);
        let Some(calls) = calls else {
            self.emit(json_end, out);
            self.state = if self.format == ToolFormat::Llama3 { State::Plain } else { State::Text };
            return true;
        };
        out.extend(calls);
        self.held.drain(..json_end);
        self.after_call = true;
        self.state = match self.format {
            ToolFormat::Hermes => State::Closing,
            ToolFormat::Llama3 => State::Start,
            ToolFormat::Mistral => State::Text,
        };
        true
    }

    /// A missing closing tag is forgiven: the call before it was whole.
    fn closing(&mut self, end: bool) -> bool {
        let rest = self.held.trim_start();
        if rest.starts_with(HERMES_CLOSE) {
            let tag_end = self.held.len() - rest.len() + HERMES_CLOSE.len();
            self.held.drain(..tag_end);
        } else if HERMES_CLOSE.starts_with(rest) {
            if end {
                self.held.clear();
            }
            return false;
        }
        self.state = State::Text;
        true
    }

    fn emit(&mut self, length: usize, out: &mut Vec<Piece>) {
        if length > 0 {
            self.after_call = false;
            out.push(Piece::Text(self.held.drain(..length).collect()));
        }
    }
}

/// Finds where a JSON object or array ends, without looking twice at a byte. Whether it *is* JSON is
/// for the parser to say.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scanner {
    start: usize,
    next: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    fn new(start: usize) -> Self {
        Scanner { start, next: start, depth: 0, in_string: false, escaped: false }
    }

    /// Where the value ends, once `bytes` reach that far.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.next) {
            self.next += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                return Some(self.next);
            }
        }
        None
    }
}

/// The calls in a JSON text; `None` unless all of it is calls.
fn parse(json: &str, format: ToolFormat) -> Option<Vec<Piece>> {
    match serde_json::from_str(json).ok()? {
        Value::Array(items) if !items.is_empty() => {
            items.into_iter().map(|item| call(item, format)).collect()
        }
        item => Some(vec![call(item, format)?]),
    }
}

fn call(item: Value, format: ToolFormat) -> Option<Piece> {
    let Value::Object(mut item) = item else { return None };
    let Value::String(name) = item.remove("name")? else { return None };
    if name.is_empty() {
        return None;
    }
    let arguments = match item.remove("arguments").or_else(|| item.remove("parameters")) {
        Some(Value::Object(arguments)) => Value::Object(arguments),
        // Some models quote the object.
        Some(Value::String(text)) => serde_json::from_str(&text).ok().filter(Value::is_object)?,
        // A bare object with a name is more likely an answer in JSON than a call.
        None if format != ToolFormat::Llama3 => Value::Object(Default::default()),
        _ => return None,
    };
    Some(Piece::Call { name, arguments_json: arguments.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ToolFormat::{Hermes, Llama3, Mistral};
    use proptest::prelude::*;

    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (out.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => out.push(piece),
            }
        }
        out
    }

    fn split<'a>(format: ToolFormat, deltas: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
        let mut splitter = Splitter::new(format);
        let mut pieces: Vec<Piece> = deltas.into_iter().flat_map(|delta| splitter.push(delta)).collect();
        pieces.extend(splitter.finish());
        joined(pieces)
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn called(name: &str, arguments: &str) -> Piece {
        Piece::Call { name: name.into(), arguments_json: arguments.into() }
    }

    #[test]
    fn hermes_calls_are_told_from_words() {
        let answer = "Let me look.\n<tool_call>\n{\"name\": \"a\", \"arguments\": {\"q\": \"x </tool_call> y\"}}\n</tool_call>\n<tool_call>{\"name\":\"b\"}</tool_call>\n";
        let expected =
            vec![text("Let me look."), called("a", r#"{"q":"x </tool_call> y"}"#), called("b", "{}")];
        assert_eq!(split(Hermes, [answer]), expected);
        let after = "<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n\nDone. ";
        assert_eq!(split(Hermes, [after]), vec![called("a", "{}"), text("\n\nDone. ")]);
    }

    #[test]
    fn a_missing_closing_tag_is_forgiven() {
        let call = "<tool_call>{\"name\":\"a\",\"arguments\":{\"n\":1}}";
        for tail in ["", "\n", "\n</tool", "</tool_call>"] {
            assert_eq!(split(Hermes, [call, tail]), vec![called("a", r#"{"n":1}"#)], "{tail:?}");
        }
    }

    #[test]
    fn malformed_calls_come_back_as_text() {
        for (format, answer) in [
            (Hermes, " <tool_call> not json </tool_call>"),
            (Hermes, "<tool_call>{\"name\": \"a\", }</tool_call>"),
            (Hermes, "<tool_call>{\"name\": \"a\", \"argum"),
            (Hermes, "<tool_call>{\"arguments\": {}}</tool_call>"),
            (Hermes, "<tool_call>{\"name\": \"a\", \"arguments\": [1]}</tool_call>"),
            (Hermes, "<tool_call>{]</tool_call>"),
            (Hermes, "a <tool_cal"),
            (Hermes, "<tool_call>\n"),
            (Llama3, "{\"name\": \"Bob\", \"age\": 3}"),
            (Llama3, "Say {\"name\": \"a\", \"parameters\": {}}"),
            (Llama3, "{\"name\": \"a\""),
            (Llama3, "  "),
            (Mistral, "[TOOL_CALLS][1]"),
            (Mistral, "[TOOL_CALLS][]"),
            (Mistral, "[TOOL_CALLS][{\"name\":\"a\",\"arguments\":{}}, 2]"),
            (Mistral, "[TOOL_"),
        ] {
            assert_eq!(split(format, [answer]), vec![text(answer)], "{format:?}");
        }
    }

    #[test]
    fn llama3_and_mistral_calls() {
        let answer =
            "\n{\"name\": \"a\", \"parameters\": {\"q\": \"{\\\"\"}}; {\"name\": \"b\", \"parameters\": {}}";
        assert_eq!(split(Llama3, [answer]), vec![called("a", r#"{"q":"{\""}"#), called("b", "{}")]);
        let answer = "Hm. [TOOL_CALLS] [{\"name\":\"a\",\"arguments\":\"{\\\"k\\\":1}\"},{\"name\":\"b\",\"arguments\":{}}]";
        assert_eq!(split(Mistral, [answer]), vec![text("Hm."), called("a", r#"{"k":1}"#), called("b", "{}")]);
    }

    #[test]
    fn words_are_not_held_back_without_need() {
        let mut splitter = Splitter::new(Hermes);
        assert_eq!(splitter.push("2 < 3"), vec![text("2 < 3")]);
        assert_eq!(splitter.push(" <tool"), vec![]);
        assert_eq!(splitter.push("box"), vec![text(" <toolbox")]);
        let mut splitter = Splitter::new(Llama3);
        assert_eq!(splitter.push("Hi "), vec![text("Hi ")]);
    }

    /// Text made of the parts that matter, whole and broken.
    fn answers() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("<tool_call>"),
            Just("</tool_call>"),
            Just("[TOOL_CALLS]"),
            Just("{\"name\":\"a\",\"arguments\":{\"q\":\"ü}\\\"\"}}"),
            Just("[{\"name\":\"b\",\"arguments\":{}}]"),
            Just("{\"name\":\"c\",\"parameters\":{}}"),
            Just("{\"name\":"),
            Just("<tool"),
            Just("_call>"),
            Just("{"),
            Just("}"),
            Just("]"),
            Just("\""),
            Just("\\"),
            Just(" "),
            Just("\n"),
            Just(";"),
            Just("wörd"),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_pieces(
            answer in answers(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            format in prop_oneof![Just(Hermes), Just(Llama3), Just(Mistral)],
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
            cuts.retain(|&cut| answer.is_char_boundary(cut));
            cuts.extend([0, answer.len()]);
            cuts.sort_unstable();
            let deltas = cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]);
            let letters = answer.char_indices().map(|(at, c)| &answer[at..at + c.len_utf8()]);
            let whole = split(format, [answer.as_str()]);
            prop_assert_eq!(&split(format, deltas), &whole);
            prop_assert_eq!(&split(format, letters), &whole);
        }

        #[test]
        fn an_answer_without_calls_is_untouched(answer in "[ -Z\\^-z\\n]{0,40}") {
            let expected = if answer.is_empty() { vec![] } else { vec![text(&answer)] };
            prop_assert_eq!(split(Hermes, [answer.as_str()]), expected);
        }
    }
}
