//! Words for a time, read as people mean them: `in 20 minutes`, `tomorrow 9:00`, `monday at 18:30`, ISO 8601.
//! What the time is and how far local time is ahead are given. Pure.

use familiar_sdk::notify::Scheduled;
use familiar_sdk::{Error, Result};
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{SignedDuration, Span, Timestamp};

/// When a day is named without a time.
const MORNING: Time = Time::constant(9, 0, 0, 0);
/// Years ahead that a reminder may lie.
const FARTHEST: i64 = 20;
const HOW: &str = "write `in 20 minutes`, `tomorrow 9:00`, `monday at 18:30` or `2026-11-24 09:00`";

/// Seconds since 1970 of the time meant. `offset`: minutes that local time is ahead of UTC at a moment.
pub fn seconds(words: &str, now: i64, offset: impl Fn(i64) -> i32) -> Result<i64> {
    let cleaned = words.trim().to_lowercase();
    let local_now = local(now, offset(now))?;
    let at = match cleaned.strip_prefix("in ") {
        Some(span) => after(span, now, local_now, &offset)?,
        None => match iso_with_offset(words.trim()) {
            Some(at) => at,
            None => to_utc(civil(&cleaned, local_now)?, &offset),
        },
    };
    if at <= now {
        let (at, now) = (written(at, offset(at)), written(now, offset(now)));
        return Err(Error::invalid(format!("{at} is past, it is {now}: give a later time")));
    }
    if at - now > FARTHEST * 366 * 86_400 {
        return Err(Error::invalid(format!(
            "that is more than {FARTHEST} years from now: give an earlier time"
        )));
    }
    Ok(at)
}

/// `2026-11-24 09:00 (Tue)`, in local time.
pub fn written(at: i64, offset: i32) -> String {
    match local(at, offset) {
        Ok(local) => local.strftime("%Y-%m-%d %H:%M (%a)").to_string(),
        Err(_) => format!("{at} seconds after 1970"),
    }
}

/// The reminder of that id, or the only one whose text holds the words.
pub fn chosen<'a>(
    wanted: &str,
    pending: &'a [Scheduled],
) -> Result<Option<&'a Scheduled>, Vec<&'a Scheduled>> {
    if let Some(same) = pending.iter().find(|one| one.id == wanted) {
        return Ok(Some(same));
    }
    let words = wanted.to_lowercase();
    let fits = |one: &&Scheduled| !words.is_empty() && one.notice.body.to_lowercase().contains(&words);
    let fitting: Vec<_> = pending.iter().filter(fits).collect();
    match fitting.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(fitting),
    }
}

fn local(at: i64, offset: i32) -> Result<DateTime> {
    let shifted = at.saturating_add(i64::from(offset) * 60);
    let timestamp =
        Timestamp::from_second(shifted).map_err(|_| Error::failed("the clock tells no time of this era"))?;
    Ok(timestamp.to_zoned(jiff::tz::TimeZone::UTC).datetime())
}

/// The offset depends on the time that is sought: the first guess's is nearly always right, the second's always
/// but in the hour that is skipped or comes twice.
fn to_utc(local: DateTime, offset: impl Fn(i64) -> i32) -> i64 {
    let naive = naive(local);
    let guess = naive - i64::from(offset(naive)) * 60;
    naive - i64::from(offset(guess)) * 60
}

fn naive(local: DateTime) -> i64 {
    local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs()
}

/// `2026-11-24T09:00:00Z` or with `+01:00`.
fn iso_with_offset(words: &str) -> Option<i64> {
    words.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// `20 minutes`, `1 hour and 30 minutes`, `half an hour`, `2 weeks`.
fn after(span: &str, now: i64, local_now: DateTime, offset: impl Fn(i64) -> i32) -> Result<i64> {
    let wrong = || Error::invalid(format!("`in {span}` is no time: {HOW}"));
    if span.trim() == "half an hour" {
        return Ok(now + 1_800);
    }
    let spaced = apart(span);
    let mut words = spaced.split([' ', ',']).filter(|word| !word.is_empty() && *word != "and");
    let (mut exact, mut calendar) = (SignedDuration::ZERO, Span::new());
    let mut any = false;
    while let Some(number) = words.next() {
        let number: i64 = match number {
            "a" | "an" | "one" => 1,
            _ => number.parse().map_err(|_| wrong())?,
        };
        if !(0..=1_000_000).contains(&number) {
            return Err(Error::invalid(format!("{number} is too much: give at most 1000000 of a unit")));
        }
        let unit = words.next().ok_or_else(wrong)?;
        let seconds = |each: i64| SignedDuration::from_secs(number * each);
        let added = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => {
                exact.checked_add(seconds(1)).map(|sum| exact = sum)
            }
            "m" | "min" | "mins" | "minute" | "minutes" => {
                exact.checked_add(seconds(60)).map(|sum| exact = sum)
            }
            "h" | "hr" | "hrs" | "hour" | "hours" => exact.checked_add(seconds(3_600)).map(|sum| exact = sum),
            "d" | "day" | "days" => calendar.try_days(number).ok().map(|span| calendar = span),
            "w" | "week" | "weeks" => calendar.try_weeks(number).ok().map(|span| calendar = span),
            "month" | "months" => calendar.try_months(number).ok().map(|span| calendar = span),
            "year" | "years" => calendar.try_years(number).ok().map(|span| calendar = span),
            _ => None,
        };
        added.ok_or_else(wrong)?;
        any = true;
    }
    if !any {
        return Err(wrong());
    }
    if calendar.is_zero() {
        return Ok(now + exact.as_secs());
    }
    // In 2 days is at the same time of the day, also if the clocks change between.
    let then = local_now.checked_add(calendar).map_err(|_| wrong())?;
    Ok(to_utc(then, offset) + exact.as_secs())
}

