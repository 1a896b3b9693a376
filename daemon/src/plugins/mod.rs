//! Plugins: WebAssembly components in a sandbox of their own process.

pub mod bench;
mod runtime;
mod services;
mod worker;

pub use runtime::{PluginError, Run, Runtime};
pub use services::{Calling, HostServices};
pub use worker::run;
