//! What time it is, and how far the owner's local time is ahead. Reads the system's clock and its time zone.
#![allow(unsafe_code)]

use crate::protocol::plugins::Answer;
use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now() -> Answer {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Answer::Now { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_within_what_the_world_uses() {
        for at in [0, 1_700_000_000, 1_720_000_000, i64::MAX, i64::MIN] {
            assert!((-15 * 60..=15 * 60).contains(&local_offset(at)), "{at}");
        }
    }
}
