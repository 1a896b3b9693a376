//! The owner's local model. Needs `[wants.generate]` with the tokens that a call may have it write.
//!
//! ```no_run
//! use familiar_sdk::{generate::Prompt, Result};
//!
//! fn shorten(text: &str) -> Result<String> {
//!     let reply = Prompt::new(format!("Say this in one sentence:\n\n{text}"))
//!         .system("You write plainly.")
//!         .max_tokens(80)
//!         .ask()?;
//!     Ok(reply.text)
//! }
//! ```

use crate::bindings::familiar::plugin::generate as host;
pub use crate::bindings::familiar::plugin::generate::{Error, Reply};
use crate::{Result, schema};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// What the model is asked.
#[derive(Debug, Clone)]
pub struct Prompt(host::Request);

impl Prompt {
    /// 200 tokens at most, always the likeliest word, unless changed.
    pub fn new(prompt: impl Into<String>) -> Prompt {
        Prompt(host::Request {
            system: String::new(),
            prompt: prompt.into(),
            max_tokens: 200,
            temperature: 0.0,
            schema: None,
        })
    }

    /// What the model is told to be.
    pub fn system(mut self, system: impl Into<String>) -> Prompt {
        self.0.system = system.into();
        self
    }

    pub fn max_tokens(mut self, tokens: u32) -> Prompt {
        self.0.max_tokens = tokens;
        self
    }

    /// 0 = always the likeliest word.
    pub fn temperature(mut self, temperature: f32) -> Prompt {
        self.0.temperature = temperature;
        self
    }

    /// # Errors
    /// [`Error::Budget`] and [`Error::TooLong`] say how much is left.
    pub fn ask(self) -> Result<Reply, Error> {
        host::text(&self.0)
    }

    /// An answer that is a `T`: the model can write nothing that its JSON Schema does not allow.
    ///
    /// # Errors
    /// Those of [`ask`](Prompt::ask), and a failure if the answer was cut before its end.
    pub fn ask_for<T: DeserializeOwned + JsonSchema>(mut self) -> Result<T> {
        self.0.schema = Some(schema::of::<T>().to_string());
        let reply = self.ask()?;
        serde_json::from_str(&reply.text).map_err(|error| {
            let why = if reply.cut { "it was cut: allow more tokens".into() } else { error.to_string() };
            crate::Error::failed(format!("the model's answer cannot be read: {why}"))
        })
    }
}
