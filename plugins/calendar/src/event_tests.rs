use super::*;
use crate::content;

/// An hour ahead of UTC, always.
fn local(_: i64) -> i32 {
    60
}

fn seconds(text: &str) -> i64 {
    recurrence::wall(text).unwrap().and_utc().timestamp()
}

fn calendar(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n")
}

/// `MMDD HHMM title` of all that takes place, in UTC.
fn times(events: &str, from: &str, to: &str) -> Vec<String> {
    let text = calendar(events);
    let calendars = content::read(&text);
    let zones = Zones::of(&calendars[0]);
    let events = super::events(&calendars[0], &zones, &local);
    let (mut found, _) = occurrences(&events, seconds(from), seconds(to), 10_000, &local);
    found.sort();
    let written = |time: &Occurrence| {
        let start = DateTime::from_timestamp(time.start, 0).unwrap().format("%m%d %H%M");
        format!("{start} {}", events[time.event].title)
    };
    found.iter().map(written).collect()
}

#[test]
fn events_take_place_in_their_zones() {
    let events = "BEGIN:VEVENT\nSUMMARY:A\nDTSTART;TZID=Europe/Vienna:20261124T090000\nDTEND;TZID=Europe/Vienna:20261124T100000\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:B\nDTSTART:20261124T090000Z\nDURATION:PT1H30M\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:C\nDTSTART:20261124T120000\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:D\nDTSTART;VALUE=DATE:20261124\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:E\nSTATUS:CANCELLED\nDTSTART:20261124T120000\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:F\nEND:VEVENT
BEGIN:VEVENT\nSUMMARY:G\nDTSTART:tomorrow\nEND:VEVENT\n";
    assert_eq!(
        times(events, "20261124", "20261125"),
        ["1123 2300 D", "1124 0800 A", "1124 0900 B", "1124 1100 C"]
    );
    assert_eq!(times(events, "20261124T103000", "20261124T103100"), ["1123 2300 D"]);
    assert_eq!(times(events, "20261124T102959", "20261124T103100"), ["1123 2300 D", "1124 0900 B"]);
    assert!(times(events, "20261125", "20261126").is_empty());
}

#[test]
fn a_weekly_event_stays_at_its_hour_when_the_clocks_change() {
    let event = "BEGIN:VEVENT\nUID:1\nSUMMARY:A\nDTSTART;TZID=Europe/Vienna:20261012T090000\nRRULE:FREQ=WEEKLY;COUNT=4\nEXDATE;TZID=Europe/Vienna:20261019T090000\nEND:VEVENT\n";
    assert_eq!(times(event, "20260101", "20270101"), ["1012 0700 A", "1026 0800 A", "1102 0800 A"]);
}

#[test]
fn a_changed_time_replaces_the_rules_own() {
    let events = "BEGIN:VEVENT\nUID:1\nSUMMARY:A\nDTSTART:20261101T090000Z\nRRULE:FREQ=DAILY;COUNT=3\nRDATE:20261110T090000Z\nEND:VEVENT
BEGIN:VEVENT\nUID:1\nSUMMARY:Moved\nRECURRENCE-ID:20261102T090000Z\nDTSTART:20261102T150000Z\nEND:VEVENT
BEGIN:VEVENT\nUID:2\nSUMMARY:Other\nDTSTART:20261102T090000Z\nEND:VEVENT\n";
    assert_eq!(
        times(events, "20260101", "20270101"),
        ["1101 0900 A", "1102 0900 Other", "1102 1500 Moved", "1103 0900 A", "1110 0900 A"]
    );
}

#[test]
fn a_birthday_comes_every_year() {
    let event = "BEGIN:VEVENT\nSUMMARY:Ada\nDTSTART;VALUE=DATE:18151210\nRRULE:FREQ=YEARLY\nEND:VEVENT\n";
    assert_eq!(times(event, "20261201", "20271231"), ["1209 2300 Ada", "1209 2300 Ada"]);
}

#[test]
fn hostile_calendars_end() {
    let endless =
        "BEGIN:VEVENT\nUID:x\nSUMMARY:S\nDTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY\nEND:VEVENT\n";
    assert!(times(endless, "20260101", "20270101").is_empty());
    let many = "BEGIN:VEVENT\nSUMMARY:M\nDTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;COUNT=10000\nDURATION:P99999999999999W\nEND:VEVENT\n";
    assert_eq!(times(many, "20260201", "20260202").len(), 1);
    let dates = format!(
        "BEGIN:VEVENT\nSUMMARY:R\nDTSTART:20260101T000000Z\nRDATE:{}\nEND:VEVENT\n",
        "20260101T000000Z,".repeat(10_000)
    );
    assert!(times(&dates, "20260101", "20260102").len() <= 1);
    let backwards = "BEGIN:VEVENT\nSUMMARY:B\nDTSTART:20260102T000000Z\nDTEND:20260101T000000Z\nEND:VEVENT\n";
    assert_eq!(times(backwards, "20260102", "20260103").len(), 1);
    let (huge, tiny) = ("DTSTART:99991231T235959Z", "DTSTART:15830101T000000Z");
    for start in [huge, tiny] {
        let event =
            format!("BEGIN:VEVENT\n{start}\nRRULE:FREQ=DAILY\nDURATION:PT9223372036854775807S\nEND:VEVENT\n");
        times(&event, "99991230", "99991231");
    }
}

#[test]
fn durations() {
    assert_eq!(duration("P1DT2H30M"), Some(95_400));
    assert_eq!(duration("P2W"), Some(1_209_600));
    for wrong in ["", "1H", "P1", "P1X", "PT", "-PT1H", "P99999999999999999999D", "Pü"] {
        assert!(duration(wrong).is_none() || wrong == "PT", "{wrong}");
    }
}
