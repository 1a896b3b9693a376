//! When a cycle runs: by order, or by itself in quiet hours. It breaks a cycle off as soon as somebody wants an answer,
//! and goes on with it when they have been quiet again.

use super::{Answer, Inner, NightError, Outcome, Phase, cycle};
use crate::config::LearnConfig;
use crate::idle::{Conditions, hindrance};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Between two looks at the machine.
const LOOK: Duration = Duration::from_secs(20);
/// Quiet after which a cycle by order goes on.
const PAUSE: Duration = Duration::from_secs(2);
/// Before a cycle that failed is tried again by itself.
const AGAIN: Duration = Duration::from_secs(3600);

/// Runs cycles until the daemon stops.
pub(super) async fn nights(
    inner: Arc<Inner>,
    mut orders: mpsc::Receiver<Answer>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let answer = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            order = orders.recv() => match order {
                Some(answer) => Some(answer),
                None => return,
            },
            () = ripe(&inner) => None,
        };
        let by_hand = answer.is_some();
        let ended = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            ended = stretches(&inner, by_hand) => ended,
        };
        inner.tell(Phase::Idle);
        let told = match &ended {
            Ok(Outcome { generation, accepted: true, reason, .. }) => {
                format!("generation {generation} serves: {reason}")
            }
            Ok(Outcome { generation, reason, .. }) => {
                format!("generation {generation} was rejected: {reason}")
            }
            Err(error) => error.to_string(),
        };
        tracing::info!("learning: {told}");
        *inner.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(told);
        if let Ok(outcome) = &ended {
            inner.outcome.send_replace(Some(outcome.clone()));
        }
        let failed = ended.is_err();
        if let Some(answer) = answer {
            // Whoever asked may have left.
            let _ = answer.send(ended);
        } else if failed {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}

/// Resolves when nothing speaks against learning, and there is something to learn.
async fn ripe(inner: &Inner) {
    loop {
        let settings = inner.rooms.settings.borrow().clone();
        let on = !settings.learn.sources.is_empty() && !inner.paused().await.unwrap_or(true);
        if on {
            let quiet = Duration::from_secs(60 * u64::from(settings.learn.idle_minutes));
            inner.rooms.presence.quiet_for(quiet).await;
            if look(inner, false).is_none() && inner.due().await {
                return;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What hinders now, kept for whoever asks.
fn look(inner: &Inner, training: bool) -> Option<String> {
    let settings = inner.rooms.settings.borrow().clone();
    let conditions = Conditions::read(Path::new("/"));
    let found = hindrance(&conditions, inner.rooms.presence.quiet(), &settings.learn, training);
    let told = found.as_ref().map(ToString::to_string);
    *inner.hindrance.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = found;
    told
}

/// A cycle over as many stretches as it takes.
async fn stretches(inner: &Inner, by_hand: bool) -> Result<Outcome, NightError> {
    loop {
        let why = tokio::select! {
            biased;
            why = hindered(inner, by_hand) => why,
            ended = cycle::run(inner) => return ended,
        };
        if inner.paused().await? {
            return Err(NightError::Paused);
        }
        inner.tell(Phase::Waiting(why));
        match by_hand {
            true => inner.rooms.presence.quiet_for(PAUSE).await,
            false => ripe(inner).await,
        }
    }
}

/// Resolves when the cycle has to give way, with the reason.
async fn hindered(inner: &Inner, by_hand: bool) -> String {
    let mut phase = inner.phase.subscribe();
    loop {
        tokio::select! {
            biased;
            () = inner.rooms.presence.stirred() => return "somebody asks something".into(),
            changed = phase.changed() => {
                if changed.is_err() || inner.paused().await.unwrap_or(false) {
                    return "learning is paused".into();
                }
            }
            () = tokio::time::sleep(LOOK), if !by_hand => {
                if let Some(why) = look(inner, true) {
                    return why;
                }
            }
        }
    }
}

impl Inner {
    /// Whether a cycle would have something to do.
    async fn due(&self) -> bool {
        let settings = self.rooms.settings.borrow().clone();
        let Ok(model) = self.model(&settings).await else { return false };
        if self.plan().is_ok_and(|plan| plan.is_some()) {
            return true;
        }
        if let Err(error) = super::collect::collect(&self.rooms, &settings.learn).await {
            tracing::warn!("learning: the sources could not be looked at: {error}");
            return false;
        }
        let Ok(new) = self.new_samples(&model.hash).await else { return false };
        self.enough(new, &settings.learn).await.unwrap_or(false)
    }

    /// Whether so many new samples are worth a cycle: after something was forgotten, any are.
    pub(super) async fn enough(&self, new: usize, learn: &LearnConfig) -> Result<bool, NightError> {
        Ok(new >= learn.least_samples as usize || (new > 0 && self.noted(super::REBUILD).await?))
    }

    /// Samples that what serves has not seen.
    pub(super) async fn new_samples(&self, base: &str) -> Result<usize, NightError> {
        let known: std::collections::BTreeSet<String> =
            self.serving(base).into_iter().flat_map(|card| card.samples).collect();
        let samples = self.rooms.store.samples().await?;
        let new = samples.iter().filter(|s| !s.held && s.lineage.parent.is_none() && !known.contains(&s.id));
        Ok(new.count())
    }
}
