//! How far long work is, and whether anybody still waits for it. Needs `[wants.progress]`: without the
//! grant the call ends here.
//!
//! ```no_run
//! use familiar_sdk::{progress, Result};
//!
//! fn walk(files: &[String]) -> Result<()> {
//!     for (done, file) in files.iter().enumerate() {
//!         progress::checked(done as u64, files.len() as u64, file)?;
//!         // ...
//!     }
//!     Ok(())
//! }
//! ```

use crate::bindings::familiar::plugin::progress as host;

/// `done` of `total`, in any unit; 0 of 0 when the end is not known.
pub fn report(done: u64, total: u64, message: &str) {
    host::report(done, total, message);
}

/// Whether nobody waits for the answer any more.
pub fn is_cancelled() -> bool {
    host::is_cancelled()
}

/// Reports, and fails once nobody waits any more: for the `?` of a loop.
pub fn checked(done: u64, total: u64, message: &str) -> crate::Result<()> {
    if is_cancelled() {
        return Err(crate::Error::failed("cancelled: nobody waits for the answer any more"));
    }
    report(done, total, message);
    Ok(())
}
