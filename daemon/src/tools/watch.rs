//! What the owner should see as it happens: requests that wait for a yes, notices, progress. The lists are
//! read again at every change, so that a slow door misses nothing that matters.

use super::services::House;
use crate::protocol::approvals::{NoticeEntry, OwnerEvent, ProgressReport};
use crate::store::StoredNotice;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Notices that are looked at for new ones.
const LOOKED_AT: usize = 50;

/// A door's view, from the moment that it was opened.
pub struct Watch {
    house: Arc<House>,
    /// Only what belongs to this conversation; notices are everybody's.
    session: Option<String>,
    approvals: watch::Receiver<u64>,
    notices: watch::Receiver<u64>,
    progress: broadcast::Receiver<ProgressReport>,
    shown: BTreeSet<String>,
    told: BTreeSet<i64>,
    /// There are notices that were not looked at yet. It stays so when a look is interrupted.
    stale: bool,
    ready: VecDeque<OwnerEvent>,
}

impl Watch {
    pub(super) async fn open(house: Arc<House>, session: Option<String>) -> Watch {
        let mut watch = Watch {
            approvals: house.approvals.changes(),
            notices: house.notices.changes(),
            progress: house.progress.subscribe(),
            house,
            session,
            shown: BTreeSet::new(),
            told: BTreeSet::new(),
            stale: false,
            ready: VecDeque::new(),
        };
        // What was sent before is known already; what waits is not.
        watch.look_at_notices().await;
        watch.ready.clear();
        watch.look_at_approvals();
        watch
    }

    /// The next event. Dropping the future loses none.
    pub async fn next(&mut self) -> OwnerEvent {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if self.stale {
                self.look_at_notices().await;
                continue;
            }
            tokio::select! {
                Ok(()) = self.approvals.changed() => self.look_at_approvals(),
                Ok(()) = self.notices.changed() => self.stale = true,
                report = self.progress.recv() => {
                    let report = report.ok().filter(|report| self.is_ours(&report.session));
                    self.ready.extend(report.map(OwnerEvent::Progress));
                }
            }
        }
    }

    fn look_at_approvals(&mut self) {
        let pending = self.house.approvals.pending();
        let ended: Vec<String> =
            self.shown.iter().filter(|id| pending.iter().all(|other| other.id != **id)).cloned().collect();
        for id in ended {
            self.shown.remove(&id);
            self.ready.push_back(OwnerEvent::ApprovalEnded { id });
        }
        for approval in pending {
            if self.is_ours(&approval.session) && self.shown.insert(approval.id.clone()) {
                self.ready.push_back(OwnerEvent::Approval(Box::new(approval)));
            }
        }
    }

    async fn look_at_notices(&mut self) {
        let listed = self.house.notices.list(LOOKED_AT).await;
        self.stale = false;
        match listed {
            Ok((sent, _)) => {
                for notice in sent.into_iter().rev() {
                    if self.told.insert(notice.id) {
                        self.ready.push_back(OwnerEvent::Notice(entry(notice)));
                    }
                }
            }
            Err(error) => tracing::warn!("notices could not be read: {error}"),
        }
    }

    fn is_ours(&self, session: &str) -> bool {
        self.session.as_deref().is_none_or(|ours| ours == session)
    }
}

/// As doors show it.
pub fn entry(notice: StoredNotice) -> NoticeEntry {
    let StoredNotice { id, plugin, title, body, at, sent, label: _ } = notice;
    NoticeEntry { id, plugin, title, body, at, sent }
}
