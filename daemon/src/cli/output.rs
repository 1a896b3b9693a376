//! How things look on paper: colours, numbers, and text of files made harmless. It writes only to the
//! writer it is given; nothing here knows the daemon.

use super::exit::Outcome;
use crate::clock::civil;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

pub use crate::visible::spelled_out;

/// Whether, and how, the output may be dressed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// A person reads it as it comes.
    pub terminal: bool,
    pub colour: bool,
}

impl Look {
    /// For standard output. <https://no-color.org>: any value of NO_COLOR but the empty one turns colours off.
    pub fn of_stdout() -> Look {
        let terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Look { terminal, colour: terminal && !dumb && !set("NO_COLOR") }
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints JSON, indented, with a line's end.
pub fn json(out: &mut impl Write, value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    writeln!(out, "{text}")?;
    Ok(())
}

/// Text from a file or a model without what could command the terminal, or turn what is read around (Unicode's
/// controls of direction).
pub fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if text.contains(harmful) {
        Cow::Owned(text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Controls of direction, and line ends that only some terminals know.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// A moment (seconds since 1970) as date and time, UTC.
pub fn moment(at: i64) -> String {
    let (year, month, day) = civil(at.div_euclid(86400));
    let second = at.rem_euclid(86400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Text on one line, at most `most` characters, with an ellipsis where it was cut.
pub fn one_line(text: &str, most: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = harmless(&line);
    match line.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", line[..cut].trim_end()),
        None => line.into_owned(),
    }
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// A number with its thousands apart, and the thing counted.
pub fn count(number: u64, one: &str, many: &str) -> String {
    let digits = number.to_string();
    let grouped: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{} {}", grouped.join(","), if number == 1 { one } else { many })
}

/// A span of seconds in its two largest units.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
pub const PLAIN: Look = Look { terminal: false, colour: false };

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_read_well() {
        let shown: Vec<String> = [0, 999, 1000, 9_949, 33_554_432, 999_999_999, u64::MAX].map(bytes).into();
        assert_eq!(shown, ["0 B", "999 B", "1.0 KB", "9.9 KB", "34 MB", "1.0 GB", "18447 PB"]);
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(1_234_567, "file", "files"), "1,234,567 files");
        let spans: Vec<String> = [5, 61, 3720, 90_000].map(duration).into();
        assert_eq!(spans, ["5 s", "1 min 1 s", "1 h 2 min", "1 d 1 h"]);
    }

    #[test]
    fn moments_are_spelled_out() {
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert_eq!(moment(1_709_211_909), "2024-02-29 13:05:09Z");
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        assert_eq!(PLAIN.red("x"), "x");
        assert_eq!(Look { terminal: true, colour: true }.red("x"), "\x1b[31mx\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_text_commands_the_terminal(text in any::<String>(), most in 0..50usize) {
            let text = format!("\u{9b}{text}\u{202e}\x1b[2J");
            prop_assert!(harmless(&text).chars().all(|c| (!c.is_control() && !turns(c)) || c == '\n' || c == '\t'));
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most + 1 && !line.contains(char::is_control));
        }
    }
}
