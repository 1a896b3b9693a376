//! The guest of `familiar bench plugin`: `echo` reads its JSON and writes it back, `wait` asks the owner,
//! `spin` never ends. Built apart from the workspace, for wasm32-wasip2.

wit_bindgen::generate!({ path: "../../../sdk/wit", world: "plugin" });

use exports::familiar::plugin::tools::{Context, Guest, Output, ToolError};
use familiar::plugin::ask_user;

struct Echo;

export!(Echo);

impl Guest for Echo {
    fn call(tool: String, arguments: String, _context: Context) -> Result<Output, ToolError> {
        match tool.as_str() {
            "echo" => {
                let value: serde_json::Value = serde_json::from_str(&arguments)
                    .map_err(|error| ToolError::InvalidArguments(error.to_string()))?;
                Ok(Output { text: value.to_string(), data: None, sources: Vec::new() })
            }
            "wait" => {
                let yes = ask_user::confirm("Go on?").map_err(|error| ToolError::Failed(format!("{error:?}")))?;
                Ok(Output { text: yes.to_string(), data: None, sources: Vec::new() })
            }
            "spin" => loop {
                std::hint::black_box(&arguments);
            },
            _ => Err(ToolError::NotFound(format!("no tool {tool:?}"))),
        }
    }
}
