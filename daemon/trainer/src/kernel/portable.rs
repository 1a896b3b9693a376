//! Kernels in plain Rust, in the shape that LLVM turns into vectors: NEON, or whatever there is.

use super::{Kernels, Product, pair};

pub static KERNELS: Kernels = Kernels {
    name: "portable",
    lanes32: product::<32> as Product<f32>,
    lanes16: product::<16> as Product<f32>,
    pairs: None,
    pair_rows,
    pair_columns,
};

pub fn pair_rows(first: &[f32], second: &[f32], out: &mut [u32]) {
    for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
        *out = pair(*first, *second);
    }
}

pub fn pair_columns(row: &[f32], out: &mut [u32]) {
    for (out, two) in out.iter_mut().zip(row.chunks_exact(2)) {
        *out = pair(two[0], two[1]);
    }
}

/// Lanes worked on at once, so that the sums of a tile stay in 32 registers of 128 bits.
const CHUNK: usize = 16;

unsafe fn product<const LANES: usize>(
    m: usize,
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
) {
    for lane in (0..LANES).step_by(CHUNK) {
        for i in (0..m).step_by(4) {
            // SAFETY: row `i` and the lanes from `lane` on are inside what the caller answers for.
            unsafe {
                let (a, b, c) = (a.add(i * row), b.add(lane), c.add(i * LANES + lane));
                match m - i {
                    1 => tile::<1, LANES>(k, a, row, column, b, c),
                    2 => tile::<2, LANES>(k, a, row, column, b, c),
                    3 => tile::<3, LANES>(k, a, row, column, b, c),
                    _ => tile::<4, LANES>(k, a, row, column, b, c),
                }
            }
        }
    }
}

/// `M` rows of the product, in `CHUNK` lanes.
#[inline(always)]
unsafe fn tile<const M: usize, const LANES: usize>(
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
) {
    let mut sums = [[0.0f32; CHUNK]; M];
    // SAFETY: the caller answers for `M` rows of `a` and `c` and for `k` rows of `b`.
    unsafe {
        for j in 0..k {
            let b = &*b.add(j * LANES).cast::<[f32; CHUNK]>();
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = *a.add(i * row + j * column);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = multiply(a, *b, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let c = &mut *c.add(i * LANES).cast::<[f32; CHUNK]>();
            for (c, sum) in c.iter_mut().zip(sums) {
                *c += sum;
            }
        }
    }
}

/// `a * b + c`, rounded once where that is one instruction; elsewhere it would be a call.
#[inline(always)]
fn multiply(a: f32, b: f32, c: f32) -> f32 {
    match cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        true => a.mul_add(b, c),
        false => a * b + c,
    }
}
