//! Activations of a micro-batch: feature-major, in panels of [`LANES`] tokens. Panel `p` is a matrix
//! `[features][LANES]`, so a token is a lane and a feature a row: norms, RoPE and gates run along the
//! lanes, and a panel is what a matrix product's micro-kernel reads and writes, without packing.

use rayon::prelude::*;

/// Tokens of a panel: two vectors of AVX-512, four of AVX2.
pub const LANES: usize = 32;

/// Values from which on it is worth waking a thread to clear them.
const SHARED: usize = 1 << 18;

/// `f32` values of `features` for each of `tokens`, as `[panel][feature][LANES]`. Lanes past the last
/// token are padding: they hold finite values that nothing reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Acts {
    data: Vec<f32>,
    features: usize,
    tokens: usize,
}

impl Acts {
    pub fn zeros(features: usize, tokens: usize) -> Acts {
        let values = features * tokens.div_ceil(LANES) * LANES;
        // Clearing memory is work too, which the threads share.
        let data = match values < SHARED {
            true => vec![0.0; values],
            false => (0..values).into_par_iter().with_min_len(SHARED / 4).map(|_| 0.0).collect(),
        };
        Acts { data, features, tokens }
    }

    pub fn features(&self) -> usize {
        self.features
    }

    pub fn tokens(&self) -> usize {
        self.tokens
    }

    pub fn panels(&self) -> usize {
        self.tokens.div_ceil(LANES)
    }

    /// All values, padding included.
    pub fn values(&self) -> &[f32] {
        &self.data
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Panel `p` as `[features][LANES]`.
    pub fn panel(&self, p: usize) -> &[f32] {
        &self.data[p * self.features * LANES..][..self.features * LANES]
    }

    pub fn panel_mut(&mut self, p: usize) -> &mut [f32] {
        &mut self.data[p * self.features * LANES..][..self.features * LANES]
    }

    /// Panels in order, for work that is split over threads.
    pub fn par_panels_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, f32> {
        self.data.par_chunks_exact_mut(self.features * LANES)
    }

    pub fn get(&self, feature: usize, token: usize) -> f32 {
        self.panel(token / LANES)[feature * LANES + token % LANES]
    }

    pub fn set(&mut self, feature: usize, token: usize, value: f32) {
        let features = self.features;
        debug_assert!(feature < features);
        self.panel_mut(token / LANES)[feature * LANES + token % LANES] = value;
    }
}
