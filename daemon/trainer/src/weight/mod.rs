//! The seam between the model and its frozen weights: the product with a quantized matrix, and that
//! product's gradient. Another backend (a GPU's) would implement these two and nothing else. A weight is
//! read from the mapped file and dequantized tile by tile, each tile once for all tokens; never as a whole.

mod blocks;
mod tile;
mod unpack;

pub use tile::Tile;
pub use unpack::dequantize;

use crate::acts::{Acts, LANES};
use crate::kernel::Kernels;
use crate::split;
use familiar_gguf::{Kind, Tensor};
use std::cell::RefCell;
use std::ops::Range;
use tile::Sides;

/// How products with the base weights are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Factors rounded to bfloat16, sums in `f32`.
    Bf16,
}

impl Precision {
    /// What is fastest on this CPU: bfloat16 where there is an instruction for it.
    pub fn best() -> Precision {
        Precision::Bf16.supported()
    }

    /// This precision where the CPU has it, else `F32`.
    fn supported(self) -> Precision {
        if Kernels::best().bf16() { self } else { Precision::F32 }
    }
}

/// A frozen matrix `[outputs][inputs]` in the mapped model file, packed in blocks along the inputs.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    pub inputs: usize,
    pub outputs: usize,
    kind: Kind,
    bytes: &'a [u8],
}

/// The activations of one product, made ready once for all the weights they meet.
pub struct Operand<'a> {
    values: &'a [f32],
    features: usize,
    /// `[panel][pair of features][LANES]`, two bfloat16 in a word; empty in `F32`.
    pairs: Vec<u32>,
}

/// Activations with their operand: what a linear that has an adapter needs of its input.
pub struct Input<'a> {
    pub acts: &'a Acts,
    pub operand: Operand<'a>,
}

