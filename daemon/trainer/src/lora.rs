//! Low-rank adapters: which linears have one, where its factors lie, and its part of the forward and
//! the backward pass. LoRA: Hu et al., arXiv 2106.09685; rank-stabilized scale: Kalajdzievski, arXiv 2312.03732.

use crate::acts::{Acts, LANES};
use crate::dense;
use crate::kernel::Strided;
use crate::random::{Stream, mix};
use crate::weight::{Input, Operand};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A linear of a block that an adapter may sit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Target {
    pub const ALL: [Target; 7] =
        [Target::Q, Target::K, Target::V, Target::O, Target::Gate, Target::Up, Target::Down];

    /// Its name in a GGUF file, between `blk.N.` and `.weight`.
    pub fn tensor(self) -> &'static str {
        match self {
            Target::Q => "attn_q",
            Target::K => "attn_k",
            Target::V => "attn_v",
            Target::O => "attn_output",
            Target::Gate => "ffn_gate",
            Target::Up => "ffn_up",
            Target::Down => "ffn_down",
        }
    }

    pub fn of_tensor(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|target| target.tensor() == name)
    }
}

/// One linear with an adapter: `y = W x + scale * B A x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub block: usize,
    pub target: Target,
    pub inputs: usize,
    pub outputs: usize,
    /// Where A, row-major `[rank][inputs]`, begins in [`Adapter::values`].
    pub a: usize,
    /// Where B, row-major `[outputs][rank]`, begins.
    pub b: usize,
}

/// All factors of an adapter in one flat vector, A before B, site by site.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    pub rank: usize,
    pub alpha: f32,
    /// What B A x is multiplied with: `alpha / rank`, or `alpha / sqrt(rank)` (rank-stabilized).
    pub scale: f32,
    pub sites: Vec<Site>,
    pub values: Vec<f32>,
}

impl Adapter {
    /// An adapter of zeros on `sites`, each as (block, target, inputs, outputs).
    pub fn zeros(
        rank: usize,
        alpha: f32,
        scale: f32,
        sites: impl IntoIterator<Item = (usize, Target, usize, usize)>,
    ) -> Adapter {
        let mut at = 0;
        let sites = sites
            .into_iter()
            .map(|(block, target, inputs, outputs)| {
                let (a, b) = (at, at + rank * inputs);
                at = b + outputs * rank;
                Site { block, target, inputs, outputs, a, b }
            })
            .collect();
        Adapter { rank, alpha, scale, sites, values: vec![0.0; at] }
    }

    /// Fills A with uniform values within `1 / sqrt(inputs)` and B with zeros, as PEFT does: the adapter
    /// changes nothing until it is trained.
    pub fn initialize(&mut self, seed: u64) {
        for site in self.sites.clone() {
            let bound = 1.0 / (site.inputs as f32).sqrt();
            let mut stream = Stream::new(mix(seed, site_number(&site)));
            self.values[site.a..site.b].iter_mut().for_each(|value| *value = bound * stream.signed());
            self.values[site.b..site.b + site.outputs * self.rank].fill(0.0);
        }
    }

    pub fn site(&self, block: usize, target: Target) -> Option<&Site> {
        self.sites.iter().find(|site| site.block == block && site.target == target)
    }

    fn a(&self, site: &Site) -> Strided<'_> {
        Strided::rows(&self.values[site.a..site.b], site.inputs)
    }

    fn b(&self, site: &Site) -> Strided<'_> {
        Strided::rows(&self.values[site.b..][..site.outputs * self.rank], self.rank)
    }
}

fn site_number(site: &Site) -> u64 {
    (site.block * Target::ALL.len() + site.target as usize) as u64
}

/// Dropout of an adapter's input: values are zeroed with probability `p`, the others grow to keep the mean.
/// The mask depends on the seed and the place alone, so forward, recomputation and backward agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    pub p: f32,
    pub seed: u64,
}

impl Dropout {
    /// The mask of one site in one micro-batch.
    pub fn at(p: f32, seed: u64, site: &Site) -> Dropout {
        Dropout { p, seed: mix(seed, site_number(site)) }
    }

