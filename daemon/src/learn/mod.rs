//! Learning.
mod data;
mod examples;
mod folder;
mod spec;
mod tokens;
use crate::protocol::frames::{Fault, Reply, Request};
use crate::worker::child::Job;
use std::sync::mpsc::Receiver;

pub fn run(jobs: Receiver<Job>) {
    let _ = crate::worker::signals::upon(|| {});
    for job in jobs {
        let answer = match &job.body {
            Request::Ping => Ok(Reply::Pong),
            _ => Err(Fault::Unsupported),
        };
        job.reply(answer);
    }
}
