//! The cases: lines of JSON in `tests/eval/`, compiled in, so that every Familiar measures the same. They are read and
//! handed out; nothing is made up here. What they are and where they come from is in `tests/eval/README.md`.

use crate::types::{Passage, ToolSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;

const PASSAGES: &str = include_str!("../../../tests/eval/passages.jsonl");
const GROUNDED: &str = include_str!("../../../tests/eval/grounded.jsonl");
const UNANSWERABLE: &str = include_str!("../../../tests/eval/unanswerable.jsonl");
const TOOLS: &str = include_str!("../../../tests/eval/tools.jsonl");
const CALLS: &str = include_str!("../../../tests/eval/calls.jsonl");
const TURNS: &str = include_str!("../../../tests/eval/turns.jsonl");
const DOCUMENTATION: &str = include_str!("../../../tests/eval/documentation.txt");

/// Bytes of `documentation.txt` after `xz -9e` (5.4.1): there is no xz among the dependencies.
const XZ: usize = 10_740;
/// Characters of documentation that the model reads in one go.
const PIECE: usize = 3000;

/// What a case tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Grounded,
    Unanswerable,
    Call,
    Turn,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Grounded => "grounded",
            Kind::Unanswerable => "unanswerable",
            Kind::Call => "call",
            Kind::Turn => "turn",
        }
    }
}

/// One thing to ask, and what is right. Fields that a kind has no use for are empty.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub kind: Kind,
    pub question: String,
    /// The conversation before: questions with their answers.
    pub before: Vec<(String, String)>,
    /// Any of these is the answer.
    pub spans: Vec<String>,
    /// The passage that tells, from 1.
    pub right: u32,
    /// The tool to call, and with what.
    pub tool: String,
    pub arguments: Value,
    passages: Vec<String>,
    tools: Vec<String>,
}

