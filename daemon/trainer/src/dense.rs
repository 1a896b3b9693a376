//! Products with the small `f32` matrices of an adapter, and the sums over tokens that their gradients are.

use crate::acts::{Acts, LANES};
use crate::kernel::{Strided, multiply_add};

/// `y += m x`, where `m` has a row for each feature of `y` and a column for each of `x`. Split over threads.
pub fn forward(m: Strided<'_>, x: &Acts, y: &mut Acts) {
    let (rows, columns) = (y.features(), x.features());
    for p in 0..y.panels() {
        multiply_add(rows, columns, m, x.panel(p), y.panel_mut(p));
    }
}

/// `out[i][j] += scale * sum over tokens of x[i] * y[j]`; `out` is row-major `[x.features][y.features]`.
/// Padding lanes are left out. Split over threads; the sum's order does not depend on their number.
pub fn outer(x: &Acts, y: &Acts, scale: f32, out: &mut [f32]) {
    let columns = y.features();
    for token in 0..x.tokens() {
        let (p, lane) = (token / LANES, token % LANES);
        for i in 0..x.features() {
            let xi = scale * x.panel(p)[i * LANES + lane];
            for j in 0..columns {
                out[i * columns + j] += xi * y.panel(p)[j * LANES + lane];
            }
        }
    }
}