impl<'a> Input<'a> {
    pub fn new(acts: &'a Acts, precision: Precision) -> Input<'a> {
        Input { acts, operand: Operand::new(acts, precision) }
    }
}

impl<'a> Operand<'a> {
    pub fn new(acts: &'a Acts, precision: Precision) -> Operand<'a> {
        Operand::of_panels(acts.values(), acts.features(), precision)
    }

    /// Of panels `[features][LANES]` that lie one after the other in `values`.
    pub fn of_panels(values: &'a [f32], features: usize, precision: Precision) -> Operand<'a> {
        let panel = features * LANES;
        assert_eq!(values.len() % panel, 0, "panels of {features} features are {panel} values each");
        let pairs = match precision.supported() {
            Precision::F32 => Vec::new(),
            Precision::Bf16 => paired(values, features),
        };
        Operand { values, features, pairs }
    }

    pub fn features(&self) -> usize {
        self.features
    }

    pub fn panels(&self) -> usize {
        self.values.len() / (self.features * LANES)
    }

    /// The precision that products with it have: `Bf16` where that was asked for and the CPU has it.
    pub fn precision(&self) -> Precision {
        if self.pairs.is_empty() { Precision::F32 } else { Precision::Bf16 }
    }

    /// Panel `p` from `feature` on.
    pub(crate) fn values(&self, p: usize, feature: usize) -> &[f32] {
        &self.values[p * self.features * LANES..][..self.features * LANES][feature * LANES..]
    }

    /// Panel `p` from an even `feature` on.
    pub(crate) fn pairs(&self, p: usize, feature: usize) -> &[u32] {
        debug_assert_eq!(feature % 2, 0);
        let panel = self.features.div_ceil(2) * LANES;
        &self.pairs[p * panel..][..panel][feature / 2 * LANES..]
    }
}

/// Panels as pairs of bfloat16 features; the last of an odd number of features meets a zero.
fn paired(values: &[f32], features: usize) -> Vec<u32> {
    let panels = values.len() / (features * LANES);
    let panel = features.div_ceil(2) * LANES;
    let mut pairs = vec![0; panels * panel];
    let tasks = pairs.chunks_exact_mut(panel).zip(values.chunks_exact(features * LANES)).collect();
    split::each(tasks, values.len() * 2, |_, (pairs, values): (&mut [u32], &[f32])| {
        let zeros = [0.0; LANES];
        for (pairs, two) in pairs.chunks_exact_mut(LANES).zip(values.chunks(2 * LANES)) {
            let (first, second) = two.split_at(LANES);
            let second = if second.is_empty() { &zeros } else { second };
            Kernels::best().pair_rows(first, second, pairs);
        }
    });
    pairs
}

/// A tile's rows and columns for `W x`: few rows, each read from the file in one piece, and long sums. Half
/// of a second-level cache at most; these and the next were found by measuring.
const ROWS: usize = 32;
const INPUTS: usize = 2048;
/// The same for `transpose(W) dy`, whose sums run along the rows.
const GRADIENT_ROWS: usize = 512;
const GRADIENT_INPUTS: usize = 256;

thread_local! {
    /// A thread's scratch. It is borrowed only around code that hands no work to other threads.
    static TILE: RefCell<Tile> = RefCell::default();
}

impl<'a> Weight<'a> {
    /// `None` when the tensor is no matrix of a type that llama.cpp can dequantize.
    pub fn new(tensor: Tensor<'a>) -> Option<Weight<'a>> {
        let [inputs, outputs] = *tensor.shape else { return None };
        let fits = inputs % tensor.kind.block == 0
            && tensor.kind.size(inputs).and_then(|row| row.checked_mul(outputs))
                == Some(tensor.bytes.len() as u64);
        (fits && inputs > 0 && outputs > 0 && unpack::supported(tensor.kind)).then_some(Weight {
            inputs: inputs as usize,
            outputs: outputs as usize,
            kind: tensor.kind,
            bytes: tensor.bytes,
        })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All its blocks, row after row.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// `y += W x`; `x` has `inputs` features and `y` `outputs`. Split over threads by rows of `W`.
    pub fn forward(&self, x: &Operand<'_>, y: &mut Acts) {
        self.check((self.inputs, self.outputs), x, y);
        let width = split::width(self.outputs, 8, ROWS);
        let strips = split::strips(y.values_mut(), self.outputs * LANES, width * LANES);
        split::each(strips, self.operations(x), |n, mut strip| {
            let rows = part(n, width, self.outputs);
            TILE.with_borrow_mut(|tile| {
                for columns in parts(self.inputs, INPUTS) {
                    tile.fill(self, rows.clone(), columns.clone(), x.precision(), Sides::Across);
                    for (p, out) in strip.iter_mut().enumerate() {
                        tile.across(x, p, columns.start, out);
                    }
                }
            });
        });
    }

    /// `dx += transpose(W) dy`. Split over threads by columns of `W`.
    pub fn backward(&self, dy: &Operand<'_>, dx: &mut Acts) {
        self.check((self.outputs, self.inputs), dy, dx);
        let width = split::width(self.inputs, 32, GRADIENT_INPUTS);
        let strips = split::strips(dx.values_mut(), self.inputs * LANES, width * LANES);
        split::each(strips, self.operations(dy), |n, mut strip| {
            let columns = part(n, width, self.inputs);
            TILE.with_borrow_mut(|tile| {
                for rows in parts(self.outputs, GRADIENT_ROWS) {
                    tile.fill(self, rows.clone(), columns.clone(), dy.precision(), Sides::Down);
                    for (p, out) in strip.iter_mut().enumerate() {
                        tile.down(dy, p, rows.start, out);
                    }
                }
            });
        });
    }

    /// Dequantizes row `n` (its `inputs` values), as for an embedding.
    pub fn row(&self, n: usize, out: &mut [f32]) {
        dequantize(self.kind, self.blocks(n, 0..self.inputs), &mut out[..self.inputs]);
    }

    /// The bytes of row `n` that hold `columns`, which begin and end with a block.
    fn blocks(&self, n: usize, columns: Range<usize>) -> &'a [u8] {
        let (block, bytes) = (self.kind.block as usize, self.kind.bytes as usize);
        let row = self.inputs / block * bytes;
        &self.bytes[n * row..][..row][columns.start / block * bytes..columns.end / block * bytes]
    }

    /// In which precision this weight is multiplied: unquantized ones always in full.
    fn precision(&self, wanted: Precision) -> Precision {
        if self.kind == Kind::F32 { Precision::F32 } else { wanted.supported() }
    }

    fn operations(&self, x: &Operand<'_>) -> usize {
        2 * self.inputs * self.outputs * x.panels() * LANES
    }

    fn check(&self, (from, to): (usize, usize), x: &Operand<'_>, y: &Acts) {
        assert_eq!((x.features(), y.features()), (from, to), "features of a product's two sides");
        assert_eq!(x.panels(), y.panels(), "panels of a product's two sides");
    }
}

/// The `n`-th of the parts that `width` cuts `total` into.
fn part(n: usize, width: usize, total: usize) -> Range<usize> {
    n * width..total.min((n + 1) * width)
}

fn parts(total: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    (0..total.div_ceil(width)).map(move |n| part(n, width, total))
}

#[cfg(test)]
#[path = "weight_tests.rs"]
mod tests;