    fn apply(self, acts: &Acts) -> Acts {
        let mut out = acts.clone();
        let rows = acts.features();
        let grow = 1.0 / (1.0 - self.p);
        out.par_panels_mut().enumerate().for_each(|(p, panel)| {
            let mut stream = Stream::new(mix(self.seed, p as u64));
            for value in &mut panel[..rows * LANES] {
                *value = if stream.unit() < self.p { 0.0 } else { *value * grow };
            }
        });
        out
    }
}

/// `y += scale * B A x`.
pub fn forward(adapter: &Adapter, site: &Site, x: &Input<'_>, dropout: Option<Dropout>, y: &mut Acts) {
    let precision = x.operand.precision();
    let masked = dropout.map(|dropout| dropout.apply(x.acts));
    let masked = masked.as_ref().map(|masked| Operand::new(masked, precision));
    let h = scaled(adapter, project(adapter, site, masked.as_ref().unwrap_or(&x.operand), y.tokens()));
    dense::forward_operand(adapter.b(site), &Operand::new(&h, precision), y);
}

/// Adds the adapter's part to `dx` and to `grads` (laid out as [`Adapter::values`]); A x is computed anew.
pub fn backward(
    adapter: &Adapter,
    site: &Site,
    x: &Input<'_>,
    dropout: Option<Dropout>,
    dy: &Input<'_>,
    dx: &mut Acts,
    grads: &mut [f32],
) {
    let precision = x.operand.precision();
    let masked = dropout.map(|dropout| dropout.apply(x.acts));
    let masked = masked.as_ref().map(|masked| Input::new(masked, precision));
    let seen = masked.as_ref().unwrap_or(x);
    let h = project(adapter, site, &seen.operand, dx.tokens());
    dense::outer(dy.acts, &h, adapter.scale, &mut grads[site.b..][..site.outputs * adapter.rank]);
    drop(h);

    let mut dh = Acts::zeros(adapter.rank, dy.acts.tokens());
    dense::forward_operand(adapter.b(site).transposed(), &dy.operand, &mut dh);
    let dh = scaled(adapter, dh);
    let mut by_input = vec![0.0; site.inputs * adapter.rank];
    dense::outer(seen.acts, &dh, 1.0, &mut by_input);
    add_transposed(&by_input, adapter.rank, &mut grads[site.a..site.b]);

    let dh = Operand::new(&dh, precision);
    let Some(dropout) = dropout else {
        return dense::forward_operand(adapter.a(site).transposed(), &dh, dx);
    };
    let mut through = Acts::zeros(site.inputs, dx.tokens());
    dense::forward_operand(adapter.a(site).transposed(), &dh, &mut through);
    let through = dropout.apply(&through);
    dx.values_mut().iter_mut().zip(through.values()).for_each(|(d, t)| *d += t);
}

/// A x, `[rank][tokens]`.
fn project(adapter: &Adapter, site: &Site, x: &Operand<'_>, tokens: usize) -> Acts {
    let mut h = Acts::zeros(adapter.rank, tokens);
    dense::forward_operand(adapter.a(site), x, &mut h);
    h
}

fn scaled(adapter: &Adapter, mut h: Acts) -> Acts {
    h.values_mut().iter_mut().for_each(|value| *value *= adapter.scale);
    h
}

