//! A part of a weight, dequantized for the micro-kernels. It belongs to one thread and is filled again and
//! again, so that its memory is reused.

use super::{Operand, Precision, Weight, dequantize, parts};
use crate::kernel::{Kernels, Strided};
use std::ops::Range;

/// Which products a tile is filled for; it matters in bfloat16, where pairs run along the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// `W x`: pairs along the columns.
    Across,
    /// `transpose(W) dy`: pairs along the rows.
    Down,
    Both,
}

/// Rows of a weight, dequantized once for all panels: for work that needs both `W x` and `transpose(W) dy` of
/// a few rows at a time, such as a fused output layer and loss. Used from one thread, it wakes no others.
///
/// ```text
/// let mut tile = Tile::default();
/// tile.load(&head, rows.clone(), precision);       // for each chunk of the vocabulary
/// logits.fill(0.0);                                // [rows][LANES]
/// tile.forward(&hidden, p, &mut logits);           // += W[rows] x, panel p of the operand
/// let d = Operand::of_panels(&d_logits, rows.len(), precision);
/// tile.backward(&d, 0, dx.panel_mut(p));           // += transpose(W[rows]) d
/// ```
#[derive(Debug)]
pub struct Tile {
    rows: usize,
    /// Columns held, and how many of them lie before the first one asked for (blocks are read whole).
    held: usize,
    before: usize,
    columns: usize,
    precision: Precision,
    /// Row-major, in `F32`. In `Bf16` only two rows at a time, on their way into pairs.
    values: Vec<f32>,
    /// `[row][pair of columns]`
    across: Vec<u32>,
    /// `[pair of rows][column]`
    down: Vec<u32>,
}

impl Default for Tile {
    fn default() -> Tile {
        Tile {
            rows: 0,
            held: 0,
            before: 0,
            columns: 0,
            precision: Precision::F32,
            values: Vec::new(),
            across: Vec::new(),
            down: Vec::new(),
        }
    }
}

/// From one row to the next: whole cache lines, an odd number of them, so that a column's values don't
/// all fall into the same set of the cache.
fn stride(columns: usize) -> usize {
    (columns.div_ceil(16) | 1) * 16
}

impl Tile {
    /// Dequantizes `rows` of `weight`, all columns.
    pub fn load(&mut self, weight: &Weight<'_>, rows: Range<usize>, precision: Precision) {
        self.fill(weight, rows, 0..weight.inputs, precision, Sides::Both);
    }

    /// `out[rows][LANES] += W x`, with panel `p` of `x`.
    pub fn forward(&self, x: &Operand<'_>, p: usize, out: &mut [f32]) {
        assert_eq!(x.features(), self.columns, "features of a product's two sides");
        for columns in parts(self.columns, super::INPUTS) {
            self.across_part(x, p, columns.start, columns, out);
        }
    }

    /// `dx[columns][LANES] += transpose(W) dy`, with panel `p` of `dy`, whose features are the tile's rows.
    pub fn backward(&self, dy: &Operand<'_>, p: usize, dx: &mut [f32]) {
        assert_eq!(dy.features(), self.rows, "features of a product's two sides");
        self.down(dy, p, 0, dx);
    }

    /// Dequantizes a part of `weight`. In `Bf16`, `columns` and `rows` start at even numbers.
    pub(super) fn fill(
        &mut self,
        weight: &Weight<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
        precision: Precision,
        sides: Sides,
    ) {
        let block = weight.kind.block as usize;
        let held = columns.start / block * block..columns.end.next_multiple_of(block);
        self.rows = rows.len();
        self.held = held.len();
        self.before = columns.start - held.start;
        self.columns = columns.len();
        self.precision = weight.precision(precision);
        match self.precision {
            Precision::F32 => self.fill_values(weight, rows, held),
            Precision::Bf16 => self.fill_pairs(weight, rows, held, sides),
        }
    }

