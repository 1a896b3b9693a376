//! Attention over packed examples, forward and backward, tile by tile of 32 keys and 32 queries as in
//! FlashAttention-2 (Dao, arXiv 2307.08691): no matrix of all pairs is ever held, backward computes the
//! probabilities anew from their kept log-sums, and tiles that no pair touches cost nothing.

use crate::acts::{Acts, LANES};
use crate::kernel::{Strided, multiply_add};
use crate::lanes::{self, Lanes, rows, rows_mut, transpose};
use crate::math::{exp, fma, tanh};
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

    fn of_panel(&self, p: usize) -> Span {
        let first = self.first[p * LANES..][..LANES].try_into().expect("a panel of them");
        Span { first, last: std::array::from_fn(|l| (p * LANES + l) as u32) }
    }
}

/// The keys that the queries of a panel attend to.
struct Span {
    first: [u32; LANES],
    last: [u32; LANES],
}

impl Span {
    #[inline(always)]
    fn sees(&self, query: usize, key: u32) -> bool {
        self.first[query] <= key && key <= self.last[query]
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
        let weights = Weights::of(&mut scores, panels.start() * LANES, &reach.of_panel(p));
        for (j, tile) in panels.zip(scores.chunks_exact(TILE)) {
            multiply_add(heads.size, LANES, Strided::rows(heads.keys(v, j, head), LANES), tile, out);
        }
        let inverse = weights.sum.map(|sum| 1.0 / sum);
        rows_mut(out).for_each(|row| lanes::scale(row, &inverse, 1.0));
        sums.copy_from_slice(&weights.logarithm());
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

    /// By how much scores grow with the products of query and key.
    fn slope(&self, scores: &Lanes) -> Lanes {
        match self.softcap {
            None => [self.scale; LANES],
            Some(cap) => scores.map(|score| self.scale * (1.0 - (score / cap) * (score / cap))),
        }
    }

    /// Squares of `LANES` by `LANES` that hold a panel of a head.
    fn squares(&self) -> usize {
        self.size.div_ceil(LANES)
    }

    /// A panel of a head with a row for each token, cut into squares of `LANES` features.
    fn turned(&self, part: &[f32]) -> Vec<f32> {
        let mut squares = part.to_vec();
        squares.resize(self.squares() * TILE, 0.0);
        squares.chunks_exact_mut(TILE).for_each(transpose);
        squares
    }
}

/// What turns scores into probabilities.
struct Weights {
    most: Lanes,
    /// Of the exponentials of scores, each less the largest.
    sum: Lanes,
}

impl Weights {
    /// Turns scores, a row for each token from `start` on, into their exponentials.
    fn of(scores: &mut [f32], start: usize, span: &Span) -> Weights {
        let mut weights = Weights { most: [f32::MIN; LANES], sum: [0.0; LANES] };
        let keys = || start as u32..;
        rows(scores).zip(keys()).for_each(|(row, key)| weights.meet(row, key, span));
        rows_mut(scores).zip(keys()).for_each(|(row, key)| weights.exponentiate(row, key, span));
        weights
    }

    #[inline(never)]
    fn meet(&mut self, row: &Lanes, key: u32, span: &Span) {
        for (l, score) in row.iter().enumerate() {
            let score = if span.sees(l, key) { *score } else { f32::MIN };
            self.most[l] = if score > self.most[l] { score } else { self.most[l] };
        }
    }

    #[inline(never)]
    fn exponentiate(&mut self, row: &mut Lanes, key: u32, span: &Span) {
        for (l, score) in row.iter_mut().enumerate() {
            let weight = exp(*score - self.most[l]);
            *score = if span.sees(l, key) { weight } else { 0.0 };
            self.sum[l] += *score;
        }
    }

    /// Logarithms of the sums of the scores' exponentials.
    fn logarithm(&self) -> Lanes {
        std::array::from_fn(|l| self.most[l] + self.sum[l].ln())
    }
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
        acts.values_mut().par_chunks_exact_mut(heads.size * LANES).enumerate().for_each(|(at, out)| {
            let (p, head) = (at / outputs, at % outputs);
            for one in &by_head[head * group..][..group] {
                let panel = one[which].len() / d_out.panels();
                out.iter_mut().zip(&one[which][p * panel..]).for_each(|(o, d)| *o += d);
            }
        });
        acts
    };
    (joined(0, heads.query, 1), joined(1, heads.key, group), joined(2, heads.key, group))
}

