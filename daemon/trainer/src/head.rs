//! The output layer and the loss in one: logits are made for a few hundred words of the vocabulary at a
//! time, used, and overwritten, and only for tokens that bear loss. A matrix [tokens x vocabulary] never
//! exists. The softmax is summed while it is made, rescaled when a larger logit comes, as in online softmax
//! (Milakov and Gimelshein, arXiv 1805.02867); the gradient by the hidden states is summed the same way, so
//! that each row of the weight is dequantized once.

use crate::acts::{Acts, LANES};
use crate::math::{exp, tanh};
use crate::weight::{Operand, Precision, Tile, Weight};
use rayon::prelude::*;
use std::ops::Range;

/// What one token's prediction is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// The token that came next: cross-entropy.
    Next(u32),
    /// A teacher's likeliest tokens and their probabilities: cross-entropy against those.
    Match(Vec<(u32, f32)>),
    /// A token that is not to come: unlikelihood, -ln(1 - p) (Welleck et al. 2019, arXiv 1908.04319).
    Avoid(u32),
    /// The base model's prediction: its KL divergence from the adapted one's, KL(base || adapted).
    Base,
}

/// A token that bears loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which of the hidden states.
    pub token: usize,
    /// What its loss is multiplied with.
    pub weight: f32,
    pub goal: Goal,
}

/// The matrix that turns hidden states `[width]` into logits `[vocabulary]`.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub weight: Weight<'a>,
    /// Logits are bent to stay within this: `c * tanh(logit / c)`.
    pub softcap: Option<f32>,
    pub precision: Precision,
}

/// Rows of the vocabulary at a time: as dequantized, they stay in the second-level cache.
const CHUNK: usize = 128;
/// How far a logit may pass the maximum that sums are relative to before they are rescaled.
const SLACK: f32 = 4.0;

