//! Measures whole training steps: one packed example of random tokens, all of them learned, and an optimizer
//! step after each, as peers are measured.

use crate::memory;
use crate::model::Model;
use crate::pack::Example;
use crate::random::Stream;
use crate::recipe::Recipe;
use crate::run::Keep;
use crate::session::{Report, Session, TrainError};
use crate::weight::Precision;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Training {
    /// Tokens of a step.
    pub tokens: usize,
    pub rank: usize,
    /// Measured steps; one more warms up.
    pub steps: usize,
    pub threads: usize,
    pub precision: Precision,
    pub keep: Keep,
}

impl Training {
    /// Operations of the base weights' products for a token: two for each element, forward and again for
    /// the gradient; blocks of which only the borders are kept go forward twice. Attention, the adapter and
    /// the rest come on top.
    pub fn operations(&self, model: &Model<'_>) -> f64 {
        let (blocks, head) = model.matrix_elements();
        let passes = if self.keep == Keep::Inside { 4 } else { 6 };
        (passes * blocks + 4 * head) as f64
    }

    /// The seconds of each measured step.
    pub fn seconds(&self, model: &Model<'_>) -> Result<Vec<f64>, TrainError> {
        memory::keep_freed();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        pool.expect("threads can be started").install(|| self.run(model))
    }

    fn run(&self, model: &Model<'_>) -> Result<Vec<f64>, TrainError> {
        let mut stream = Stream::new(1);
        let example = || Example {
            tokens: (0..self.tokens).map(|_| stream.below(model.vocabulary()) as u32).collect(),
            weights: vec![1.0; self.tokens],
            kl: 0.0,
            avoid: false,
            teacher: None,
        };
        let examples = std::iter::repeat_with(example).take(self.steps + 1).collect();
        let recipe = Recipe {
            rank: self.rank,
            alpha: 2.0 * self.rank as f32,
            tokens: self.tokens,
            accumulate: 1,
            epochs: 1,
            ..Recipe::default()
        };
        let mut session = Session::new(model, recipe, examples, self.precision, self.keep)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut seconds = Vec::new();
        while session.step() < session.steps() {
            let begun = Instant::now();
            if let Report::Step(_) = session.micro_batch(&stop)? {
                seconds.push(begun.elapsed().as_secs_f64());
            }
        }
        Ok(seconds.split_off(1))
    }
}
