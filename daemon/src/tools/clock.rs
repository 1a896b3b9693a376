//! What time it is, for plugins that may ask. Reads the system's clock.

use crate::protocol::plugins::Answer;
use std::time::{SystemTime, UNIX_EPOCH};

pub use crate::clock::local_offset;

pub fn now() -> Answer {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Answer::Now { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}
