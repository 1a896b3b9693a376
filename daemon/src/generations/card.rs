//! What is written of a generation beside its adapter.

use crate::gate::Verdict;
use serde::{Deserialize, Serialize};

/// What became of a generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Trained, and not judged yet.
    #[default]
    Candidate,
    /// It passed the gate: it serves, served, or may serve again.
    Promoted,
    Rejected,
    /// It saw something that was forgotten; its adapter is destroyed.
    Retired,
    /// Old; its adapter is destroyed, to save room.
    Pruned,
}

/// The story of a generation. It holds numbers and ids, and no word of the owner's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Its number among all generations; given when it is kept.
    pub number: u32,
    /// BLAKE3 of the base model's file, in hex.
    pub base: String,
    /// BLAKE3 of the adapter's file, in hex.
    pub digest: String,
    /// The generation that training started from; `None`: it started from nothing.
    pub parent: Option<u32>,
    /// Seconds since 1970.
    pub made: i64,
    pub state: State,
    /// What the adapter's effect was multiplied with after training; 1 unless the gate asked for less.
    pub scale: f32,
    /// Ids of every sample that it ever saw, its parents' too.
    pub samples: Vec<String>,
    /// Ids of the samples that were held out when it was made, and that it was measured with.
    pub held: Vec<String>,
    pub verdict: Option<Verdict>,
}

impl Card {
    /// Why it cannot serve; `None` if it can.
    pub fn unfit(&self) -> Option<&'static str> {
        match self.state {
            State::Promoted => None,
            State::Candidate => Some("it was not judged yet"),
            State::Rejected => Some("it did not pass the gate"),
            State::Retired => Some("it saw what was forgotten since"),
            State::Pruned => Some("its adapter was removed to save room"),
        }
    }
}
