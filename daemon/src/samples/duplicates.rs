//! Near-duplicates, so that a text that lies around in many copies is not learned many times over: MinHash over
//! runs of words (Broder, "On the resemblance and containment of documents", 1997), found again by banding (Indyk and
//! Motwani, 1998). Arithmetic only; the same texts in the same order always give the same answer.

use std::collections::HashMap;

/// Words of a run.
const RUN: usize = 5;
/// Numbers of a signature; the more, the closer the estimate: its standard error is 0.06 at most.
const HASHES: usize = 64;
/// Numbers that must all agree for two texts to be compared. At a resemblance of 0.8 that happens in one of 16 bands
/// with a probability of 0.9998.
const BAND: usize = 4;
/// From this resemblance on, a text is a copy: the share of runs that two texts have in common.
const COPY: f64 = 0.8;

type Signature = [u64; HASHES];

/// The texts that were kept until now.
#[derive(Debug, Default)]
pub struct Seen {
    kept: Vec<Signature>,
    bands: HashMap<(usize, [u64; BAND]), Vec<usize>>,
}

impl Seen {
    /// Whether a text is new. A new one is remembered; a copy of one that was is not.
    pub fn is_new(&mut self, text: &str) -> bool {
        let signature = signature(text);
        let bands = bands(&signature);
        let like = bands.iter().filter_map(|band| self.bands.get(band)).flatten();
        if like.into_iter().any(|&at| resemblance(&self.kept[at], &signature) >= COPY) {
            return false;
        }
        for band in bands {
            self.bands.entry(band).or_default().push(self.kept.len());
        }
        self.kept.push(signature);
        true
    }
}

fn bands(signature: &Signature) -> Vec<(usize, [u64; BAND])> {
    let band = |(at, numbers): (usize, &[u64])| {
        let mut all = [0; BAND];
        all.copy_from_slice(numbers);
        (at, all)
    };
    signature.chunks_exact(BAND).enumerate().map(band).collect()
}

fn resemblance(a: &Signature, b: &Signature) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / HASHES as f64
}

/// The least hash of any run of words, for each of several hash functions.
fn signature(text: &str) -> Signature {
    let words: Vec<String> = words(text).collect();
    let mut least = [u64::MAX; HASHES];
    // A text shorter than a run is one run.
    for run in words.windows(RUN.min(words.len().max(1))) {
        let hash = blake3::hash(run.join(" ").as_bytes());
        let (first, second) = hash.as_bytes().split_at(8);
        let number = |bytes: &[u8]| bytes.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte));
        let (base, step) = (number(first), number(second) | 1);
        // Two hashes make as many as are needed (Kirsch and Mitzenmacher, 2006).
        for (at, least) in least.iter_mut().enumerate() {
            *least = (*least).min(base.wrapping_add(step.wrapping_mul(at as u64 + 1)));
        }
    }
    least
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
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
        let (mut found, mut kept, rounds) = (0, 0, 200);
        for _ in 0..rounds {
            let text = made_up(&mut random, 300);
            let mut copy = text.clone();
            copy[random.below(300)] = "changed".into();
            copy[random.below(300)] = "another".into();
            let mut other = text.clone();
            other[..200].clone_from_slice(&made_up(&mut random, 200));
            let mut seen = Seen::default();
            assert!(seen.is_new(&text.join(" ")));
            found += usize::from(!seen.is_new(&copy.join(", ").to_uppercase()));
            kept += usize::from(seen.is_new(&other.join(" ")));
        }
        assert!(found >= 198 && kept >= 199, "{found} copies found, {kept} others kept, of {rounds}");
    }

    #[test]
    fn short_and_empty_texts_are_compared_too() {
        let mut seen = Seen::default();
        assert!(seen.is_new("Kettle first."));
        assert!(!seen.is_new("kettle   FIRST"));
        assert!(seen.is_new("Kettle last."));
        assert!(seen.is_new("") && !seen.is_new("?!"));
    }
}
