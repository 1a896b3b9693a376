//! The engine worker's side: takes jobs, loads the one model of this process, and runs the batch loop
//! between looks at new jobs. It touches the model file and nothing else; the broker ends the process.

use super::batch::{Answer, Batch, Model};
use super::llama::Weights;
use crate::protocol::frames::{Fault, Load, ModelInfo, Reply, Request};
use crate::worker::child::Job;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Serves until the broker goes away.
pub fn run(jobs: Receiver<Job>) {
    while let Ok(mut job) = jobs.recv() {
        match take_body(&mut job) {
            Request::Load(load) => load_and_serve(job, &load, &jobs),
            Request::Ping => job.reply(Ok(Reply::Pong)),
            Request::Generate(_) | Request::Count(_) | Request::Score(_) | Request::Tokens(_) => {
                job.reply(Err(Fault::NotLoaded))
            }
            _ => job.reply(Err(Fault::Unsupported)),
        }
    }
}

/// Returns when the model could not be loaded, or the broker went away.
fn load_and_serve(job: Job, load: &Load, jobs: &Receiver<Job>) {
    let weights = match Weights::open(load) {
        Ok(weights) => weights,
        Err(fault) => return job.reply(Err(fault)),
    };
    match weights.host() {
        Ok(host) => {
            job.reply(Ok(Reply::Loaded(weights.info().clone())));
            serve(Batch::new(host), load, weights.info(), jobs);
        }
        Err(fault) => job.reply(Err(fault)),
    }
}

fn serve<M: Model>(mut batch: Batch<M, Job>, load: &Load, info: &ModelInfo, jobs: &Receiver<Job>) {
    loop {
        // Sleeps while there is nothing to write, and only looks while there is.
        let next =
            if batch.idle() { jobs.recv().map_err(|_| TryRecvError::Disconnected) } else { jobs.try_recv() };
        match next {
            Ok(job) => answer(job, &mut batch, load, info),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let given_up = |job: &Job| job.cancelled().then(|| job.cancel_fault());
                let done = batch.step(given_up, |job, event| job.event(event));
                done.into_iter().for_each(send);
            }
        }
    }
}

fn answer<M: Model>(mut job: Job, batch: &mut Batch<M, Job>, load: &Load, info: &ModelInfo) {
    match take_body(&mut job) {
        Request::Ping => job.reply(Ok(Reply::Pong)),
        Request::Load(wanted) if wanted == *load => job.reply(Ok(Reply::Loaded(info.clone()))),
        Request::Load(_) => job.reply(Err(Fault::Invalid("this process holds another model already".into()))),
        Request::Count(request) => {
            let count = batch.model().prompt(&request).map(|prompt| Reply::Count(prompt.len() as u32));
            job.reply(count);
        }
        Request::Tokens(score) => job.reply(batch.model().tokens(&score).map(Reply::Tokens)),
        Request::Score(score) => job.reply(batch.score(&score).map(Reply::Scored)),
        Request::Generate(request) => {
            if let Some(refused) = batch.admit(job, &request) {
                send(refused);
            }
        }
        _ => job.reply(Err(Fault::Unsupported)),
    }
}

fn send((job, reply): Answer<Job>) {
    job.reply(reply);
}

/// The request out of its job, which keeps no copy of a long conversation.
fn take_body(job: &mut Job) -> Request {
    std::mem::replace(&mut job.body, Request::Ping)
}