impl Head<'_> {
    /// The loss of each row in nats, not weighted. `base` are the base model's hidden states of the same
    /// tokens, needed where a goal is [`Goal::Base`].
    ///
    /// # Panics
    /// When `base` is needed and missing, or a token is outside of what it indexes.
    pub fn losses(&self, hidden: &Acts, base: Option<&Acts>, rows: &[Row]) -> Vec<f32> {
        self.run(hidden, base, rows, None)
    }

    /// The same, and adds the gradient of the weighted sum of losses to `d_hidden`.
    pub fn losses_and_gradient(
        &self,
        hidden: &Acts,
        base: Option<&Acts>,
        rows: &[Row],
        d_hidden: &mut Acts,
    ) -> Vec<f32> {
        self.run(hidden, base, rows, Some(d_hidden))
    }

    /// Each token's `k` likeliest next tokens, likeliest first, with probabilities that are made to sum to one.
    pub fn likeliest(&self, hidden: &Acts, tokens: &[usize], k: usize) -> Vec<Vec<(u32, f32)>> {
        let x = gather(hidden, tokens);
        let x = Operand::new(&x, self.precision);
        let mut best: Vec<Vec<(u32, f32)>> = vec![Vec::new(); tokens.len()];
        let parts: Vec<_> = self.parts();
        let found: Vec<_> =
            parts.into_par_iter().map(|part| self.likeliest_in(part, &x, tokens.len(), k)).collect();
        for part in found {
            best.iter_mut().zip(part).for_each(|(best, part)| best.extend(part));
        }
        best.into_iter().map(|best| probabilities(best, k)).collect()
    }

    fn run(&self, hidden: &Acts, base: Option<&Acts>, rows: &[Row], mut d: Option<&mut Acts>) -> Vec<f32> {
        let mut losses = vec![0.0; rows.len()];
        // Rows held against the base model need its logits too; others should not pay for that.
        let (to_base, to_tokens): (Vec<_>, Vec<_>) =
            (0..rows.len()).partition(|&row| rows[row].goal == Goal::Base);
        for (group, base) in [(to_tokens, None), (to_base, base)] {
            if group.is_empty() {
                continue;
            }
            let rows: Vec<&Row> = group.iter().map(|&row| &rows[row]).collect();
            assert!(rows[0].goal != Goal::Base || base.is_some(), "the base model's hidden states");
            let of_group = self.group(hidden, base, &rows, d.as_deref_mut());
            group.iter().zip(of_group).for_each(|(&row, loss)| losses[row] = loss);
        }
        losses
    }

    /// Rows that are all held against the base model (then with its hidden states), or none of them.
    fn group(&self, hidden: &Acts, base: Option<&Acts>, rows: &[&Row], d: Option<&mut Acts>) -> Vec<f32> {
        let tokens: Vec<usize> = rows.iter().map(|row| row.token).collect();
        let x = gather(hidden, &tokens);
        let base = base.map(|base| gather(base, &tokens));
        let pass = Pass {
            head: self,
            x: Operand::new(&x, self.precision),
            base: base.as_ref().map(|base| Operand::new(base, self.precision)),
            goals: (0..x.panels())
                .map(|p| Goals::new(&rows[p * LANES..rows.len().min((p + 1) * LANES)]))
                .collect(),
            gradient: d.is_some(),
        };
        let parts: Vec<Vec<Sums>> = self.parts().into_par_iter().map(|part| pass.part(part)).collect();
        let panels: Vec<Sums> = transpose(parts).into_par_iter().map(Sums::merge).collect();
        if let Some(d) = d {
            pass.scatter(&panels, rows, d);
        }
        rows.iter().enumerate().map(|(i, row)| panels[i / LANES].loss(i % LANES, row)).collect()
    }

    /// The vocabulary, a part for each thread.
    fn parts(&self) -> Vec<Range<usize>> {
        let total = self.weight.outputs;
        let width = total.div_ceil(rayon::current_num_threads()).next_multiple_of(CHUNK);
        (0..total.div_ceil(width)).map(|n| n * width..total.min((n + 1) * width)).collect()
    }

    fn likeliest_in(
        &self,
        part: Range<usize>,
        x: &Operand<'_>,
        tokens: usize,
        k: usize,
    ) -> Vec<Vec<(u32, f32)>> {
        let mut best: Vec<Vec<(u32, f32)>> = vec![Vec::new(); tokens];
        let mut tile = Tile::default();
        let mut logits = vec![0.0; CHUNK * LANES];
        for chunk in chunks(part) {
            tile.load(&self.weight, chunk.clone(), self.precision);
            for p in 0..x.panels() {
                self.logits(&tile, x, p, &mut logits[..chunk.len() * LANES]);
                for (lane, best) in best.iter_mut().skip(p * LANES).take(LANES).enumerate() {
                    let column = logits[..chunk.len() * LANES].chunks_exact(LANES).map(|row| row[lane]);
                    chunk.clone().zip(column).for_each(|(id, logit)| insert(best, k, id as u32, logit));
                }
            }
        }
        best
    }

    /// Logits `[rows of the tile][LANES]` of panel `p`.
    fn logits(&self, tile: &Tile, x: &Operand<'_>, p: usize, out: &mut [f32]) {
        out.fill(0.0);
        tile.forward(x, p, out);
        if let Some(cap) = self.softcap {
            out.iter_mut().for_each(|logit| *logit = cap * tanh(*logit / cap));
        }
    }
}

/// One group's pass over the vocabulary.
struct Pass<'a> {
    head: &'a Head<'a>,
    x: Operand<'a>,
    base: Option<Operand<'a>>,
    goals: Vec<Goals>,
    gradient: bool,
}

