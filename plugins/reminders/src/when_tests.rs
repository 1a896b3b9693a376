use super::*;
use familiar_sdk::notify::Notice;

/// Monday 2026-11-23, 10:00 in Vienna: an hour ahead of UTC in winter, two from 2027-03-28.
const NOW: i64 = 1_795_424_400;
const SUMMER_2027: i64 = 1_806_195_600;

fn vienna(at: i64) -> i32 {
    if at < SUMMER_2027 { 60 } else { 120 }
}

fn at(words: &str) -> String {
    let at = seconds(words, NOW, vienna).unwrap_or_else(|error| panic!("{words}: {error}"));
    written(at, vienna(at))
}

#[test]
fn now_is_as_the_tests_think() {
    assert_eq!(written(NOW, 60), "2026-11-23 10:00 (Mon)");
}

#[test]
fn times_are_read_as_people_mean_them() {
    for (words, expected) in [
        ("in 20 minutes", "2026-11-23 10:20 (Mon)"),
        ("In 1h30m", "2026-11-23 11:30 (Mon)"),
        ("in 2 hours and 15 min", "2026-11-23 12:15 (Mon)"),
        ("in half an hour", "2026-11-23 10:30 (Mon)"),
        ("in an hour", "2026-11-23 11:00 (Mon)"),
        ("in 2 days", "2026-11-25 10:00 (Wed)"),
        ("in 3 weeks", "2026-12-14 10:00 (Mon)"),
        ("in 6 months", "2027-05-23 10:00 (Sun)"),
        ("9:00", "2026-11-24 09:00 (Tue)"),
        ("at 18:30", "2026-11-23 18:30 (Mon)"),
        ("9:30 pm", "2026-11-23 21:30 (Mon)"),
        ("12am", "2026-11-24 00:00 (Tue)"),
        ("tomorrow 9:00", "2026-11-24 09:00 (Tue)"),
        ("tomorrow at 7", "2026-11-24 07:00 (Tue)"),
        ("tomorrow", "2026-11-24 09:00 (Tue)"),
        ("tomorrow evening", "2026-11-24 18:00 (Tue)"),
        ("tonight", "2026-11-23 20:00 (Mon)"),
        ("today at noon", "2026-11-23 12:00 (Mon)"),
        ("day after tomorrow, 8.15", "2026-11-25 08:15 (Wed)"),
        ("monday at 18:30", "2026-11-23 18:30 (Mon)"),
        ("monday 9:00", "2026-11-30 09:00 (Mon)"),
        ("next fri at 16h30", "2026-11-27 16:30 (Fri)"),
        ("on Sunday", "2026-11-29 09:00 (Sun)"),
        ("2026-11-24 09:00", "2026-11-24 09:00 (Tue)"),
        ("2026-11-24T09:00", "2026-11-24 09:00 (Tue)"),
        ("2027-07-01", "2027-07-01 09:00 (Thu)"),
        ("2027-07-01 at 6 pm", "2027-07-01 18:00 (Thu)"),
        ("2026-11-24T09:00:00Z", "2026-11-24 10:00 (Tue)"),
        ("2026-11-24T09:00:00-05:00", "2026-11-24 15:00 (Tue)"),
    ] {
        assert_eq!(at(words), expected, "{words}");
    }
}

#[test]
fn what_is_no_time_says_how_to_write_one() {
    for words in [
        "",
        "soon",
        "in",
        "in a",
        "in minutes",
        "in 5",
        "in 5 parsecs",
        "in -5 minutes",
        "25:00",
        "9:61",
        "13pm",
        "tomorrow at dawn",
        "2026-13-01",
        "2026-02-30 09:00",
        "monday tuesday",
        "in 99999999999999999999 days",
        "in 1000001 minutes",
        "in 1000000 years",
        "\u{0}",
        "9:00:00:00:00",
        "0000000000",
        "日本時間九時",
    ] {
        let error = seconds(words, NOW, vienna).expect_err(words);
        assert!(matches!(error, Error::InvalidArguments(_)), "{words}: {error:?}");
    }
    let past = seconds("2020-01-01 09:00", NOW, vienna).unwrap_err();
    assert!(past.message().contains("is past"), "{past}");
    assert!(seconds("2126-01-01", NOW, vienna).unwrap_err().message().contains("20 years"));
    assert!(seconds("in 20 minutes", i64::MAX, vienna).is_err());
}

#[test]
fn a_reminder_is_chosen_by_id_or_words() {
    let one = |id: &str, body: &str| Scheduled {
        id: id.into(),
        at: 1,
        notice: Notice { title: "Reminder".into(), body: body.into() },
    };
    let pending = [one("1", "Buy milk"), one("2", "Buy bread"), one("3", "Call 1")];
    assert_eq!(chosen("1", &pending).unwrap().unwrap().id, "1");
    assert_eq!(chosen("MILK", &pending).unwrap().unwrap().id, "1");
    assert_eq!(chosen("buy", &pending).unwrap_err().len(), 2);
    assert!(chosen("jam", &pending).unwrap().is_none());
    assert!(chosen("", &pending).unwrap().is_none());
}
