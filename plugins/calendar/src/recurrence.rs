//! Rules of recurrence (RFC 5545, 3.3.10), by the `rrule` crate: wall clock times in, wall clock times of a
//! stretch out. Rules that repeat within a day are refused. Pure.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime};
use rrule::{Frequency, RRule, Tz, Unvalidated};

/// Times that one rule gives for a stretch.
const MOST: u16 = 2_000;
/// Times of a day, by `BYHOUR` and the like.
const MOST_A_DAY: usize = 24;

/// `20261124` or `20261124T090000`, whatever zone is meant.
pub fn wall(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim().trim_end_matches('Z');
    if !text.is_ascii() || !matches!(text.len(), 8 | 15) {
        return None;
    }
    if text.len() == 8 {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok()?.and_hms_opt(0, 0, 0);
    }
    // A second 60 is a leap second, which no event means.
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S")
        .ok()
        .filter(|time| (1583..=9999).contains(&time.year()))
}

/// When a rule comes about in `from..to`. `until` makes wall clock time of an `UNTIL` in UTC.
///
/// # Errors
/// The rule cannot be read, or gives more times than anybody looks at.
pub fn expand(
    start: NaiveDateTime,
    rule: &str,
    from: NaiveDateTime,
    to: NaiveDateTime,
    until: &dyn Fn(NaiveDateTime) -> NaiveDateTime,
) -> Result<Vec<NaiveDateTime>, String> {
    let (rule, end) = parse(rule, until)?;
    let start = nearer(start, &rule, from);
    let set = rule.build(utc(start)).map_err(|error| error.to_string())?;
    let to = end.map_or(to, |end| end.min(to));
    let found = set.after(utc(from)).before(utc(to)).all(MOST);
    if found.limited && found.dates.len() >= usize::from(MOST) {
        return Err(format!("the rule gives more than {MOST} times"));
    }
    Ok(found
        .dates
        .into_iter()
        .map(|date| date.naive_utc())
        .filter(|date| *date >= from && *date < to)
        .collect())
}

/// Every time is handled as if it were UTC: rules count in wall clock time.
fn utc(time: NaiveDateTime) -> DateTime<Tz> {
    time.and_utc().with_timezone(&Tz::UTC)
}

/// The rule without its end, and the end (a moment after the last time).
fn parse(
    rule: &str,
    until: &dyn Fn(NaiveDateTime) -> NaiveDateTime,
) -> Result<(RRule<Unvalidated>, Option<NaiveDateTime>), String> {
    const KNOWN: [&str; 13] = [
        "FREQ",
        "INTERVAL",
        "COUNT",
        "WKST",
        "BYSECOND",
        "BYMINUTE",
        "BYHOUR",
        "BYDAY",
        "BYMONTHDAY",
        "BYYEARDAY",
        "BYWEEKNO",
        "BYMONTH",
        "BYSETPOS",
    ];
    let (mut known, mut end) = (Vec::new(), None);
    for part in rule.trim().split(';') {
        let Some((key, value)) = part.split_once('=') else { continue };
        let key = key.trim().to_ascii_uppercase();
        if key == "UNTIL" {
            let time = wall(value).ok_or_else(|| format!("{value} is no time"))?;
            let last = match (value.trim().len(), value.trim().ends_with('Z')) {
                (8, _) => time + Duration::days(1) - Duration::seconds(1),
                (_, true) => until(time),
                _ => time,
            };
            end = Some(last + Duration::seconds(1));
        } else if KNOWN.contains(&key.as_str()) {
            known.push(format!("{key}={}", value.trim().to_ascii_uppercase()));
        }
    }
    let rule: RRule<Unvalidated> =
        known.join(";").parse().map_err(|error: rrule::RRuleError| error.to_string())?;
    if rule.get_interval() == 0 {
        return Err("an interval of 0 never comes".into());
    }
    let a_day =
        [rule.get_by_hour(), rule.get_by_minute(), rule.get_by_second()].map(|list| list.len().max(1));
    let within_a_day =
        matches!(rule.get_freq(), Frequency::Hourly | Frequency::Minutely | Frequency::Secondly);
    if within_a_day || a_day.iter().product::<usize>() > MOST_A_DAY {
        return Err("rules that repeat within a day are not followed".into());
    }
    Ok((rule, end))
}

