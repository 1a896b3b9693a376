//! Who calls, and how much of it is carried out at once: each call has a place here as long as it lasts. Processes of
//! another user are refused, as at every door; who leaves the bus is noticed.

use super::error::Error;
use futures::StreamExt;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::names::OwnedUniqueName;

/// Callers whose user is remembered, so that the bus is not asked at every call.
const REMEMBERED: usize = 256;

/// What may go on at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls of one client, and of all.
    pub calls: (usize, usize),
    /// Requests that are being answered, of one client and of all.
    pub requests: (usize, usize),
}

pub const LIMITS: Limits = Limits { calls: (1_024, 4_096), requests: (8, 32) };

/// Everybody who calls; cheap to clone.
#[derive(Clone)]
pub struct Callers {
    bus: DBusProxy<'static>,
    /// The only user who may call.
    owner: u32,
    known: Arc<Mutex<VecDeque<OwnedUniqueName>>>,
    calls: Places,
    requests: Places,
}

/// A caller that may call, and its call's place.
pub struct Caller {
    pub name: OwnedUniqueName,
    /// Of the call's message: a client counts them up.
    pub serial: u32,
    _place: Place,
}

impl Callers {
    pub fn new(bus: DBusProxy<'static>, limits: Limits) -> Callers {
        let owner = rustix::process::geteuid().as_raw();
        let (calls, requests) = (Places::new(limits.calls), Places::new(limits.requests));
        Callers { bus, owner, known: Arc::default(), calls, requests }
    }

    /// Lets a call in.
    pub async fn admit(&self, header: &Header<'_>) -> Result<Caller, Error> {
        let Some(sender) = header.sender() else {
            return Err(Error::Denied("a call without a sender is not answered".into()));
        };
        let name = OwnedUniqueName::from(sender.to_owned());
        let Some(place) = self.calls.take(&name) else {
            return Err(Error::Busy("too many calls wait already: try again".into()));
        };
        self.check(&name).await?;
        Ok(Caller { name, serial: header.primary().serial_num().get(), _place: place })
    }

    /// A place among the requests that are being answered.
    pub fn place(&self, caller: &Caller) -> Result<Place, Error> {
        let busy = || Error::Busy("too many requests are being answered: cancel one, or wait".into());
        self.requests.take(&caller.name).ok_or_else(busy)
    }

    async fn check(&self, name: &OwnedUniqueName) -> Result<(), Error> {
        if lock(&self.known).contains(name) {
            return Ok(());
        }
        // The bus knows of every connection whose it is; who has left since gets no answer anyway.
        let user = self.bus.get_connection_unix_user(name.inner().clone().into()).await.ok();
        if user != Some(self.owner) {
            tracing::warn!("refused a call of user {user:?} on the bus: only user {} may call", self.owner);
            return Err(Error::Denied("another user's calls are not answered".into()));
        }
        let mut known = lock(&self.known);
        // A unique name is never given to another connection.
        known.push_back(name.clone());
        if known.len() > REMEMBERED {
            known.pop_front();
        }
        Ok(())
    }

    /// Resolves when the caller has left the bus; what it gives fails when the bus cannot be asked.
    pub async fn departure(
        &self,
        name: &OwnedUniqueName,
    ) -> zbus::Result<impl Future<Output = ()> + Send + use<>> {
        let rule = [(0, name.as_str()), (2, "")];
        let mut changes = self.bus.receive_name_owner_changed_with_args(&rule).await?;
        // It may have left before anybody listened.
        let here = self.bus.name_has_owner(name.inner().clone().into()).await?;
        Ok(async move {
            if here {
                changes.next().await;
            }
        })
    }
}

/// Places that may be taken: of one client, and of all.
#[derive(Clone)]
struct Places {
    most: (usize, usize),
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    each: HashMap<OwnedUniqueName, usize>,
    all: usize,
}

/// One that is taken; free again when this is dropped.
pub struct Place {
    taken: Arc<Mutex<Taken>>,
    name: OwnedUniqueName,
}

impl Places {
    fn new(most: (usize, usize)) -> Places {
        Places { most, taken: Arc::default() }
    }

    fn take(&self, name: &OwnedUniqueName) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let here = taken.each.get(name).copied().unwrap_or_default();
        if here >= self.most.0 || taken.all >= self.most.1 {
            return None;
        }
        taken.all += 1;
        taken.each.insert(name.clone(), here + 1);
        Some(Place { taken: self.taken.clone(), name: name.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        match taken.each.get_mut(&self.name) {
            Some(here @ 2..) => *here -= 1,
            _ => drop(taken.each.remove(&self.name)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> OwnedUniqueName {
        OwnedUniqueName::try_from(text).unwrap()
    }

    #[test]
    fn places_are_counted_for_one_and_for_all_and_come_back() {
        let places = Places::new((2, 3));
        let (one, other) = (name(":1.1"), name(":1.2"));
        let first = places.take(&one).unwrap();
        let second = places.take(&one).unwrap();
        assert!(places.take(&one).is_none(), "one client has more than its share");
        let third = places.take(&other).unwrap();
        assert!(places.take(&other).is_none(), "there are more than in all");
        drop(first);
        let again = places.take(&other).unwrap();
        drop((second, third, again));
        let taken = lock(&places.taken);
        assert!(taken.all == 0 && taken.each.is_empty(), "clients that left are remembered");
    }
}
