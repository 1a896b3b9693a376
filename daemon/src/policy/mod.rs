//! What a tool call may do. Pure: it is told everything it decides on and performs nothing. `deny`
//! holds the places that are never read, whatever anybody configures or asks; `grants` what a plugin
//! asks for and was granted; `check` joins these with where the text came from that led to a call.

mod check;
pub mod deny;
pub mod grants;

pub use check::{Caller, Decision, Effect, Known, Rule, Target, check};
