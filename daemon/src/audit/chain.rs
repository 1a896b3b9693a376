//! The chain: how a line is tied to the one before, and how a break in it is found. Pure.

use super::{Entry, Trace};
use crate::store::Head;
use serde::{Deserialize, Serialize};

/// What stands for the hash of the line before the first.
pub(super) const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Findings that are told; more of them tell nothing more.
const MOST: usize = 100;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// From 1.
    pub n: u64,
    /// Milliseconds since 1970, UTC.
    pub at: u64,
    /// BLAKE3 of the line before, in hex.
    pub prev: String,
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a check of the log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub lines: u64,
    /// What is wrong, one sentence each; empty when all is well.
    pub findings: Vec<String>,
}

/// Where a log ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last line's number.
    pub lines: u64,
    pub hash: String,
    /// What comes after the last line and is none.
    pub torn: Option<Vec<u8>>,
}

impl Tail {
    /// Of the last bytes of a log; they may begin in the middle of a line.
    pub fn of(bytes: &[u8]) -> Tail {
        let mut end = bytes.len();
        let mut whole = bytes.iter().rposition(|byte| *byte == b'\n');
        while let Some(stop) = whole {
            let start = bytes[..stop].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if let Ok(line) = serde_json::from_slice::<Line>(&bytes[start..stop]) {
                end = stop + 1;
                let torn = (end < bytes.len()).then(|| bytes[end..].to_vec());
                return Tail { lines: line.n, hash: hash(&bytes[start..stop]), torn };
            }
            whole = start.checked_sub(1);
        }
        Tail { torn: (end > 0).then(|| bytes.to_vec()), ..Tail::default() }
    }
}

/// Finds lines that were changed, are missing, stand elsewhere, or were cut from the end. `head` is what
/// is known of the end from elsewhere.
pub fn verify(log: &[u8], head: Option<&Head>) -> Verdict {
    let mut walk = Walk { expected: 1, prev: FIRST.into(), ..Walk::default() };
    let whole = log.strip_suffix(b"\n").unwrap_or(log);
    if !log.is_empty() {
        whole.split(|byte| *byte == b'\n').for_each(|line| walk.line(line));
    }
    walk.end(log, head);
    let lines = walk.expected - 1;
    let mut findings = walk.findings;
    if findings.len() > MOST {
        let more = findings.len() - MOST;
        findings.truncate(MOST);
        findings.push(format!("and {more} more"));
    }
    Verdict { lines, findings }
}

#[derive(Default)]
struct Walk {
    /// The number that the next line should have.
    expected: u64,
    /// Hash of the line before.
    prev: String,
    /// Lines that are no entries, since the last one that is.
    torn: Option<Vec<u8>>,
    /// This line does not say what the one before hashes to, and it is not clear yet which is wrong.
    doubt: Option<u64>,
    /// The hash of the line that the head speaks of is looked for among these.
    hashes: Vec<String>,
    findings: Vec<String>,
}

impl Walk {
    fn line(&mut self, text: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(text) else {
            let torn = self.torn.get_or_insert_default();
            if !torn.is_empty() {
                torn.push(b'\n');
            }
            torn.extend_from_slice(text);
            return;
        };
        self.settle_torn(&line);
        if line.n == self.expected {
            self.tied(&line);
        } else {
            self.settle_doubt();
            self.misplaced(&line);
        }
        self.expected = line.n + 1;
        self.prev = hash(text);
        self.hashes.push(self.prev.clone());
    }

    fn settle_torn(&mut self, next: &Line) {
        let Some(torn) = self.torn.take() else { return };
        let marked = match &next.entry {
            Entry::Torn { bytes, blake3 } => {
                Trace::of(&torn) == Trace { bytes: *bytes, blake3: blake3.clone() }
            }
            _ => false,
        };
        if !marked {
            self.findings.push(format!("before line {} stands something that is no entry", next.n));
        }
    }

    /// A line that stands in its place: the one before must hash to what it says. One break accuses the
    /// line before it; two in a row accuse the line between them.
    fn tied(&mut self, line: &Line) {
        let fits = line.prev == self.prev;
        match self.doubt.take() {
            Some(n) if !fits => self.changed(n),
            Some(n) => self.changed(n.saturating_sub(1).max(1)),
            None if !fits => self.doubt = Some(line.n),
            None => {}
        }
    }

    fn changed(&mut self, n: u64) {
        self.findings.push(format!("line {n} was changed"));
    }

    /// No line follows that could tell more.
    fn settle_doubt(&mut self) {
        if let Some(n) = self.doubt.take() {
            self.changed(n.saturating_sub(1).max(1));
        }
    }

    fn misplaced(&mut self, line: &Line) {
        let finding = match (self.expected, line.n) {
            (expected, n) if n == expected + 1 => format!("line {expected} is missing"),
            (expected, n) if n > expected => format!("lines {expected} to {} are missing", n - 1),
            (_, n) => format!("line {n} stands in the wrong place"),
        };
        self.findings.push(finding);
    }

    fn end(&mut self, log: &[u8], head: Option<&Head>) {
        self.settle_doubt();
        if self.torn.is_some() || (!log.is_empty() && !log.ends_with(b"\n")) {
            self.findings.push("the last line is torn".into());
        }
        let Some(head) = head else { return };
        let known = self.expected - 1;
        if known < head.lines {
            self.findings.push(format!("lines {} to {} are missing at the end", known + 1, head.lines));
        } else if self.findings.is_empty() && !self.hashes.contains(&head.hash) {
            self.findings.push(format!(
                "line {} is not the one that was written: it was changed, or one before it was and all after it were made to fit",
                head.lines
            ));
        }
    }
}

fn hash(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}
