//! Words and numbers as the page shows them. Whatever comes from outside goes through [`escaped`]: cut to a
//! length, without control characters and marks that turn the order of letters, and without meaning to HTML.

use crate::clock::civil;

/// What stands for a number that was not measured.
pub const NONE: &str = "–";

/// `text` as HTML that shows it: at most `most` characters, line breaks kept.
pub fn escaped(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most) + 16);
    let mut letters = text.trim().chars().filter(|c| !is_hidden(*c));
    for c in letters.by_ref().take(most) {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            '\n' | '\u{2028}' | '\u{2029}' => shown.push('\n'),
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that show nothing and change how others are shown, or hide text: marks of writing direction,
/// zero-width ones, tags.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\r' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A measured number that can be shown. What is not finite, or beyond all that can be meant, was not measured.
pub fn sane(value: f64) -> Option<f64> {
    (value.abs() < 1e9).then_some(value)
}

/// With so many digits after the point, and a real minus.
pub fn number(value: f64, digits: usize) -> String {
    let Some(value) = sane(value) else { return NONE.into() };
    let shown = format!("{value:.digits$}");
    // What rounds to nothing has no sign.
    let zero = !shown.contains(|c: char| ('1'..='9').contains(&c));
    match shown.strip_prefix('-') {
        Some(rest) if zero => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => shown,
    }
}

/// The same with a plus where it is one.
pub fn signed(value: f64, digits: usize) -> String {
    let shown = number(value, digits);
    let positive = value > 0.0 && shown.contains(|c: char| ('1'..='9').contains(&c));
    if positive { format!("+{shown}") } else { shown }
}

/// A share as percent, as in `62 %`; the space does not break.
pub fn percent(share: f64) -> String {
    format!("{}\u{a0}%", number(100.0 * share, 0))
}

/// A share as percent that is small and not nothing, as in `0.3 %`; larger ones as [`percent`] has them.
pub fn fine_percent(share: f64) -> String {
    let digits = usize::from(share.abs() < 0.01);
    format!("{}\u{a0}%", number(100.0 * share, digits))
}

/// A change by a share, as in `+0.3 %`.
pub fn changed(share: f64) -> String {
    format!("{}\u{a0}%", signed(100.0 * share, 1))
}

/// A whole number in groups of three digits.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// A large number as one says it, as in `1.2 million`.
pub fn roughly(count: u64) -> String {
    match count {
        0..1_000_000 => grouped(count),
        1_000_000..1_000_000_000 => format!("{}\u{a0}million", number(count as f64 / 1e6, 1)),
        _ => format!("{}\u{a0}billion", grouped(count / 1_000_000_000)),
    }
}

/// `1 sample`, `2 samples`.
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", grouped(count), if count == 1 { one } else { many })
}

/// A length of time in its two largest units.
pub fn duration(seconds: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(2);
    let shown = parts[first..].iter().take(2).filter(|(count, _)| *count > 0 || seconds == 0);
    shown.map(|(count, unit)| format!("{}\u{a0}{unit}", grouped(*count))).collect::<Vec<_>>().join(" ")
}

/// `14 March 2026`, of a moment in seconds since 1970 that is shown as UTC.
pub fn date(at: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (year, month, day) = civil(at.div_euclid(86400));
    format!("{day}\u{a0}{} {year}", MONTHS[(month - 1) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_text_and_nothing_else() {
        let hostile = "<b onload='x'>\"&\u{202e}evil\u{0}\u{1b}[31m\u{e0041}\r\nnext";
        assert_eq!(escaped(hostile, 100), "&lt;b onload=&#39;x&#39;&gt;&quot;&amp;evil  [31m\nnext");
        assert_eq!(escaped("مرحبا שלום", 100), "مرحبا שלום");
        assert_eq!(escaped(&"<".repeat(1 << 20), 3), "&lt;&lt;&lt;…");
        assert_eq!(escaped("abc", 3), "abc");
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!((number(-1.25, 1).as_str(), number(-0.001, 2).as_str()), ("\u{2212}1.2", "0.00"));
        assert_eq!(
            (signed(0.3, 1).as_str(), signed(0.04, 1).as_str(), signed(-2.0, 0).as_str()),
            ("+0.3", "0.0", "\u{2212}2")
        );
        assert_eq!(percent(0.618), "62\u{a0}%");
        assert_eq!((fine_percent(0.0031), fine_percent(0.618)), ("0.3\u{a0}%".into(), percent(0.618)));
        assert_eq!(
            (grouped(1234).as_str(), grouped(1_234_567).as_str()),
            ("1234", "1\u{202f}234\u{202f}567")
        );
        assert_eq!(roughly(1_240_000), "1.2\u{a0}million");
        assert_eq!(
            (count(1, "note", "notes"), count(0, "note", "notes")),
            ("1\u{a0}note".into(), "0\u{a0}notes".into())
        );
        for (seconds, shown) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (2465, "41 min 5 s"), (7260, "2 h 1 min")]
        {
            assert_eq!(duration(seconds).replace('\u{a0}', " "), shown);
        }
        for value in [f64::NAN, f64::INFINITY, -1e300] {
            assert_eq!(sane(value), None);
        }
    }

    #[test]
    fn dates() {
        for (at, shown) in [(0, "1 January 1970"), (1_773_446_400, "14 March 2026"), (-1, "31 December 1969")]
        {
            assert_eq!(date(at).replace('\u{a0}', " "), shown);
        }
        for at in [i64::MIN, i64::MAX] {
            assert!(date(at).len() < 40);
        }
    }
}
