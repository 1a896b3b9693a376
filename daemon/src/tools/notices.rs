//! Notices to the owner on this machine: sent now, or planned and sent when their time comes, also after a
//! restart. They are written down before they are shown, so that no door misses one.

use super::services::{Proposal, Services, failed, learn_private};
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::plugins::{Answer, Notice, Refusal, Scheduled};
use crate::store::{Store, StoredNotice};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};

/// Bytes of a title and of a body.
const LONGEST_TITLE: usize = 200;
const LONGEST_BODY: usize = 4000;
/// Notices that one plugin may plan.
const MOST_PLANNED: usize = 200;
/// Numbers of notices, how many there are, and whether there is one, are what earlier calls made them,
/// and those may have known what is private.
const EARLIER: &str = "its earlier notices";
/// The end of the year 9999, in seconds since 1970.
const LAST: i64 = 253_402_300_800;
/// The clock may be set while the daemon sleeps, so it looks at least as often.
const LOOK: Duration = Duration::from_secs(60);

/// The notices; cheap to clone.
#[derive(Clone)]
pub struct Notices {
    store: Store,
    /// Grows whenever something was sent. Doors that see it read the list again.
    sent: Arc<watch::Sender<u64>>,
    planned: Arc<Notify>,
}

impl Notices {
    pub fn new(store: Store) -> Notices {
        Notices { store, sent: Arc::new(watch::Sender::new(0)), planned: Arc::default() }
    }

    /// Changes whenever something was sent.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.sent.subscribe()
    }

    /// Sends what was planned when it is due, for as long as it is polled.
    pub async fn keep_sending(self) {
        loop {
            let wait = match self.store.send_due_notices().await {
                Ok((due, next)) => {
                    if !due.is_empty() {
                        self.tell_doors();
                    }
                    next.map_or(LOOK, |at| Duration::from_secs(at.saturating_sub(now()).max(0) as u64))
                }
                Err(error) => {
                    tracing::warn!("planned notices could not be looked at: {error}");
                    LOOK
                }
            };
            tokio::select! {
                () = self.planned.notified() => {}
                () = tokio::time::sleep(wait.clamp(Duration::from_millis(100), LOOK)) => {}
            }
        }
    }

    /// What was sent last and what is planned.
    pub async fn list(
        &self,
        most: usize,
    ) -> Result<(Vec<StoredNotice>, Vec<StoredNotice>), crate::store::StoreError> {
        self.store.notices(most).await
    }

    fn tell_doors(&self) {
        self.sent.send_modify(|sent| *sent += 1);
    }
}

pub async fn tell(services: &Services, calling: &Calling, notice: Notice) -> Result<Answer, Refusal> {
    check(&notice)?;
    let store = &services.house.store;
    let recent = store.notices_since(&calling.plugin, now() - 3600).await.map_err(failed)?;
    learn_private(calling, EARLIER);
    let effect = Effect::Tell { recent };
    let allowed = services.permit(calling, Proposal { effect, action: String::new(), bytes: &[] }).await?;
    write(services, calling, &notice, None, ("notice", allowed)).await?;
    services.house.notices.tell_doors();
    Ok(Answer::Done)
}

pub async fn schedule(
    services: &Services,
    calling: &Calling,
    notice: Notice,
    at: i64,
) -> Result<Answer, Refusal> {
    check(&notice)?;
    if !(0..LAST).contains(&at) {
        return Err(Refusal::Denied(format!("{at} is no moment that a notice can be planned for")));
    }
    let planned = services.house.store.pending_notices(&calling.plugin).await.map_err(failed)?;
    learn_private(calling, EARLIER);
    if planned.len() >= MOST_PLANNED {
        return Err(Refusal::Denied(format!("{MOST_PLANNED} notices are planned already")));
    }
    let text = format!("{}\n\n{}", notice.title, notice.body);
    let action = format!("show you this notice {}", moment(at));
    let proposal = Proposal { effect: Effect::Schedule, action, bytes: text.as_bytes() };
    let allowed = services.permit(calling, proposal).await?;
    let id = write(services, calling, &notice, Some(at), ("schedule", allowed)).await?;
    services.house.notices.planned.notify_one();
    Ok(Answer::Id(id.to_string()))
}

pub async fn unschedule(services: &Services, calling: &Calling, id: &str) -> Result<Answer, Refusal> {
    let Ok(number) = id.parse::<i64>() else { return Ok(Answer::Flag(false)) };
    let store = &services.house.store;
    let planned = store.pending_notices(&calling.plugin).await.map_err(failed)?;
    learn_private(calling, EARLIER);
    let Some(notice) = planned.into_iter().find(|notice| notice.id == number) else {
        return Ok(Answer::Flag(false));
    };
    calling.learned(&notice.label);
    let text = format!("{}\n\n{}", notice.title, notice.body);
    let action = format!("take back this notice, planned {}", moment(notice.at));
    let proposal = Proposal { effect: Effect::Schedule, action, bytes: text.as_bytes() };
    let allowed = services.permit(calling, proposal).await?;
    services.record_write(calling, "cancel", (id.as_bytes(), text.as_bytes()), allowed).await?;
    store.cancel_notice(&calling.plugin, number).await.map(Answer::Flag).map_err(failed)
}

pub async fn pending(services: &Services, calling: &Calling) -> Result<Answer, Refusal> {
    let planned = services.house.store.pending_notices(&calling.plugin).await.map_err(failed)?;
    learn_private(calling, EARLIER);
    let scheduled = planned.into_iter().map(|stored| {
        calling.learned(&stored.label);
        let notice = Notice { title: stored.title, body: stored.body };
        Scheduled { id: stored.id.to_string(), at: stored.at, notice }
    });
    Ok(Answer::Pending(scheduled.collect()))
}

async fn write(
    services: &Services,
    calling: &Calling,
    notice: &Notice,
    at: Option<i64>,
    (action, allowed): (&str, &str),
) -> Result<i64, Refusal> {
    let Notice { title, body } = notice;
    services.record_write(calling, action, (title.as_bytes(), body.as_bytes()), allowed).await?;
    let label = calling.label().brief();
    services.house.store.add_notice(&calling.plugin, (title, body), &label, at).await.map_err(failed)
}

fn check(notice: &Notice) -> Result<(), Refusal> {
    if notice.title.len() > LONGEST_TITLE || notice.body.len() > LONGEST_BODY {
        let most = format!("a notice has at most {LONGEST_TITLE} bytes of title and {LONGEST_BODY} of body");
        return Err(Refusal::Denied(most));
    }
    Ok(())
}

/// A moment for the owner, in local time.
fn moment(at: i64) -> String {
    let local = at + i64::from(super::clock::local_offset(at)) * 60;
    let (days, second) = (local.div_euclid(86400), local.rem_euclid(86400));
    let (year, month, day) = crate::clock::civil(days);
    format!("on {year:04}-{month:02}-{day:02} at {:02}:{:02}", second / 3600, second / 60 % 60)
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