impl Pass<'_> {
    /// The sums of each panel over a part of the vocabulary.
    fn part(&self, part: Range<usize>) -> Vec<Sums> {
        let width = if self.gradient { self.x.features() } else { 0 };
        let mut sums: Vec<Sums> =
            self.goals.iter().map(|goals| Sums::new(width, self.base.is_some(), goals.logits())).collect();
        let mut tile = Tile::default();
        let (mut logits, mut of_base) = (vec![0.0; CHUNK * LANES], vec![0.0; CHUNK * LANES]);
        for chunk in chunks(part) {
            tile.load(&self.head.weight, chunk.clone(), self.head.precision);
            let (logits, of_base) = (&mut logits[..chunk.len() * LANES], &mut of_base[..chunk.len() * LANES]);
            for (p, sums) in sums.iter_mut().enumerate() {
                self.head.logits(&tile, &self.x, p, logits);
                self.goals[p].note(chunk.clone(), logits, &mut sums.goals);
                if let Some(base) = &self.base {
                    self.head.logits(&tile, base, p, of_base);
                    sums.cross(logits, of_base);
                    self.absorb(&tile, &mut sums.base, of_base, logits);
                }
                // Last, since it turns the logits into what the gradient is made of.
                let before = self.head.softcap.map(|_| logits.to_vec());
                self.absorb(&tile, &mut sums.adapted, logits, before.as_deref().unwrap_or(&[]));
            }
        }
        sums
    }

    /// Adds a chunk's `logits` to the sums of a softmax. `adapted` are the logits by which the gradient goes
    /// on when these are bent by a softcap.
    fn absorb(&self, tile: &Tile, sums: &mut Softmax, logits: &mut [f32], adapted: &[f32]) {
        sums.raise(logits);
        for row in logits.chunks_exact_mut(LANES) {
            for ((logit, max), sum) in row.iter_mut().zip(&sums.max).zip(&mut sums.sum) {
                *logit = exp(*logit - max);
                *sum += *logit;
            }
        }
        if !self.gradient {
            return;
        }
        if let Some(cap) = self.head.softcap {
            logits.iter_mut().zip(adapted).for_each(|(p, logit)| *p *= bend(*logit, cap));
        }
        let d = Operand::of_panels(logits, logits.len() / LANES, self.head.precision);
        tile.backward(&d, 0, &mut sums.dx);
    }

    /// Weighs each row's gradient and adds it to the gradient of its hidden state.
    fn scatter(&self, panels: &[Sums], rows: &[&Row], d: &mut Acts) {
        let columns: Vec<Vec<f32>> = rows
            .par_iter()
            .enumerate()
            .map(|(i, row)| self.column(&panels[i / LANES], i % LANES, row))
            .collect();
        for (row, column) in rows.iter().zip(columns) {
            let (p, lane) = (row.token / LANES, row.token % LANES);
            let panel = d.panel_mut(p);
            column.iter().enumerate().for_each(|(f, value)| panel[f * LANES + lane] += row.weight * value);
        }
    }

    /// The gradient of one row's loss by its hidden state.
    fn column(&self, sums: &Sums, lane: usize, row: &Row) -> Vec<f32> {
        let goals = goals_of(row);
        // A teacher's probabilities may not quite sum to one, and what they sum to pulls on every logit.
        let total: f32 = match row.goal {
            Goal::Base => 1.0,
            _ => goals.iter().map(|(_, share)| share).sum(),
        };
        let of = |softmax: &Softmax, f: usize| softmax.dx[f * LANES + lane] / softmax.sum[lane];
        let mut column: Vec<f32> = (0..self.x.features()).map(|f| total * of(&sums.adapted, f)).collect();
        if row.goal == Goal::Base {
            column.iter_mut().enumerate().for_each(|(f, value)| *value -= of(&sums.base, f));
        }
        // The gradient of -ln(1 - p) is that of -ln p, times -p / (1 - p).
        let turned = match row.goal {
            Goal::Avoid(_) => -odds(sums.log_chance(lane)),
            _ => 1.0,
        };
        let mut weights = vec![0.0; self.x.features()];
        for ((id, share), logit) in goals.iter().zip(&sums.goals[lane]) {
            let share = share * self.head.softcap.map_or(1.0, |cap| bend(*logit, cap));
            self.head.weight.row(*id as usize, &mut weights);
            column.iter_mut().zip(&weights).for_each(|(value, weight)| *value -= share * weight);
        }
        column.iter_mut().for_each(|value| *value *= turned);
        column
    }
}

/// The derivative of `cap * tanh(x / cap)` where that is `logit`.
fn bend(logit: f32, cap: f32) -> f32 {
    1.0 - (logit / cap) * (logit / cap)
}

/// p / (1 - p) of a probability's logarithm; bounded, since a token that is certain would outweigh all others.
fn odds(log_chance: f32) -> f32 {
    const MOST: f32 = 20.0;
    let chance = log_chance.min(0.0).exp();
    (chance / (1.0 - chance)).min(MOST)
}

fn goals_of(row: &Row) -> Vec<(u32, f32)> {
    match &row.goal {
        Goal::Next(id) | Goal::Avoid(id) => vec![(*id, 1.0)],
        Goal::Match(shares) => shares.clone(),
        Goal::Base => Vec::new(),
    }
}