/// The gradients by q, k and v of one query head, each `[panel][size][LANES]`; those by k and v with
/// `size` rounded up to whole squares.
fn head_backward(heads: &Heads, reach: &Reach, seen: &Seen<'_>, d_out: &Acts, head: usize) -> [Vec<f32>; 3] {
    let (block, squares) = (heads.size * LANES, heads.squares() * TILE);
    let mut dq = vec![0.0; d_out.panels() * block];
    // Up to the end with a row for each key and its features along the lanes.
    let [mut dk, mut dv] = [(); 2].map(|()| vec![0.0; d_out.panels() * squares]);
    for p in 0..d_out.panels() {
        let (q, d_out) = (heads.queries(seen.q, p, head), heads.queries(d_out, p, head));
        let (q_turned, d_out_turned) = (heads.turned(q), heads.turned(d_out));
        let mut tile = Tile {
            span: reach.of_panel(p),
            sums: rows(seen.sums.panel(p)).as_slice()[head],
            mean: [0.0; LANES],
            scores: [0.0; TILE],
            gradients: [0.0; TILE],
        };
        for (o, d) in rows(heads.queries(seen.out, p, head)).zip(rows(d_out)) {
            (0..LANES).for_each(|l| tile.mean[l] = fma(o[l], d[l], tile.mean[l]));
        }
        for j in reach.panels(p) {
            let (k, v) = (heads.keys(seen.k, j, head), heads.keys(seen.v, j, head));
            tile.compute(heads, (q, k), (d_out, v), j);
            multiply_add(heads.size, LANES, Strided::rows(k, LANES), &tile.gradients, &mut dq[p * block..]);
            let sums = [(&tile.gradients, &q_turned, &mut dk), (&tile.scores, &d_out_turned, &mut dv)];
            for (a, b, c) in sums {
                let c = c[j * squares..][..squares].chunks_exact_mut(TILE);
                for (b, c) in b.chunks_exact(TILE).zip(c) {
                    multiply_add(LANES, LANES, Strided::rows(a, LANES), b, c);
                }
            }
        }
    }
    [&mut dk, &mut dv].into_iter().for_each(|all| all.chunks_exact_mut(TILE).for_each(transpose));
    [dq, dk, dv]
}

/// A tile of keys (rows) and queries (lanes) in the backward pass.
struct Tile {
    span: Span,
    /// Of the queries: logarithms of the sums, and what gradients by probabilities are on average.
    sums: Lanes,
    mean: Lanes,
    /// Scores, then probabilities.
    scores: [f32; TILE],
    /// By the probabilities, then by the products of query and key.
    gradients: [f32; TILE],
}

impl Tile {
    /// From queries and keys of panel `j`, and from gradients and values.
    fn compute(&mut self, heads: &Heads, (q, k): (&[f32], &[f32]), (d_out, v): (&[f32], &[f32]), j: usize) {
        self.scores.fill(0.0);
        heads.scores(k, q, &mut self.scores);
        self.gradients.fill(0.0);
        multiply_add(LANES, heads.size, Strided::rows(v, LANES).transposed(), d_out, &mut self.gradients);
        let rows = rows_mut(&mut self.scores).zip(rows_mut(&mut self.gradients));
        for ((score, gradient), key) in rows.zip((j * LANES) as u32..) {
            let slope = heads.slope(score);
            weigh(score, gradient, &slope, &self.sums, &self.mean, &self.span, key);
        }
    }
}

/// Turns scores into probabilities, and gradients by these into those by the products.
#[inline(never)]
fn weigh(
    score: &mut Lanes,
    gradient: &mut Lanes,
    slope: &Lanes,
    sums: &Lanes,
    mean: &Lanes,
    span: &Span,
    key: u32,
) {
    for l in 0..LANES {
        let weight = exp(score[l] - sums[l]);
        score[l] = if span.sees(l, key) { weight } else { 0.0 };
        gradient[l] = score[l] * (gradient[l] - mean[l]) * slope[l];
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
