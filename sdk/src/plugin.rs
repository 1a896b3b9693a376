//! The plugin as a whole: its tools by name, their descriptions, and how a call finds its function.
//! Nothing here knows of WebAssembly, so tests on any machine call a plugin as the daemon does.

use crate::{Error, Output, Result, schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// What a tool may know of its surroundings: a parameter `context: &Context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The conversation that the call belongs to, as an opaque id; empty when the owner calls by hand.
    pub session: String,
    /// The owner's language as a BCP 47 tag, such as `en` or `de-AT`.
    pub language: String,
    /// How long the call may take from its start; after that it is ended.
    pub deadline: Duration,
}

impl Default for Context {
    /// The owner, by hand, in English, with half a minute.
    fn default() -> Context {
        Context { session: String::new(), language: "en".into(), deadline: Duration::from_secs(30) }
    }
}

/// All arguments as one type of the author's: `fn add(Args(note): Args<NewNote>)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Args<T>(pub T);

/// What `#[tool]` makes of a function.
pub trait Tool {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    type Arguments: DeserializeOwned + schemars::JsonSchema;
    fn call(arguments: Self::Arguments, context: &Context) -> Result<Output>;
}

/// A tool, whatever its types.
pub struct Entry {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
    call: fn(&str, &Context) -> Result<Output>,
}

impl Entry {
    pub const fn of<T: Tool>() -> Entry {
        Entry {
            name: T::NAME,
            description: T::DESCRIPTION,
            schema: schema::of::<T::Arguments>,
            call: call::<T>,
        }
    }
}

fn call<T: Tool>(arguments: &str, context: &Context) -> Result<Output> {
    T::call(parse(arguments)?, context)
}

/// Reads arguments; an error names the one that is wrong.
fn parse<T: DeserializeOwned>(arguments: &str) -> Result<T> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    // serde would take a list for a struct, in the order of its fields.
    if !arguments.trim_start().starts_with('{') {
        return Err(Error::invalid("arguments are a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(arguments);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => Error::invalid(error.inner()),
            _ => Error::invalid(format!("`{path}`: {}", error.inner())),
        }
    })?;
    json.end().map_err(Error::invalid)?;
    Ok(parsed)
}

/// The tools of a plugin; [`plugin!`](crate::plugin!) makes it and calls it `PLUGIN`.
pub struct Plugin {
    tools: &'static [Entry],
}

/// What the daemon is told of a tool.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    description: &'static str,
    parameters: Value,
}

impl Plugin {
    /// # Panics
    /// If two tools have one name; as it is called at build time, the build fails.
    pub const fn new(tools: &'static [Entry]) -> Plugin {
        let mut a = 0;
        while a < tools.len() {
            let mut b = a + 1;
            while b < tools.len() {
                assert!(!same(tools[a].name, tools[b].name), "two tools of this plugin have the same name");
                b += 1;
            }
            a += 1;
        }
        Plugin { tools }
    }

    /// Runs a tool, as the daemon would: `arguments` is a JSON object.
    ///
    /// # Errors
    /// The tool's own, [`Error::NotFound`] if there is no such tool, and [`Error::InvalidArguments`]
    /// naming the argument that cannot be read.
    pub fn call(&self, tool: &str, arguments: &str, context: &Context) -> Result<Output> {
        let Some(entry) = self.tools.iter().find(|entry| entry.name == tool) else {
            let names: Vec<_> = self.tools.iter().map(|entry| entry.name).collect();
            return Err(Error::not_found(format!(
                "there is no tool `{tool}` here; there are {}",
                names.join(", ")
            )));
        };
        (entry.call)(arguments, context)
    }

    /// The tools as the daemon wants them: `[{"name", "description", "parameters"}]`, where the last is
    /// a JSON Schema.
    pub fn describe(&self) -> String {
        let all = self.tools.iter().map(|entry| Described {
            name: entry.name,
            description: entry.description,
            parameters: (entry.schema)(),
        });
        serde_json::to_string(&all.collect::<Vec<_>>()).expect("names, descriptions and schemas are JSON")
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