/// A start nearer to the stretch that gives the same times in it, so that a daily rule of long ago is not
/// followed day by day: whole periods later, where nothing is counted from the start.
fn nearer(start: NaiveDateTime, rule: &RRule<Unvalidated>, from: NaiveDateTime) -> NaiveDateTime {
    let days = match rule.get_freq() {
        Frequency::Daily => 1,
        Frequency::Weekly => 7,
        _ => return start,
    };
    let period = days * i64::from(rule.get_interval());
    let periods = (from - start).num_days() / period - 1;
    if rule.get_count().is_some() || periods <= 0 {
        return start;
    }
    start.checked_add_signed(Duration::days(periods * period)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(start: &str, rule: &str, from: &str, to: &str) -> Vec<String> {
        let wall = |text| wall(text).unwrap();
        let times =
            expand(wall(start), rule, wall(from), wall(to), &|until| until + Duration::hours(1)).unwrap();
        times.iter().map(|time| time.format("%m%d").to_string()).collect()
    }

    #[test]
    fn rules_give_their_days() {
        let year = |rule| days("20260105T090000", rule, "20260101", "20270101");
        assert_eq!(year("FREQ=DAILY;COUNT=3"), ["0105", "0106", "0107"]);
        assert_eq!(year("FREQ=DAILY;INTERVAL=10;UNTIL=20260126"), ["0105", "0115", "0125"]);
        assert_eq!(year("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4"), ["0105", "0107", "0112", "0114"]);
        assert_eq!(year("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260119T080000Z"), ["0105", "0119"]);
        assert_eq!(year("FREQ=WEEKLY;INTERVAL=2;UNTIL=20260119T075959Z"), ["0105"]);
        assert_eq!(year("FREQ=MONTHLY;BYDAY=1MO;COUNT=3"), ["0105", "0202", "0302"]);
        assert_eq!(year("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2"), ["0130", "0227"]);
        assert_eq!(year("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3"), ["0131", "0331", "0531"]);
        assert_eq!(year("freq=yearly;X-ODD=1;RSCALE=GREGORIAN"), ["0105"]);
    }

    #[test]
    fn old_rules_are_followed_from_near() {
        assert_eq!(
            days("19000101T090000", "FREQ=DAILY;INTERVAL=3", "20261123", "20261130"),
            ["1123", "1126", "1129"]
        );
        let weekly = |from| days("19700105T090000", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", from, "20261215");
        assert_eq!(
            weekly("20261101"),
            weekly("19990101")[weekly("19990101").len() - weekly("20261101").len()..]
        );
    }

    #[test]
    fn hostile_rules_end() {
        let start = wall("20260101T000000").unwrap();
        let end = wall("20991231T000000").unwrap();
        for rule in [
            "",
            "FREQ",
            "FREQ=",
            "FREQ=SECONDLY",
            "FREQ=MINUTELY;COUNT=10000",
            "FREQ=HOURLY",
            "FREQ=DAILY;INTERVAL=0",
            "FREQ=DAILY;COUNT=99999999999",
            "FREQ=DAILY",
            "FREQ=DAILY;UNTIL=99999999",
            "FREQ=YEARLY;BYMONTHDAY=99",
            "FREQ=DAILY;BYHOUR=0,1,2,3,4,5;BYMINUTE=0,1,2,3,4",
            "FREQ=WEEKLY;BYDAY=XX",
            "FREQ=DAILY;INTERVAL=-1",
        ] {
            assert!(expand(start, rule, start, end, &|until| until).is_err(), "{rule}");
        }
        assert_eq!(
            expand(start, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", start, end, &|until| until),
            Ok(Vec::new())
        );
    }

    #[test]
    fn times_are_read_strictly() {
        assert!(wall("20261124T090000Z").is_some());
        for wrong in [
            "",
            "2026-11-24",
            "20261324",
            "20261124T250000",
            "2026112ü",
            "20261124T09000",
            "+0261124",
            "00010101T000000",
        ] {
            assert_eq!(wall(wrong), None, "{wrong}");
        }
    }
}
