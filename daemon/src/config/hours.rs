//! Hours of the day as a setting says them: `22-6` is from ten in the evening until six in the morning. Pure.

use std::fmt;
use std::str::FromStr;

/// A part of the day, in whole hours of local time. It may go over midnight, and is neither empty nor all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// 0 to 23.
    from: u16,
    /// 1 to 24; not in it any more.
    to: u16,
}

/// Why a text is no part of the day, worded to follow the setting's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    #[error("must be two hours such as \"22-6\", or \"\" for any time")]
    Form,
    #[error("must have hours from 0 to 24")]
    Range,
    #[error("must begin and end at different hours; \"\" is any time")]
    Same,
}

impl Hours {
    /// Whether a minute of the day (0 to 1439) lies in it.
    pub fn contains(self, minute: u16) -> bool {
        let (from, to) = (self.from * 60, self.to * 60);
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Hours, HoursError> {
        let (from, to) = text.split_once('-').ok_or(HoursError::Form)?;
        let (from, to) = (hour(from)? % 24, hour(to)?);
        if from == to % 24 {
            return Err(HoursError::Same);
        }
        // Until 0 is until midnight.
        Ok(Hours { from, to: if to == 0 { 24 } else { to } })
    }
}

fn hour(text: &str) -> Result<u16, HoursError> {
    let digits = text.trim();
    // `parse` takes a sign, which no hour has.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HoursError::Form);
    }
    digits.parse().ok().filter(|hour| *hour <= 24).ok_or(HoursError::Range)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_go_over_midnight() {
        let night: Hours = "22-6".parse().unwrap();
        for (hour, within) in
            [(21, false), (22, true), (23, true), (0, true), (5, true), (6, false), (12, false)]
        {
            assert_eq!(night.contains(hour * 60), within, "{hour}");
        }
        assert!(night.contains(5 * 60 + 59) && !night.contains(21 * 60 + 59));
        let day: Hours = " 9 - 17 ".parse().unwrap();
        assert!(day.contains(9 * 60) && !day.contains(17 * 60) && !day.contains(0));
        for evening in ["20-24", "20-0"] {
            let evening: Hours = evening.parse().unwrap();
            assert!(evening.contains(1439) && !evening.contains(0) && !evening.contains(19 * 60));
            assert_eq!(evening.to_string(), "20 to 24");
        }
        assert!("24-6".parse::<Hours>().unwrap().contains(0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "22", "-", "22-", "-6", "22-6-7", "+2-6", "22:30-6", "at night", "2２-6", "1.5-3"] {
            assert_eq!(text.parse::<Hours>(), Err(HoursError::Form), "{text}");
        }
        for text in ["25-6", "0-99999999999"] {
            assert_eq!(text.parse::<Hours>(), Err(HoursError::Range), "{text}");
        }
        for text in ["6-6", "0-24", "24-0"] {
            assert_eq!(text.parse::<Hours>(), Err(HoursError::Same), "{text}");
        }
    }
}
