//! Kernels for x86-64: AVX-512 (also with products of bfloat16), and AVX2 with FMA. A tile's sums stay in
//! registers for the whole of `k` and are added to `c` at the end.

// A tile's loops have constant bounds and are unrolled into registers: indices say which.
#![allow(clippy::needless_range_loop)]

use super::{Kernels, Product, portable};
use crate::acts::LANES;
use std::arch::x86_64::*;

static AVX512_BF16: Kernels = Kernels {
    name: "AVX-512 with bfloat16",
    lanes32: avx512::<2> as Product<f32>,
    lanes16: avx512::<1> as Product<f32>,
    pairs: Some(avx512_pairs as Product<u32>),
    // SAFETY: only CPUs with these instructions get these kernels.
    pair_rows: |first, second, out| unsafe { avx512_pair_rows(first, second, out) },
    pair_columns: |row, out| unsafe { avx512_pair_columns(row, out) },
};

static AVX512: Kernels = Kernels {
    name: "AVX-512",
    lanes32: avx512::<2> as Product<f32>,
    lanes16: avx512::<1> as Product<f32>,
    ..portable::KERNELS
};

static AVX2: Kernels = Kernels {
    name: "AVX2",
    lanes32: avx2::<2> as Product<f32>,
    lanes16: avx2::<1> as Product<f32>,
    ..portable::KERNELS
};

/// Those that this CPU runs, the fastest first.
pub fn available() -> Vec<&'static Kernels> {
    let avx512 = is_x86_feature_detected!("avx512f");
    let mut all = Vec::new();
    if avx512 && is_x86_feature_detected!("avx512bf16") {
        all.push(&AVX512_BF16);
    }
    if avx512 {
        all.push(&AVX512);
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        all.push(&AVX2);
    }
    all
}

/// Calls the tile with as many rows as are left, up to `$most`, until all of `$m` are done.
macro_rules! rows {
    ($m:expr, $most:literal, [$($n:literal)*], |$i:ident, $rows:ident| $tile:expr) => {
        let mut $i = 0;
        while $i < $m {
            match $m - $i {
                $($n => { const $rows: usize = $n; $tile })*
                _ => { const $rows: usize = $most; $tile }
            }
            $i += $most;
        }
    };
}

