//! How sure a difference between two models is: the paired bootstrap over documents (Efron and Tibshirani, "An
//! Introduction to the Bootstrap", 1993, chapter 13; paired by document as Koehn, "Statistical significance tests for
//! machine translation evaluation", 2004). Arithmetic only; the same numbers always give the same interval.

use familiar_trainer::random::{Stream, mix};
use serde::{Deserialize, Serialize};

/// Draws of as many documents as there are, with replacement.
const DRAWS: usize = 2000;
const SEED: u64 = 0x6761_7465;

/// A mean difference and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// The mean of `differences`, one a document, and where 95 % of resampled means lie. Without a document it is as
    /// wide as can be; with one it says nothing of others, and so is as wide too.
    pub fn of(differences: &[f64]) -> Interval {
        let n = differences.len();
        if n < 2 {
            let mean = differences.first().copied().unwrap_or(0.0);
            return Interval { mean, low: f64::NEG_INFINITY, high: f64::INFINITY };
        }
        let mut random = Stream::new(mix(SEED, n as u64));
        let mut draw = || (0..n).map(|_| differences[random.below(n)]).sum::<f64>() / n as f64;
        let mut means: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[((DRAWS - 1) as f64 * share).round() as usize];
        Interval { mean: differences.iter().sum::<f64>() / n as f64, low: at(0.025), high: at(0.975) }
    }
}

/// The middle of the values; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len().is_multiple_of(2) { (upper + sorted[middle - 1]) / 2.0 } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_as_often_as_it_says() {
        let mut random = Stream::new(7);
        let (mut held, rounds) = (0, 300);
        for _ in 0..rounds {
            // Twelve uniform numbers less six are nearly normal, with variance 1.
            let normal = |random: &mut Stream| (0..12).map(|_| f64::from(random.unit())).sum::<f64>() - 6.0;
            let sample: Vec<f64> = (0..40).map(|_| 0.3 + normal(&mut random)).collect();
            let interval = Interval::of(&sample);
            held += usize::from((interval.low..=interval.high).contains(&0.3));
        }
        // 95 % would be 285; the percentile bootstrap of 40 values is a little narrow.
        assert!((270..=296).contains(&held), "{held} of {rounds}");
    }

    #[test]
    fn equal_models_differ_by_nothing_and_few_documents_say_nothing() {
        assert_eq!(Interval::of(&[0.0; 30]), Interval { mean: 0.0, low: 0.0, high: 0.0 });
        assert_eq!(Interval::of(&[0.5; 30]), Interval::of(&[0.5; 30]));
        for few in [&[][..], &[9.0][..]] {
            assert!(Interval::of(few).low < -1e300, "{few:?}");
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }
}
