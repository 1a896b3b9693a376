//! The examples as their owner writes them: `data.jsonl`, one JSON object a line. Strict: whatever is not
//! understood is an error with its line. Bytes in, rows out; tokens come later, in `examples`.

use serde::Deserialize;
use std::io::{self, BufRead, Read};

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 16 << 20;
/// The most bytes of all lines: all examples are held in memory.
pub const MOST: u64 = 256 << 20;

/// What is wrong with the data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("data.jsonl cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("data.jsonl is empty; write one example a line into it, such as {{\"text\": \"...\"}}")]
    Empty,
    #[error("data.jsonl is longer than {} MiB; make several jobs of it", MOST >> 20)]
    TooLong,
    #[error("data.jsonl:{line}: {what}")]
    Line { line: usize, what: String },
    /// Every example was left out, and why the first was.
    #[error(
        "none of the {examples} examples in data.jsonl can be learned from; the first, data.jsonl:{line}: {what}"
    )]
    NoneUsable { examples: usize, line: usize, what: String },
}

/// One example, not yet in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// From 1.
    pub line: usize,
    pub source: Source,
    /// Weight of the distance to the base model's distribution; 0 = the tokens themselves are learned.
    pub kl: f32,
    /// The learned tokens are to become less likely.
    pub avoid: bool,
    /// What the base model sees before the learned tokens while it teaches them.
    pub teacher: Option<Teacher>,
}

/// What stands before the learned tokens for the teacher.
#[derive(Debug, Clone, PartialEq)]
pub enum Teacher {
    Tokens(Vec<u32>),
    Segments(Vec<Segment>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Tokens of the base model with the weight of each one's loss.
    Tokens { tokens: Vec<u32>, weights: Vec<f32> },
    /// Texts in a row; `end` adds the token that ends an answer, learned like the last segment.
    Segments { segments: Vec<Segment>, end: bool },
}

/// A part of an example.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    pub text: String,
    /// Control tokens are read in it, as in a chat template's own words. Text of people never is special.
    #[serde(default)]
    pub special: bool,
    /// Weight of its tokens' loss, from 0 to 1.
    #[serde(default = "one")]
    pub learn: f32,
}

fn one() -> f32 {
    1.0
}

impl Segment {
    fn plain(text: String, learn: f32) -> Segment {
        Segment { text, special: false, learn }
    }
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tokens: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
    segments: Option<Vec<Segment>>,
    text: Option<String>,
    prompt: Option<String>,
    completion: Option<String>,
    kl: Option<f32>,
    teacher: Option<Vec<Segment>>,
    teacher_tokens: Option<Vec<u32>>,
    #[serde(default)]
    avoid: bool,
}

/// Reads all rows, and the BLAKE3 of what was read, in hex.
pub fn read(mut from: impl BufRead) -> Result<(Vec<Row>, String), DataError> {
    let mut hasher = blake3::Hasher::new();
    let (mut rows, mut bytes, mut total) = (Vec::new(), Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        if from.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        hasher.update(&bytes);
        total += bytes.len() as u64;
        if total > MOST {
            return Err(DataError::TooLong);
        }
        let wrong = |what: String| DataError::Line { line, what };
        if bytes.len() as u64 > LONGEST_LINE {
            return Err(wrong(format!("it is longer than {LONGEST_LINE} bytes; cut it")));
        }
        let text = str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8 text".into()))?;
        if !text.trim().is_empty() {
            rows.push(row(line, text).map_err(wrong)?);
        }
    }
    if rows.is_empty() {
        return Err(DataError::Empty);
    }
    Ok((rows, hasher.finalize().to_hex().to_string()))
}

