//! Products with the small `f32` matrices of an adapter, and the sums over tokens that their gradients are.
//! One side of each is the adapter's rank. They read activations and write activations or gradients.

use crate::acts::{Acts, LANES};
use crate::kernel::{Kernels, Strided, pair};
use crate::split;
use crate::weight::{Operand, Precision};

/// Terms of a sum that are multiplied at once, so that a panel's part stays in the first-level cache.
const COLUMNS: usize = 128;
/// Features that share a task's sums over tokens.
const FEATURES: usize = 64;

/// `y += m x`, where `m` has a row for each feature of `y` and a column for each of `x`. Split over threads.
pub fn forward(m: Strided<'_>, x: &Acts, y: &mut Acts) {
    forward_operand(m, &Operand::new(x, Precision::F32), y);
}

/// The same in the operand's precision, which may have been made for a product with a weight.
pub fn forward_operand(m: Strided<'_>, x: &Operand<'_>, y: &mut Acts) {
    let (rows, columns) = (y.features(), x.features());
    assert_eq!(x.panels(), y.panels(), "panels of a product's two sides");
    if rows == 0 || y.panels() == 0 {
        return;
    }
    let operations = 2 * rows * columns * x.panels() * LANES;
    let pairs = (x.precision() == Precision::Bf16).then(|| Pairs::new(m, rows, columns));
    let shares = (2 * rayon::current_num_threads()).div_ceil(y.panels());
    let width = rows.div_ceil(shares).next_multiple_of(8);
    let panels = y.values_mut().chunks_exact_mut(rows * LANES).enumerate();
    let tasks = panels.flat_map(|(p, panel)| {
        panel.chunks_mut(width * LANES).enumerate().map(move |(n, out)| (p, n * width, out))
    });
    split::each(tasks.collect(), operations, |_, (p, row, out): (usize, usize, &mut [f32])| {
        for column in (0..columns).step_by(COLUMNS) {
            let terms = COLUMNS.min(columns - column);
            let count = out.len() / LANES;
            match &pairs {
                Some(pairs) => {
                    let (m, x) = (pairs.at(row, column), x.pairs(p, column));
                    Kernels::best().multiply_add_pairs(count, terms.div_ceil(2), m, x, out);
                }
                None => {
                    let m = Strided { start: m.start + row * m.row + column * m.column, ..m };
                    Kernels::best().multiply_add(count, terms, m, x.values(p, column), out);
                }
            }
        }
    });
}

/// A matrix as pairs of bfloat16 along its columns.
struct Pairs {
    words: Vec<u32>,
    /// From one row, and from one pair of columns, to the next.
    row: usize,
    column: usize,
}

impl Pairs {
    /// In the order in which `m` lies in memory.
    fn new(m: Strided<'_>, rows: usize, columns: usize) -> Pairs {
        if m.column == 1 { Pairs::by_rows(m, rows, columns) } else { Pairs::by_columns(m, rows, columns) }
    }

    fn by_rows(m: Strided<'_>, rows: usize, columns: usize) -> Pairs {
        let row = columns.div_ceil(2);
        let mut words = vec![0; rows * row];
        for (i, words) in words.chunks_exact_mut(row).enumerate() {
            let values = &m.data[m.start + i * m.row..][..columns];
            Kernels::best().pair_columns(values, &mut words[..columns / 2]);
            if columns % 2 == 1 {
                words[row - 1] = pair(values[columns - 1], 0.0);
            }
        }
        Pairs { words, row, column: 1 }
    }

    fn by_columns(m: Strided<'_>, rows: usize, columns: usize) -> Pairs {
        let mut words = vec![0; columns.div_ceil(2) * rows];
        // The partner of an odd number's last column stays zero.
        let mut two = [vec![0.0; rows], vec![0.0; rows]];
        for (k, words) in words.chunks_exact_mut(rows).enumerate() {
            two[1].fill(0.0);
            for (column, values) in (2 * k..columns).zip(&mut two) {
                let column = m.data[m.start + column * m.column..].iter().step_by(m.row);
                values.iter_mut().zip(column).for_each(|(value, from)| *value = *from);
            }
            Kernels::best().pair_rows(&two[0], &two[1], words);
        }
        Pairs { words, row: 1, column: rows }
    }

