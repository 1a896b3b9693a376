//! OpenAI's shapes of chat completions, and the way from a request to what the engine is asked. Pure:
//! fields that are not known are ignored as OpenAI does, values that cannot be honoured are refused.

use crate::config::AskConfig;
use crate::protocol::frames::{Generate, Sampling};
use crate::types::{Finish, Message, Role, ToolCall, ToolChoice, ToolSpec, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

#[cfg(test)]
mod tests;

const MAX_TOOLS: usize = 128;
const MAX_STOPS: usize = 16;

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ChatRequest {
    pub model: String,
    pub messages: Vec<ChatMessage>,
    pub tools: Option<Vec<Tool>>,
    /// `auto`, `none`, `required`, or `{"type":"function","function":{"name":..}}`
    pub tool_choice: Option<Value>,
    pub response_format: Option<ResponseFormat>,
    /// 0 to 2; the daemon's own setting when absent.
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub max_tokens: Option<u32>,
    pub max_completion_tokens: Option<u32>,
    pub stop: Option<Stop>,
    pub seed: Option<i64>,
    /// Only 1.
    pub n: Option<u32>,
    /// Not supported: refused when true.
    pub logprobs: Option<bool>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`
    pub role: String,
    pub content: Option<Content>,
    pub tool_calls: Option<Vec<ChatToolCall>>,
    pub tool_call_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// Only parts of type `text`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Part {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Tool {
    #[serde(rename = "type")]
    pub kind: String,
    pub function: Option<ToolFunction>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ToolFunction {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of an object.
    pub parameters: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`
    #[serde(rename = "type")]
    pub kind: String,
    pub json_schema: Option<NamedSchema>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NamedSchema {
    pub schema: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatToolCall {
    /// Place among the answer's calls; only in a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub function: CalledFunction,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CalledFunction {
    pub name: String,
    /// A JSON object as text.
    pub arguments: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatCompletion {
    pub id: String,
    pub object: &'static str,
    pub created: i64,
    pub model: String,
    pub choices: Vec<Choice>,
    pub usage: ChatUsage,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Choice {
    pub index: u32,
    pub message: Answer,
    pub finish_reason: &'static str,
    pub logprobs: Option<Value>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer {
    pub role: &'static str,
    /// Null when the answer is nothing but tool calls.
    pub content: Option<String>,
    pub refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ChatToolCall>,
}

/// One server-sent event of a streamed completion.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChatChunk {
    pub id: String,
    pub object: &'static str,
    pub created: i64,
    pub model: String,
    /// Empty in the last chunk when usage was asked for.
    pub choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChunkChoice {
    pub index: u32,
    pub delta: Delta,
    pub finish_reason: Option<&'static str>,
    pub logprobs: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ChatToolCall>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ChatUsage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub total_tokens: u32,
    pub prompt_tokens_details: PromptDetails,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct PromptDetails {
    pub cached_tokens: u32,
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        ChatUsage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
        }
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelList {
    pub object: &'static str,
    pub data: Vec<Model>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Model {
    pub id: String,
    pub object: &'static str,
    /// Always 0: when a model was made is not known.
    pub created: i64,
    pub owned_by: &'static str,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorReply {
    pub error: ErrorDetail,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub param: Option<String>,
    pub code: Option<String>,
}

/// A field whose value cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {message}")]
pub struct Invalid {
    pub param: String,
    pub message: String,
    pub code: Option<&'static str>,
}

fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, Invalid> {
    let (param, message) = (param.into(), message.into());
    Err(Invalid { message: format!("{param}: {message}"), param, code: None })
}

/// OpenAI's word for why an answer ended.
pub fn finish_reason(finish: Finish, called: bool) -> &'static str {
    match finish {
        _ if called => "tool_calls",
        Finish::Length => "length",
        Finish::Stop | Finish::ToolCalls | Finish::Cancelled => "stop",
    }
}

impl ChatRequest {
    /// What the engine is asked. `defaults` stand in for absent values, `seed` for an absent seed.
    pub fn generate(&self, defaults: &AskConfig, seed: u32) -> Result<Generate, Invalid> {
        if self.n.is_some_and(|n| n != 1) {
            return invalid("n", "only one answer at a time: leave it out or set it to 1");
        }
        if self.logprobs == Some(true) {
            return invalid("logprobs", "probabilities are not given: leave it out");
        }
        if self.messages.is_empty() {
            return invalid("messages", "at least one message is needed");
        }
        let messages =
            self.messages.iter().enumerate().map(|(n, message)| message.read(n)).collect::<Result<_, _>>()?;
        let tools = self.read_tools()?;
        Ok(Generate {
            messages,
            tool_choice: self.read_tool_choice(&tools)?,
            tools,
            json_schema: self.response_format.as_ref().map_or(Ok(None), ResponseFormat::read)?,
            sampling: self.read_sampling(defaults, seed)?,
        })
    }

    pub fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    pub fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    fn read_tools(&self) -> Result<Vec<ToolSpec>, Invalid> {
        let tools = self.tools.as_deref().unwrap_or_default();
        if tools.len() > MAX_TOOLS {
            return invalid("tools", format!("{} tools, at most {MAX_TOOLS} are taken", tools.len()));
        }
        let specs = tools.iter().enumerate().map(|(n, tool)| tool.read(n)).collect::<Result<Vec<_>, _>>()?;
        for (n, spec) in specs.iter().enumerate() {
            if specs[..n].iter().any(|other| other.name == spec.name) {
                return invalid(
                    format!("tools[{n}].function.name"),
                    format!("`{}` is there twice", spec.name),
                );
            }
        }
        Ok(specs)
    }

    fn read_tool_choice(&self, tools: &[ToolSpec]) -> Result<ToolChoice, Invalid> {
        let choice = match &self.tool_choice {
            None | Some(Value::Null) => ToolChoice::Auto,
            Some(Value::String(word)) => match word.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                other => {
                    return invalid(
                        "tool_choice",
                        format!("`{other}` is not auto, none, required or a function"),
                    );
                }
            },
            Some(value) => match value.pointer("/function/name").and_then(Value::as_str) {
                Some(name) => ToolChoice::Named(name.into()),
                None => {
                    return invalid(
                        "tool_choice",
                        "a function needs {\"type\":\"function\",\"function\":{\"name\":..}}",
                    );
                }
            },
        };
        match &choice {
            ToolChoice::Required if tools.is_empty() => invalid("tool_choice", "`required` needs tools"),
            ToolChoice::Named(name) if !tools.iter().any(|tool| tool.name == *name) => {
                invalid("tool_choice", format!("there is no tool `{name}` in tools"))
            }
            _ => Ok(choice),
        }
    }

    fn read_sampling(&self, defaults: &AskConfig, seed: u32) -> Result<Sampling, Invalid> {
        let temperature = self.temperature.unwrap_or(defaults.temperature);
        if !(0.0..=2.0).contains(&temperature) {
            return invalid("temperature", format!("{temperature} is not between 0 and 2"));
        }
        let top_p = self.top_p.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&top_p) {
            return invalid("top_p", format!("{top_p} is not between 0 and 1"));
        }
        let max_tokens = self.max_completion_tokens.or(self.max_tokens).unwrap_or(defaults.max_tokens);
        if max_tokens == 0 {
            return invalid("max_tokens", "an answer needs at least one token");
        }
        let stop = match &self.stop {
            None => Vec::new(),
            Some(Stop::One(stop)) => vec![stop.clone()],
            Some(Stop::Many(stops)) => stops.clone(),
        };
        if stop.len() > MAX_STOPS || stop.iter().any(String::is_empty) {
            return invalid("stop", format!("at most {MAX_STOPS} texts, none of them empty"));
        }
        // Any number names a seed; the engine's have 32 bits.
        let seed = self.seed.map_or(seed, |seed| seed as u32);
        Ok(Sampling { temperature, top_p, seed, max_tokens, stop, ..Sampling::default() })
    }
}

impl ChatMessage {
    fn read(&self, n: usize) -> Result<Message, Invalid> {
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => return invalid(format!("messages[{n}].role"), format!("`{other}` is not a role")),
        };
        let calls = self.tool_calls.as_deref().unwrap_or_default();
        if !calls.is_empty() && role != Role::Assistant {
            return invalid(format!("messages[{n}].tool_calls"), "only the assistant calls tools");
        }
        if role == Role::Tool && self.tool_call_id.is_none() {
            return invalid(
                format!("messages[{n}].tool_call_id"),
                "a tool's message names the call it answers",
            );
        }
        let content = match &self.content {
            Some(content) => content.read(n)?,
            None if role == Role::Assistant => String::new(),
            None => return invalid(format!("messages[{n}].content"), "missing"),
        };
        let tool_calls = calls.iter().map(ChatToolCall::read).collect();
        Ok(Message { role, content, tool_calls, tool_call_id: self.tool_call_id.clone() })
    }
}

impl Content {
    fn read(&self, n: usize) -> Result<String, Invalid> {
        let parts = match self {
            Content::Text(text) => return Ok(text.clone()),
            Content::Parts(parts) => parts,
        };
        let mut joined = String::new();
        for (m, part) in parts.iter().enumerate() {
            match (part.kind.as_str(), &part.text) {
                ("text", Some(text)) => joined.push_str(text),
                ("text", None) => return invalid(format!("messages[{n}].content[{m}].text"), "missing"),
                (other, _) => {
                    let message = format!("parts of type `{other}` are not understood, only `text`");
                    return invalid(format!("messages[{n}].content[{m}].type"), message);
                }
            }
        }
        Ok(joined)
    }
}

impl ChatToolCall {
    fn read(&self) -> ToolCall {
        let function = &self.function;
        ToolCall { id: self.id.clone(), name: function.name.clone(), arguments: function.arguments.clone() }
    }
}

impl Tool {
    fn read(&self, n: usize) -> Result<ToolSpec, Invalid> {
        let (Some(function), "function") = (&self.function, self.kind.as_str()) else {
            return invalid(
                format!("tools[{n}].type"),
                "only functions: {\"type\":\"function\",\"function\":{..}}",
            );
        };
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&function.name.len()) || !function.name.bytes().all(good) {
            let message = "a name is 1 to 64 letters, digits, `_` or `-`";
            return invalid(format!("tools[{n}].function.name"), message);
        }
        let parameters = match &function.parameters {
            None | Some(Value::Null) => r#"{"type":"object","properties":{}}"#.into(),
            Some(schema @ Value::Object(_)) => schema.to_string(),
            Some(_) => return invalid(format!("tools[{n}].function.parameters"), "not a JSON Schema object"),
        };
        let description = function.description.clone().unwrap_or_default();
        Ok(ToolSpec { name: function.name.clone(), description, parameters })
    }
}

impl ResponseFormat {
    fn read(&self) -> Result<Option<String>, Invalid> {
        match self.kind.as_str() {
            "text" => Ok(None),
            "json_object" => Ok(Some(r#"{"type":"object"}"#.into())),
            "json_schema" => match self.json_schema.as_ref().and_then(|named| named.schema.as_ref()) {
                Some(schema @ Value::Object(_)) => Ok(Some(schema.to_string())),
                _ => invalid("response_format.json_schema.schema", "a JSON Schema object is needed"),
            },
            other => {
                invalid("response_format.type", format!("`{other}` is not text, json_object or json_schema"))
            }
        }
    }
}
