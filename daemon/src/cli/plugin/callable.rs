//! Whether a model can call a plugin's tools: its calls are written under grammars, which are made of the tools'
//! schemas. Asked by `build` and `install`, here and not in the daemon, as a hostile schema can make it long.

use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::one_line;
use crate::engine::grammar;
use serde_json::Value;

/// Refuses tools, by name and parameters, that a model cannot call.
pub fn check<'t>(tools: impl IntoIterator<Item = (&'t str, &'t Value)>) -> Outcome {
    for (name, parameters) in tools {
        grammar::check(&parameters.to_string()).map_err(|why| {
            let (name, why) = (one_line(name, 100), one_line(&why, 300));
            let message = format!(
                "a model cannot be held to the schema of the tool `{name}` while it writes a call: {why}; take that \
                 out of the schema, and let the tool itself check it"
            );
            Failure::new(Exit::Usage, message)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tool_that_no_model_can_call_is_refused_by_name_and_keyword() {
        let good =
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}});
        let mut unique = good.clone();
        unique["properties"]["a"]["uniqueItems"] = true.into();
        assert!(check([("list", &good)]).is_ok());
        let told = check([("list", &good), ("set", &unique)]).err().unwrap().to_string();
        for part in ["`set`", "`uniqueItems`", "let the tool itself check it"] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }
}
