//! A plugin for Familiar. `familiar plugin test` runs it; `familiar plugin build` makes a package of it.

use familiar_sdk::{Error, Result, kv, tool};

/// Greets a person by name, and says how often they were greeted.
#[tool]
fn greet(
    /// The person's name
    name: String,
) -> Result<String> {
    let name = checked(&name)?;
    let times = kv::update(&name, |times: Option<u32>| times.unwrap_or(0) + 1)?;
    Ok(greeting(&name, times))
}

familiar_sdk::plugin!(greet);

fn checked(name: &str) -> Result<String> {
    match name.trim() {
        "" => Err(Error::invalid("the name is empty: say who is to be greeted")),
        name => Ok(name.to_owned()),
    }
}

fn greeting(name: &str, times: u32) -> String {
    match times {
        1 => format!("Hello, {name}!"),
        _ => format!("Hello again, {name}! That makes {times} times."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_greeting_counts() {
        assert_eq!(greeting("Ada", 1), "Hello, Ada!");
        assert_eq!(greeting("Ada", 2), "Hello again, Ada! That makes 2 times.");
        assert!(checked(" ").is_err());
    }
}