fn row(line: usize, text: &str) -> Result<Row, String> {
    // The position that serde_json adds counts lines of its own.
    let read: Line = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        said.rsplit_once(" at line 1 column ")
            .map_or(said.clone(), |(what, column)| format!("{what} (column {column})"))
    })?;
    let kl = read.kl.unwrap_or(0.0);
    within("kl", kl, 1e3)?;
    let teacher = match (read.teacher.clone(), read.teacher_tokens.clone()) {
        (None, None) => None,
        (Some(segments), None) => {
            check(&segments, "teacher")?;
            Some(Teacher::Segments(segments))
        }
        (None, Some(tokens)) => Some(Teacher::Tokens(tokens)),
        (Some(_), Some(_)) => return Err("it has `teacher` and `teacher_tokens`; give one".into()),
    };
    if usize::from(kl > 0.0) + usize::from(teacher.is_some()) + usize::from(read.avoid) > 1 {
        return Err("it has two of `kl`, `teacher` and `avoid`; an example is taught in one way".into());
    }
    let avoid = read.avoid;
    Ok(Row { line, source: source(read)?, kl, avoid, teacher })
}

fn source(read: Line) -> Result<Source, String> {
    let Line { tokens, weights, segments, text, prompt, completion, .. } = read;
    if weights.is_some() && tokens.is_none() {
        return Err("it has `weights` without `tokens`; in `segments`, `learn` is the weight".into());
    }
    match (tokens, segments, text, prompt, completion) {
        (Some(tokens), None, None, None, None) => {
            let weights = weights.unwrap_or_else(|| vec![1.0; tokens.len()]);
            if weights.len() != tokens.len() {
                return Err(format!("it has {} tokens and {} weights", tokens.len(), weights.len()));
            }
            weights.iter().try_for_each(|weight| within("weights", *weight, 1e3))?;
            Ok(Source::Tokens { tokens, weights })
        }
        (None, Some(segments), None, None, None) => {
            check(&segments, "segments")?;
            Ok(Source::Segments { segments, end: false })
        }
        (None, None, Some(text), None, None) => {
            Ok(Source::Segments { segments: vec![Segment::plain(text, 1.0)], end: false })
        }
        (None, None, None, Some(prompt), Some(completion)) => {
            let segments = vec![Segment::plain(prompt, 0.0), Segment::plain(completion, 1.0)];
            Ok(Source::Segments { segments, end: true })
        }
        _ => Err("it must have one of `text`, `prompt` with `completion`, `segments`, `tokens`".into()),
    }
}

fn check(segments: &[Segment], name: &str) -> Result<(), String> {
    if segments.iter().all(|segment| segment.text.is_empty()) {
        return Err(format!("its `{name}` hold no text"));
    }
    segments.iter().try_for_each(|segment| within("learn", segment.learn, 1.0))
}

