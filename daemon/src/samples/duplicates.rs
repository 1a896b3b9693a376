//! Near-duplicates, so that a text that lies around in many copies, whole or beside other words, is not learned many times
//! over: the containment of its runs of words in what was kept (Broder, "On the resemblance and containment of documents",
//! 1997). Exact, since a person writes little. Arithmetic only; the same texts in the same order always give the same answer.

use super::{Body, Sample};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Words of a run.
const RUN: usize = 5;
/// From this containment on a text is a copy: the share of its runs that stand in texts that were kept.
const COPY: f64 = 0.6;

/// The texts that were kept until now, as hashes of their runs.
#[derive(Debug, Default)]
pub struct Seen(HashSet<u64>);

impl Seen {
    /// Whether a text is new. A new one is remembered; a copy of what was is not.
    pub fn is_new(&mut self, text: &str) -> bool {
        let runs = runs(text);
        let known = runs.iter().filter(|run| self.0.contains(run)).count();
        if known as f64 >= COPY * runs.len() as f64 {
            return false;
        }
        self.0.extend(runs);
        true
    }
}

/// The hash of each run of words; a text shorter than a run is one run.
fn runs(text: &str) -> Vec<u64> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let hash = |run: &[String]| {
        let hash = blake3::hash(run.join(" ").as_bytes());
        hash.as_bytes().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    words.windows(RUN.min(words.len().max(1))).map(hash).collect()
}

/// Ids of the questions that a later text raises too: of several answers the last that was written counts, and nothing could
/// tell which of them a question like "Tell me about Nils." means.
pub fn superseded(samples: &[&Sample]) -> BTreeSet<String> {
    let mut by_time = samples.to_vec();
    by_time.sort_by_key(|sample| sample.at);
    let mut latest: BTreeMap<String, &Sample> = BTreeMap::new();
    let mut superseded = BTreeSet::new();
    for sample in by_time {
        let Body::Distilled { question, .. } = &sample.body else { continue };
        if let Some(older) = latest.insert(question.to_lowercase(), sample) {
            superseded.insert(older.id.clone());
        }
    }
    superseded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Lineage, distilled};
    use familiar_trainer::random::Stream;

    fn made_up(random: &mut Stream, words: usize) -> Vec<String> {
        (0..words).map(|_| format!("w{}", random.below(500))).collect()
    }

    #[test]
    fn copies_are_found_through_small_changes_and_others_are_kept() {
        let mut random = Stream::new(3);
        for _ in 0..200 {
            let text = made_up(&mut random, 300);
            let mut copy = text.clone();
            copy[random.below(300)] = "changed".into();
            copy[random.below(300)] = "another".into();
            let noise = made_up(&mut random, 100).join(" ");
            let mut other = text.clone();
            other[..200].clone_from_slice(&made_up(&mut random, 200));
            let mut seen = Seen::default();
            assert!(seen.is_new(&text.join(" ")));
            assert!(!seen.is_new(&copy.join(", ").to_uppercase()));
            assert!(!seen.is_new(&format!("{} {noise}", text.join(" "))));
            assert!(!seen.is_new(&text[50..90].join(" ")));
            assert!(seen.is_new(&other.join(" ")));
        }
    }

    #[test]
    fn short_and_empty_texts_are_compared_too() {
        let mut seen = Seen::default();
        assert!(seen.is_new("Kettle first."));
        assert!(!seen.is_new("kettle   FIRST"));
        assert!(seen.is_new("Kettle last."));
        assert!(!seen.is_new("") && !seen.is_new("?!"), "nothing is nothing new");
    }

    #[test]
    fn of_several_answers_the_last_written_counts() {
        let own = |at: i64, text: &str| {
            Sample::new(Lineage::default(), at, Body::Own { heading: String::new(), text: text.into() })
        };
        let texts =
            [own(5, "Nils lives in Dovery."), own(2, "Nils sells lamps."), own(9, "Ilse lives in Quenby.")];
        let asked = |n: usize, question: &str, answer: &str| distilled(&texts[n], question, answer).unwrap();
        let samples = [
            asked(0, "Where does Nils live?", "In Dovery."),
            asked(0, "Nils?", "He lives in Dovery."),
            asked(1, "nils?", "He sells lamps."),
            asked(2, "Ilse?", "She lives in Quenby."),
        ];
        let all: Vec<&Sample> = samples.iter().chain(&texts).collect();
        assert_eq!(superseded(&all), BTreeSet::from([samples[2].id.clone()]));
        let backwards: Vec<&Sample> = all.iter().rev().copied().collect();
        assert_eq!(superseded(&backwards), BTreeSet::from([samples[2].id.clone()]));
    }
}