/// `out[j][i] += m[i][j]`, where `m` has `columns` columns.
fn add_transposed(m: &[f32], columns: usize, out: &mut [f32]) {
    let rows = m.len() / columns;
    out.par_chunks_exact_mut(rows).with_min_len(columns.div_ceil(4)).enumerate().for_each(|(j, row)| {
        row.iter_mut().enumerate().for_each(|(i, value)| *value += m[i * columns + j]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weight::Precision;

    fn input(acts: &Acts) -> Input<'_> {
        Input::new(acts, Precision::F32)
    }

    fn acts(features: usize, tokens: usize, seed: u64) -> Acts {
        let mut acts = Acts::zeros(features, tokens);
        let mut stream = Stream::new(seed);
        (0..tokens).for_each(|t| (0..features).for_each(|f| acts.set(f, t, stream.signed())));
        acts
    }

    /// An adapter on one linear, with B filled too.
    fn adapter(inputs: usize, outputs: usize, rank: usize) -> Adapter {
        let mut adapter = Adapter::zeros(rank, 8.0, 8.0 / rank as f32, [(3, Target::Up, inputs, outputs)]);
        let mut stream = Stream::new(5);
        adapter.values.iter_mut().for_each(|value| *value = stream.signed());
        adapter
    }

    /// Sum of `y * weights`, in f64.
    fn loss(adapter: &Adapter, x: &Acts, weights: &Acts, dropout: Option<Dropout>) -> f64 {
        let mut y = Acts::zeros(weights.features(), x.tokens());
        forward(adapter, &adapter.sites[0], &input(x), dropout, &mut y);
        let all = (0..x.tokens()).flat_map(|t| (0..y.features()).map(move |f| (f, t)));
        all.map(|(f, t)| f64::from(y.get(f, t)) * f64::from(weights.get(f, t))).sum()
    }

    #[test]
    fn gradients_equal_central_differences() {
        for dropout in [None, Some(Dropout { p: 0.3, seed: 9 })] {
            let (x, weights) = (acts(24, 37, 1), acts(19, 37, 2));
            let adapter = adapter(24, 19, 4);
            let site = adapter.sites[0];
            let mut grads = vec![0.0; adapter.values.len()];
            let mut dx = Acts::zeros(24, 37);
            backward(&adapter, &site, &input(&x), dropout, &input(&weights), &mut dx, &mut grads);
            // The function is linear in each value, so a large step has no error of its own.
            for at in (0..adapter.values.len()).step_by(7) {
                let around = |h: f32| {
                    let mut moved = adapter.clone();
                    moved.values[at] += h;
                    loss(&moved, &x, &weights, dropout)
                };
                let numeric = (around(0.5) - around(-0.5)) as f32;
                assert!((numeric - grads[at]).abs() < 2e-3, "{at}: {numeric} and {}", grads[at]);
            }
            for (f, t) in [(0, 0), (23, 36), (7, 31), (8, 32)] {
                let around = |h: f32| {
                    let mut moved = x.clone();
                    moved.set(f, t, x.get(f, t) + h);
                    loss(&adapter, &moved, &weights, dropout)
                };
                let numeric = (around(0.5) - around(-0.5)) as f32;
                assert!((numeric - dx.get(f, t)).abs() < 2e-3, "{f} {t}: {numeric} and {}", dx.get(f, t));
            }
        }
    }

    #[test]
    fn a_new_adapter_changes_nothing_and_is_the_same_for_a_seed() {
        let sites = [(0, Target::Q, 16, 16), (1, Target::Q, 16, 16)];
        let make = |seed| {
            let mut adapter = Adapter::zeros(4, 8.0, 2.0, sites);
            adapter.initialize(seed);
            adapter
        };
        let adapter = make(3);
        assert_eq!(adapter, make(3));
        assert_ne!(adapter, make(4));
        let [first, second] = [0, 1].map(|i| adapter.a(&adapter.sites[i]).data);
        assert_ne!(first, second);
        let mut y = Acts::zeros(16, 3);
        forward(&adapter, &adapter.sites[0], &input(&acts(16, 3, 1)), None, &mut y);
        assert!(y.values().iter().all(|value| *value == 0.0));
    }

    #[test]
    fn dropout_keeps_the_mean_and_drops_its_share() {
        let mut ones = Acts::zeros(64, 128);
        ones.values_mut().fill(1.0);
        let dropped = Dropout { p: 0.25, seed: 1 }.apply(&ones);
        let zeros = dropped.values().iter().filter(|value| **value == 0.0).count() as f32;
        let mean = dropped.values().iter().sum::<f32>() / 8192.0;
        assert!((zeros / 8192.0 - 0.25).abs() < 0.02, "{zeros}");
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
    }
}
