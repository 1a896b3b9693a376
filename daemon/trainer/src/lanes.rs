//! Rows of a panel: one value for each of 32 tokens. What is done to a row is a function of its own that
//! is never inlined: in a loop over rows, the compiler would unroll the row and make vectors across rows,
//! with gathers and scatters, which is ten times slower.

use crate::acts::LANES;

/// A value for each token of a panel.
pub type Lanes = [f32; LANES];

/// The rows of a part of a panel.
pub fn rows(part: &[f32]) -> std::slice::Iter<'_, Lanes> {
    part.as_chunks::<LANES>().0.iter()
}

pub fn rows_mut(part: &mut [f32]) -> std::slice::IterMut<'_, Lanes> {
    part.as_chunks_mut::<LANES>().0.iter_mut()
}

/// `row *= by * factor`.
#[inline(never)]
pub fn scale(row: &mut Lanes, by: &Lanes, factor: f32) {
    (0..LANES).for_each(|l| row[l] *= by[l] * factor);
}

/// `row += value`.
#[inline(never)]
pub fn add_to_all(row: &mut Lanes, value: f32) {
    row.iter_mut().for_each(|lane| *lane += value);
}

/// Turns a square of rows and lanes round its diagonal.
pub fn transpose(square: &mut [f32]) {
    assert_eq!(square.len(), LANES * LANES);
    for r in 0..LANES {
        for l in 0..r {
            square.swap(r * LANES + l, l * LANES + r);
        }
    }
}
