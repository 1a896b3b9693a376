//! What time it is. Needs `[wants.clock]`: without the grant the call ends here.
//!
//! ```no_run
//! use familiar_sdk::clock;
//!
//! let now = clock::now();
//! let local = now.seconds + i64::from(clock::local_offset(now.seconds)) * 60;
//! let hour = local.rem_euclid(86_400) / 3_600;
//! ```

use crate::bindings::familiar::plugin::clock as host;
pub use crate::bindings::familiar::plugin::clock::Datetime;

/// Seconds since 1970, UTC, and the nanoseconds of the second.
pub fn now() -> Datetime {
    host::now()
}

/// Minutes that the owner's local time is ahead of UTC at this moment (seconds since 1970).
pub fn local_offset(at: i64) -> i32 {
    host::local_offset(at)
}
