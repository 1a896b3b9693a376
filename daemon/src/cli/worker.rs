//! `worker KIND`: the entry of a worker process. It enters its jail before anything else and then does
//! nothing but the requests the daemon sends.

use super::args::{self, WorkerKind};
use super::exit::{Failure, Outcome};
use crate::worker::{Jail, child, signals};

pub fn run(args: args::Worker) -> Outcome {
    if args.kind == WorkerKind::Train {
        signals::hold();
    }
    // The kernel names a process after the file that was started, which was a link to the broker's own; a name is all it is.
    let _ = rustix::thread::set_name(c"familiar");
    let jail = Jail {
        read: args.read,
        write: args.write,
        memory: args.memory,
        data: args.data,
        gpu: args.gpu,
        background: args.background,
    };
    let (jobs, port) = child::start(&jail)
        .map_err(|error| Failure::failed(format!("a worker is started by the daemon only: {error}")))?;
    match args.kind {
        WorkerKind::Engine => crate::engine::run(jobs.in_background()?),
        WorkerKind::Extract => crate::extract::run(jobs.in_background()?),
        WorkerKind::Train => crate::learn::run(jobs.in_background()?),
        WorkerKind::Plugins => crate::plugins::run(jobs, port, jail.write),
    }
    Ok(())
}