/// Rows of `V` vectors of 16 lanes.
#[target_feature(enable = "avx512f")]
unsafe fn avx512<const V: usize>(
    m: usize,
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
) {
    rows!(m, 8, [1 2 3 4 5 6 7], |i, ROWS| {
        // SAFETY: rows `i..i + ROWS` are among the `m` that the caller answers for.
        unsafe { avx512_tile::<ROWS, V>(k, a.add(i * row), row, column, b, c.add(i * V * 16)) }
    });
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn avx512_tile<const M: usize, const V: usize>(
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
) {
    let mut sums = [[_mm512_setzero_ps(); V]; M];
    // SAFETY: the caller answers for `M` rows of `a` and `c` and for `k` rows of `b`.
    unsafe {
        for j in 0..k {
            let mut lanes = [_mm512_setzero_ps(); V];
            for v in 0..V {
                lanes[v] = _mm512_loadu_ps(b.add((j * V + v) * 16));
            }
            for i in 0..M {
                let a = _mm512_set1_ps(*a.add(i * row + j * column));
                for v in 0..V {
                    sums[i][v] = _mm512_fmadd_ps(a, lanes[v], sums[i][v]);
                }
            }
        }
        add_512(&sums, c);
    }
}

/// Adds a tile's sums to `c`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn add_512<const M: usize, const V: usize>(sums: &[[__m512; V]; M], c: *mut f32) {
    for i in 0..M {
        for v in 0..V {
            // SAFETY: the caller answers for `M` rows of `V` vectors in `c`.
            unsafe {
                let c = c.add((i * V + v) * 16);
                _mm512_storeu_ps(c, _mm512_add_ps(_mm512_loadu_ps(c), sums[i][v]));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn avx512_pairs(
    m: usize,
    k: usize,
    a: *const u32,
    row: usize,
    column: usize,
    b: *const u32,
    c: *mut f32,
) {
    rows!(m, 8, [1 2 3 4 5 6 7], |i, ROWS| {
        // SAFETY: rows `i..i + ROWS` are among the `m` that the caller answers for.
        unsafe { pairs_tile::<ROWS>(k, a.add(i * row), row, column, b, c.add(i * LANES)) }
    });
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn pairs_tile<const M: usize>(
    k: usize,
    a: *const u32,
    row: usize,
    column: usize,
    b: *const u32,
    c: *mut f32,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    // SAFETY: the caller answers for `M` rows of `a` and `c` and for `k` rows of `b`; a vector of 32
    // bfloat16 is 512 bits of any value.
    unsafe {
        for j in 0..k {
            let first: __m512bh = std::mem::transmute(_mm512_loadu_si512(b.add(j * LANES).cast()));
            let second: __m512bh = std::mem::transmute(_mm512_loadu_si512(b.add(j * LANES + 16).cast()));
            for i in 0..M {
                let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(*a.add(i * row + j * column) as i32));
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, first);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, second);
            }
        }
        add_512(&sums, c);
    }
}

/// 16 values rounded to bfloat16, in the low halves of 16 words.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn rounded(values: __m512) -> __m512i {
    // SAFETY: a vector of 16 bfloat16 is 256 bits of any value.
    unsafe { _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values))) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn avx512_pair_rows(first: &[f32], second: &[f32], out: &mut [u32]) {
    let (vectors, rest) = out.as_chunks_mut::<16>();
    let done = vectors.len() * 16;
    for ((out, first), second) in
        vectors.iter_mut().zip(first.as_chunks::<16>().0).zip(second.as_chunks::<16>().0)
    {
        // SAFETY: each holds 16 words.
        unsafe {
            let low = rounded(_mm512_loadu_ps(first.as_ptr()));
            let high = rounded(_mm512_loadu_ps(second.as_ptr()));
            let words = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), words);
        }
    }
    portable::pair_rows(&first[done..], &second[done..], rest);
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn avx512_pair_columns(row: &[f32], out: &mut [u32]) {
    let (vectors, rest) = out.as_chunks_mut::<16>();
    let done = vectors.len() * 32;
    for (out, row) in vectors.iter_mut().zip(row.as_chunks::<32>().0) {
        // SAFETY: 32 values become 16 words.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row.as_ptr().add(16)));
            let words: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), words);
        }
    }
    portable::pair_columns(&row[done..], rest);
}

/// Rows of `V` halves of 16 lanes, one half after the other: 6 rows of 2 vectors fill the 16 registers.
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const V: usize>(
    m: usize,
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
) {
    for half in 0..V {
        rows!(m, 6, [1 2 3 4 5], |i, ROWS| {
            // SAFETY: rows `i..i + ROWS` are among the `m`, and `half` among the `V` halves of a row, that
            // the caller answers for.
            unsafe {
                let (b, c) = (b.add(half * 16), c.add((i * V + half) * 16));
                avx2_tile::<ROWS>(k, a.add(i * row), row, column, b, c, V * 16)
            }
        });
    }
}

/// `lanes` is the length of a row of `b` and `c`.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn avx2_tile<const M: usize>(
    k: usize,
    a: *const f32,
    row: usize,
    column: usize,
    b: *const f32,
    c: *mut f32,
    lanes: usize,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    // SAFETY: the caller answers for `M` rows of `a` and `c` and for `k` rows of `b`.
    unsafe {
        for j in 0..k {
            let first = _mm256_loadu_ps(b.add(j * lanes));
            let second = _mm256_loadu_ps(b.add(j * lanes + 8));
            for i in 0..M {
                let a = _mm256_set1_ps(*a.add(i * row + j * column));
                sums[i][0] = _mm256_fmadd_ps(a, first, sums[i][0]);
                sums[i][1] = _mm256_fmadd_ps(a, second, sums[i][1]);
            }
        }
        for i in 0..M {
            for v in 0..2 {
                let c = c.add(i * lanes + v * 8);
                _mm256_storeu_ps(c, _mm256_add_ps(_mm256_loadu_ps(c), sums[i][v]));
            }
        }
    }
}
