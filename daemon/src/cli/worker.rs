//! `worker KIND`: the entry of a worker process. It enters its jail before anything else and then does
//! nothing but the requests the daemon sends.

use super::args::{self, WorkerKind};
use super::exit::{Failure, Outcome};
use crate::worker::{Jail, child};

pub fn run(args: args::Worker) -> Outcome {
    let jail = Jail { read: args.read, memory: args.memory, gpu: args.gpu };
    let (jobs, _port) = child::start(&jail)
        .map_err(|error| Failure::failed(format!("a worker is started by the daemon only: {error}")))?;
    match args.kind {
        WorkerKind::Engine => crate::engine::run(jobs),
        WorkerKind::Extract => crate::extract::run(jobs),
    }
    Ok(())
}
