//! Numbers between bounds, and multiples of a number, as digits. A number is written without exponent and
//! with so few digits that reading it as a double changes nothing, neither its order nor its multiples.

use super::gbnf::{Expr, Rules};
use serde_json::Number;
use std::collections::HashMap;

/// Digits that a double holds for sure, and those of a 64-bit integer.
const DOUBLE_DIGITS: u32 = 15;
const INTEGER_DIGITS: u32 = 18;
/// Digits after the point where bounds need no more.
const FRACTION: u32 = 6;
/// Multiples of larger numbers are listed one by one, up to so many.
const MAX_MODULUS: i128 = 128;
const MAX_LISTED: i128 = 512;

/// What a number must be.
#[derive(Debug, Clone, Default)]
pub struct Bounds<'a> {
    pub integer: bool,
    /// With `true` where the bound itself is excluded.
    pub least: Vec<(&'a Number, bool)>,
    pub most: Vec<(&'a Number, bool)>,
    pub multiples: Vec<&'a Number>,
}

/// A number as `mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    fn read(number: &Number) -> Option<Decimal> {
        let text = number.to_string().to_ascii_lowercase();
        let (digits, exponent) = match text.split_once('e') {
            Some((digits, exponent)) => (digits, exponent.parse().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal { mantissa, exponent: exponent - i32::try_from(fraction.len()).ok()? })
    }

    /// Digits after the point.
    fn fraction(self) -> u32 {
        if self.mantissa == 0 { 0 } else { self.exponent.min(0).unsigned_abs() }
    }

    /// In units of `10^-fraction`, rounded down, and whether that was exact. Far beyond what is ever
    /// written, some number of the right sign.
    fn units(self, fraction: u32) -> (i128, bool) {
        const FAR: i128 = 10i128.pow(30);
        let shift = self.exponent.saturating_add_unsigned(fraction);
        if self.mantissa == 0 {
            return (0, true);
        }
        match 10i128.checked_pow(shift.unsigned_abs()) {
            Some(scale) if shift >= 0 => match self.mantissa.checked_mul(scale) {
                Some(units) => (units.clamp(-FAR, FAR), true),
                None => (FAR * self.mantissa.signum(), true),
            },
            Some(scale) => (self.mantissa.div_euclid(scale), self.mantissa.rem_euclid(scale) == 0),
            None if shift >= 0 => (FAR * self.mantissa.signum(), true),
            None => (if self.mantissa < 0 { -1 } else { 0 }, false),
        }
    }
}

/// The numbers within the bounds.
///
/// # Errors
/// What cannot be told in a grammar of sensible size.
pub fn expr(rules: &mut Rules, bounds: &Bounds) -> Result<Expr, String> {
    let read = |number: &Number| Decimal::read(number).ok_or_else(|| format!("the number {number}"));
    let mut made =
        Maker { rules, least: Vec::new(), most: Vec::new(), multiples: Vec::new(), free: HashMap::new() };
    for (number, excluded) in &bounds.least {
        made.least.push((read(number)?, *excluded));
    }
    for (number, excluded) in &bounds.most {
        made.most.push((read(number)?, *excluded));
    }
    for number in &bounds.multiples {
        made.multiples.push(read(number)?);
    }
    let fraction = if bounds.integer { 0 } else { made.fraction() };
    let exact = bounds.integer && bounds.multiples.is_empty();
    let digits = if exact { INTEGER_DIGITS } else { DOUBLE_DIGITS };
    let (mut choices, mut runs) = (Vec::new(), Vec::new());
    // Longer whole parts leave fewer digits after the point.
    for whole in 1..=digits {
        let fraction = fraction.min(digits - whole);
        let (mut least, mut most) = made.range(fraction);
        let step = made.step(fraction)?;
        let of_length =
            (if whole == 1 { 0 } else { 10i128.pow(whole - 1 + fraction) }, 10i128.pow(whole + fraction) - 1);
        least = least.max(-of_length.1);
        most = most.min(of_length.1);
        for (sign, low, high) in
            [("", least.max(of_length.0), most), ("-", (-most).max(of_length.0).max(1), -least)]
        {
            if step == 1 && whole > 1 && (low, high) == of_length {
                lengthen(&mut runs, sign, whole, fraction);
                continue;
            }
            let between = made.between(low, high, whole, fraction, step)?;
            choices.push(Expr::Seq(vec![Expr::text(sign), between]));
        }
    }
    choices.extend(runs.into_iter().map(|run| made.run(run)));
    Ok(Expr::Any(choices))
}