    /// From `row` and an even `column` on.
    fn at(&self, row: usize, column: usize) -> Strided<'_, u32> {
        let start = row * self.row + column / 2 * self.column;
        Strided { data: &self.words, start, row: self.row, column: self.column }
    }
}

/// `out[i][j] += scale * sum over tokens of x[i] * y[j]`; `out` is row-major `[x.features][y.features]`.
/// Padding lanes are left out. Split over threads; the sum's order does not depend on their number.
pub fn outer(x: &Acts, y: &Acts, scale: f32, out: &mut [f32]) {
    let (rows, columns) = (x.features(), y.features());
    assert_eq!(x.tokens(), y.tokens(), "tokens of the two sides");
    assert_eq!(out.len(), rows * columns, "values of a gradient of {rows} x {columns}");
    if rows == 0 || columns == 0 {
        return;
    }
    let operations = 2 * out.len() * x.tokens();
    if rows >= columns {
        let sums = Sums::new(x, y, scale);
        let width = split::width(rows, 8, FEATURES);
        split::each(out.chunks_mut(width * columns).collect(), operations, |n, out| {
            let sums = sums.of(n * width, out.len() / columns);
            for (i, row) in out.chunks_exact_mut(columns).enumerate() {
                row.iter_mut().enumerate().for_each(|(j, value)| *value += sums.get(i, j));
            }
        });
    } else {
        let sums = Sums::new(y, x, scale);
        let width = split::width(columns, 8, FEATURES);
        split::each(split::strips(out, columns, width), operations, |n, rows| {
            let sums = sums.of(n * width, rows[0].len());
            for (j, row) in rows.into_iter().enumerate() {
                row.iter_mut().enumerate().for_each(|(i, value)| *value += sums.get(i, j));
            }
        });
    }
}

/// Sums over tokens of each feature of `wide` with each of a narrow side's.
struct Sums<'a> {
    wide: &'a Acts,
    /// The narrow side, turned and scaled: `[group of lanes][token][lanes]`.
    narrow: Vec<f32>,
    /// Features of the narrow side that a kernel takes at once.
    lanes: usize,
}

/// Those of some of the wide side's features: `[group of lanes][feature][lanes]`.
struct Part {
    values: Vec<f32>,
    features: usize,
    lanes: usize,
}

