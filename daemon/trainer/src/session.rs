//! A training run, micro-batch by micro-batch: forward, loss, backward, and at the end of a step the
//! optimizer. Its whole state can be saved and restored, and a restored run goes on as if it had never
//! stopped. It reads no clock and no file.

use crate::acts::Acts;
use crate::head::{Goal, Head, Row};
use crate::lora::Adapter;
use crate::model::{Model, ModelError};
use crate::optim::{self, Moments};
use crate::pack::{self, Example};
use crate::random::mix;
use crate::recipe::{Recipe, RecipeError};
use crate::run::{Batch, How, Keep, Stopped};
use crate::weight::Precision;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("there is nothing to learn: no example has a token with a weight; add examples")]
    Nothing,
    #[error("example {0} is broken: {1}")]
    Example(usize, &'static str),
    #[error("the model has none of the recipe's targets; name others")]
    NoSites,
    #[error(
        "{0} steps in a row had a loss or gradient that is not a finite number, and the run was stopped; \
         lower `learning_rate`, or look for what is odd in the data"
    )]
    Diverged(usize),
    #[error("the saved state is of another run, or damaged ({0}); begin anew")]
    State(&'static str),
}

/// What a micro-batch led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It was stopped; nothing of it counts, and it is done again.
    Stopped,
    /// A part of a step.
    Part,
    /// The last of a step.
    Step(StepReport),
}

/// A finished step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean over the learned tokens, in nats, by their weights.
    pub loss: f32,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// The learning rate used.
    pub rate: f32,
    /// The gradient's norm before it was clipped.
    pub norm: f32,
    /// The adapter was left as it was, since the loss or the gradient was not finite, or too large to square.
    pub skipped: bool,
}

/// A run under way.
pub struct Session<'a> {
    model: &'a Model<'a>,
    recipe: Recipe,
    examples: Vec<Example>,
    precision: Precision,
    keep: Keep,
    plan: Vec<Vec<usize>>,
    /// What the base model teaches, by example: made when it is first needed.
    taught: HashMap<usize, Vec<Vec<(u32, f32)>>>,
    adapter: Adapter,
    moments: Moments,
    grads: Vec<f32>,
    state: State,
    whole: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct State {
    step: u64,
    /// Micro-batches done of the step.
    micro: u64,
    skipped: u64,
    skipped_in_a_row: u64,
    /// Of the step so far: the sum of losses, of weights, of tokens.
    loss: f64,
    weight: f64,
    tokens: u64,
}

/// The optimizer squares gradients in `f32`.
const LARGEST_NORM: f64 = 1e18;

const MAGIC: &[u8; 8] = b"FAMTRN01";

