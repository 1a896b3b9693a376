//! AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101) over an adapter's flat
//! values, with the gradient clipped by its global norm.

use crate::lora::Adapter;
use crate::recipe::Recipe;
use rayon::prelude::*;

/// The two moments of every value, and how many steps they have seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub steps: u64,
}

impl Moments {
    pub fn zeros(values: usize) -> Moments {
        Moments { first: vec![0.0; values], second: vec![0.0; values], steps: 0 }
    }
}

/// Values handled at a time; sums are made over chunks of this size whatever the number of threads.
const CHUNK: usize = 1 << 14;

/// The Euclidean norm, summed in `f64`; NaN or infinite when a value is.
pub fn norm(values: &[f32]) -> f64 {
    let squares = |chunk: &[f32]| chunk.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
    let sums: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
    sums.iter().sum::<f64>().sqrt()
}

/// One step: moves `adapter` against `grads` multiplied with `factor` (which clips and averages).
pub fn step(
    adapter: &mut Adapter,
    grads: &[f32],
    factor: f32,
    moments: &mut Moments,
    rate: f32,
    recipe: &Recipe,
) {
    moments.steps += 1;
    let steps = moments.steps.min(i32::MAX as u64) as i32;
    let corrected =
        (1.0 - f64::from(recipe.beta2).powi(steps)).sqrt() / (1.0 - f64::from(recipe.beta1).powi(steps));
    for site in adapter.sites.clone() {
        let end = site.b + site.outputs * adapter.rank;
        for (range, rate) in [(site.a..site.b, rate), (site.b..end, rate * recipe.b_ratio)] {
            let rule = Rule { rate, corrected: corrected as f32, factor, steps, recipe };
            let values = adapter.values[range.clone()].par_chunks_mut(CHUNK);
            let first = moments.first[range.clone()].par_chunks_mut(CHUNK);
            let second = moments.second[range.clone()].par_chunks_mut(CHUNK);
            let grads = grads[range].par_chunks(CHUNK);
            values.zip(first).zip(second).zip(grads).for_each(|(((v, m), s), g)| rule.apply(v, m, s, g));
        }
    }
}

struct Rule<'a> {
    rate: f32,
    /// The bias correction of both moments, as one factor.
    corrected: f32,
    factor: f32,
    steps: i32,
    recipe: &'a Recipe,
}

impl Rule<'_> {
    fn apply(&self, values: &mut [f32], first: &mut [f32], second: &mut [f32], grads: &[f32]) {
        let Recipe { beta1, beta2, weight_decay, .. } = *self.recipe;
        // Epsilon is added to the corrected second moment's root, so it is scaled like that root.
        let epsilon = self.recipe.epsilon * (1.0 - f64::from(beta2).powi(self.steps)).sqrt() as f32;
        let keep = 1.0 - self.rate * weight_decay;
        let rate = self.rate * self.corrected;
        for (((value, m), s), g) in values.iter_mut().zip(first).zip(second).zip(grads) {
            let g = g * self.factor;
            *m += (1.0 - beta1) * (g - *m);
            *s += (1.0 - beta2) * (g * g - *s);
            *value = *value * keep - rate * *m / (s.sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::Target;

    /// The textbook's formulas in f64, one value at a time.
    #[test]
    fn steps_equal_the_textbook() {
        let recipe = Recipe { weight_decay: 0.1, b_ratio: 4.0, ..Recipe::default() };
        let mut adapter = Adapter::zeros(2, 4.0, 2.0, [(0, Target::Q, 3, 2)]);
        adapter.values.iter_mut().enumerate().for_each(|(i, v)| *v = i as f32 / 7.0 - 0.5);
        let mut expected: Vec<f64> = adapter.values.iter().map(|v| f64::from(*v)).collect();
        let mut moments = Moments::zeros(10);
        let (mut m, mut s) = (vec![0.0f64; 10], vec![0.0f64; 10]);
        for t in 1..=20 {
            let grads: Vec<f32> = (0..10).map(|i| ((i * 7 + t * 3) as f32).sin()).collect();
            step(&mut adapter, &grads, 0.5, &mut moments, 0.01, &recipe);
            for i in 0..10 {
                let rate = if i < 6 { 0.01 } else { 0.04 };
                let g = f64::from(grads[i]) * 0.5;
                m[i] = 0.9 * m[i] + 0.1 * g;
                s[i] = 0.999 * s[i] + 0.001 * g * g;
                let (mh, sh) = (m[i] / (1.0 - 0.9f64.powi(t)), s[i] / (1.0 - 0.999f64.powi(t)));
                expected[i] -= rate * (mh / (sh.sqrt() + 1e-8) + 0.1 * expected[i]);
            }
        }
        for (value, expected) in adapter.values.iter().zip(&expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-5, "{value} and {expected}");
        }
    }

    #[test]
    fn a_norm_is_exact_and_shows_what_is_not_finite() {
        let mut values = vec![2.0; 3 * CHUNK];
        assert_eq!(norm(&values), (12.0 * CHUNK as f64).sqrt());
        values[CHUNK + 1] = f32::NAN;
        assert!(norm(&values).is_nan());
    }
}