impl<'a> Sums<'a> {
    fn new(wide: &'a Acts, narrow: &Acts, scale: f32) -> Sums<'a> {
        let lanes = if narrow.features() <= 16 { 16 } else { LANES };
        let tokens = narrow.tokens();
        let mut turned = vec![0.0; narrow.features().div_ceil(lanes) * tokens * lanes];
        for (group, turned) in turned.chunks_exact_mut(tokens * lanes).enumerate() {
            let features = group * lanes..narrow.features().min((group + 1) * lanes);
            for (p, turned) in turned.chunks_mut(LANES * lanes).enumerate() {
                for (j, feature) in features.clone().enumerate() {
                    let values = &narrow.panel(p)[feature * LANES..][..LANES];
                    for (turned, value) in turned.chunks_exact_mut(lanes).zip(values) {
                        turned[j] = scale * value;
                    }
                }
            }
        }
        Sums { wide, narrow: turned, lanes }
    }

    /// The sums of `features` of the wide side from `first` on.
    fn of(&self, first: usize, features: usize) -> Part {
        let lanes = self.lanes;
        let mut values = vec![0.0; self.narrow.len() / self.wide.tokens().max(1) * features];
        let groups = self.narrow.chunks_exact((self.wide.tokens() * lanes).max(1));
        for (sums, narrow) in values.chunks_exact_mut(features * lanes).zip(groups) {
            for (p, narrow) in narrow.chunks(LANES * lanes).enumerate() {
                let wide = Strided { start: first * LANES, ..Strided::rows(self.wide.panel(p), LANES) };
                let tokens = narrow.len() / lanes;
                match lanes {
                    16 => Kernels::best().multiply_add_16(features, tokens, wide, narrow, sums),
                    _ => Kernels::best().multiply_add(features, tokens, wide, narrow, sums),
                }
            }
        }
        Part { values, features, lanes }
    }
}

impl Part {
    /// Feature `i` of the part with feature `j` of the narrow side.
    #[inline(always)]
    fn get(&self, i: usize, j: usize) -> f32 {
        self.values[(j / self.lanes * self.features + i) * self.lanes + j % self.lanes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Noise;

    fn acts(features: usize, tokens: usize, seed: u64) -> Acts {
        let mut acts = Acts::zeros(features, tokens);
        let values = Noise::new(seed).values(acts.values().len());
        acts.values_mut().copy_from_slice(&values);
        acts
    }

    const SHAPES: [(usize, usize, usize); 7] =
        [(16, 200, 70), (200, 16, 70), (5, 1, 1), (1, 9, 33), (33, 40, 64), (64, 300, 31), (577, 4, 32)];

    #[test]
    fn products_of_all_shapes_are_right() {
        for (rows, columns, tokens) in SHAPES {
            let data = Noise::new(1).values(rows * columns);
            let (x, start) = (acts(columns, tokens, 2), acts(rows, tokens, 3));
            for m in [Strided::rows(&data, columns), Strided::rows(&data, rows).transposed()] {
                for (precision, error) in [(Precision::F32, 1e-6), (Precision::Bf16, 2.01 / 256.0)] {
                    let mut y = start.clone();
                    forward_operand(m, &Operand::new(&x, precision), &mut y);
                    for (i, t) in (0..rows).flat_map(|i| (0..tokens).map(move |t| (i, t))) {
                        let term = |k: usize| data[i * m.row + k * m.column] as f64 * x.get(k, t) as f64;
                        let want = start.get(i, t) as f64 + (0..columns).map(term).sum::<f64>();
                        let size = 1.0 + (0..columns).map(|k| term(k).abs()).sum::<f64>();
                        let got = y.get(i, t) as f64;
                        assert!(
                            (got - want).abs() <= error * size,
                            "{precision:?} ({i}, {t}): {got} for {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn sums_over_tokens_leave_the_padding_out() {
        for (rows, columns, tokens) in SHAPES {
            let (mut x, y) = (acts(rows, tokens, 4), acts(columns, tokens, 5));
            let used = (tokens - 1) % LANES + 1;
            let last = x.panels() - 1;
            x.panel_mut(last).chunks_mut(LANES).for_each(|lanes| lanes[used..].fill(f32::NAN));
            let mut out = vec![0.5; rows * columns];
            outer(&x, &y, -3.0, &mut out);
            for (at, got) in out.iter().enumerate() {
                let term = |t: usize| x.get(at / columns, t) as f64 * y.get(at % columns, t) as f64;
                let want = 0.5 - 3.0 * (0..tokens).map(term).sum::<f64>();
                assert!((*got as f64 - want).abs() <= 1e-5 * (1.0 + tokens as f64), "{at}: {got} for {want}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (x, d) = (acts(1030, 600, 1), acts(16, 600, 2));
                let m = Noise::new(3).values(1030 * 16);
                let mut out = vec![0.0; 1030 * 16];
                outer(&x, &d, 0.5, &mut out);
                outer(&d, &x, 0.5, &mut out);
                [Precision::F32, Precision::Bf16].map(|precision| {
                    let (mut y, mut dx) = (Acts::zeros(16, 600), Acts::zeros(1030, 600));
                    forward_operand(Strided::rows(&m, 1030), &Operand::new(&x, precision), &mut y);
                    let back = Strided::rows(&m, 1030).transposed();
                    forward_operand(back, &Operand::new(&d, precision), &mut dx);
                    (y, dx, out.clone())
                })
            })
        };
        assert_eq!(run(1), run(2));
    }
}