/// All numbers of that sign with `least..=most` digits before the point and up to `fraction` after it.
struct Run {
    sign: &'static str,
    least: u32,
    most: u32,
    fraction: u32,
}

fn lengthen(runs: &mut Vec<Run>, sign: &'static str, whole: u32, fraction: u32) {
    let fits = |run: &&mut Run| run.sign == sign && run.fraction == fraction && run.most + 1 == whole;
    match runs.iter_mut().find(fits) {
        Some(run) => run.most = whole,
        None => runs.push(Run { sign, least: whole, most: whole, fraction }),
    }
}

struct Maker<'r> {
    rules: &'r mut Rules,
    least: Vec<(Decimal, bool)>,
    most: Vec<(Decimal, bool)>,
    multiples: Vec<Decimal>,
    free: HashMap<Free, Expr>,
}

impl Maker<'_> {
    /// Digits after the point: a multiple needs no more than what it is a multiple of.
    fn fraction(&self) -> u32 {
        let most = |decimals: &mut dyn Iterator<Item = Decimal>| decimals.map(Decimal::fraction).max();
        let bounds = most(&mut self.least.iter().chain(&self.most).map(|bound| bound.0));
        let digits = most(&mut self.multiples.iter().copied()).unwrap_or(bounds.unwrap_or(0).max(FRACTION));
        digits.min(DOUBLE_DIGITS - 1)
    }

    fn run(&mut self, run: Run) -> Expr {
        let more = self.rules.times(digit(), run.least as usize - 1, Some(run.most as usize - 1));
        let fraction = fraction(self.rules, run.fraction as usize);
        Expr::Seq(vec![Expr::text(run.sign), Expr::Chars(vec![(0x31, 0x39)]), more, fraction])
    }

    /// The least and the most units of `10^-fraction`.
    fn range(&self, fraction: u32) -> (i128, i128) {
        const FAR: i128 = 10i128.pow(30);
        let least = self.least.iter().map(|(bound, excluded)| match bound.units(fraction) {
            (units, true) if !excluded => units,
            (units, _) => units + 1,
        });
        let most = self.most.iter().map(|(bound, excluded)| match bound.units(fraction) {
            (units, true) if *excluded => units - 1,
            (units, _) => units,
        });
        (least.max().unwrap_or(-FAR), most.min().unwrap_or(FAR))
    }

    /// Units of `10^-fraction` of which all numbers must be multiples.
    fn step(&self, fraction: u32) -> Result<i128, String> {
        let mut step = 1i128;
        for multiple in &self.multiples {
            // What is finer than the digits written: its first multiple that needs no more of them.
            let finer = multiple.fraction().saturating_sub(fraction);
            let (units, _) = multiple.units(fraction + finer);
            let scale = 10i128.checked_pow(finer).ok_or("`multipleOf` that fine")?;
            let units = units / gcd(units, scale).max(1);
            if units <= 0 {
                return Err("`multipleOf` that is not above 0".into());
            }
            step = step
                .checked_mul(units / gcd(step, units))
                .filter(|step| *step < 10i128.pow(30))
                .ok_or("`multipleOf` of numbers without a common multiple nearby")?;
        }
        Ok(step)
    }

    /// Multiples of `step` from `least` to `most`, none of them negative, with `whole` digits before the point.
    fn between(
        &mut self,
        least: i128,
        most: i128,
        whole: u32,
        fraction: u32,
        step: i128,
    ) -> Result<Expr, String> {
        if least > most {
            return Ok(Expr::nothing());
        }
        if step > MAX_MODULUS {
            return self.listed(least, most, fraction, step);
        }
        let places = (whole + fraction) as usize;
        let digits = |units: i128| format!("{units:0places$}").into_bytes();
        let (low, high) = (digits(least), digits(most));
        let mut walk =
            Walk { low, high, whole: whole as usize, step, known: HashMap::new(), free: &mut self.free };
        Ok(walk.digit(self.rules, At { place: 0, low: true, high: true, remainder: 0 }))
    }

    fn listed(&self, least: i128, most: i128, fraction: u32, step: i128) -> Result<Expr, String> {
        let (first, last) = (least.div_euclid(step) + i128::from(least % step != 0), most.div_euclid(step));
        if last - first >= MAX_LISTED {
            return Err("`multipleOf` of a large number without narrow bounds".into());
        }
        Ok(Expr::Any((first..=last).map(|n| Expr::text(written(n * step, fraction))).collect()))
    }
}

fn digit() -> Expr {
    Expr::Chars(vec![(0x30, 0x39)])
}

