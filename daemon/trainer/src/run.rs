//! What a forward and backward pass is given besides the weights: the packed tokens, and how to compute.

use crate::weight::Precision;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The tokens of a micro-batch: several examples behind one another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub tokens: Vec<u32>,
    /// Of each token in its example, from 0 on.
    pub positions: Vec<u32>,
    /// The example of each token; those of one stand together. Tokens see only their own example.
    pub segments: Vec<u32>,
}

/// What is kept of a block for its backward pass: in bfloat16 when its products are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Its input; the block is computed anew.
    Borders,
    /// What its products with base weights gave, so that none is repeated.
    Inside,
}

#[derive(Debug, Clone)]
pub struct How {
    pub precision: Precision,
    pub keep: Keep,
    /// Probability with which an adapter's inputs are dropped.
    pub dropout: Option<f32>,
    /// Of the dropout: the same seed drops the same values.
    pub seed: u64,
    /// Set by others to end a pass at its next matrix product.
    pub stop: Arc<AtomicBool>,
}

/// A pass was ended by [`How::stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped as asked")]
pub struct Stopped;

impl How {
    pub fn go_on(&self) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }
}
