//! Exact arithmetic with units and percentages, by fend. It asks for no grant: it is nothing but its answers.

mod calculate;
mod reading;

use familiar_sdk::serde::Serialize;
use familiar_sdk::{Output, Result, tool};

/// The answer for programs.
#[derive(Serialize)]
#[serde(crate = "familiar_sdk::serde")]
struct Answer<'a> {
    expression: &'a str,
    result: &'a str,
    /// False if digits were cut off or a function such as `sin` rounds.
    exact: bool,
}

/// Calculates an expression exactly: arithmetic, fractions, powers, roots, percentages and units.
///
/// Examples: `1/3 + 1/6`, `15% of 80`, `80 + 19%`, `5 ft 3 in to cm`, `100 km / (45 min) in km/h`, `2^64`,
/// `sqrt 2`, `17 mod 5`.
#[tool]
fn calculate(
    /// What to calculate, without an equals sign at its end
    expression: String,
) -> Result<Output> {
    answer(&expression)
}

/// Converts an amount from one unit to another, such as miles to km, cups to ml or Fahrenheit to Celsius.
#[tool]
fn convert(
    /// How much, as a number such as `12.5`, or `5 ft 3 in` without `from`
    amount: String,
    /// The unit it is in, such as `mile`, `kg`, `GiB` or `°F`
    #[serde(default)]
    from: String,
    /// The unit wanted, such as `km`
    to: String,
) -> Result<Output> {
    answer(&format!("{amount} {from} to {to}"))
}

fn answer(expression: &str) -> Result<Output> {
    let answer = calculate::evaluate(expression)?;
    let about = if answer.exact { "=" } else { "≈" };
    let data = Answer { expression, result: &answer.result, exact: answer.exact };
    Ok(Output::text(format!("{} {about} {}", expression.trim(), answer.result)).with_data(&data))
}

familiar_sdk::plugin!(calculate, convert);
