//! The engine handle: the model that answers, loaded on demand in a jailed worker.

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine;
