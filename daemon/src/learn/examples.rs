//! Rows become examples: tokens with the weight of each one's loss, checked against the vocabulary and
//! the room that there is. What is left out is counted, with the reason of the first.

use super::data::{DataError, Row, Segment, Source, Teacher};
use super::spec::Long;
use super::tokens::Tokenizer;
use familiar_trainer::pack::Example;

/// How many tokens fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In an example: as a micro-batch and the model's context hold.
    pub example: usize,
    /// In what a teacher sees: as the model's context holds.
    pub teacher: usize,
}

impl Room {
    /// `context` is 0 where the model does not say.
    pub fn new(micro_batch: usize, context: u32) -> Room {
        let teacher = if context == 0 { usize::MAX } else { context as usize };
        Room { example: micro_batch.min(teacher), teacher }
    }
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

/// Makes examples that fit.
pub fn of(rows: Vec<Row>, tokenizer: &Tokenizer, room: Room, long: Long) -> Result<Examples, DataError> {
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

fn example(row: Row, tokenizer: &Tokenizer, room: Room, long: Long) -> Result<Example, Refusal> {
    let (tokens, weights) = match row.source {
        Source::Tokens { tokens, weights } => (known(tokens, tokenizer.size())?, weights),
        Source::Segments { segments, end } => encoded(&segments, end, tokenizer),
    };
    let teacher = match row.teacher {
        None => None,
        Some(Teacher::Segments(segments)) => Some(tokenizer.encode(&segments).0),
        Some(Teacher::Tokens(tokens)) => Some(known(tokens, tokenizer.size())?),
    };
    let example = Example { tokens, weights, kl: row.kl, avoid: row.avoid, teacher };
    let Some(first) = example.first_learned() else {
        return Err(Refusal::LeftOut("it has no token to learn".into()));
    };
    let learned = example.tokens.len() - first;
    let taught = example.teacher.as_ref().map_or(0, |teacher| teacher.len() + learned);
    let (has, fits, way_out) = match example.tokens.len() > room.example {
        true => (example.tokens.len(), room.example, "raise `recipe.tokens`"),
        false => (taught, room.teacher, "shorten its `teacher`"),
    };
    if has <= fits {
        return Ok(example);
    }
    let what = format!("it has {has} tokens and {fits} fit");
    Err(match long {
        Long::Skip => Refusal::LeftOut(what),
        Long::Fail => {
            Refusal::Wrong(format!("{what}: cut it, {way_out}, or set `long = \"skip\"` to leave such out"))
        }
    })
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
