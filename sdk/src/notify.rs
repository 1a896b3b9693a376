//! Notices to the owner. Needs `[wants.notify]`.
//!
//! ```no_run
//! use familiar_sdk::{clock, notify, Result};
//!
//! fn tea() -> Result<String> {
//!     let id = notify::schedule("Tea", "It has drawn long enough.", clock::now().seconds + 240)?;
//!     Ok(format!("You will hear of it in 4 minutes (notice {id})."))
//! }
//! ```

use crate::bindings::familiar::plugin::notify as host;
pub use crate::bindings::familiar::plugin::notify::{Error, Notice, Scheduled};

pub fn send(title: &str, body: &str) -> Result<(), Error> {
    host::send(&notice(title, body))
}

/// Sends it at that time (seconds since 1970, UTC), also after a restart; one whose time is past is sent at
/// once. Gives its id.
pub fn schedule(title: &str, body: &str, at: i64) -> Result<String, Error> {
    host::schedule(&notice(title, body), at)
}

/// False if it was sent already, or never was.
pub fn cancel(id: &str) -> Result<bool, Error> {
    host::cancel(id)
}

/// This plugin's notices that are still to come, the next one first.
pub fn pending() -> Result<Vec<Scheduled>, Error> {
    host::pending()
}

fn notice(title: &str, body: &str) -> Notice {
    Notice { title: title.into(), body: body.into() }
}
