//! Time zones: by their names in the IANA database, by the file's own `VTIMEZONE` (RFC 5545, 3.6.5), or the
//! owner's local time. Wall clock times go in, seconds since 1970 come out. Pure.

use crate::content::Component;
use crate::recurrence;
use chrono::{Duration, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone};
use std::collections::HashMap;

/// Minutes that the owner's local time is ahead of UTC at a moment.
pub type LocalOffset<'a> = &'a dyn Fn(i64) -> i32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone<'a> {
    Utc,
    /// The owner's, wherever they are: "floating" in the RFC.
    Local,
    Iana(chrono_tz::Tz),
    /// From when on (wall clock) it is how many seconds ahead of UTC; in order.
    Own(&'a [(NaiveDateTime, i32)]),
}

/// The zones that a file describes, by their `TZID`.
#[derive(Debug, Default)]
pub struct Zones(HashMap<String, Vec<(NaiveDateTime, i32)>>);

impl Zones {
    pub fn of(calendar: &Component) -> Zones {
        let zones = calendar.children.iter().filter(|child| child.name == "VTIMEZONE");
        Zones(zones.map(|zone| (zone.text("TZID"), changes(zone))).collect())
    }

    /// The name may stand after a path, as in `/freeassociation.sourceforge.net/Europe/Vienna`.
    pub fn find(&self, id: &str) -> Zone<'_> {
        let parts: Vec<&str> = id.trim_matches('/').split('/').collect();
        let ends = (0..parts.len()).map(|from| parts[from..].join("/"));
        if let Some(zone) = ends.filter_map(|name| name.parse().ok()).next() {
            return Zone::Iana(zone);
        }
        match self.0.get(id) {
            Some(changes) if !changes.is_empty() => Zone::Own(changes),
            _ => Zone::Local,
        }
    }
}

impl Zone<'_> {
    pub fn to_utc(self, wall: NaiveDateTime, local: LocalOffset) -> i64 {
        let naive = wall.and_utc().timestamp();
        let ahead = match self {
            Zone::Utc => 0,
            Zone::Local => {
                let guess = naive - i64::from(local(naive)) * 60;
                i64::from(local(guess)) * 60
            }
            Zone::Iana(zone) => i64::from(iana(zone, wall)),
            Zone::Own(changes) => {
                let next = changes.partition_point(|(from, _)| *from <= wall);
                changes.get(next.max(1) - 1).map_or(0, |(_, ahead)| i64::from(*ahead))
            }
        };
        naive - ahead
    }
}

/// A time that is skipped is read with the offset before, as the RFC has it; one that comes twice is the first.
fn iana(zone: chrono_tz::Tz, wall: NaiveDateTime) -> i32 {
    match zone.offset_from_local_datetime(&wall) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => {
            offset.fix().local_minus_utc()
        }
        MappedLocalTime::None => {
            let before = wall - Duration::hours(3);
            zone.offset_from_local_datetime(&before)
                .earliest()
                .map_or(0, |offset| offset.fix().local_minus_utc())
        }
    }
}

/// When the zone changes, to the year 2100.
fn changes(zone: &Component) -> Vec<(NaiveDateTime, i32)> {
    let Some(end) = NaiveDate::from_ymd_opt(2100, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    for observance in &zone.children {
        let Some(ahead) = observance.get("TZOFFSETTO").and_then(|property| offset(&property.value)) else {
            continue;
        };
        let Some(start) = observance.get("DTSTART").and_then(|property| recurrence::wall(&property.value))
        else {
            continue;
        };
        changes.push((start, ahead));
        if let Some(rule) = observance.get("RRULE") {
            let onsets =
                recurrence::expand(start, &rule.value, start, end, &|until| until).unwrap_or_default();
            changes.extend(onsets.into_iter().map(|onset| (onset, ahead)));
        }
        let dates = observance.all("RDATE").flat_map(|property| property.value.split(','));
        changes.extend(dates.filter_map(recurrence::wall).map(|onset| (onset, ahead)));
    }
    changes.sort();
    changes.dedup();
    changes
}

/// `+0100`, `-053000`, in seconds.
fn offset(text: &str) -> Option<i32> {
    let text = text.trim();
    let sign = match text.as_bytes().first()? {
        b'-' => -1,
        b'+' => 1,
        _ => return None,
    };
    let digits = &text[1..];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 4 | 6) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).and_then(|two| two.parse::<i32>().ok()).unwrap_or(0);
    let seconds = part(0) * 3600 + part(2) * 60 + part(4);
    (seconds <= 18 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content;

    const OWN: &str = "BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Somewhere
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
END:VCALENDAR";

    fn wall(text: &str) -> NaiveDateTime {
        recurrence::wall(text).unwrap()
    }

    fn utc(zone: Zone, text: &str) -> String {
        let seconds = zone.to_utc(wall(text), &|_| -300);
        chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%Y%m%dT%H%M%S").to_string()
    }

    #[test]
    fn zones_follow_their_rules() {
        let calendars = content::read(OWN);
        let zones = Zones::of(&calendars[0]);
        for zone in
            [zones.find("Somewhere"), zones.find("Europe/Vienna"), zones.find("/x.org/2024/Europe/Berlin")]
        {
            assert_eq!(utc(zone, "20261124T090000"), "20261124T080000", "{zone:?}");
            assert_eq!(utc(zone, "20260724T090000"), "20260724T070000", "{zone:?}");
        }
        assert_eq!(utc(zones.find("Nowhere"), "20261124T090000"), "20261124T140000");
        assert_eq!(utc(Zone::Utc, "20261124T090000"), "20261124T090000");
        // Skipped, and twice.
        assert_eq!(utc(zones.find("Europe/Vienna"), "20260329T023000"), "20260329T013000");
        assert_eq!(utc(zones.find("Europe/Vienna"), "20261025T023000"), "20261025T003000");
    }

    #[test]
    fn offsets_are_read_strictly() {
        assert_eq!(offset("+0530"), Some(19_800));
        assert_eq!(offset("-003000"), Some(-1_800));
        for wrong in ["", "0100", "+1", "+99", "+9900", "+01:00", "+ü00", "-0a00"] {
            assert_eq!(offset(wrong), None, "{wrong}");
        }
    }
}
