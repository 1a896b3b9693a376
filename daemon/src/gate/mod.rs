//! The gate: whether a candidate adapter may serve. It holds figures against figures and gives a verdict that is
//! kept with its numbers; how they are measured is not its business, and it never promotes anything itself.

mod bootstrap;
mod verdict;

pub use bootstrap::{Interval, median};
pub use verdict::{Check, Decision, Figures, Thresholds, Verdict, judge, judge_texts};
