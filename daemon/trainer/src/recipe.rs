//! What a training run is told: the adapter's form, the optimizer, the schedule. Plain data with defaults
//! and limits; nothing here reads a clock or a file.

use crate::lora::Target;
use serde::{Deserialize, Serialize};

/// All numbers of a run. Defaults follow "LoRA Without Regret" (all linears, a high learning rate, small
/// batches) and Biderman et al., arXiv 2405.09673 (alpha twice the rank).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    pub rank: usize,
    pub alpha: f32,
    /// Linears that get an adapter; all by default.
    pub targets: Vec<Target>,
    /// Scale by `alpha / sqrt(rank)` instead of `alpha / rank` (rsLoRA, arXiv 2312.03732).
    pub rank_stabilized: bool,
    /// Share of an adapter's inputs that is zeroed while training.
    pub dropout: f32,
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Learning rate of B over that of A (LoRA+, arXiv 2402.12354); 1 = plain LoRA.
    pub b_ratio: f32,
    pub weight_decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// Gradients are scaled down to this norm; 0 = not clipped.
    pub clip: f32,
    /// Share of the steps over which the learning rate rises from zero.
    pub warmup: f32,
    /// Where the cosine ends, as a share of the peak.
    pub floor: f32,
    /// Times each example is seen.
    pub epochs: usize,
    /// Optimizer steps at most; 0 = as many as the epochs give.
    pub max_steps: usize,
    /// Tokens packed into a micro-batch.
    pub tokens: usize,
    /// Micro-batches of a step.
    pub accumulate: usize,
    pub seed: u64,
    /// Steps in a row that may be skipped for a gradient that is not finite before the run stops.
    pub max_skipped: usize,
    /// How many of a teacher's likeliest tokens are kept for each learned one.
    pub teacher_top: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            rank: 16,
            alpha: 32.0,
            targets: Target::ALL.to_vec(),
            rank_stabilized: false,
            dropout: 0.0,
            learning_rate: 2e-4,
            b_ratio: 1.0,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip: 1.0,
            warmup: 0.03,
            floor: 0.1,
            epochs: 3,
            max_steps: 0,
            tokens: 512,
            accumulate: 8,
            seed: 0,
            max_skipped: 5,
            teacher_top: 32,
        }
    }
}

/// A number outside what can work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the recipe's `{field}` is {value}; it must be {must}")]
pub struct RecipeError {
    pub field: &'static str,
    pub value: String,
    pub must: &'static str,
}

impl Recipe {
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f32;
        self.alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }

    /// Refuses what no run can work with, by the name of the first field that is wrong.
    pub fn check(&self) -> Result<(), RecipeError> {
        let within = |x: f32, low: f32, high: f32| x.is_finite() && x >= low && x <= high;
        let rule = |ok: bool, field: &'static str, value: &dyn std::fmt::Display, must: &'static str| match ok
        {
            true => Ok(()),
            false => Err(RecipeError { field, value: value.to_string(), must }),
        };
        rule((1..=1024).contains(&self.rank), "rank", &self.rank, "from 1 to 1024")?;
        rule(within(self.alpha, 1e-6, 1e6), "alpha", &self.alpha, "above 0")?;
        rule(!self.targets.is_empty(), "targets", &"empty", "at least one linear")?;
        rule(within(self.dropout, 0.0, 0.95), "dropout", &self.dropout, "from 0 to 0.95")?;
        let rate = self.learning_rate;
        rule(within(rate, 0.0, 1.0) && rate > 0.0, "learning_rate", &rate, "above 0, at most 1")?;
        rule(within(self.b_ratio, 1e-3, 1e3), "b_ratio", &self.b_ratio, "from 0.001 to 1000")?;
        rule(within(self.weight_decay, 0.0, 1.0), "weight_decay", &self.weight_decay, "from 0 to 1")?;
        rule(within(self.beta1, 0.0, 0.9999), "beta1", &self.beta1, "from 0 to below 1")?;
        rule(within(self.beta2, 0.0, 0.99999), "beta2", &self.beta2, "from 0 to below 1")?;
        rule(within(self.epsilon, 1e-20, 1.0), "epsilon", &self.epsilon, "above 0, at most 1")?;
        rule(within(self.clip, 0.0, 1e6), "clip", &self.clip, "0 or more")?;
        rule(within(self.warmup, 0.0, 1.0), "warmup", &self.warmup, "from 0 to 1")?;
        rule(within(self.floor, 0.0, 1.0), "floor", &self.floor, "from 0 to 1")?;
        rule((1..=1000).contains(&self.epochs), "epochs", &self.epochs, "from 1 to 1000")?;
        rule((16..=1 << 17).contains(&self.tokens), "tokens", &self.tokens, "from 16 to 131072")?;
        rule((1..=4096).contains(&self.accumulate), "accumulate", &self.accumulate, "from 1 to 4096")?;
        rule((1..=1000).contains(&self.max_skipped), "max_skipped", &self.max_skipped, "from 1 to 1000")?;
        rule((1..=1024).contains(&self.teacher_top), "teacher_top", &self.teacher_top, "from 1 to 1024")
    }

    /// The learning rate of step `step` (from 0) of `steps`: a linear rise, then a cosine.
    pub fn rate(&self, step: usize, steps: usize) -> f32 {
        let warmup = (self.warmup * steps as f32).ceil() as usize;
        if step < warmup {
            return self.learning_rate * (step + 1) as f32 / warmup as f32;
        }
        let done = (step - warmup) as f32 / (steps - warmup).max(1) as f32;
        let cosine = 0.5 * (1.0 + (std::f32::consts::PI * done).cos());
        self.learning_rate * (self.floor + (1.0 - self.floor) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_its_floor() {
        let recipe = Recipe { warmup: 0.1, floor: 0.1, ..Recipe::default() };
        let rates: Vec<f32> = (0..100).map(|step| recipe.rate(step, 100) / recipe.learning_rate).collect();
        assert!((rates[0] - 0.1).abs() < 1e-6 && (rates[9] - 1.0).abs() < 1e-6);
        assert!(rates[10..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[99] > 0.1 && rates[99] < 0.101);
        assert_eq!(Recipe { warmup: 0.0, ..recipe }.rate(0, 1), 2e-4);
    }

    #[test]
    fn a_wrong_number_is_named() {
        assert_eq!(Recipe::default().check(), Ok(()));
        let error = Recipe { learning_rate: f32::NAN, ..Recipe::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "the recipe's `learning_rate` is NaN; it must be above 0, at most 1");
        assert_eq!(Recipe { rank: 0, ..Recipe::default() }.check().unwrap_err().field, "rank");
        assert_eq!(Recipe { targets: vec![], ..Recipe::default() }.check().unwrap_err().field, "targets");
    }
}