/// All cases with the passages and tools that they name.
pub(super) struct Sets {
    pub cases: Vec<Case>,
    passages: HashMap<String, Passage>,
    tools: HashMap<String, ToolSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PassageLine {
    id: String,
    path: String,
    heading: String,
    text: String,
}

/// Of `grounded.jsonl`, `unanswerable.jsonl` (without `right` and `spans`) and `turns.jsonl` (with `before`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionLine {
    #[serde(default)]
    before: Vec<(String, String)>,
    question: String,
    passages: Vec<String>,
    #[serde(default)]
    right: u32,
    #[serde(default)]
    spans: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolLine {
    name: String,
    description: String,
    parameters: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallLine {
    request: String,
    tools: Vec<String>,
    name: String,
    arguments: Value,
}

/// BLAKE3 of all cases: what was measured with others can't be compared.
pub fn edition() -> String {
    let mut hasher = blake3::Hasher::new();
    for set in [PASSAGES, GROUNDED, UNANSWERABLE, TOOLS, CALLS, TURNS, DOCUMENTATION] {
        hasher.update(set.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Sets {
    /// Up to `most` cases of each kind. The error says which line is wrong.
    pub(super) fn read(most: usize) -> Result<Sets, String> {
        let passages = lines::<PassageLine>("passages.jsonl", PASSAGES, usize::MAX)?;
        let passages = passages.into_iter().map(|line| (line.id.clone(), passage(line))).collect();
        let tools = lines::<ToolLine>("tools.jsonl", TOOLS, usize::MAX)?;
        let tools = tools.into_iter().map(|line| (line.name.clone(), tool(line))).collect();
        let mut cases = Vec::new();
        for (kind, name, text) in [
            (Kind::Grounded, "grounded.jsonl", GROUNDED),
            (Kind::Unanswerable, "unanswerable.jsonl", UNANSWERABLE),
            (Kind::Turn, "turns.jsonl", TURNS),
        ] {
            cases.extend(lines(name, text, most)?.into_iter().map(|line| question(kind, line)));
        }
        cases.extend(lines("calls.jsonl", CALLS, most)?.into_iter().map(call));
        let sets = Sets { cases, passages, tools };
        sets.check()?;
        Ok(sets)
    }

    pub(super) fn passages_of(&self, case: &Case) -> Vec<Passage> {
        case.passages.iter().filter_map(|id| self.passages.get(id)).cloned().collect()
    }

    pub(super) fn tools_of(&self, case: &Case) -> Vec<ToolSpec> {
        case.tools.iter().filter_map(|name| self.tools.get(name)).cloned().collect()
    }

    /// Every name that a case uses is there.
    fn check(&self) -> Result<(), String> {
        for case in &self.cases {
            let missing = (case.passages.iter().filter(|id| !self.passages.contains_key(*id)))
                .chain(case.tools.iter().filter(|name| !self.tools.contains_key(*name)))
                .next();
            if let Some(missing) = missing {
                return Err(format!("`{}` names `{missing}`, which is nowhere", case.question));
            }
        }
        Ok(())
    }
}

fn lines<T: DeserializeOwned>(name: &str, text: &str, most: usize) -> Result<Vec<T>, String> {
    let read = |(at, line)| serde_json::from_str(line).map_err(|e| format!("line {} of {name}: {e}", at + 1));
    text.lines().enumerate().take(most).map(read).collect()
}

fn passage(line: PassageLine) -> Passage {
    Passage {
        end: line.text.len() as u64,
        path: line.path,
        title: String::new(),
        breadcrumb: line.heading,
        text: line.text,
        start: 0,
        line: 1,
        page: None,
        hash: String::new(),
        score: 1.0,
    }
}

fn tool(line: ToolLine) -> ToolSpec {
    ToolSpec { name: line.name, description: line.description, parameters: line.parameters.to_string() }
}

fn question(kind: Kind, line: QuestionLine) -> Case {
    let QuestionLine { before, question, passages, right, spans } = line;
    Case {
        kind,
        question,
        before,
        spans,
        right,
        passages,
        tool: String::new(),
        arguments: Value::Null,
        tools: Vec::new(),
    }
}

fn call(line: CallLine) -> Case {
    Case {
        kind: Kind::Call,
        question: line.request,
        before: Vec::new(),
        spans: Vec::new(),
        right: 0,
        passages: Vec::new(),
        tool: line.name,
        arguments: line.arguments,
        tools: line.tools,
    }
}

/// The documentation in pieces that end with a line.
pub(super) fn documentation() -> Vec<&'static str> {
    let (mut pieces, mut rest) = (Vec::new(), DOCUMENTATION);
    while !rest.is_empty() {
        let most = rest.char_indices().nth(PIECE).map_or(rest.len(), |(at, _)| at);
        let cut = if most == rest.len() { most } else { rest[..most].rfind('\n').map_or(most, |at| at + 1) };
        pieces.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    pieces
}

/// Bits per byte that gzip and xz need for the documentation as a whole.
pub(super) fn compressed() -> (f64, f64) {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing into memory cannot fail.
    let packed = gzip.write_all(DOCUMENTATION.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    let bits = |bytes: usize| 8.0 * bytes as f64 / DOCUMENTATION.len().max(1) as f64;
    (bits(packed.len()), bits(XZ))
}

#[cfg(test)]
mod tests {
    use super::super::judge::contains;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_can_be_read_and_each_kind_has_two_hundred() {
        let sets = Sets::read(usize::MAX).unwrap();
        for kind in [Kind::Grounded, Kind::Unanswerable, Kind::Call, Kind::Turn] {
            let count = sets.cases.iter().filter(|case| case.kind == kind).count();
            assert!(count >= 200, "{} {kind:?}", count);
        }
    }

    #[test]
    fn the_right_passage_tells_and_no_other_does() {
        let sets = Sets::read(usize::MAX).unwrap();
        for case in sets.cases.iter().filter(|case| matches!(case.kind, Kind::Grounded | Kind::Turn)) {
            let passages = sets.passages_of(case);
            assert_eq!(passages.len(), 4, "{}", case.question);
            for (n, passage) in passages.iter().enumerate() {
                let tells = case.spans.iter().any(|span| contains(&passage.text, span));
                assert_eq!(tells, n + 1 == case.right as usize, "passage {} of: {}", n + 1, case.question);
            }
        }
    }

    #[test]
    fn each_call_offers_its_tool_among_six_and_satisfies_the_schema() {
        let sets = Sets::read(usize::MAX).unwrap();
        for case in sets.cases.iter().filter(|case| case.kind == Kind::Call) {
            let offered: HashSet<&String> = case.tools.iter().collect();
            assert!(offered.len() == 6 && offered.contains(&case.tool), "{}", case.question);
            let schema = serde_json::from_str(&sets.tools[&case.tool].parameters).unwrap();
            let valid = jsonschema::validate(&schema, &case.arguments);
            assert!(valid.is_ok(), "{}: {valid:?}", case.question);
        }
    }

    #[test]
    fn the_documentation_is_handed_out_whole() {
        assert_eq!(documentation().concat(), DOCUMENTATION);
        assert!(documentation().iter().all(|piece| piece.chars().count() <= PIECE));
    }
}