impl<'a> Session<'a> {
    /// A run from an adapter that changes nothing.
    pub fn new(
        model: &'a Model<'a>,
        recipe: Recipe,
        examples: Vec<Example>,
        precision: Precision,
        keep: Keep,
    ) -> Result<Session<'a>, TrainError> {
        recipe.check()?;
        check(model, &examples)?;
        let sites = model.sites(&recipe.targets);
        if sites.is_empty() {
            return Err(TrainError::NoSites);
        }
        let mut adapter = Adapter::zeros(recipe.rank, recipe.alpha, recipe.scale(), sites);
        adapter.initialize(recipe.seed);
        let values = adapter.values.len();
        Ok(Session {
            model,
            plan: pack::plan(&examples, &recipe),
            recipe,
            examples,
            precision,
            keep,
            taught: HashMap::new(),
            adapter,
            moments: Moments::zeros(values),
            grads: vec![0.0; values],
            state: State::default(),
            whole: true,
        })
    }

    /// Goes on from a state that [`Session::save`] wrote in a run of the same model, recipe and examples;
    /// the caller sees to it that they are the same.
    pub fn restore(mut self, state: &[u8]) -> Result<Session<'a>, TrainError> {
        let mut from = state;
        self.read(&mut from).map_err(|_| TrainError::State("it is too short or of another form"))?;
        // Gradients may well not be finite in the middle of a step, which is then skipped.
        let values = [&self.adapter.values, &self.moments.first, &self.moments.second];
        if !from.is_empty() || values.iter().any(|values| values.iter().any(|value| !value.is_finite())) {
            return Err(TrainError::State("its numbers cannot be"));
        }
        let State { step, micro, .. } = self.state;
        let past = step > self.steps() || micro as usize >= self.recipe.accumulate;
        // The last step may have fewer micro-batches.
        if past || (step < self.steps() && self.at() >= self.plan.len()) {
            return Err(TrainError::State("it is past the run's end"));
        }
        Ok(self)
    }

    /// Continues from an adapter that exists, such as the one that serves; its form replaces the recipe's.
    pub fn start_from(&mut self, adapter: Adapter) -> Result<(), TrainError> {
        if adapter.sites != self.adapter.sites || adapter.rank != self.adapter.rank {
            return Err(TrainError::State("the adapter has another form"));
        }
        self.adapter = adapter;
        Ok(())
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u64 {
        let all = self.plan.len().div_ceil(self.recipe.accumulate);
        (if self.recipe.max_steps == 0 { all } else { all.min(self.recipe.max_steps) }) as u64
    }

    /// Steps that were skipped so far.
    pub fn skipped(&self) -> u64 {
        self.state.skipped
    }

    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// False once a micro-batch was stopped in its backward pass, which leaves a step half summed: such a run can neither
    /// go on nor be saved, and continues from where it was saved last.
    pub fn whole(&self) -> bool {
        self.whole
    }

    /// Trains on the next micro-batch, and takes an optimizer step after the last one of a step. Returns
    /// [`Report::Stopped`] soon after `stop` is set.
    ///
    /// # Panics
    /// When all steps are done, or the run is not [whole](Self::whole).
    pub fn micro_batch(&mut self, stop: &Arc<AtomicBool>) -> Result<Report, TrainError> {
        assert!(self.whole && self.state.step < self.steps(), "a run that can go on");
        let at = self.at();
        let members = self.plan[at].clone();
        match self.pass(&members, stop) {
            Ok((loss, weight, tokens)) => {
                self.state.loss += loss;
                self.state.weight += weight;
                self.state.tokens += tokens;
            }
            Err(Stopped) => {
                // At a step's start there is nothing else in the gradients, so they can be emptied.
                if self.state.micro == 0 {
                    self.grads.fill(0.0);
                    self.whole = true;
                }
                return Ok(Report::Stopped);
            }
        }
        self.state.micro += 1;
        let last = at + 1 == self.plan.len();
        match last || self.state.micro as usize == self.recipe.accumulate {
            true => self.finish_step().map(Report::Step),
            false => Ok(Report::Part),
        }
    }

    /// The next micro-batch's place in the plan.
    fn at(&self) -> usize {
        self.state.step as usize * self.recipe.accumulate + self.state.micro as usize
    }

    /// Forward, loss and backward. The sum of weighted losses, of weights, and the number of tokens.
    fn pass(&mut self, members: &[usize], stop: &Arc<AtomicBool>) -> Result<(f64, f64, u64), Stopped> {
        let how = How {
            precision: self.precision,
            keep: self.keep,
            dropout: Some(self.recipe.dropout).filter(|p| *p > 0.0),
            seed: mix(mix(self.recipe.seed, self.state.step), self.state.micro),
            stop: stop.clone(),
        };
        self.teach(members, &how)?;
        let batch = pack::batch(members.iter().map(|&at| &self.examples[at].tokens[..]));
        let (rows, weights) = self.rows(members);
        let base = self.base(members, &batch, &how)?;
        let pass = self.model.forward(&batch, Some(&self.adapter), &how)?;
        let mut d_hidden = Acts::zeros(pass.hidden.features(), pass.hidden.tokens());
        let losses = self.head().losses_and_gradient(&pass.hidden, base.as_ref(), &rows, &mut d_hidden);
        drop(base);
        // From here on a stop leaves a part of this micro-batch in the gradients.
        how.go_on()?;
        self.whole = false;
        self.model.backward(&batch, &self.adapter, pass, d_hidden, &mut self.grads, &how)?;
        self.whole = true;
        let loss = losses.iter().zip(&rows).map(|(loss, row)| f64::from(*loss) * f64::from(row.weight)).sum();
        Ok((loss, weights, batch.tokens.len() as u64))
    }

    fn head(&self) -> Head<'a> {
        Head { weight: self.model.head(), softcap: self.model.shape.final_softcap, precision: self.precision }
    }

    /// The tokens of a micro-batch that bear loss, and the sum of their weights.
    fn rows(&self, members: &[usize]) -> (Vec<Row>, f64) {
        let (mut rows, mut weights, mut start) = (Vec::new(), 0.0, 0);
        for &at in members {
            let example = &self.examples[at];
            for (place, (token, weight)) in example.learned().enumerate() {
                let goal = match self.taught.get(&at) {
                    Some(taught) => Goal::Match(taught[place].clone()),
                    None if example.avoid => Goal::Avoid(example.tokens[token]),
                    None if example.kl > 0.0 => Goal::Base,
                    None => Goal::Next(example.tokens[token]),
                };
                let share = if goal == Goal::Base { example.kl } else { 1.0 };
                rows.push(Row { token: start + token - 1, weight: weight * share, goal });
                weights += f64::from(weight);
            }
            start += example.tokens.len();
        }
        (rows, weights)
    }

    /// The base model's hidden states of the examples that are held to them; zeros elsewhere.
    fn base(&self, members: &[usize], batch: &Batch, how: &How) -> Result<Option<Acts>, Stopped> {
        let replayed = |at: &usize| self.examples[*at].kl > 0.0 && self.examples[*at].teacher.is_none();
        if !members.iter().any(replayed) {
            return Ok(None);
        }
        let tokens = |at: &usize| &self.examples[*at].tokens[..];
        let some = pack::batch(members.iter().filter(|at| replayed(at)).map(tokens));
        let hidden = self.model.forward(&some, None, how)?.hidden;
        let mut all = Acts::zeros(hidden.features(), batch.tokens.len());
        let (mut from, mut to) = (0, 0);
        for at in members {
            let length = tokens(at).len();
            if replayed(at) {
                for t in 0..length {
                    (0..hidden.features()).for_each(|f| all.set(f, to + t, hidden.get(f, from + t)));
                }
                from += length;
            }
            to += length;
        }
        Ok(Some(all))
    }

    /// Asks the base model, with the teacher's text in front, what the learned tokens of these examples
    /// should be, if that is not known yet.
    fn teach(&mut self, members: &[usize], how: &How) -> Result<(), Stopped> {
        for &at in members {
            let example = &self.examples[at];
            let (Some(teacher), false) = (&example.teacher, self.taught.contains_key(&at)) else { continue };
            let first = example.first_learned().unwrap_or(example.tokens.len());
            let tokens: Vec<u32> = teacher.iter().chain(&example.tokens[first..]).copied().collect();
            let places: Vec<usize> =
                example.learned().map(|(token, _)| teacher.len() + token - first - 1).collect();
            let hidden = self.model.forward(&pack::batch([&tokens[..]]), None, how)?.hidden;
            let taught = self.head().likeliest(&hidden, &places, self.recipe.teacher_top);
            self.taught.insert(at, taught);
        }
        Ok(())
    }

    fn finish_step(&mut self) -> Result<StepReport, TrainError> {
        let State { loss, weight, tokens, .. } = self.state;
        let rate = self.recipe.rate(self.state.step as usize, self.steps() as usize);
        let (loss, norm) = (loss / weight, optim::norm(&self.grads) / weight);
        let clip = f64::from(self.recipe.clip);
        let clipped = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        let factor = (clipped / weight) as f32;
        // False for NaN too.
        let usable = loss.is_finite() && factor.is_finite() && norm * clipped < LARGEST_NORM;
        let skipped = !usable;
        if usable {
            optim::step(&mut self.adapter, &self.grads, factor, &mut self.moments, rate, &self.recipe);
        }
        self.grads.fill(0.0);
        let in_a_row = if skipped { self.state.skipped_in_a_row + 1 } else { 0 };
        self.state = State {
            step: self.state.step + 1,
            skipped: self.state.skipped + u64::from(skipped),
            skipped_in_a_row: in_a_row,
            ..State::default()
        };
        if in_a_row as usize >= self.recipe.max_skipped {
            return Err(TrainError::Diverged(in_a_row as usize));
        }
        Ok(StepReport { loss: loss as f32, tokens, rate, norm: norm as f32, skipped })
    }

    /// The loss of `examples` with the adapter as it is: the weighted mean over learned tokens, in nats.
    pub fn evaluate(&self, examples: &[Example], stop: &Arc<AtomicBool>) -> Result<f64, Stopped> {
        let how = How {
            precision: self.precision,
            keep: Keep::Borders,
            dropout: None,
            seed: 0,
            stop: stop.clone(),
        };
        let (mut loss, mut weights) = (0.0, 0.0);
        for example in examples {
            let hidden =
                self.model.forward(&pack::batch([&example.tokens[..]]), Some(&self.adapter), &how)?.hidden;
            let row =
                |(token, weight)| Row { token: token - 1, weight, goal: Goal::Next(example.tokens[token]) };
            let rows: Vec<Row> = example.learned().map(row).collect();
            for (row, of_row) in rows.iter().zip(self.head().losses(&hidden, None, &rows)) {
                loss += f64::from(row.weight) * f64::from(of_row);
                weights += f64::from(row.weight);
            }
        }
        Ok(loss / weights)
    }

    /// Writes all that [`Session::restore`] needs, little-endian: about 12 bytes a trained value.
    ///
    /// # Panics
    /// When the run is not [whole](Self::whole).
    pub fn save(&self, out: &mut dyn Write) -> io::Result<()> {
        assert!(self.whole, "a run that can go on");
        let state = &self.state;
        out.write_all(MAGIC)?;
        for number in [state.step, state.micro, state.skipped, state.skipped_in_a_row, state.tokens] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(&state.loss.to_le_bytes())?;
        out.write_all(&state.weight.to_le_bytes())?;
        out.write_all(&self.moments.steps.to_le_bytes())?;
        for values in [&self.adapter.values, &self.moments.first, &self.moments.second] {
            write_floats(out, values)?;
        }
        // Between steps there are no gradients.
        if state.micro > 0 { write_floats(out, &self.grads) } else { Ok(()) }
    }

    fn read(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut number = || -> io::Result<[u8; 8]> {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let mut count = || number().map(u64::from_le_bytes);
        let state = State {
            step: count()?,
            micro: count()?,
            skipped: count()?,
            skipped_in_a_row: count()?,
            tokens: count()?,
            loss: f64::from_le_bytes(number()?),
            weight: f64::from_le_bytes(number()?),
        };
        self.state = state;
        self.moments.steps = u64::from_le_bytes(number()?);
        for values in [&mut self.adapter.values, &mut self.moments.first, &mut self.moments.second] {
            read_floats(from, values)?;
        }
        if state.micro > 0 { read_floats(from, &mut self.grads) } else { Ok(()) }
    }
}

