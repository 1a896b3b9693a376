//! Each kernel that this CPU runs, against the sum written out in `f64`.

use super::*;
use proptest::prelude::*;

/// Values in -1..1 that differ from place to place.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Checks `c` against `start + a b` with factors read by `a(i, j)` and `b(j, lane)`, to `relative` of the
/// sum of the terms' sizes.
fn compare(
    c: &[f32],
    start: &[f32],
    lanes: usize,
    k: usize,
    relative: f64,
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) {
    for (at, (c, start)) in c.iter().zip(start).enumerate() {
        let (i, lane) = (at / lanes, at % lanes);
        let terms = || (0..k).map(|j| a(i, j) as f64 * b(j, lane) as f64);
        let (want, size) = (*start as f64 + terms().sum::<f64>(), 1.0 + terms().map(f64::abs).sum::<f64>());
        assert!((*c as f64 - want).abs() <= relative * size, "({i}, {lane}): {c} for {want}");
    }
}

fn from_bf16(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

proptest! {
    #[test]
    fn every_kernel_multiplies(m in 1usize..40, k in 1usize..70, pad in 0usize..5, start in 0usize..9, across: bool) {
        let (row, column) = if across { (k + pad, 1) } else { (1, m + pad) };
        let data = values(start + m * k + pad * m.max(k), 1);
        let a = Strided { data: &data, start, row, column };
        let at = |i: usize, j: usize| data[start + i * row + j * column];
        let (b, c) = (values(k * LANES, 2), values(m * LANES, 3));
        for kernels in Kernels::all() {
            let mut out = c.clone();
            kernels.multiply_add(m, k, a, &b, &mut out);
            compare(&out, &c, LANES, k, 1e-6, at, |j, lane| b[j * LANES + lane]);
            let mut out = c[..m * 16].to_vec();
            kernels.multiply_add_16(m, k, a, &b, &mut out);
            compare(&out, &c, 16, k, 1e-6, at, |j, lane| b[j * 16 + lane]);
        }
    }

    #[test]
    fn pairs_multiply_as_their_two_terms(m in 1usize..40, k in 1usize..40, pad in 0usize..5, across: bool) {
        let (row, column) = if across { (k + pad, 1) } else { (1, m + pad) };
        let halves = values(2 * (m * k + pad * m.max(k) + k * LANES), 4);
        let words: Vec<u32> = halves.chunks_exact(2).map(|two| pair(two[0], two[1])).collect();
        let (b, data) = words.split_at(k * LANES);
        let term = |word: u32, j: usize| from_bf16(word >> (16 * (j % 2)) & 0xffff);
        let c = values(m * LANES, 5);
        for kernels in Kernels::all().into_iter().filter(|kernels| kernels.bf16()) {
            let mut out = c.clone();
            kernels.multiply_add_pairs(m, k, Strided { data, start: 0, row, column }, b, &mut out);
            let a = |i: usize, j: usize| term(data[i * row + j / 2 * column], j);
            compare(&out, &c, LANES, 2 * k, 1e-6, a, |j, lane| term(b[j / 2 * LANES + lane], j));
        }
    }

    #[test]
    fn every_kernel_pairs_alike(bits in prop::collection::vec(any::<u32>(), 2..90)) {
        // The instruction takes subnormal numbers for zero, and so do its products.
        let values: Vec<f32> = bits.iter().map(|bits| f32::from_bits(*bits)).filter(|v| !v.is_subnormal() && !v.is_nan()).collect();
        let half = values.len() / 2;
        let (first, second) = (&values[..half], &values[half..2 * half]);
        for kernels in Kernels::all() {
            let mut rows = vec![0; half];
            kernels.pair_rows(first, second, &mut rows);
            prop_assert!(rows.iter().enumerate().all(|(i, word)| *word == pair(first[i], second[i])));
            let mut columns = vec![0; half];
            kernels.pair_columns(&values, &mut columns);
            prop_assert!(columns.iter().enumerate().all(|(i, word)| *word == pair(values[2 * i], values[2 * i + 1])));
        }
    }

    #[test]
    fn bf16_is_the_nearest_one(bits: u32) {
        let value = f32::from_bits(bits);
        let near = from_bf16(bf16(value));
        if value.is_nan() {
            prop_assert!(near.is_nan());
        } else if near.is_finite() {
            // Half of the last of 8 digits, or of the smallest step there is.
            let step = (value.abs() as f64 / 256.0).max(f32::from_bits(0x8000) as f64);
            prop_assert!((near as f64 - value as f64).abs() <= step);
        } else {
            prop_assert!(value.abs() > 3.38e38);
        }
    }
}

#[test]
fn kernels_agree_to_the_last_bit_where_they_all_fuse() {
    if !cfg!(target_feature = "fma") {
        return;
    }
    let (m, k) = (23, 77);
    let (a, b) = (values(m * k, 6), values(k * LANES, 7));
    let products = Kernels::all().into_iter().map(|kernels| {
        let mut c = vec![0.5; m * LANES];
        kernels.multiply_add(m, k, Strided::rows(&a, k), &b, &mut c);
        c
    });
    let products: Vec<_> = products.collect();
    assert!(products.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn nothing_is_added_by_an_empty_product() {
    let mut c = [1.0; LANES];
    multiply_add(1, 0, Strided::rows(&[], 0), &[], &mut c);
    multiply_add(0, 3, Strided::rows(&[], 3), &[0.0; 3 * LANES], &mut c);
    assert_eq!(c, [1.0; LANES]);
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_matrix_that_leaves_its_slice_is_refused() {
    multiply_add(2, 3, Strided::rows(&[0.0; 5], 3), &[0.0; 3 * LANES], &mut [0.0; 2 * LANES]);
}

#[test]
#[should_panic(expected = "does not fit")]
fn strides_that_overflow_are_refused() {
    let a = Strided { data: &[0.0; 4], start: 1, row: usize::MAX, column: 1 };
    multiply_add(2, 1, a, &[0.0; LANES], &mut [0.0; 2 * LANES]);
}

#[test]
#[should_panic(expected = "rows of 32 are needed")]
fn a_short_panel_is_refused() {
    multiply_add(1, 2, Strided::rows(&[0.0; 2], 2), &[0.0; LANES + 31], &mut [0.0; LANES]);
}