fn within(name: &str, value: f32, most: f32) -> Result<(), String> {
    if (0.0..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("`{name}` is {value} and must be from 0 to {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Result<Vec<Row>, String> {
        read(text.as_bytes()).map(|(rows, _)| rows).map_err(|error| error.to_string())
    }

    fn one_row(text: &str) -> Row {
        rows(text).unwrap().remove(0)
    }

    #[test]
    fn every_form_is_read() {
        let learned = |text: &str, learn: f32| Segment::plain(text.into(), learn);
        let source = |segments, end| Source::Segments { segments, end };
        assert_eq!(one_row(r#"{"text":"a"}"#).source, source(vec![learned("a", 1.0)], false));
        let pair = source(vec![learned("q", 0.0), learned("a", 1.0)], true);
        assert_eq!(one_row(r#"{"prompt":"q","completion":"a"}"#).source, pair);
        let special = Segment { text: "<s>".into(), special: true, learn: 0.0 };
        assert_eq!(
            one_row(r#"{"segments":[{"text":"<s>","special":true,"learn":0},{"text":"b"}]}"#).source,
            source(vec![special, learned("b", 1.0)], false)
        );
        assert_eq!(
            one_row(r#"{"tokens":[1,2],"weights":[0,0.5]}"#).source,
            Source::Tokens { tokens: vec![1, 2], weights: vec![0.0, 0.5] }
        );
        assert_eq!(one_row(r#"{"text":"a","kl":0.5}"#).kl, 0.5);
        assert!(one_row(r#"{"tokens":[1,2],"avoid":true}"#).avoid);
        let taught = one_row(r#"{"text":"a","teacher":[{"text":"the document"}]}"#);
        let plain = Segment::plain("the document".into(), 1.0);
        assert_eq!(taught.teacher, Some(Teacher::Segments(vec![plain])));
        let taught = one_row(r#"{"tokens":[1,2],"teacher_tokens":[3]}"#);
        assert_eq!(taught.teacher, Some(Teacher::Tokens(vec![3])));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let said = |line: &str| rows(&format!("{{\"text\":\"good\"}}\n\n{line}\n")).unwrap_err();
        for (line, what) in [
            ("{\"text\":\"a\"", "EOF while parsing"),
            ("nonsense", "column"),
            ("[1]", "invalid type"),
            ("{}", "must have one of"),
            ("{\"text\":\"a\",\"tokens\":[1]}", "must have one of"),
            ("{\"prompt\":\"a\"}", "must have one of"),
            ("{\"text\":\"a\",\"txet\":1}", "txet"),
            ("{\"text\":\"a\",\"text\":\"b\"}", "duplicate"),
            ("{\"text\":\"a\",\"weights\":[1]}", "without `tokens`"),
            ("{\"tokens\":[1,2],\"weights\":[1]}", "2 tokens and 1 weights"),
            ("{\"tokens\":[1],\"weights\":[NaN]}", "column"),
            ("{\"tokens\":[1],\"weights\":[1e39]}", "out of range"),
            ("{\"tokens\":[1],\"weights\":[-1]}", "`weights` is -1"),
            ("{\"tokens\":[-1]}", "-1"),
            ("{\"tokens\":[4294967296]}", "4294967296"),
            ("{\"segments\":[]}", "no text"),
            ("{\"segments\":[{\"text\":\"a\",\"learn\":2}]}", "`learn` is 2"),
            ("{\"segments\":[{\"text\":\"a\",\"learned\":1}]}", "learned"),
            ("{\"text\":\"a\",\"kl\":-1}", "`kl` is -1"),
            ("{\"text\":\"a\",\"kl\":1,\"avoid\":true}", "one way"),
            ("{\"text\":\"a\",\"avoid\":1}", "expected a boolean"),
            ("{\"text\":\"a\",\"teacher\":[{\"text\":\"\"}]}", "`teacher`"),
            ("{\"text\":\"a\",\"teacher_tokens\":[1],\"teacher\":[{\"text\":\"t\"}]}", "give one"),
            ("{\"text\":\"a\",\"kl\":1,\"teacher\":[{\"text\":\"t\"}]}", "one way"),
        ] {
            let said = said(line);
            assert!(said.starts_with("data.jsonl:3: ") && said.contains(what), "{line}: {said}");
        }
        assert!(rows("").unwrap_err().contains("empty"));
        assert!(rows("\n \n").unwrap_err().contains("empty"));
        let foreign = read(&b"{\"text\":\"\xff\"}"[..]).unwrap_err().to_string();
        assert!(foreign.contains("UTF-8"), "{foreign}");
        let deep = format!("{{\"text\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(rows(&deep).unwrap_err().contains("data.jsonl:1"));
    }

    #[test]
    fn the_digest_is_that_of_the_file() {
        let text = "{\"text\":\"a\"}\n\n{\"text\":\"b\"}";
        let (rows, digest) = read(text.as_bytes()).unwrap();
        assert_eq!((rows.len(), rows[1].line), (2, 3));
        assert_eq!(digest, blake3::hash(text.as_bytes()).to_hex().to_string());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes[..]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(\\{(\"(text|tokens|weights|kl|avoid|learn|segments)\":[0-9a-z\"\\[\\]{}.,-]{0,9},?){0,4}\\}\n?){0,3}") {
            let _ = read(text.as_bytes());
        }
    }
}
