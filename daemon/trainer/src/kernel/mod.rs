//! The micro-kernels that all matrix products end in: `c[m][lanes] += a[m][k] * b[k][lanes]` on one
//! thread, chosen once for the CPU at hand. Here the bounds are checked; the kernels trust them.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::acts::LANES;
use std::sync::OnceLock;

/// A matrix somewhere in a slice: element `(i, k)` lies at `start + i * row + k * column`.
#[derive(Debug)]
pub struct Strided<'a, T = f32> {
    pub data: &'a [T],
    pub start: usize,
    pub row: usize,
    pub column: usize,
}

impl<T> Clone for Strided<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Strided<'_, T> {}

impl<'a, T> Strided<'a, T> {
    /// A row-major matrix with `columns` columns.
    pub fn rows(data: &'a [T], columns: usize) -> Strided<'a, T> {
        Strided { data, start: 0, row: columns, column: 1 }
    }

    pub fn transposed(self) -> Strided<'a, T> {
        Strided { row: self.column, column: self.row, ..self }
    }

    /// Where it starts, once it is sure that all of `m` rows and `k` columns lie in the slice.
    fn checked(self, m: usize, k: usize) -> *const T {
        let rows = self.row.saturating_mul(m - 1);
        let columns = self.column.saturating_mul(k - 1);
        let last = self.start.saturating_add(rows).saturating_add(columns);
        assert!(last < self.data.len(), "a matrix of {m} x {k} does not fit in its slice");
        // SAFETY: `start <= last < len`.
        unsafe { self.data.as_ptr().add(self.start) }
    }
}

/// `(m, k, a, row, column, b, c)`: element `(i, j)` of `a` lies at `a + i * row + j * column`; `b` and `c`
/// have rows of as many lanes as the kernel works on, one after the other.
type Product<T> = unsafe fn(usize, usize, *const T, usize, usize, *const T, *mut f32);

/// The kernels of one instruction set.
#[derive(Debug)]
pub struct Kernels {
    pub name: &'static str,
    lanes32: Product<f32>,
    lanes16: Product<f32>,
    pairs: Option<Product<u32>>,
    pair_rows: fn(&[f32], &[f32], &mut [u32]),
    pair_columns: fn(&[f32], &mut [u32]),
}

impl Kernels {
    /// The fastest ones that this CPU has.
    pub fn best() -> &'static Kernels {
        static BEST: OnceLock<&'static Kernels> = OnceLock::new();
        BEST.get_or_init(|| Kernels::all()[0])
    }

    /// All that run on this CPU, the fastest first.
    pub fn all() -> Vec<&'static Kernels> {
        #[cfg(target_arch = "x86_64")]
        let mut all = x86::available();
        #[cfg(not(target_arch = "x86_64"))]
        let mut all = Vec::new();
        all.push(&portable::KERNELS);
        all
    }

    /// Whether they multiply pairs of bfloat16.
    pub fn bf16(&self) -> bool {
        self.pairs.is_some()
    }

    /// As [`multiply_add`].
    pub fn multiply_add(&self, m: usize, k: usize, a: Strided<'_>, b: &[f32], c: &mut [f32]) {
        check(m, k, LANES, b, c);
        if m > 0 && k > 0 {
            // SAFETY: `all` holds only kernels that this CPU runs; `a` was checked by `checked`, and `b`
            // and `c` by `check`.
            unsafe { (self.lanes32)(m, k, a.checked(m, k), a.row, a.column, b.as_ptr(), c.as_mut_ptr()) }
        }
    }

    /// The same with rows of 16 lanes in `b` and `c`.
    pub fn multiply_add_16(&self, m: usize, k: usize, a: Strided<'_>, b: &[f32], c: &mut [f32]) {
        check(m, k, 16, b, c);
        if m > 0 && k > 0 {
            // SAFETY: as in `multiply_add`.
            unsafe { (self.lanes16)(m, k, a.checked(m, k), a.row, a.column, b.as_ptr(), c.as_mut_ptr()) }
        }
    }

    /// `c[m][LANES] += a * b` over pairs of bfloat16 (see [`pair`]): `k` pairs along the sum, each with two
    /// of its terms.
    ///
    /// # Panics
    /// When a slice is shorter than its matrix, and where [`Kernels::bf16`] is false.
    pub fn multiply_add_pairs(&self, m: usize, k: usize, a: Strided<'_, u32>, b: &[u32], c: &mut [f32]) {
        check(m, k, LANES, b, c);
        let pairs = self.pairs.expect("asked for only where the CPU has them");
        if m > 0 && k > 0 {
            // SAFETY: as in `multiply_add`.
            unsafe { pairs(m, k, a.checked(m, k), a.row, a.column, b.as_ptr(), c.as_mut_ptr()) }
        }
    }

    /// Pairs the values of two rows: `out[i] = pair(first[i], second[i])`.
    pub fn pair_rows(&self, first: &[f32], second: &[f32], out: &mut [u32]) {
        assert!(first.len() >= out.len() && second.len() >= out.len());
        (self.pair_rows)(first, second, out);
    }

    /// Pairs the neighbours of a row: `out[i] = pair(row[2 * i], row[2 * i + 1])`.
    pub fn pair_columns(&self, row: &[f32], out: &mut [u32]) {
        assert!(row.len() >= 2 * out.len());
        (self.pair_columns)(row, out);
    }
}

fn check<T>(m: usize, k: usize, lanes: usize, b: &[T], c: &[f32]) {
    assert!(b.len() / lanes >= k, "b has {} values, {k} rows of {lanes} are needed", b.len());
    assert!(c.len() / lanes >= m, "c has {} values, {m} rows of {lanes} are needed", c.len());
}

/// `c[m][LANES] += a[m][k] * b[k][LANES]`, on the calling thread.
///
/// # Panics
/// When a slice is shorter than its matrix.
pub fn multiply_add(m: usize, k: usize, a: Strided<'_>, b: &[f32], c: &mut [f32]) {
    Kernels::best().multiply_add(m, k, a, b, c);
}

/// Two neighbours of a sum as bfloat16 in one word, the first one low.
#[inline(always)]
pub fn pair(first: f32, second: f32) -> u32 {
    bf16(first) | bf16(second) << 16
}

/// The bits of the nearest bfloat16, ties to even; what is no number stays none.
#[inline(always)]
pub fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    if value.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
