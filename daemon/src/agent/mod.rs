//! The agent room: pure decisions about a conversation. Data in, data out; no IO, no clock.

pub mod toolcall;
