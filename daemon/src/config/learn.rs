//! The settings of learning: from what, when, how, and what a candidate is held to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the owner may say yes to.
pub const SOURCES: [&str; 3] = ["conversations", "corrections", "folders"];

/// What Familiar learns from, and when. Nothing is learned before a source is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnConfig {
    /// Any of `conversations` (what you wrote, and answers that you approved), `corrections` (what you put right or
    /// asked to remember) and `folders` (your own writing, named below). Empty = nothing is learned.
    pub sources: Vec<String>,
    /// Folders of your own writing, each below an indexed folder.
    pub folders: Vec<String>,
    /// Minutes without a question before it learns by itself.
    #[schemars(range(max = 1440))]
    pub idle_minutes: u32,
    /// Hours in which it may learn by itself, such as `22-6`; empty = any.
    pub hours: String,
    /// Learn while the machine runs on its battery.
    pub on_battery: bool,
    /// Percent of the time that other programs may wait for processor, memory or disk.
    #[schemars(range(min = 1, max = 100))]
    pub pressure: u32,
    /// Degrees Celsius of the processor at which it waits.
    #[schemars(range(min = 30, max = 120))]
    pub celsius: u32,
    /// New samples without which no cycle begins.
    #[schemars(range(min = 1, max = 100000))]
    pub least_samples: u32,
    /// New samples of a cycle at most; what is left waits for the next.
    #[schemars(range(min = 1, max = 100000))]
    pub most_samples: u32,
    /// Percent of your texts that are never learned and only measure; the newest of each cycle.
    #[schemars(range(min = 5, max = 50))]
    pub held_out: u32,
    /// Parts of the training tokens, against each other: questions on your texts that the model answers with the text at
    /// hand and learns to answer without,
    #[schemars(range(max = 100))]
    pub distilled: u32,
    /// your own words as you wrote them,
    #[schemars(range(max = 100))]
    pub style: u32,
    /// of both from earlier days, so that it is kept,
    #[schemars(range(max = 100))]
    pub earlier: u32,
    /// and what the model says by itself, so that nothing is lost.
    #[schemars(range(max = 100))]
    pub replay: u32,
    /// Every so many promoted generations, training begins from nothing with all kept samples; 0 = never.
    #[schemars(range(max = 1000))]
    pub from_zero: u32,
    /// Generations that can be gone back to.
    #[schemars(range(min = 2, max = 100))]
    pub keep: u32,
    /// Rank of the adapter.
    #[schemars(range(min = 1, max = 256))]
    pub rank: u32,
    /// Peak of the learning rate; 0 = by the model's width.
    #[schemars(range(min = 0, max = 1))]
    pub learning_rate: f32,
    /// Times that each sample is seen in a cycle, at least.
    #[schemars(range(min = 1, max = 100))]
    pub epochs: u32,
    /// Steps of a cycle, at least: few samples are seen more often.
    #[schemars(range(max = 100000))]
    pub least_steps: u32,
    /// Weight of the distance to the model as it came, on what it says of itself.
    #[schemars(range(min = 0, max = 100))]
    pub kl: f32,
    /// CPU threads of training; 0 = all cores.
    #[schemars(range(max = 1024))]
    pub threads: u32,
    pub gate: GateConfig,
}

impl Default for LearnConfig {
    fn default() -> Self {
        LearnConfig {
            sources: Vec::new(),
            folders: Vec::new(),
            idle_minutes: 10,
            hours: String::new(),
            on_battery: false,
            pressure: 20,
            celsius: 85,
            least_samples: 12,
            most_samples: 200,
            held_out: 15,
            distilled: 50,
            style: 20,
            earlier: 20,
            replay: 30,
            from_zero: 7,
            keep: 5,
            rank: 16,
            learning_rate: 0.0,
            epochs: 3,
            least_steps: 1000,
            kl: 2.5,
            threads: 0,
            gate: GateConfig::default(),
        }
    }
}

impl LearnConfig {
    /// Whether the owner said yes to this source.
    pub fn allows(&self, source: &str) -> bool {
        self.sources.iter().any(|allowed| allowed == source)
    }
}

/// What a candidate may lose at most; what it must gain is not a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// Nats a token that it may be from the model as it came (KL divergence).
    #[schemars(range(min = 0, max = 10))]
    pub divergence: f64,
    /// Share by which the perplexity of general text may grow.
    #[schemars(range(min = 0, max = 1))]
    pub perplexity: f64,
    /// Share of the guard's choices and calls that may be lost.
    #[schemars(range(min = 0, max = 1))]
    pub guard_loss: f64,
    /// Nats a token that earlier days' texts may lose, at the upper end of the interval.
    #[schemars(range(min = 0, max = 10))]
    pub earlier_loss: f64,
    /// Share of the held-out questions that may be lost.
    #[schemars(range(min = 0, max = 1))]
    pub question_loss: f64,
    /// Cases of each kind in the guard set.
    #[schemars(range(min = 10, max = 1000))]
    pub cases: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        GateConfig {
            divergence: 0.05,
            perplexity: 0.01,
            guard_loss: 0.01,
            earlier_loss: 0.05,
            question_loss: 0.0,
            cases: 100,
        }
    }
}