/// Refuses examples that cannot be learned from.
fn check(model: &Model<'_>, examples: &[Example]) -> Result<(), TrainError> {
    if !examples.iter().any(|example| example.first_learned().is_some()) {
        return Err(TrainError::Nothing);
    }
    for (at, example) in examples.iter().enumerate() {
        if example.tokens.len() != example.weights.len() {
            return Err(TrainError::Example(at, "it has not as many weights as tokens"));
        }
        if example.first_learned().is_none() {
            return Err(TrainError::Example(at, "it has no token to learn"));
        }
        let numbers = example.weights.iter().chain([&example.kl]);
        if !numbers.into_iter().all(|number| number.is_finite() && *number >= 0.0) {
            return Err(TrainError::Example(at, "a weight is negative or not a number"));
        }
        if example.teacher.as_ref().is_some_and(Vec::is_empty) {
            return Err(TrainError::Example(at, "its teacher has no text"));
        }
        model.check(&pack::batch([&example.tokens[..], example.teacher.as_deref().unwrap_or(&[])]))?;
    }
    Ok(())
}

/// Values converted at a time.
const BLOCK: usize = 1 << 14;

fn write_floats(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    for block in values.chunks(BLOCK) {
        let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn read_floats(from: &mut impl Read, values: &mut [f32]) -> io::Result<()> {
    let mut bytes = vec![0; 4 * BLOCK];
    for block in values.chunks_mut(BLOCK) {
        let bytes = &mut bytes[..4 * block.len()];
        from.read_exact(bytes)?;
        for (value, bytes) in block.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
