//! The owner's calendar, as it lies in `.ics` files among their documents. It asks for `search`, to read
//! those, and `clock`, for today and the local time. Answers cite the events' places in the files.

mod content;
mod event;
mod recurrence;
mod shown;
mod zone;

use event::{Event, Occurrence};
use familiar_sdk::search;
use familiar_sdk::{Error, Output, Result, Source, clock, tool};
use shown::Shown;
use zone::Zones;

const DAY: i64 = 86_400;
/// Bytes of a calendar file, and of all together.
const LARGEST: u64 = 4 << 20;
const ALTOGETHER: usize = 24 << 20;
/// Days that are looked ahead for what comes next.
const AHEAD: i64 = 400;
const SOON: i64 = 7;
/// Days that are looked back, before all of the past is: daily rules are followed that far.
const PAST: i64 = 5 * 365;
/// Events that one answer holds.
const LISTED: usize = 60;
/// Times that are kept of one stretch.
const MOST: usize = 10_000;

/// Lists the events between two days, with times, places and the files they are in.
#[tool]
fn events(
    /// The first day, such as 2026-11-24; today if left out
    from: Option<String>,
    /// The last day, which counts too; a week after the first if left out
    to: Option<String>,
) -> Result<Output> {
    let today = shown::today(clock::now().seconds, clock::local_offset);
    let first = from.map_or(Ok(today), |text| shown::day(&text))?;
    let last = to.map_or(Ok(first + 6 * DAY), |text| shown::day(&text))?;
    if last < first {
        return Err(Error::invalid("the last day is before the first: exchange them"));
    }
    if last - first > AHEAD * DAY {
        return Err(Error::invalid(format!("that are more than {AHEAD} days: ask for fewer")));
    }
    let to_utc = |wall: i64| zone::Zone::Local.to_utc(shown::time(wall), &clock::local_offset);
    let found = look(to_utc(first), to_utc(last + DAY), |_| true)?;
    let (first, last) = (shown::date(first), shown::date(last));
    found.answer(LISTED, &format!("Nothing is in the calendar from {first} to {last}."))
}

/// Tells which events come next, from now on.
#[tool]
fn next(
    /// How many; 1 if left out
    #[schemars(range(min = 1, max = 60))]
    count: Option<usize>,
) -> Result<Output> {
    let now = clock::now().seconds;
    let count = count.unwrap_or(1).clamp(1, LISTED);
    // Full calendars have enough in the next days; only empty ones are followed for long.
    let mut found = look(now, now + SOON * DAY, |_| true)?;
    if found.shown.len() < count {
        found = look(now, now + AHEAD * DAY, |_| true)?;
    }
    found.answer(count, &format!("Nothing is in the calendar for {AHEAD} days."))
}

/// Finds events by words of their title, place or description: the next times, or the last if all are past.
#[tool]
fn find(
    /// Words or parts of words; an event must hold all of them
    words: String,
) -> Result<Output> {
    if words.trim().is_empty() {
        return Err(Error::invalid("give a word to look for"));
    }
    let now = clock::now().seconds;
    let mut found = look(now, now + AHEAD * DAY, |event| event.holds(&words))?;
    for since in [now - PAST * DAY, 0] {
        if found.shown.is_empty() {
            found = look(since, now, |event| event.holds(&words)).map(Found::latest_first)?;
        }
    }
    let none = format!("No event holds \"{}\": try fewer or shorter words.", words.trim());
    found.answer(10, &none)
}

familiar_sdk::plugin!(events, next, find);

struct Found {
    shown: Vec<Shown>,
    /// What could not be read or followed, in words.
    notes: Vec<String>,
}

impl Found {
    fn latest_first(mut self) -> Found {
        self.shown.reverse();
        self
    }

    fn answer(mut self, most: usize, none: &str) -> Result<Output> {
        let more = self.shown.len().saturating_sub(most);
        self.shown.truncate(most);
        let mut lines: Vec<String> = self.shown.iter().map(Shown::line).collect();
        if lines.is_empty() {
            lines.push(none.into());
        }
        if more > 0 && most > 1 {
            lines.push(format!("and {more} more: ask for fewer days"));
        }
        lines.append(&mut self.notes);
        let sources: Vec<Source> = self.shown.iter().map(Shown::source).collect();
        Ok(Output::text(lines.join("\n")).with_data(&self.shown).with_sources(sources))
    }
}

/// What takes place in `from..to`, in order.
fn look(from: i64, to: i64, wanted: impl Fn(&Event) -> bool) -> Result<Found> {
    let (mut shown, mut notes) = (Vec::new(), Vec::new());
    let (mut files, mut bytes) = (0, 0);
    for file in search::files(".ics") {
        let file = file?;
        let (text, whole) = search::read_all(&file.path, LARGEST)?;
        files += 1;
        bytes += text.len();
        if !whole || bytes > ALTOGETHER {
            notes.push(format!("{} is too large and was not read to its end.", file.path));
        }
        for calendar in content::read(&text) {
            let zones = Zones::of(&calendar);
            let mut events = event::events(&calendar, &zones, &clock::local_offset);
            events.retain(&wanted);
            let (times, odd) = event::occurrences(&events, from, to, MOST, &clock::local_offset);
            if odd > 0 {
                notes.push(format!("{}: {odd} rules of recurrence were not followed.", file.path));
            }
            shown.extend(times.iter().map(|time| show(&file.path, &events, time)));
        }
        if bytes > ALTOGETHER || shown.len() >= MOST {
            notes.push("There is more in the calendars than can be read at once: ask for fewer days.".into());
            break;
        }
    }
    if files == 0 {
        return Err(Error::not_found(
            "no calendar file (.ics) is indexed: export one, and `familiar index add` it",
        ));
    }
    shown.sort_by(|a, b| (a.seconds, &a.title).cmp(&(b.seconds, &b.title)));
    Ok(Found { shown, notes })
}

fn show(path: &str, events: &[Event], time: &Occurrence) -> Shown {
    Shown::new(path, &events[time.event], time, clock::local_offset)
}
