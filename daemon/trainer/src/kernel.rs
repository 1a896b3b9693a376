//! The micro-kernels that all matrix products end in.

use crate::acts::LANES;

/// A matrix of `f32` somewhere in a slice: element `(i, k)` lies at `start + i * row + k * column`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    pub data: &'a [f32],
    pub start: usize,
    pub row: usize,
    pub column: usize,
}

impl<'a> Strided<'a> {
    /// A row-major matrix with `columns` columns.
    pub fn rows(data: &'a [f32], columns: usize) -> Strided<'a> {
        Strided { data, start: 0, row: columns, column: 1 }
    }

    pub fn transposed(self) -> Strided<'a> {
        Strided { row: self.column, column: self.row, ..self }
    }

    /// The same matrix from row `i` on.
    pub fn skip_rows(self, i: usize) -> Strided<'a> {
        Strided { start: self.start + i * self.row, ..self }
    }
}

/// `c[m][LANES] += a[m][k] * b[k][LANES]`, on the calling thread.
///
/// # Panics
/// When a slice is shorter than its matrix.
pub fn multiply_add(m: usize, k: usize, a: Strided<'_>, b: &[f32], c: &mut [f32]) {
    assert!(b.len() >= k * LANES && c.len() >= m * LANES);
    for i in 0..m {
        let out = &mut c[i * LANES..][..LANES];
        for j in 0..k {
            let x = a.data[a.start + i * a.row + j * a.column];
            for (o, v) in out.iter_mut().zip(&b[j * LANES..][..LANES]) {
                *o = x.mul_add(*v, *o);
            }
        }
    }
}
