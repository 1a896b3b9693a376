//! Familiar: a personal AI agent that lives on its owner's machine as one daemon.
//!
//! Every module is a room. ARCHITECTURE.md draws them, says which may use which,
//! and `tests/rooms.rs` fails when an edge appears that it does not list.

pub mod agent;
pub mod api;
pub mod approvals;
pub mod audit;
pub mod cli;
mod clock;
pub mod config;
pub mod daemon;
pub mod dbus;
mod disk;
pub mod doors;
pub mod egress;
pub mod engine;
pub mod eval;
pub mod extract;
pub mod gate;
pub mod generations;
pub mod idle;
pub mod index;
pub mod keys;
pub mod learn;
mod llama;
pub mod memory;
pub mod nights;
pub mod plugins;
pub mod policy;
pub mod protocol;
pub mod report;
pub mod samples;
pub mod scrub;
pub mod session;
pub mod sharing;
pub mod store;
#[cfg(test)]
mod testkit;
pub mod tools;
pub mod types;
mod visible;
pub mod worker;
