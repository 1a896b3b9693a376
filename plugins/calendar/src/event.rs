//! Events (`VEVENT`) of a calendar, and when they take place. Pure.

use crate::content::{Component, Property};
use crate::recurrence;
use crate::zone::{LocalOffset, Zone, Zones};
use chrono::{DateTime, Duration, NaiveDateTime};
use std::collections::HashSet;
use std::ops::Range;

const DAY: i64 = 86_400;

#[derive(Debug)]
pub struct Event<'a> {
    pub title: String,
    pub location: String,
    pub description: String,
    /// Bytes of the file.
    pub range: Range<usize>,
    pub all_day: bool,
    uid: String,
    start: NaiveDateTime,
    zone: Zone<'a>,
    /// Seconds.
    duration: i64,
    rules: Vec<String>,
    dates: Vec<i64>,
    without: HashSet<i64>,
    /// Takes the place of this time of the event with the same `UID`.
    instead_of: Option<i64>,
}

/// One time that an event takes place, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    pub start: i64,
    pub end: i64,
    /// The event's place in its calendar.
    pub event: usize,
}

/// The events of a calendar that do take place.
pub fn events<'a>(calendar: &Component, zones: &'a Zones, local: LocalOffset) -> Vec<Event<'a>> {
    let events = calendar.children.iter().filter(|child| child.name == "VEVENT");
    let held = events.filter(|event| {
        !event.text("STATUS").eq_ignore_ascii_case("CANCELLED") || event.get("RECURRENCE-ID").is_some()
    });
    held.filter_map(|event| Event::of(event, zones, local)).collect()
}

/// All times in `from..to` (seconds since 1970) of all events, and how many rules could not be followed. It
/// ends early once there are `most`.
pub fn occurrences(
    events: &[Event],
    from: i64,
    to: i64,
    most: usize,
    local: LocalOffset,
) -> (Vec<Occurrence>, usize) {
    let replaced: HashSet<(&str, i64)> =
        events.iter().filter_map(|event| Some((event.uid.as_str(), event.instead_of?))).collect();
    let (mut found, mut odd) = (Vec::new(), 0);
    for (place, event) in events.iter().enumerate() {
        if found.len() >= most {
            break;
        }
        let (starts, followed) = event.starts(from, to, local);
        odd += usize::from(!followed);
        let kept = starts
            .into_iter()
            .filter(|start| event.instead_of.is_some() || !replaced.contains(&(event.uid.as_str(), *start)));
        let times = kept.map(|start| Occurrence { start, end: start + event.duration, event: place });
        found.extend(times.filter(|time| time.start < to && (time.end > from || time.start >= from)));
    }
    (found, odd)
}

impl<'a> Event<'a> {
    fn of(component: &Component, zones: &'a Zones, local: LocalOffset) -> Option<Event<'a>> {
        let begins = component.get("DTSTART")?;
        let start = recurrence::wall(&begins.value)?;
        let zone = zone(begins, zones);
        let all_day = begins.value.trim().len() == 8;
        let utc = |property: &Property, text: &str| {
            Some(self::zone(property, zones).to_utc(recurrence::wall(text)?, local))
        };
        let times = |name: &str| {
            let properties = component.all(name);
            properties
                .flat_map(|property| property.value.split(',').filter_map(move |text| utc(property, text)))
                .collect::<Vec<i64>>()
        };
        let begin = zone.to_utc(start, local);
        let end = component.get("DTEND").and_then(|property| utc(property, &property.value));
        let lasts = component.get("DURATION").and_then(|property| duration(&property.value));
        let duration = end.map(|end| end - begin).or(lasts).unwrap_or(if all_day { DAY } else { 0 });
        Some(Event {
            title: title(component),
            location: component.text("LOCATION"),
            description: component.text("DESCRIPTION"),
            range: component.range.clone(),
            uid: component.text("UID"),
            start,
            zone,
            all_day,
            duration: duration.clamp(0, 400 * DAY),
            rules: component.all("RRULE").map(|rule| rule.value.clone()).collect(),
            dates: times("RDATE"),
            without: times("EXDATE").into_iter().collect(),
            instead_of: times("RECURRENCE-ID").first().copied(),
        })
    }

    /// Whether title, place or description hold all the words.
    pub fn holds(&self, words: &str) -> bool {
        let all = format!("{}\n{}\n{}", self.title, self.location, self.description).to_lowercase();
        words.to_lowercase().split_whitespace().all(|word| all.contains(word))
    }

    /// Starts that may reach into the stretch, and whether all rules could be followed.
    fn starts(&self, from: i64, to: i64, local: LocalOffset) -> (Vec<i64>, bool) {
        let mut starts = vec![self.zone.to_utc(self.start, local)];
        let mut followed = true;
        starts.extend(&self.dates);
        // Wall clocks are at most a day from UTC.
        let stretch = wall_at(from - self.duration - DAY).zip(wall_at(to + DAY));
        for rule in &self.rules {
            let Some((begin, end)) = stretch else { break };
            let until = |utc: NaiveDateTime| self.wall_of(utc, local);
            match recurrence::expand(self.start, rule, begin, end, &until) {
                Ok(walls) => starts.extend(walls.into_iter().map(|wall| self.zone.to_utc(wall, local))),
                Err(_) => followed = false,
            }
        }
        starts.sort_unstable();
        starts.dedup();
        starts.retain(|start| !self.without.contains(start));
        (starts, followed)
    }

    /// The event's wall clock at a time in UTC, by the offset that its zone has then.
    fn wall_of(&self, utc: NaiveDateTime, local: LocalOffset) -> NaiveDateTime {
        let seconds = utc.and_utc().timestamp();
        utc + Duration::seconds(seconds - self.zone.to_utc(utc, local))
    }
}

fn wall_at(seconds: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc())
}

fn title(component: &Component) -> String {
    let title = component.text("SUMMARY").split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() { "Untitled".into() } else { title }
}

fn zone<'a>(property: &Property, zones: &'a Zones) -> Zone<'a> {
    match (property.value.trim().ends_with('Z'), property.param("TZID")) {
        (true, _) => Zone::Utc,
        (false, Some(id)) => zones.find(id),
        (false, None) => Zone::Local,
    }
}

/// `P1DT2H30M`, in seconds (RFC 5545, 3.3.6).
fn duration(text: &str) -> Option<i64> {
    let mut rest = text.trim().strip_prefix('+').unwrap_or(text.trim()).strip_prefix('P')?;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        rest = rest.strip_prefix('T').unwrap_or(rest);
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'W' => 7 * DAY,
            b'D' => DAY,
            b'H' => 3_600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(seconds)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