/// Which logits a panel's rows ask for, by token id.
struct Goals {
    /// Token id, lane, place among the lane's goals; sorted.
    asked: Vec<(u32, usize, usize)>,
    counts: Vec<usize>,
}

impl Goals {
    fn new(rows: &[&Row]) -> Goals {
        let goals: Vec<_> = rows.iter().map(|row| goals_of(row)).collect();
        let of_lane = |(lane, goals): (usize, &Vec<(u32, f32)>)| {
            goals.iter().enumerate().map(move |(place, (id, _))| (*id, lane, place)).collect::<Vec<_>>()
        };
        let mut asked: Vec<_> = goals.iter().enumerate().flat_map(of_lane).collect();
        asked.sort_unstable();
        Goals { asked, counts: goals.iter().map(Vec::len).collect() }
    }

    /// Room for the logits, by lane.
    fn logits(&self) -> Vec<Vec<f32>> {
        self.counts.iter().map(|count| vec![f32::NEG_INFINITY; *count]).collect()
    }

    /// Writes down the logits asked for that are in this chunk.
    fn note(&self, chunk: Range<usize>, logits: &[f32], out: &mut [Vec<f32>]) {
        let first = self.asked.partition_point(|(id, ..)| (*id as usize) < chunk.start);
        for &(id, lane, place) in self.asked[first..].iter().take_while(|(id, ..)| (*id as usize) < chunk.end)
        {
            out[lane][place] = logits[(id as usize - chunk.start) * LANES + lane];
        }
    }
}

/// What is summed over the vocabulary for the tokens of a panel.
struct Sums {
    adapted: Softmax,
    base: Softmax,
    /// Sum of `exp(base - base.max) * (base - adapted)`.
    cross: [f32; LANES],
    /// The logits that the rows ask for, by lane.
    goals: Vec<Vec<f32>>,
}

/// A softmax in the making, of a panel's tokens.
struct Softmax {
    /// What the sums are relative to.
    max: [f32; LANES],
    /// Sum of `exp(logit - max)`.
    sum: [f32; LANES],
    /// Sum of `exp(logit - max) * weight row`, `[width][LANES]`; empty without a gradient.
    dx: Vec<f32>,
}

impl Softmax {
    fn new(width: usize) -> Softmax {
        Softmax { max: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES], dx: vec![0.0; width * LANES] }
    }

    /// Makes `max` fit to be subtracted from `logits`, and rescales the sums; returns the factors.
    fn raise(&mut self, logits: &[f32]) -> Option<[f32; LANES]> {
        let mut top = [f32::NEG_INFINITY; LANES];
        for row in logits.chunks_exact(LANES) {
            top.iter_mut().zip(row).for_each(|(top, logit)| *top = top.max(*logit));
        }
        if self.max.iter().zip(&top).all(|(max, top)| *top <= max + SLACK) {
            return None;
        }
        let mut factors = [1.0; LANES];
        for ((max, top), factor) in self.max.iter_mut().zip(&top).zip(&mut factors) {
            if top > max {
                *factor = if *max == f32::NEG_INFINITY { 0.0 } else { exp(*max - top) };
                *max = *top;
            }
        }
        self.scale(&factors);
        Some(factors)
    }

    fn scale(&mut self, factors: &[f32; LANES]) {
        self.sum.iter_mut().zip(factors).for_each(|(sum, factor)| *sum *= factor);
        for row in self.dx.chunks_exact_mut(LANES) {
            row.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
        }
    }

    /// Adds another part's sums; returns by how much its own and the other's were scaled.
    fn add(&mut self, mut other: Softmax) -> [[f32; LANES]; 2] {
        let mut factors = [[1.0; LANES]; 2];
        let [own, others] = &mut factors;
        for (((max, other), own), others) in self.max.iter_mut().zip(&other.max).zip(own).zip(others) {
            let top = max.max(*other);
            (*own, *others) = (exp(*max - top), exp(*other - top));
            *max = top;
        }
        self.scale(&factors[0]);
        other.scale(&factors[1]);
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, other)| *sum += other);
        self.dx.iter_mut().zip(&other.dx).for_each(|(value, other)| *value += other);
        factors
    }

    /// The logarithm of the sum of the exponentials of a lane's logits.
    fn log_sum(&self, lane: usize) -> f32 {
        self.max[lane] + self.sum[lane].ln()
    }
}