    fn fill_values(&mut self, weight: &Weight<'_>, rows: Range<usize>, held: Range<usize>) {
        let stride = stride(self.held);
        grow(&mut self.values, self.rows * stride);
        for (n, values) in rows.zip(self.values.chunks_exact_mut(stride)) {
            dequantize(weight.kind, weight.blocks(n, held.clone()), &mut values[..held.len()]);
        }
    }

    fn fill_pairs(&mut self, weight: &Weight<'_>, rows: Range<usize>, held: Range<usize>, sides: Sides) {
        let kernels = Kernels::best();
        let (across, down) = (stride(self.held.div_ceil(2)), stride(self.held));
        // A column more, zero, so that the last pair of an odd number is whole.
        let line = self.held + 1;
        grow(&mut self.values, 2 * line);
        grow(&mut self.across, if sides == Sides::Down { 0 } else { self.rows.next_multiple_of(2) * across });
        grow(&mut self.down, if sides == Sides::Across { 0 } else { self.rows.div_ceil(2) * down });
        let (first, second) = self.values[..2 * line].split_at_mut(line);
        for (i, n) in rows.clone().step_by(2).enumerate() {
            for (n, line) in [(n, &mut *first), (n + 1, &mut *second)] {
                line[self.held] = 0.0;
                match n < rows.end {
                    true => dequantize(weight.kind, weight.blocks(n, held.clone()), &mut line[..self.held]),
                    false => line.fill(0.0),
                }
            }
            if sides != Sides::Down {
                let pairs = self.held.div_ceil(2);
                kernels.pair_columns(first, &mut self.across[2 * i * across..][..pairs]);
                kernels.pair_columns(second, &mut self.across[(2 * i + 1) * across..][..pairs]);
            }
            if sides != Sides::Across {
                kernels.pair_rows(first, second, &mut self.down[i * down..][..self.held]);
            }
        }
    }

    /// `out[rows][LANES] += W x`, where the tile's first column is `feature` of `x`.
    pub(super) fn across(&self, x: &Operand<'_>, p: usize, feature: usize, out: &mut [f32]) {
        self.across_part(x, p, feature, 0..self.columns, out);
    }

    fn across_part(&self, x: &Operand<'_>, p: usize, feature: usize, columns: Range<usize>, out: &mut [f32]) {
        let start = self.before + columns.start;
        match self.precision {
            Precision::F32 => {
                let a = Strided { start, ..Strided::rows(&self.values, stride(self.held)) };
                Kernels::best().multiply_add(self.rows, columns.len(), a, x.values(p, feature), out);
            }
            Precision::Bf16 => {
                let pairs = columns.len().div_ceil(2);
                let a = Strided {
                    start: start / 2,
                    ..Strided::rows(&self.across, stride(self.held.div_ceil(2)))
                };
                Kernels::best().multiply_add_pairs(self.rows, pairs, a, x.pairs(p, feature), out);
            }
        }
    }

    /// `dx[columns][LANES] += transpose(W) dy`, where the tile's first row is `feature` of `dy`.
    pub(super) fn down(&self, dy: &Operand<'_>, p: usize, feature: usize, dx: &mut [f32]) {
        let (start, row, column) = (self.before, 1, stride(self.held));
        match self.precision {
            Precision::F32 => {
                let a = Strided { data: &self.values, start, row, column };
                Kernels::best().multiply_add(self.columns, self.rows, a, dy.values(p, feature), dx);
            }
            Precision::Bf16 => {
                let a = Strided { data: &self.down, start, row, column };
                Kernels::best().multiply_add_pairs(
                    self.columns,
                    self.rows.div_ceil(2),
                    a,
                    dy.pairs(p, feature),
                    dx,
                );
            }
        }
    }
}

fn grow<T: Copy + Default>(values: &mut Vec<T>, len: usize) {
    if values.len() < len {
        values.resize(len, T::default());
    }
}
