//! The settings of learning: from what, when, how, and what a candidate is held to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Familiar learns from, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnConfig {
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
}

impl Default for LearnConfig {
    fn default() -> Self {
        LearnConfig { idle_minutes: 10, hours: String::new(), on_battery: false, pressure: 20, celsius: 85 }
    }
}
