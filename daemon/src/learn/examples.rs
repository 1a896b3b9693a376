//! Rows become examples: tokens with the weight of each one's loss, checked against the vocabulary and
//! the room that there is. What is left out is counted, with the reason of the first.

use super::data::{DataError, Row, Segment, Source};
use super::spec::Long;
use super::tokens::Tokenizer;

/// One example in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub tokens: Vec<u32>,
    /// Of each token, as something to be predicted; the first cannot be.
    pub weights: Vec<f32>,
    pub kl: f32,
    /// What stands before the learned tokens when the base model teaches them, in place of what is not
    /// learned at the start.
    pub teacher: Option<Vec<u32>>,
}

/// All that can be learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    pub all: Vec<Example>,
    pub left_out: usize,
}

/// Why an example is left out, or ends the job.
enum Refusal {
    /// It is fine in itself and teaches nothing here.
    LeftOut(String),
    Wrong(String),
}

/// Makes examples of at most `room` tokens.
pub fn of(rows: Vec<Row>, tokenizer: &Tokenizer, room: usize, long: Long) -> Result<Examples, DataError> {
    let count = rows.len();
    let (mut all, mut first) = (Vec::new(), None);
    for row in rows {
        let line = row.line;
        match example(row, tokenizer, room, long) {
            Ok(example) => all.push(example),
            Err(Refusal::Wrong(what)) => return Err(DataError::Line { line, what }),
            Err(Refusal::LeftOut(what)) => {
                first.get_or_insert((line, what));
            }
        }
    }
    match first {
        Some((line, what)) if all.is_empty() => Err(DataError::NoneUsable { examples: count, line, what }),
        _ => Ok(Examples { left_out: count - all.len(), all }),
    }
}

fn example(row: Row, tokenizer: &Tokenizer, room: usize, long: Long) -> Result<Example, Refusal> {
    let (tokens, weights) = match row.source {
        Source::Tokens { tokens, weights } => (known(tokens, tokenizer.size())?, weights),
        Source::Segments { segments, end } => encoded(&segments, end, tokenizer),
    };
    if !weights.iter().skip(1).any(|weight| *weight > 0.0) {
        return Err(Refusal::LeftOut("it has no token to learn".into()));
    }
    let teacher = row.teacher.map(|segments| tokenizer.encode(&segments).0);
    let length = tokens.len() + teacher.as_ref().map_or(0, Vec::len);
    if length > room {
        let what = format!("it has {length} tokens and {room} fit");
        return Err(match long {
            Long::Skip => Refusal::LeftOut(what),
            Long::Fail => Refusal::Wrong(format!(
                "{what}: cut it, raise `recipe.tokens`, or set `long = \"skip\"` to leave such out"
            )),
        });
    }
    Ok(Example { tokens, weights, kl: row.kl, teacher })
}

fn known(tokens: Vec<u32>, vocabulary: u32) -> Result<Vec<u32>, Refusal> {
    match tokens.iter().find(|token| **token >= vocabulary) {
        Some(token) => Err(Refusal::Wrong(format!("token {token} is not one of the model's {vocabulary}"))),
        None => Ok(tokens),
    }
}

fn encoded(segments: &[Segment], end: bool, tokenizer: &Tokenizer) -> (Vec<u32>, Vec<f32>) {
    let (mut tokens, mut weights) = tokenizer.encode(segments);
    if let Some(token) = tokenizer.end().filter(|_| end) {
        tokens.push(token);
        weights.push(segments.last().map_or(0.0, |segment| segment.learn));
    }
    (tokens, weights)
}

#[cfg(test)]
#[path = "examples_tests.rs"]
mod tests;
