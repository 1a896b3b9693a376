//! Days and times as they are written for the owner and read from them. Pure.

use crate::event::{Event, Occurrence};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use familiar_sdk::serde::Serialize;
use familiar_sdk::{Error, Result, Source};
use std::ops::Range;

const DAY: i64 = 86_400;

/// An event at one of its times.
#[derive(Debug, Serialize)]
#[serde(crate = "familiar_sdk::serde")]
pub struct Shown {
    pub title: String,
    /// Local time: `2026-11-24 09:00`, or the day of an event that lasts all day
    start: String,
    end: String,
    all_day: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    location: String,
    path: String,
    #[serde(skip)]
    pub seconds: i64,
    #[serde(skip)]
    range: Range<usize>,
}

impl Shown {
    pub fn new(path: &str, event: &Event, at: &Occurrence, offset: impl Fn(i64) -> i32) -> Shown {
        let wall = |seconds: i64| time(seconds + i64::from(offset(seconds)) * 60);
        let format = if event.all_day { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" };
        // The end of an all-day event is the day after its last.
        let end = if event.all_day { (at.end - 1).max(at.start) } else { at.end };
        Shown {
            title: event.title.clone(),
            start: wall(at.start).format(format).to_string(),
            end: wall(end).format(format).to_string(),
            all_day: event.all_day,
            location: event.location.clone(),
            path: path.to_owned(),
            seconds: at.start,
            range: event.range.clone(),
        }
    }

    /// `Tue 2026-11-24 09:00-10:00: Dentist (Main Street 1)`
    pub fn line(&self) -> String {
        let day = NaiveDate::parse_from_str(&self.start[..10.min(self.start.len())], "%Y-%m-%d");
        let weekday = day.map(|day| day.format("%a ").to_string()).unwrap_or_default();
        let (start_day, start_time) = self.start.split_once(' ').unwrap_or((&self.start, ""));
        let (end_day, end_time) = self.end.split_once(' ').unwrap_or((&self.end, ""));
        let when = match (self.all_day, start_day == end_day) {
            (true, true) => start_day.to_owned(),
            (true, false) => format!("{start_day} to {end_day}"),
            (false, true) if start_time == end_time => self.start.clone(),
            (false, true) => format!("{}-{end_time}", self.start),
            (false, false) => format!("{} to {}", self.start, self.end),
        };
        let place = if self.location.is_empty() { String::new() } else { format!(" ({})", self.location) };
        format!("{weekday}{when}: {}{place}", self.title)
    }

    pub fn source(&self) -> Source {
        Source { path: self.path.clone(), start: self.range.start as u64, end: self.range.end as u64 }
    }
}

/// The wall clock that shows so many seconds after 1970.
pub fn time(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}

pub fn date(seconds: i64) -> String {
    time(seconds).format("%Y-%m-%d").to_string()
}

/// Midnight of the owner's day, on the wall clock.
pub fn today(now: i64, offset: impl Fn(i64) -> i32) -> i64 {
    (now + i64::from(offset(now)) * 60).div_euclid(DAY) * DAY
}

/// A day that is written `2026-11-24`, or a time of it.
pub fn day(text: &str) -> Result<i64> {
    let text = text.trim();
    let date = text.get(..10).and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    let date = date.filter(|date| {
        text.len() == 10 || date.and_hms_opt(0, 0, 0).is_some() && "T ".contains(&text[10..11])
    });
    match date.and_then(|date| date.and_hms_opt(0, 0, 0)) {
        Some(midnight) => Ok(midnight.and_utc().timestamp()),
        None => Err(Error::invalid(format!("`{text}` is no day: write it as 2026-11-24"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_strictly() {
        assert_eq!(date(day("2026-11-24").unwrap()), "2026-11-24");
        assert_eq!(day("2026-11-24T10:00").unwrap(), day(" 2026-11-24 ").unwrap());
        for wrong in ["", "tomorrow", "2026-02-30", "24.11.2026", "2026-11-2", "2026-11-24x", "日本日本日本"]
        {
            assert!(day(wrong).unwrap_err().message().contains("2026-11-24"), "{wrong}");
        }
    }

    #[test]
    fn today_is_the_owners() {
        let late = day("2026-11-24").unwrap() - 1;
        assert_eq!(date(today(late, |_| 60)), "2026-11-24");
        assert_eq!(date(today(late, |_| 0)), "2026-11-23");
    }
}
