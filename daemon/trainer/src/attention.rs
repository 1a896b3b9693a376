//! Attention over packed examples, forward and backward, tile by tile of 32 keys and 32 queries as in
//! FlashAttention-2 (Dao, arXiv 2307.08691): no matrix of all pairs is ever held, backward computes the
//! probabilities anew from their kept log-sums, and tiles that no pair touches cost nothing.

use crate::acts::{Acts, LANES};
use crate::kernel::{Strided, multiply_add};
use crate::math::{exp, fma, tanh};
use crate::norm::{rows, rows_mut};
use rayon::prelude::*;

/// What does not depend on the tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    pub query: usize,
    /// A divisor of `query`: each serves `query / key` consecutive query heads.
    pub key: usize,
    /// Features of a head.
    pub size: usize,
    /// What products of query and key are multiplied with.
    pub scale: f32,
    /// Bounds scores to `cap tanh(score / cap)`.
    pub softcap: Option<f32>,
}

/// For each token, the first one that it attends to; it attends to all from there up to itself.
pub struct Reach {
    first: Vec<u32>,
}

impl Reach {
    /// `segments` in runs; `window` is how many tokens one sees, itself included.
    pub fn new(segments: &[u32], window: Option<usize>) -> Reach {
        let mut start = 0;
        let mut first: Vec<u32> = Vec::with_capacity(segments.len().next_multiple_of(LANES));
        for token in 0..segments.len() {
            if token > 0 && segments[token] != segments[token - 1] {
                start = token;
            }
            let nearest = window.map_or(0, |window| (token + 1).saturating_sub(window));
            first.push(start.max(nearest) as u32);
        }
        // Padding attends to itself alone, so that nothing of it reaches a token.
        first.extend(segments.len() as u32..first.capacity() as u32);
        Reach { first }
    }

    /// Panels of keys that queries of panel `p` touch: all of them, because reaches only move on.
    fn panels(&self, p: usize) -> std::ops::RangeInclusive<usize> {
        self.first[p * LANES] as usize / LANES..=p
    }

    fn of_panel(&self, p: usize) -> [u32; LANES] {
        self.first[p * LANES..][..LANES].try_into().expect("a panel of them")
    }
}

const TILE: usize = LANES * LANES;

/// Mixed values `[query heads * size x tokens]`, and the logarithm of the sum of each query's exponentiated
/// scores `[query heads x tokens]`, which [`backward`] needs.
pub fn forward(heads: &Heads, reach: &Reach, q: &Acts, k: &Acts, v: &Acts) -> (Acts, Acts) {
    let mut out = Acts::zeros(heads.query * heads.size, q.tokens());
    let mut sums = Acts::zeros(heads.query, q.tokens());
    let block = heads.size * LANES;
    let results =
        out.values_mut().par_chunks_exact_mut(block).zip(sums.values_mut().par_chunks_exact_mut(LANES));
    results.enumerate().with_max_len(1).for_each(|(at, (out, sums))| {
        let (p, head) = (at / heads.query, at % heads.query);
        let panels = reach.panels(p);
        let mut scores = vec![0.0; panels.clone().count() * TILE];
        for (j, tile) in panels.clone().zip(scores.chunks_exact_mut(TILE)) {
            heads.scores(heads.keys(k, j, head), heads.queries(q, p, head), tile);
        }
        sums.copy_from_slice(&softmax(&mut scores, panels.start() * LANES, p, &reach.of_panel(p)));
        for (j, tile) in panels.zip(scores.chunks_exact(TILE)) {
            multiply_add(heads.size, LANES, Strided::rows(heads.keys(v, j, head), LANES), tile, out);
        }
    });
    (out, sums)
}

impl Heads {
    /// The part of panel `p` of `acts` that is query head `head`: `[size][LANES]`.
    fn queries<'a>(&self, acts: &'a Acts, p: usize, head: usize) -> &'a [f32] {
        &acts.panel(p)[head * self.size * LANES..][..self.size * LANES]
    }

    /// The part of panel `p` of `acts` that is the key head of query head `head`.
    fn keys<'a>(&self, acts: &'a Acts, p: usize, head: usize) -> &'a [f32] {
        self.queries(acts, p, head / (self.query / self.key))
    }

    /// Scores of a tile, a row for each key and a lane for each query; `tile` is zeros.
    fn scores(&self, k: &[f32], q: &[f32], tile: &mut [f32]) {
        multiply_add(LANES, self.size, Strided::rows(k, LANES).transposed(), q, tile);
        match self.softcap {
            None => tile.iter_mut().for_each(|s| *s *= self.scale),
            Some(cap) => tile.iter_mut().for_each(|s| *s = cap * tanh(*s * (self.scale / cap))),
        }
    }

    /// Turns gradients by the scores of a tile into those by the products of query and key.
    fn scores_backward(&self, scores: &[f32], gradients: &mut [f32]) {
        match self.softcap {
            None => gradients.iter_mut().for_each(|d| *d *= self.scale),
            Some(cap) => gradients.iter_mut().zip(scores).for_each(|(d, s)| {
                let t = s / cap;
                *d *= self.scale * (1.0 - t * t);
            }),
        }
    }
}

/// Whether a query attends to a key.
#[inline(always)]
fn sees(first: u32, key: u32, query: u32) -> bool {
    first <= key && key <= query
}