impl Sums {
    fn new(width: usize, with_base: bool, goals: Vec<Vec<f32>>) -> Sums {
        let base = Softmax::new(if with_base { width } else { 0 });
        Sums { adapted: Softmax::new(width), base, cross: [0.0; LANES], goals }
    }

    /// Adds a chunk to the cross sum, and makes the base's maximum fit for it.
    fn cross(&mut self, logits: &[f32], of_base: &[f32]) {
        if let Some(factors) = self.base.raise(of_base) {
            self.cross.iter_mut().zip(&factors).for_each(|(cross, factor)| *cross *= factor);
        }
        for (row, base) in logits.chunks_exact(LANES).zip(of_base.chunks_exact(LANES)) {
            for lane in 0..LANES {
                self.cross[lane] += exp(base[lane] - self.base.max[lane]) * (base[lane] - row[lane]);
            }
        }
    }

    /// The sums of all parts of the vocabulary.
    fn merge(parts: Vec<Sums>) -> Sums {
        let mut parts = parts.into_iter();
        let mut all = parts.next().expect("a vocabulary has a part");
        for part in parts {
            all.adapted.add(part.adapted);
            let [mine, other] = all.base.add(part.base);
            for lane in 0..LANES {
                all.cross[lane] = all.cross[lane] * mine[lane] + part.cross[lane] * other[lane];
            }
            for (mine, other) in all.goals.iter_mut().flatten().zip(part.goals.iter().flatten()) {
                *mine = mine.max(*other);
            }
        }
        all
    }

    /// The logarithm of the probability of the one token that the row in this lane asks for.
    fn log_chance(&self, lane: usize) -> f32 {
        self.goals[lane][0] - self.adapted.log_sum(lane)
    }

    /// The loss of the row in this lane, in nats.
    fn loss(&self, lane: usize, row: &Row) -> f32 {
        let log_sum = self.adapted.log_sum(lane);
        match row.goal {
            Goal::Avoid(_) => odds(self.log_chance(lane)).ln_1p(),
            Goal::Base => self.cross[lane] / self.base.sum[lane] + log_sum - self.base.log_sum(lane),
            _ => {
                goals_of(row).iter().zip(&self.goals[lane]).map(|((_, q), logit)| q * (log_sum - logit)).sum()
            }
        }
    }
}

/// The columns `tokens` of `acts`, side by side.
fn gather(acts: &Acts, tokens: &[usize]) -> Acts {
    let mut out = Acts::zeros(acts.features(), tokens.len());
    out.par_panels_mut().zip(tokens.par_chunks(LANES)).for_each(|(panel, tokens)| {
        for (lane, token) in tokens.iter().enumerate() {
            let from = acts.panel(token / LANES);
            panel
                .chunks_exact_mut(LANES)
                .zip(from.chunks_exact(LANES))
                .for_each(|(row, from)| row[lane] = from[token % LANES]);
        }
    });
    out
}

fn chunks(part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    part.clone().step_by(CHUNK).map(move |start| start..part.end.min(start + CHUNK))
}

/// Parts of panels to panels of parts.
fn transpose(parts: Vec<Vec<Sums>>) -> Vec<Vec<Sums>> {
    let panels = parts.first().map_or(0, Vec::len);
    let mut out: Vec<Vec<Sums>> = Vec::new();
    out.resize_with(panels, Vec::new);
    for part in parts {
        out.iter_mut().zip(part).for_each(|(panel, sums)| panel.push(sums));
    }
    out
}

/// Keeps the `k` largest, largest first.
fn insert(best: &mut Vec<(u32, f32)>, k: usize, id: u32, logit: f32) {
    if best.len() == k && best.last().is_some_and(|(_, least)| logit <= *least) {
        return;
    }
    let at = best.partition_point(|(_, other)| *other >= logit);
    best.insert(at, (id, logit));
    best.truncate(k);
}

/// The `k` largest logits as probabilities that sum to one.
fn probabilities(mut best: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(k);
    let max = best.first().map_or(0.0, |(_, logit)| *logit);
    let sum: f32 = best.iter().map(|(_, logit)| (logit - max).exp()).sum();
    best.into_iter().map(|(id, logit)| (id, (logit - max).exp() / sum)).collect()
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