/// `1h30m` with blanks between numbers and letters.
fn apart(text: &str) -> String {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_digit() != before.is_ascii_digit() && before != ' ' && c != ' ' {
            spaced.push(' ');
        }
        spaced.push(c);
        before = c;
    }
    spaced
}

/// A day, a time, or both, in local time.
fn civil(words: &str, now: DateTime) -> Result<DateTime> {
    if let Ok(iso) = words.replacen(' ', "t", 1).to_uppercase().parse::<DateTime>()
        && words.contains(':')
    {
        return Ok(iso);
    }
    let wrong = || Error::invalid(format!("`{words}` is no time: {HOW}"));
    let (day, rest) = day(words, now.date())?;
    let rest = rest.trim().trim_start_matches(',').trim();
    let rest = rest.strip_prefix("at ").unwrap_or(rest).trim();
    let time = match (rest, &day) {
        ("", Some(_)) => None,
        _ => Some(time(rest).ok_or_else(wrong)?),
    };
    match day {
        Some(Day::Of(date)) => Ok(date.to_datetime(time.unwrap_or(MORNING))),
        Some(Day::Next(weekday)) => {
            let time = time.unwrap_or(MORNING);
            let mut date = now.date();
            while date.weekday() != weekday || date.to_datetime(time) <= now {
                date = date.tomorrow().map_err(|_| wrong())?;
            }
            Ok(date.to_datetime(time))
        }
        None => {
            let today = now.date().to_datetime(time.ok_or_else(wrong)?);
            if today > now { Ok(today) } else { today.checked_add(Span::new().days(1)).map_err(|_| wrong()) }
        }
    }
}

enum Day {
    Of(Date),
    /// The next one whose time is not past.
    Next(Weekday),
}

/// The day at the beginning of the words, and what follows it.
fn day(words: &str, today: Date) -> Result<(Option<Day>, &str)> {
    const WEEKDAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let words = words.strip_prefix("on ").or_else(|| words.strip_prefix("next ")).unwrap_or(words);
    let later = |days: i64| today.checked_add(Span::new().days(days)).unwrap_or(Date::MAX);
    for (word, days) in [("day after tomorrow", 2), ("tomorrow", 1), ("today", 0)] {
        if let Some(rest) = words.strip_prefix(word) {
            return Ok((Some(Day::Of(later(days))), rest));
        }
    }
    if let Some(rest) = words.strip_prefix("tonight") {
        let rest = if rest.trim().is_empty() { " 20:00" } else { rest };
        return Ok((Some(Day::Of(today)), rest));
    }
    let (first, rest) = words.split_once([' ', ',']).unwrap_or((words, ""));
    let named = |(name, _): &&(&str, Weekday)| first.len() >= 3 && name.starts_with(first);
    if let Some((_, weekday)) = WEEKDAYS.iter().find(named) {
        return Ok((Some(Day::Next(*weekday)), rest));
    }
    if first.len() == 10 && first.as_bytes()[4] == b'-' {
        let date = first
            .parse()
            .map_err(|_| Error::invalid(format!("there is no day {first}: write 2026-11-24")))?;
        return Ok((Some(Day::Of(date)), rest));
    }
    Ok((None, words))
}

/// `9`, `9:30`, `9.30 pm`, `noon`.
fn time(words: &str) -> Option<Time> {
    match words {
        "noon" => return Some(Time::constant(12, 0, 0, 0)),
        "midnight" => return Some(Time::midnight()),
        "morning" | "in the morning" => return Some(MORNING),
        "afternoon" | "in the afternoon" => return Some(Time::constant(15, 0, 0, 0)),
        "evening" | "in the evening" => return Some(Time::constant(18, 0, 0, 0)),
        _ => {}
    }
    let words = words.trim_end_matches("o'clock").trim();
    let (clock, half) = match (words.strip_suffix("am"), words.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim(), Some(0)),
        (_, Some(clock)) => (clock.trim(), Some(12)),
        _ => (words, None),
    };
    let (hour, minute) = clock.split_once([':', '.', 'h']).unwrap_or((clock, "0"));
    let number = |digits: &str| (digits.len() <= 2).then(|| digits.parse::<i8>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
#[path = "when_tests.rs"]
mod tests;
