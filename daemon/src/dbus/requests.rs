//! Requests that are answered over time: each is a task that carries an answer to its caller, by signals to it alone or
//! through a pipe. It ends with the answer, with a cancel, when the caller leaves the bus or closes the pipe, and when
//! the daemon stops; whatever ends it frees it.

use super::callers::{Caller, Callers, Place};
use super::error::Error;
use super::outlet::Outlet;
use crate::doors::Answer;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zbus::names::OwnedUniqueName;

/// For running requests to end when the daemon stops, as on the socket.
const GRACE: Duration = Duration::from_secs(3);

/// The requests that are being answered; cheap to clone.
#[derive(Clone)]
pub struct Requests {
    callers: Callers,
    running: Arc<Mutex<HashMap<String, Running>>>,
    tasks: TaskTracker,
    /// Set when the daemon stops.
    stopping: CancellationToken,
}

struct Running {
    caller: OwnedUniqueName,
    cancel: CancellationToken,
}

/// A request that was taken on, until it is begun or given up.
pub struct Begun {
    pub id: String,
    requests: Requests,
    departure: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    cancel: CancellationToken,
    _caller: Caller,
    _place: Place,
}

impl Requests {
    pub fn new(callers: Callers) -> Requests {
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        Requests { callers, running: Arc::default(), tasks, stopping }
    }

    /// Takes a request on, if the caller has a place left for it.
    pub async fn begin(&self, caller: Caller) -> Result<Begun, Error> {
        let place = self.callers.place(&caller)?;
        let unknown = |error| Error::Failed(format!("the bus does not tell of its clients: {error}"));
        let departure = Box::pin(self.callers.departure(&caller.name).await.map_err(unknown)?);
        let (id, cancel) = (fresh_id(), self.stopping.child_token());
        let running = Running { caller: caller.name.clone(), cancel: cancel.clone() };
        self.running().insert(id.clone(), running);
        Ok(Begun { id, requests: self.clone(), departure, cancel, _caller: caller, _place: place })
    }

    /// Ends a request of this caller.
    pub fn cancel(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let none = || Error::NotFound("there is no such request of yours: it may have ended".into());
        let running = self.running();
        running.get(id).filter(|running| running.caller == caller.name).ok_or_else(none)?.cancel.cancel();
        Ok(())
    }

    /// Gives what runs a moment to end, and ends the rest.
    pub async fn stop(&self) {
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            self.stopping.cancel();
            // To tell the callers takes no longer than the bus takes a message.
            let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.requests.running().remove(&self.id);
    }
}

impl Begun {
    /// Carries the answer to the caller, from when `ready` resolves.
    pub fn answer(self, answer: Answer, outlet: Outlet, ready: impl Future<Output = ()> + Send + 'static) {
        let tasks = self.requests.tasks.clone();
        tasks.spawn(async move {
            ready.await;
            self.until_it_ends(&outlet, outlet.carry(answer)).await;
        });
    }

    /// As [`Begun::answer`], for work that has one result and goes on when nobody waits for it.
    pub fn result(
        self,
        work: impl Future<Output = Result<String, Error>> + Send + 'static,
        outlet: Outlet,
        ready: impl Future<Output = ()> + Send + 'static,
    ) {
        let work = tokio::spawn(work);
        let tasks = self.requests.tasks.clone();
        tasks.spawn(async move {
            ready.await;
            let told = async {
                let broken = |_| Err(Error::Failed("the work broke off; the log tells more".into()));
                match work.await.unwrap_or_else(broken) {
                    Ok(json) => outlet.done(&json).await,
                    Err(error) => outlet.failed(&error).await,
                }
            };
            self.until_it_ends(&outlet, told).await;
        });
    }

    async fn until_it_ends(mut self, outlet: &Outlet, work: impl Future<Output = bool> + Send) {
        let ended = tokio::select! {
            _ = work => return,
            () = &mut self.departure => return,
            () = outlet.closed() => return,
            () = self.cancel.cancelled() => match self.requests.stopping.is_cancelled() {
                true => Error::Busy("the daemon is stopping".into()),
                false => Error::Cancelled("you cancelled the request".into()),
            },
        };
        // The caller may leave, or stop reading, also now.
        tokio::select! {
            _ = outlet.failed(&ended) => {}
            () = &mut self.departure => {}
            () = tokio::time::sleep(GRACE) => {}
        }
    }
}

/// 60 random bits in hex; `RandomState` is seeded by the system.
fn fresh_id() -> String {
    format!("{:015x}", RandomState::new().build_hasher().finish() >> 4)
}
