//! Rotary position embedding (Su et al., arXiv 2104.09864) with linear and YaRN scaling (Peng et al.,
//! arXiv 2309.00071), as ggml computes it: the same recurrence in `f32`, so that angles are the served ones.

use crate::acts::{Acts, LANES};
use crate::lanes::{Lanes, rows, rows_mut};
use rayon::prelude::*;

/// How the heads of a layer are rotated.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Features of a head that are rotated, an even number; the others stay.
    pub dims: usize,
    /// Whether feature `i` is paired with `i + dims / 2` ("NeoX") or `2 i` with `2 i + 1`.
    pub halves: bool,
    pub base: f32,
    /// What positions are multiplied with.
    pub scale: f32,
    /// Scales by YaRN, for a model that was first trained on this many tokens.
    pub yarn: Option<f32>,
    /// What the rotated features are multiplied with.
    pub magnitude: f32,
    /// What each pair's frequency is divided by.
    pub factors: Option<Vec<f32>>,
}

impl Rotary {
    /// The pairs up to which YaRN keeps frequencies, and from which on it scales them.
    fn ramp(&self, trained: f32) -> [f32; 2] {
        let dims = self.dims as f32;
        let pair = |turns: f32| {
            dims * (trained / (turns * 2.0 * std::f32::consts::PI)).ln() / (2.0 * self.base.ln())
        };
        [pair(32.0).floor().max(0.0), pair(1.0).ceil().min(dims - 1.0)]
    }

    /// Cosine and sine of each pair at `position`.
    fn angles(&self, position: u32) -> Vec<(f32, f32)> {
        let step = self.base.powf(-2.0 / self.dims as f32);
        let magnitude = match self.yarn {
            Some(_) => self.magnitude * (1.0 + 0.1 * (1.0 / self.scale).ln()),
            None => self.magnitude,
        };
        let mut theta = position as f32;
        let pairs = (0..self.dims / 2).map(|pair| {
            let full = theta / self.factors.as_ref().map_or(1.0, |factors| factors[pair]);
            theta *= step;
            let (sin, cos) = self.stretched(full, pair).sin_cos();
            (cos * magnitude, sin * magnitude)
        });
        pairs.collect()
    }

    fn stretched(&self, full: f32, pair: usize) -> f32 {
        let scaled = self.scale * full;
        let Some(trained) = self.yarn else { return scaled };
        let [low, high] = self.ramp(trained);
        let kept = 1.0 - ((pair as f32 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
        scaled * (1.0 - kept) + full * kept
    }
}

/// Cosines and sines for the tokens of a micro-batch.
pub struct Rotation {
    /// `[pairs x tokens]`.
    cos: Acts,
    sin: Acts,
    halves: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    /// The gradient's way: the rotation transposed.
    Backward,
}

impl Rotation {
    pub fn new(rotary: &Rotary, positions: &[u32]) -> Rotation {
        let mut cos = Acts::zeros(rotary.dims / 2, positions.len());
        let mut sin = cos.clone();
        let angles: Vec<_> = positions.par_iter().map(|position| rotary.angles(*position)).collect();
        for (token, angles) in angles.into_iter().enumerate() {
            for (pair, (c, s)) in angles.into_iter().enumerate() {
                cos.set(pair, token, c);
                sin.set(pair, token, s);
            }
        }
        Rotation { cos, sin, halves: rotary.halves }
    }

    /// Rotates each head of `x`, which have `head` features, in place.
    pub fn apply(&self, x: &mut Acts, head: usize, direction: Direction) {
        let pairs = self.cos.features();
        let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
        let tables = self
            .cos
            .values()
            .par_chunks_exact(pairs * LANES)
            .zip(self.sin.values().par_chunks_exact(pairs * LANES));
        x.par_panels_mut().zip(tables).for_each(|(panel, (cos, sin))| {
            for head in panel.chunks_exact_mut(head * LANES) {
                let rotated = &mut head[..2 * pairs * LANES];
                if self.halves {
                    let (a, b) = rotated.split_at_mut(pairs * LANES);
                    let angles = rows(cos).zip(rows(sin));
                    rows_mut(a)
                        .zip(rows_mut(b))
                        .zip(angles)
                        .for_each(|((a, b), (c, s))| rotate(a, b, c, s, sign));
                } else {
                    let (twos, _) = rotated.as_chunks_mut::<{ 2 * LANES }>();
                    for (two, (c, s)) in twos.iter_mut().zip(rows(cos).zip(rows(sin))) {
                        let (a, b) = two.split_at_mut(LANES);
                        rotate(a.try_into().expect("a half"), b.try_into().expect("a half"), c, s, sign);
                    }
                }
            }
        });
    }
}

#[inline(never)]
fn rotate(a: &mut Lanes, b: &mut Lanes, cos: &Lanes, sin: &Lanes, sign: f32) {
    for l in 0..LANES {
        let (x, y, s) = (a[l], b[l], sign * sin[l]);
        a[l] = x * cos[l] - y * s;
        b[l] = x * s + y * cos[l];
    }
}
