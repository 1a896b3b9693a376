//! Root mean square normalization (Zhang and Sennrich, arXiv 1910.07467) of whole tokens or of each head.
//! Its weights are frozen: gradients flow through it and none is taken.

use crate::acts::{Acts, LANES};
use crate::math::fma;
use rayon::prelude::*;

/// The weights of a norm. `weight.len()` consecutive features are normalized together: the width of the
/// model, or the size of a head (then each head with the same weights).
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    pub weight: Vec<f32>,
    pub eps: f32,
}

type Lanes = [f32; LANES];

impl Norm {
    /// `w x / sqrt(mean(x^2) + eps)`.
    pub fn forward(&self, x: &Acts) -> Acts {
        let mut y = Acts::zeros(x.features(), x.tokens());
        let group = self.weight.len() * LANES;
        let inputs = x.values().par_chunks_exact(group);
        y.values_mut().par_chunks_exact_mut(group).zip(inputs).for_each(|(y, x)| {
            let scale = self.scale(x);
            for ((y, x), w) in rows_mut(y).zip(rows(x)).zip(&self.weight) {
                (0..LANES).for_each(|l| y[l] = x[l] * scale[l] * w);
            }
        });
        y
    }

    /// Adds to `dx` the gradient by the input `x`, where `dy` is that by the output.
    pub fn backward(&self, x: &Acts, dy: &Acts, dx: &mut Acts) {
        let group = self.weight.len() * LANES;
        let given = x.values().par_chunks_exact(group).zip(dy.values().par_chunks_exact(group));
        dx.values_mut().par_chunks_exact_mut(group).zip(given).for_each(|(dx, (x, dy))| {
            let scale = self.scale(x);
            let mut dot = sum(rows(x).zip(rows(dy)).zip(&self.weight), |dot, ((x, dy), w)| {
                (0..LANES).for_each(|l| dot[l] = fma(dy[l] * w, x[l], dot[l]));
            });
            (0..LANES).for_each(|l| dot[l] *= scale[l] * scale[l] * scale[l] / self.weight.len() as f32);
            for (((dx, x), dy), w) in rows_mut(dx).zip(rows(x)).zip(rows(dy)).zip(&self.weight) {
                (0..LANES).for_each(|l| dx[l] += dy[l] * w * scale[l] - x[l] * dot[l]);
            }
        });
    }

    fn scale(&self, x: &[f32]) -> Lanes {
        let mut scale = sum(rows(x), |sum, x| (0..LANES).for_each(|l| sum[l] = fma(x[l], x[l], sum[l])));
        let n = self.weight.len() as f32;
        scale.iter_mut().for_each(|s| *s = 1.0 / (*s / n + self.eps).sqrt());
        scale
    }
}

/// Sums over rows in runs of 64, so that the rounding errors of long sums stay small.
fn sum<T>(mut rows: impl Iterator<Item = T>, add: impl Fn(&mut Lanes, T)) -> Lanes {
    let mut total = [0.0; LANES];
    loop {
        let mut part = [0.0; LANES];
        let mut count = 0;
        for row in rows.by_ref().take(64) {
            add(&mut part, row);
            count += 1;
        }
        (0..LANES).for_each(|l| total[l] += part[l]);
        if count < 64 {
            return total;
        }
    }
}

/// The rows of a part of a panel, each of all its lanes.
pub fn rows(part: &[f32]) -> std::slice::Iter<'_, Lanes> {
    part.as_chunks::<LANES>().0.iter()
}

pub fn rows_mut(part: &mut [f32]) -> std::slice::IterMut<'_, Lanes> {
    part.as_chunks_mut::<LANES>().0.iter_mut()
}
