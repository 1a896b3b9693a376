//! A question to the owner, in the plugin's name. The call waits for the answer. Needs `[wants.ask-user]`.
//!
//! ```no_run
//! use familiar_sdk::{ask_user, Error, Result};
//!
//! fn clear() -> Result<String> {
//!     if !ask_user::confirm("Delete all 12 notes?")? {
//!         return Err(Error::denied("the owner keeps the notes"));
//!     }
//!     Ok("Deleted.".into())
//! }
//! ```

use crate::bindings::familiar::plugin::ask_user as host;
pub use crate::bindings::familiar::plugin::ask_user::Error;

pub fn confirm(question: &str) -> Result<bool, Error> {
    host::confirm(question)
}

/// The chosen option's place, from 0; none if the owner wants none of them.
pub fn choose<S: AsRef<str>>(question: &str, options: &[S]) -> Result<Option<usize>, Error> {
    let options: Vec<String> = options.iter().map(|option| option.as_ref().to_owned()).collect();
    Ok(host::choose(question, &options)?.map(|place| place as usize))
}
