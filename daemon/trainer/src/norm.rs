//! Root mean square normalization (Zhang and Sennrich, arXiv 1910.07467) of whole tokens or of each head.
//! Its weights are frozen: gradients flow through it and none is taken.

use crate::acts::{Acts, LANES};
use crate::lanes::{self, Lanes, rows, rows_mut};
use crate::math::fma;
use rayon::prelude::*;

/// The weights of a norm. `weight.len()` consecutive features are normalized together: the width of the
/// model, or the size of a head (then each head with the same weights).
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    pub weight: Vec<f32>,
    pub eps: f32,
}

impl Norm {
    /// `w x / sqrt(mean(x^2) + eps)`.
    pub fn forward(&self, x: &Acts) -> Acts {
        let mut y = x.clone();
        y.values_mut().par_chunks_exact_mut(self.weight.len() * LANES).for_each(|y| {
            let scale = self.scale(y);
            rows_mut(y).zip(&self.weight).for_each(|(y, w)| lanes::scale(y, &scale, *w));
        });
        y
    }

    /// Adds to `dx` the gradient by the input `x`, where `dy` is that by the output.
    pub fn backward(&self, x: &Acts, dy: &Acts, dx: &mut Acts) {
        let group = self.weight.len() * LANES;
        let given = x.values().par_chunks_exact(group).zip(dy.values().par_chunks_exact(group));
        dx.values_mut().par_chunks_exact_mut(group).zip(given).for_each(|(dx, (x, dy))| {
            let scale = self.scale(x);
            let given = || rows(x).zip(rows(dy)).zip(&self.weight);
            let mut dot = sum(given(), |dot, ((x, dy), w)| add_product(dot, x, dy, *w));
            (0..LANES).for_each(|l| dot[l] *= scale[l] * scale[l] * scale[l] / self.weight.len() as f32);
            rows_mut(dx).zip(given()).for_each(|(dx, ((x, dy), w))| descend(dx, x, dy, *w, &scale, &dot));
        });
    }

    fn scale(&self, x: &[f32]) -> Lanes {
        let mut scale = sum(rows(x), |sum, x| add_product(sum, x, x, 1.0));
        let n = self.weight.len() as f32;
        scale.iter_mut().for_each(|s| *s = 1.0 / (*s / n + self.eps).sqrt());
        scale
    }
}

/// `sum += x y w`.
#[inline(never)]
fn add_product(sum: &mut Lanes, x: &Lanes, y: &Lanes, w: f32) {
    (0..LANES).for_each(|l| sum[l] = fma(x[l] * w, y[l], sum[l]));
}

/// `dx += dy w scale - x dot`.
#[inline(never)]
fn descend(dx: &mut Lanes, x: &Lanes, dy: &Lanes, w: f32, scale: &Lanes, dot: &Lanes) {
    (0..LANES).for_each(|l| dx[l] += dy[l] * w * scale[l] - x[l] * dot[l]);
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
