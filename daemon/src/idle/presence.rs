//! Who is being served, and since when nobody is. One watched value, so that a waiter never misses a visit and
//! nobody looks again and again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Whether a client is served. Clones are the same presence.
#[derive(Debug, Clone)]
pub struct Presence {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Visits that last.
    lasting: usize,
    /// All visits that ever began; by it a visit is seen that ended before anybody looked.
    begun: u64,
    /// When the last one ended; before the first, when the presence was made.
    quiet_since: Instant,
}

/// A client is served as long as this lives.
#[derive(Debug)]
#[must_use = "the visit ends when this is dropped"]
pub struct Visit {
    presence: Presence,
}

impl Default for Presence {
    fn default() -> Self {
        Presence::new()
    }
}

impl Presence {
    /// Nobody is served, and quiet begins now.
    pub fn new() -> Presence {
        let state = State { lasting: 0, begun: 0, quiet_since: Instant::now() };
        Presence { state: Arc::new(watch::Sender::new(state)) }
    }

    /// To be held while a client is served. Visits may overlap.
    pub fn visit(&self) -> Visit {
        self.state.send_modify(|state| {
            state.lasting += 1;
            state.begun += 1;
        });
        Visit { presence: self.clone() }
    }

    /// Whether somebody is served now.
    pub fn serving(&self) -> bool {
        self.state.borrow().lasting > 0
    }

    /// Resolves when somebody is served and `serving` is false, or the other way round.
    pub async fn turns_from(&self, serving: bool) {
        let mut changes = self.state.subscribe();
        while (changes.borrow_and_update().lasting > 0) == serving {
            changed(&mut changes).await;
        }
    }

    /// How long nobody was served; zero while somebody is.
    pub fn quiet(&self) -> Duration {
        let state = self.state.borrow();
        if state.lasting > 0 { Duration::ZERO } else { state.quiet_since.elapsed() }
    }

    /// Resolves when nobody was served for `wanted`, at once if that is so already.
    pub async fn quiet_for(&self, wanted: Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let State { lasting, quiet_since, .. } = *changes.borrow_and_update();
            // A time beyond what the clock can say never comes.
            let due = quiet_since.checked_add(wanted).filter(|_| lasting == 0);
            match due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = changed(&mut changes) => {}
                },
                None => changed(&mut changes).await,
            }
        }
    }

    /// Resolves as soon as somebody is served: at once if that is so already, and also if it began and ended
    /// between this call and the first look at what it gives.
    pub fn stirred(&self) -> impl Future<Output = ()> + Send + use<> {
        // A sender is kept, so that the value outlives every other handle.
        let presence = self.clone();
        let mut changes = self.state.subscribe();
        let State { begun, .. } = *changes.borrow_and_update();
        async move {
            while {
                let now = *changes.borrow_and_update();
                now.lasting == 0 && now.begun == begun
            } {
                changed(&mut changes).await;
            }
            drop(presence);
        }
    }
}

async fn changed(changes: &mut watch::Receiver<State>) {
    // It fails only without a sender, and whoever waits here holds one.
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.presence.state.send_modify(|state| {
            state.lasting -= 1;
            state.quiet_since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::time::advance;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn quiet_counts_from_the_end_of_the_last_visit() {
        let presence = Presence::new();
        advance(MINUTE).await;
        assert_eq!(presence.quiet(), MINUTE);
        let (one, other) = (presence.visit(), presence.clone().visit());
        advance(MINUTE).await;
        drop(one);
        assert_eq!(presence.quiet(), Duration::ZERO);
        advance(MINUTE).await;
        drop(other);
        advance(MINUTE).await;
        assert_eq!(presence.quiet(), MINUTE);
    }

    #[tokio::test]
    async fn a_turn_is_seen_once_it_lasts() {
        let presence = Presence::new();
        assert!(!presence.serving() && presence.turns_from(false).now_or_never().is_none());
        let visit = presence.visit();
        assert!(presence.serving() && presence.turns_from(false).now_or_never().is_some());
        let mut over = std::pin::pin!(presence.turns_from(true));
        assert!(over.as_mut().now_or_never().is_none());
        drop(visit);
        over.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_makes_the_wait_for_quiet_begin_again() {
        let presence = Presence::new();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let presence = presence.clone();
            async move { presence.quiet_for(10 * MINUTE).await }
        });
        advance(9 * MINUTE).await;
        let visit = presence.visit();
        advance(30 * MINUTE).await;
        assert!(!waiting.is_finished());
        drop(visit);
        advance(5 * MINUTE).await;
        // One that begins and ends without the waiter having run in between.
        drop(presence.visit());
        waiting.await.unwrap();
        assert_eq!(began.elapsed().as_secs() / 60, 9 + 30 + 5 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_that_was_there_before_counts() {
        let presence = Presence::new();
        advance(11 * MINUTE).await;
        assert!(presence.quiet_for(10 * MINUTE).now_or_never().is_some());
        assert!(presence.quiet_for(Duration::ZERO).now_or_never().is_some());
        let _visit = presence.visit();
        assert!(presence.quiet_for(Duration::ZERO).now_or_never().is_none());
        drop(_visit);
        assert!(presence.quiet_for(Duration::MAX).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_stirs_however_short_it_is() {
        let presence = Presence::new();
        drop(presence.visit());
        let mut stirred = Box::pin(presence.stirred());
        assert!((&mut stirred).now_or_never().is_none(), "one that ended before does not count");
        drop(presence.visit());
        assert!(stirred.now_or_never().is_some());
        let early = presence.stirred();
        drop(presence.visit());
        assert!(early.now_or_never().is_some(), "one between the call and the first look counts");
        let _visit = presence.visit();
        assert!(presence.stirred().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_visit_stirs_nobody() {
        let presence = Presence::new();
        let waiting = tokio::spawn(presence.stirred());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let visit = presence.visit();
        waiting.await.unwrap();
        drop(visit);
        assert!(presence.stirred().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_visit_is_lost_among_many_at_once() {
        let presence = Presence::new();
        let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(presence.stirred())).collect();
        let visiting: Vec<_> = (0..50)
            .map(|_| {
                let presence = presence.clone();
                tokio::spawn(async move {
                    for _ in 0..100 {
                        drop(presence.visit());
                    }
                })
            })
            .collect();
        for task in waiting.into_iter().chain(visiting) {
            task.await.unwrap();
        }
        assert_eq!((presence.state.borrow().lasting, presence.state.borrow().begun), (0, 5000));
    }
}
