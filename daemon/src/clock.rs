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
    fn the_minute_of_a_day_is_that_of_the_wall_clock() {
        assert_eq!(minute_at(0, 0), 0);
        assert_eq!(minute_at(86_399, 0), 1439);
        assert_eq!(minute_at(0, -1), 1439);
        assert_eq!(minute_at(23 * 3600, 330), 4 * 60 + 30);
        assert_eq!(minute_at(-60, 0), 1439);
        assert!(minute_of_day() < 1440);
    }
}
