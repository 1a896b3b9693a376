//! Plugins: WebAssembly components in a sandbox of their own process, what the owner installed and granted,
//! and the one handle on all of it, [`Plugins`].

pub mod arguments;
pub mod bench;
mod disk;
mod error;
mod facade;
pub mod keys;
mod looks;
pub mod manifest;
pub mod package;
pub mod registry;
mod runtime;
pub mod schema;
pub mod secrets;
mod services;
pub mod wish;
mod worker;

pub use error::PluginsError;
pub use facade::{CallLimits, Header, Plugins, full_name};
pub use registry::{Consent, Installed, Offer, Terms};
pub use runtime::{PluginError, Run, Runtime};
pub use services::{Calling, HostServices};
pub use worker::run;
