//! Plugins: WebAssembly components in a sandbox of their own process.

pub mod arguments;
mod services;

pub use services::{Calling, HostServices};

use crate::protocol::frames::Fault;
use crate::worker::child::{Job, Port};
use std::sync::mpsc::Receiver;

/// Works off jobs until the broker closes the link.
pub fn run(jobs: Receiver<Job>, _port: Port) {
    for job in jobs {
        job.reply(Err(Fault::Unsupported));
    }
}