/// A point and up to so many digits, or nothing.
fn fraction(rules: &mut Rules, digits: usize) -> Expr {
    if digits == 0 {
        return Expr::empty();
    }
    let some = rules.times(digit(), 1, Some(digits));
    rules.times(Expr::Seq(vec![Expr::text("."), some]), 0, Some(1))
}

/// Units as a decimal number, without zeros at its end.
fn written(units: i128, fraction: u32) -> String {
    let scale = 10i128.pow(fraction);
    let (whole, rest) = (units / scale, units % scale);
    match rest {
        0 => whole.to_string(),
        rest => {
            format!("{whole}.{}", format!("{rest:0width$}", width = fraction as usize).trim_end_matches('0'))
        }
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

/// All digits that are left before the point and up to so many in all, or those after the point.
fn any_digits(rules: &mut Rules, before: usize, places: usize, inside: bool) -> Expr {
    if inside {
        return rules.times(digit(), 0, Some(places));
    }
    let whole = rules.times(digit(), before, Some(before));
    Expr::Seq(vec![whole, fraction(rules, places - before)])
}

/// Digits from `low` to `high`, place by place; the first `whole` of them stand before the point. Zeros at
/// the end of the others may be left out.
struct Walk<'m> {
    low: Vec<u8>,
    high: Vec<u8>,
    whole: usize,
    step: i128,
    known: HashMap<At, Expr>,
    free: &'m mut HashMap<Free, Expr>,
}

/// What may follow where no bound is near: digits left before the point and in all, whether the point is
/// written, the remainder and the step. It is the same for numbers of any length.
type Free = (usize, usize, bool, i128, i128);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct At {
    place: usize,
    /// All digits so far were those of `low`, or of `high`: the next one is bounded.
    low: bool,
    high: bool,
    /// Of what stands so far, divided by the step.
    remainder: i128,
}

impl Walk<'_> {
    /// The next digit and what follows.
    fn digit(&mut self, rules: &mut Rules, at: At) -> Expr {
        let least = if at.low { self.low[at.place] } else { b'0' };
        let most = if at.high { self.high[at.place] } else { b'9' };
        let mut choices: Vec<(At, u8, u8)> = Vec::new();
        for digit in least..=most {
            let left = at.place + 1;
            // A bound of which only zeros, or nines, are left holds whatever follows.
            let next = At {
                place: at.place + 1,
                low: at.low && digit == least && self.low[left..].iter().any(|digit| *digit != b'0'),
                high: at.high && digit == most && self.high[left..].iter().any(|digit| *digit != b'9'),
                remainder: (at.remainder * 10 + i128::from(digit - b'0')) % self.step,
            };
            match choices.last_mut() {
                Some((known, _, last)) if *known == next => *last = digit,
                _ => choices.push((next, digit, digit)),
            }
        }
        let choices = choices.into_iter().map(|(next, first, last)| {
            let digits = Expr::Chars(vec![(first.into(), last.into())]);
            Expr::Seq(vec![digits, self.after(rules, next)])
        });
        Expr::Any(choices.collect())
    }

    /// What may follow when the digits before `at.place` stand there.
    fn after(&mut self, rules: &mut Rules, at: At) -> Expr {
        let places = self.low.len();
        let inside = at.place > self.whole;
        let free = (self.whole.saturating_sub(at.place), places - at.place, inside, at.remainder, self.step);
        let known = if at.low || at.high { self.known.get(&at) } else { self.free.get(&free) };
        if let Some(known) = known {
            return known.clone();
        }
        let made = if !at.low && !at.high && self.step == 1 {
            any_digits(rules, free.0, free.1, inside)
        } else {
            let mut choices = Vec::new();
            if at.place >= self.whole && self.may_end(at) {
                choices.push(Expr::empty());
            }
            if at.place == self.whole && at.place < places {
                choices.push(Expr::Seq(vec![Expr::text("."), self.digit(rules, at)]));
            } else if at.place < places {
                choices.push(self.digit(rules, at));
            }
            Expr::Any(choices)
        };
        let made = rules.rule(made);
        match at.low || at.high {
            true => self.known.insert(at, made.clone()),
            false => self.free.insert(free, made.clone()),
        };
        made
    }

    /// Whether zeros at all places that are left give a number within the bounds.
    fn may_end(&self, at: At) -> bool {
        let left = self.low.len() - at.place;
        let zeros = (0..left).fold(at.remainder, |remainder, _| remainder * 10 % self.step);
        zeros == 0 && (!at.low || self.low[at.place..].iter().all(|digit| *digit == b'0'))
    }
}
