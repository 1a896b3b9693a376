//! The owner's local time, as the system's time zone has it. Reads the clock and the time zone; it sets neither and
//! knows nothing of what they are asked for.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// Minutes that local time is ahead of UTC at a moment (seconds since 1970); 0 where the moment is out of
/// the calendar's range.
pub fn local_offset(at: i64) -> i32 {
    let mut local = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call. `localtime_r` reads the variable TZ, which nothing in
    // this process changes, and writes all of `local` unless it returns null.
    let written = unsafe { !libc::localtime_r(&at, local.as_mut_ptr()).is_null() };
    if !written {
        return 0;
    }
    // SAFETY: `localtime_r` did not return null, and so has written it.
    let local = unsafe { local.assume_init() };
    (local.tm_gmtoff / 60) as i32
}

/// Year, month and day of a day counted from 1970-01-01, which may be before it. After Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms"; days beyond some ten million years count as the last of them.
pub fn civil(days: i64) -> (i64, i64, i64) {
    const FAR: i64 = 4_000_000_000;
    // Counted from 0000-03-01, so that the leap day is a year's last.
    let days = days.clamp(-FAR, FAR) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Minutes since local midnight, 0 to 1439, as a clock on the wall shows them now.
pub fn minute_of_day() -> u16 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(0);
    minute_at(now, local_offset(now))
}

fn minute_at(at: i64, offset: i32) -> u16 {
    (at.div_euclid(60) + i64::from(offset)).rem_euclid(24 * 60) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_within_what_the_world_uses() {
        for at in [0, 1_700_000_000, 1_720_000_000, i64::MAX, i64::MIN] {
            assert!((-15 * 60..=15 * 60).contains(&local_offset(at)), "{at}");
        }
    }

    #[test]
    fn days_have_their_dates() {
        let dates = [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (20_513, (2026, 3, 1)),
            (20_779, (2026, 11, 22)),
            (-719_468, (0, 3, 1)),
        ];
        for (day, date) in dates {
            assert_eq!(civil(day), date, "{day}");
        }
        for far in [i64::MIN, i64::MAX] {
            civil(far);
        }
    }

    #[test]
    fn the_minute_of_a_day_is_that_of_the_wall_clock() {
        assert_eq!(minute_at(0, 0), 0);
        assert_eq!(minute_at(86_399, 0), 1439);
        assert_eq!(minute_at(0, -1), 1439);
        assert_eq!(minute_at(23 * 3600, 330), 4 * 60 + 30);
        assert_eq!(minute_at(-60, 0), 1439);
        assert!(minute_of_day() < 1440);
    }
}