/// Turns scores (rows from token `start` on, lanes of panel `p`) into probabilities, and returns the
/// logarithms of the sums.
fn softmax(scores: &mut [f32], start: usize, p: usize, first: &[u32; LANES]) -> [f32; LANES] {
    let query = |l: usize| (p * LANES + l) as u32;
    let mut most = [f32::MIN; LANES];
    for (r, row) in rows(scores).enumerate() {
        let key = (start + r) as u32;
        for l in 0..LANES {
            let score = if sees(first[l], key, query(l)) { row[l] } else { f32::MIN };
            most[l] = if score > most[l] { score } else { most[l] };
        }
    }
    let mut sum = [0.0; LANES];
    for (r, row) in rows_mut(scores).enumerate() {
        let key = (start + r) as u32;
        for l in 0..LANES {
            row[l] = if sees(first[l], key, query(l)) { exp(row[l] - most[l]) } else { 0.0 };
            sum[l] += row[l];
        }
    }
    let inverse = sum.map(|s| 1.0 / s);
    for row in rows_mut(scores) {
        (0..LANES).for_each(|l| row[l] *= inverse[l]);
    }
    std::array::from_fn(|l| most[l] + sum[l].ln())
}

/// What [`forward`] read and wrote.
pub struct Seen<'a> {
    pub q: &'a Acts,
    pub k: &'a Acts,
    pub v: &'a Acts,
    pub out: &'a Acts,
    pub sums: &'a Acts,
}

/// Gradients by q, k and v, where `d_out` is that by the mixed values.
pub fn backward(heads: &Heads, reach: &Reach, seen: &Seen<'_>, d_out: &Acts) -> (Acts, Acts, Acts) {
    let tokens = d_out.tokens();
    let by_head: Vec<[Vec<f32>; 3]> =
        (0..heads.query).into_par_iter().map(|head| head_backward(heads, reach, seen, d_out, head)).collect();
    let group = heads.query / heads.key;
    let joined = |which: usize, outputs: usize, group: usize| {
        let mut acts = Acts::zeros(outputs * heads.size, tokens);
        let block = heads.size * LANES;
        acts.values_mut().par_chunks_exact_mut(block).enumerate().for_each(|(at, out)| {
            let (p, head) = (at / outputs, at % outputs);
            for one in &by_head[head * group..][..group] {
                out.iter_mut().zip(&one[which][p * block..]).for_each(|(o, d)| *o += d);
            }
        });
        acts
    };
    (joined(0, heads.query, 1), joined(1, heads.key, group), joined(2, heads.key, group))
}

/// The gradients by q, k and v of one query head, each `[panel][size][LANES]`.
fn head_backward(heads: &Heads, reach: &Reach, seen: &Seen<'_>, d_out: &Acts, head: usize) -> [Vec<f32>; 3] {
    let block = heads.size * LANES;
    let [mut dq, mut dk, mut dv] = [(); 3].map(|()| vec![0.0; d_out.panels() * block]);
    let [mut scores, mut ds, mut turned] = [(); 3].map(|()| [0.0; TILE]);
    for p in 0..d_out.panels() {
        let (q, d_out) = (heads.queries(seen.q, p, head), heads.queries(d_out, p, head));
        let sums = &rows(seen.sums.panel(p)).as_slice()[head];
        let first = reach.of_panel(p);
        let mut mean = [0.0; LANES];
        for (o, d) in rows(heads.queries(seen.out, p, head)).zip(rows(d_out)) {
            (0..LANES).for_each(|l| mean[l] = fma(o[l], d[l], mean[l]));
        }
        for j in reach.panels(p) {
            let (k, v) = (heads.keys(seen.k, j, head), heads.keys(seen.v, j, head));
            scores.fill(0.0);
            heads.scores(k, q, &mut scores);
            ds.fill(0.0);
            multiply_add(LANES, heads.size, Strided::rows(v, LANES).transposed(), d_out, &mut ds);
            let mut probabilities = [0.0; TILE];
            let tile = rows_mut(&mut probabilities).zip(rows(&scores)).zip(rows_mut(&mut ds));
            for (r, ((probability, score), ds)) in tile.enumerate() {
                let key = (j * LANES + r) as u32;
                for l in 0..LANES {
                    let seen = sees(first[l], key, (p * LANES + l) as u32);
                    probability[l] = if seen { exp(score[l] - sums[l]) } else { 0.0 };
                    ds[l] = probability[l] * (ds[l] - mean[l]);
                }
            }
            heads.scores_backward(&scores, &mut ds);
            multiply_add(heads.size, LANES, Strided::rows(k, LANES), &ds, &mut dq[p * block..][..block]);
            transpose(&ds, &mut turned);
            multiply_add(heads.size, LANES, Strided::rows(q, LANES), &turned, &mut dk[j * block..][..block]);
            transpose(&probabilities, &mut turned);
            multiply_add(
                heads.size,
                LANES,
                Strided::rows(d_out, LANES),
                &turned,
                &mut dv[j * block..][..block],
            );
        }
    }
    [dq, dk, dv]
}

fn transpose(tile: &[f32; TILE], out: &mut [f32; TILE]) {
    for (r, row) in rows(tile).enumerate() {
        for (l, value) in row.iter().enumerate() {
            out[l * LANES + r] = *value;
        }
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
