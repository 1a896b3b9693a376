//! The index handle.
/// Cheap to clone.
#[derive(Clone)]
pub struct Index;
