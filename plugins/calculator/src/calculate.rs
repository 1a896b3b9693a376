//! What fend is asked, and how much it may work for one answer. Pure.

use crate::reading;
use familiar_sdk::{Error, Result};
use fend_core::{Context, Interrupt};
use std::time::{Duration, Instant};

/// An honest question takes some milliseconds.
const LONGEST: Duration = Duration::from_secs(1);
/// Characters of a result that anybody reads.
const SHOWN: usize = 2_000;

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub result: String,
    pub exact: bool,
}

/// When fend, which asks at each step of its long arithmetic, is told to stop.
struct Until(Instant);

impl Interrupt for Until {
    fn should_interrupt(&self) -> bool {
        Instant::now() > self.0
    }
}

pub fn evaluate(expression: &str) -> Result<Answer> {
    let readable = reading::of(expression)?;
    let mut context = Context::new();
    context.disable_rng();
    let until = Until(Instant::now() + LONGEST);
    let result = fend_core::evaluate_with_interrupt(&readable, &mut context, &until);
    let result = result.map_err(|error| match until.should_interrupt() {
        false => Error::invalid(worded(expression, &error)),
        true => Error::invalid("that takes too long to calculate: ask for smaller numbers"),
    })?;
    if result.output_is_empty() {
        return Err(Error::invalid(
            "there is nothing to calculate: give an expression such as `2 * (3 + 4)`",
        ));
    }
    let result = result.get_main_result();
    let rounded = result.strip_prefix("approx. ");
    Ok(Answer { result: shorten(rounded.unwrap_or(result)), exact: rounded.is_none() })
}

/// fend's words, and the way out where it is known.
fn worded(expression: &str, error: &str) -> String {
    let hints = [
        ("unknown identifier", ". Units are written as `km`, `kg`, `°C`, `mile`, `cup`"),
        ("exchange rate", ": there are no rates of currencies here"),
        ("incompatible", ". Put brackets around a divisor with a unit: `100 km / (45 min)`"),
    ];
    let hint = hints.iter().find(|(part, _)| error.contains(part)).map_or("", |(_, hint)| hint);
    format!("`{}` cannot be calculated: {error}{hint}", expression.trim())
}

fn shorten(result: &str) -> String {
    let length = result.chars().count();
    if length <= SHOWN {
        return result.to_owned();
    }
    let shown: String = result.chars().take(SHOWN).collect();
    format!("{shown}... ({length} characters in all)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(expression: &str) -> String {
        let answer = evaluate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        format!("{}{}", if answer.exact { "" } else { "≈ " }, answer.result)
    }

    fn refused(expression: &str) -> String {
        match evaluate(expression) {
            Err(Error::InvalidArguments(words)) => words,
            other => panic!("{expression:.60}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(result("0.1 + 0.2"), "0.3");
        assert_eq!(result("1/3 + 1/6 ="), "0.5");
        assert_eq!(result("2^64"), "18446744073709551616");
        assert_eq!(result("17 mod 5"), "2");
        assert_eq!(result("5!"), "120");
        assert_eq!(result("1,500 * 2"), "3000");
        assert_eq!(result("sqrt 2"), "≈ 1.4142135624");
        assert_eq!(result("1/3"), "≈ 0.3333333333");
    }

    #[test]
    fn percentages_are_what_people_mean() {
        assert_eq!(result("15% of 80"), "12");
        assert_eq!(result("80 + 19%"), "95.2");
        assert_eq!(result("100 - 10% - 10%"), "81");
        assert_eq!(result("(20 + 30 kg / kg) + 10%"), "55");
        assert_eq!(result("5% + 5%"), "10%");
        assert_eq!(result("200 * 5%"), "10");
    }

    #[test]
    fn units_are_converted() {
        assert_eq!(result("5 ft 3 in to cm"), "160.02 cm");
        assert_eq!(result("5 in to cm"), "12.7 cm");
        assert_eq!(result("100 km / (45 min) in km/h"), "≈ 133.3333333333 km / h");
        assert_eq!(result("-40 °F to °C"), "-40 °C");
        assert_eq!(result("1 mile to km"), "1.609344 km");
        assert_eq!(result("1 GiB to MB"), "1073.741824 MB");
        assert_eq!(result("3 hours 25 minutes + 50 minutes"), "4.25 hours");
        assert_eq!(result("100 kg + 5%"), "105 kg");
    }

    #[test]
    fn errors_say_what_to_write() {
        assert!(refused("3 foos").contains("`km`"));
        assert!(refused("5 EUR to USD").contains("no rates"));
        assert!(refused("1 kg to m").contains("incompatible"));
        assert!(refused("1/0").contains("division by zero"));
        assert!(refused("").contains("2 * (3 + 4)"));
        assert!(refused("today").contains("cannot be calculated"));
        assert!(refused("random").contains("cannot be calculated"));
    }

    /// In a debug build fend's frames are large; a plugin's are a tenth.
    #[test]
    fn deep_expressions_end() {
        let each = ["(", "-", "2^", "1+(", "sqrt ", "'", "!", "1/", "1 m ", "not ", "1 to "];
        let all = move || each.map(|part| evaluate(&format!("{}1", part.repeat(299 / part.len()))).is_ok());
        let thread = std::thread::Builder::new().stack_size(32 << 20).spawn(all);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn absurd_numbers_end() {
        assert!(refused("10^10^10").contains("smaller numbers"));
        assert!(refused("999999!").contains("smaller numbers"));
        assert_eq!(result("1e400").len(), 401);
        assert!(result("3^9000").ends_with("characters in all)"));
    }
}
