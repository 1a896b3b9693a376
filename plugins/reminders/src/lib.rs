//! Reminders: notices that come at a time. It asks for `clock`, to know what "tomorrow" is, and `notify`. The
//! daemon keeps the notices and sends them; nothing is stored here.

mod when;

use familiar_sdk::notify::{self, Scheduled};
use familiar_sdk::serde::Serialize;
use familiar_sdk::{Error, Output, Result, clock, tool};

const TITLE: &str = "Reminder";
/// Characters that fit a notice.
const LONGEST: usize = 500;

#[derive(Serialize)]
#[serde(crate = "familiar_sdk::serde")]
struct Reminder {
    id: String,
    text: String,
    /// Local time, as in `2026-11-24 09:00`
    at: String,
    /// Seconds since 1970, UTC
    seconds: i64,
}

/// Reminds the owner of something at a time.
#[tool]
fn remind(
    /// What to remember, as it is to be shown
    text: String,
    /// When: `in 20 minutes`, `9:00`, `tomorrow 9:00`, `monday at 18:30`, `2026-11-24 09:00`
    when: String,
) -> Result<Output> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid("say what to remind of"));
    }
    if text.chars().count() > LONGEST {
        return Err(Error::invalid(format!("the text is longer than {LONGEST} characters: shorten it")));
    }
    let now = clock::now().seconds;
    let at = when::seconds(&when, now, clock::local_offset)?;
    let id = notify::schedule(TITLE, text, at)?;
    let reminder = Reminder { id, text: text.into(), at: local(at), seconds: at };
    Ok(Output::text(format!("You will be reminded on {}: {text}", reminder.at)).with_data(&reminder))
}

/// Lists the reminders that are still to come, the next one first.
#[tool]
fn list() -> Result<Output> {
    let reminders: Vec<_> = notify::pending()?.into_iter().map(reminder).collect();
    let lines: Vec<_> =
        reminders.iter().map(|one| format!("{}: {} (id {})", one.at, one.text, one.id)).collect();
    let text = if lines.is_empty() { "No reminders are to come.".into() } else { lines.join("\n") };
    Ok(Output::text(text).with_data(&reminders))
}

/// Cancels a reminder that is still to come.
#[tool]
fn cancel(
    /// Its id, or some words of its text
    reminder: String,
) -> Result<Output> {
    let wanted = reminder.trim();
    let pending = notify::pending()?;
    let found = when::chosen(wanted, &pending).map_err(|several| several_fit(wanted, &several))?;
    let Some(found) = found else {
        return Err(Error::not_found(format!("no reminder to come is `{wanted}`: `list` shows them")));
    };
    if !notify::cancel(&found.id)? {
        return Err(Error::not_found("it was sent at this moment"));
    }
    Ok(Output::text(format!("Cancelled: {} on {}", found.notice.body, local(found.at))))
}

familiar_sdk::plugin!(remind, list, cancel);

fn several_fit(wanted: &str, several: &[&Scheduled]) -> Error {
    let lines: Vec<_> =
        several.iter().take(5).map(|one| format!("{} (id {})", one.notice.body, one.id)).collect();
    Error::invalid(format!("several reminders hold `{wanted}`: give the id of one of {}", lines.join(", ")))
}

fn reminder(scheduled: Scheduled) -> Reminder {
    let Scheduled { id, at, notice } = scheduled;
    Reminder { id, text: notice.body, at: local(at), seconds: at }
}

fn local(at: i64) -> String {
    when::written(at, clock::local_offset(at))
}
