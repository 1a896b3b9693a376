//! Whether the model can read a text at all. What it cannot, such as another language than its own, a cipher or a damaged file, could only be
//! learned at the cost of the rest, and is left out before anything is trained. It reads what it is handed.

use super::replay::general;
use super::{NightError, collect};
use crate::engine::Engine;
use crate::protocol::frames::Score;
use crate::samples::Sample;
use std::collections::{BTreeMap, BTreeSet};

/// A text with more than so many times the bits a byte of general text of its length is not read but spelled out.
const TIMES: f64 = 1.6;
/// Pieces of general text that are read for comparison.
const PIECES: usize = 12;

/// The ids of the samples that the model that the engine's settings name cannot read.
pub(super) async fn unreadable<'a>(
    engine: &Engine,
    samples: impl Iterator<Item = &'a Sample>,
) -> Result<BTreeSet<String>, NightError> {
    let pieces: Vec<String> = general().into_iter().take(PIECES).collect();
    // By the power of two that a text is shorter than: the first words of a text are the hardest.
    let mut usual: BTreeMap<usize, f64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for sample in samples {
        let Some((_, text)) = collect::own(sample) else { continue };
        let length = text.len().next_power_of_two();
        let usual = match usual.get(&length) {
            Some(usual) => *usual,
            None => *usual.entry(length).or_insert(
                mean(engine, pieces.iter().map(|piece| &piece[..piece.floor_char_boundary(length)])).await?,
            ),
        };
        let bits = mean(engine, [text].into_iter()).await?;
        if bits > TIMES * usual {
            ids.insert(sample.id.clone());
        }
    }
    Ok(ids)
}

/// Bits a byte of some texts, each read by itself.
async fn mean(engine: &Engine, texts: impl Iterator<Item = &str>) -> Result<f64, NightError> {
    let (mut nats, mut bytes) = (0.0, 0);
    for text in texts {
        let scored = engine.score(Score { prompt: None, text: text.into() }).await?;
        (nats, bytes) = (nats + scored.total(), bytes + scored.bytes);
    }
    Ok(nats / std::f64::consts::LN_2 / bytes.max(1) as f64)
}
