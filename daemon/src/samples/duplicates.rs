//! Near-duplicates, so that a text that lies around in many copies, whole or beside other words, is not learned many times
//! over: the containment of its runs of words in what was kept (Broder, "On the resemblance and containment of documents",
//! 1997). Exact, since a person writes little. Arithmetic only; the same texts in the same order always give the same answer.

use std::collections::HashSet;

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

#[cfg(test)]
mod tests {
    use super::*;
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
}
