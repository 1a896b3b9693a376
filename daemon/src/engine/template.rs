//! Renders a conversation with the model's own chat template, in an environment without loaders and
//! with limited fuel: a template comes with a downloaded model and is not trusted. Text from outside
//! is guarded first, so that what a file says can never become a control token.

use crate::clock::civil;
use crate::protocol::frames::{Fault, Generate};
use crate::types::{Message, Role, ToolChoice, ToolSpec};
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Instructions and, at 64 bytes each, output that one rendering may use: some 128 MB of prompt.
const FUEL: u64 = 2_000_000;
/// Largest template that is compiled.
const MAX_SOURCE: usize = 256 << 10;

/// What most models understand, for a model that brings no template.
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A compiled chat template.
pub struct Template {
    env: Environment<'static>,
    bos: String,
    eos: String,
    tools: bool,
}

impl Template {
    /// `bos` and `eos` are the texts of the model's tokens. The error says what is wrong with the template.
    pub fn new(source: Option<&str>, bos: &str, eos: &str) -> Result<Template, String> {
        let source = without_generation_tags(source.unwrap_or(CHATML));
        if source.len() > MAX_SOURCE {
            return Err(format!("its chat template has {} bytes and {MAX_SOURCE} are allowed", source.len()));
        }
        let tools = source.contains("tools");
        let mut env = environment().map_err(|e| e.to_string())?;
        env.add_template_owned("chat", source)
            .map_err(|e| format!("its chat template cannot be read: {}", one_line(&e)))?;
        Ok(Template { env, bos: bos.into(), eos: eos.into(), tools })
    }

    /// Whether the template itself tells the model of tools.
    pub fn renders_tools(&self) -> bool {
        self.tools
    }

    /// The prompt, with `guard`'s sentinel wherever guarded text would have spelled a control token.
    pub fn render(&self, request: &Generate, guard: &Guard) -> Result<String, Fault> {
        let tools: &[ToolSpec] = if request.tool_choice == ToolChoice::None { &[] } else { &request.tools };
        let tools = tool_values(tools, guard)?;
        let mut messages = message_values(&request.messages, guard)?;
        let mut shown = (!tools.is_empty()).then(|| Value::from(Serde(&tools)));
        if !self.tools && !tools.is_empty() {
            tell_of_tools(&mut messages, &tools);
            shown = None;
        }
        self.run(&messages, shown.clone()).or_else(|error| {
            // Some templates refuse a system message; its words then go in front of the first question.
            let merged = without_system(&messages).ok_or_else(|| refused(&error))?;
            self.run(&merged, shown).map_err(|_| refused(&error))
        })
    }

    fn run(&self, messages: &[Json], tools: Option<Value>) -> Result<String, Error> {
        let template = self.env.get_template("chat")?;
        template.render(context! {
            messages => Value::from(Serde(messages)),
            tools => tools.unwrap_or(Value::from(())),
            documents => Value::from(()),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        })
    }
}

fn refused(error: &Error) -> Fault {
    Fault::Invalid(format!("the model's chat template refuses this conversation: {}", one_line(error)))
}

fn one_line(error: &Error) -> String {
    let text = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    let syntax = minijinja::syntax::SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    env.set_syntax(syntax);
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_filter("tojson", tojson);
    env.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    env.add_function("strftime_now", |format: String| strftime(&format, seconds_now()));
    Ok(env)
}

/// Marks the words that training frameworks need and that Jinja does not know.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        let word = tag.trim_matches(|c| matches!(c, '{' | '%' | '}' | '-' | '+' | ' ' | '\n'));
        out.push_str(&rest[..start]);
        if !matches!(word, "generation" | "endgeneration") {
            out.push_str(tag);
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

/// As Hugging Face's `apply_chat_template` has it: Python's separators, nothing escaped for HTML.
fn tojson(value: Value, indent: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let indent = indent.or(options.get::<Option<usize>>("indent")?);
    let _ = options.get::<Option<bool>>("ensure_ascii");
    let _ = options.get::<Option<bool>>("sort_keys");
    let _ = options.get::<Option<Value>>("separators");
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let done = match indent {
        Some(width) => {
            let pad = " ".repeat(width.min(16));
            let style = serde_json::ser::PrettyFormatter::with_indent(pad.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, style))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)),
    };
    done.map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

/// `{"a": 1, "b": 2}`
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }
    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }
    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, to: &mut W) -> std::io::Result<()> {
        to.write_all(b": ")
    }
}

fn message_values(messages: &[Message], guard: &Guard) -> Result<Vec<Json>, Fault> {
    let mut values = Vec::with_capacity(messages.len());
    for message in messages {
        let content = match message.role {
            // Its own words: marks that the template looks for, such as </think>, must stay findable.
            Role::Assistant => guard.own(&message.content),
            _ => guard.foreign(&message.content),
        };
        let mut value = json!({ "role": message.role.as_str(), "content": content });
        if !message.tool_calls.is_empty() {
            let calls = message
                .tool_calls
                .iter()
                .map(|call| call_value(call, guard))
                .collect::<Result<Vec<_>, _>>()?;
            value["tool_calls"] = Json::Array(calls);
        }
        if let Some(id) = &message.tool_call_id {
            value["tool_call_id"] = json!(guard.foreign(id));
            let called = messages.iter().flat_map(|m| &m.tool_calls).find(|call| call.id == *id);
            if let Some(call) = called {
                value["name"] = json!(guard.foreign(&call.name));
            }
        }
        values.push(value);
    }
    Ok(values)
}

fn call_value(call: &crate::types::ToolCall, guard: &Guard) -> Result<Json, Fault> {
    let arguments: Json = serde_json::from_str(&call.arguments).map_err(|e| {
        Fault::Invalid(format!("the arguments of the earlier call of `{}` are not JSON: {e}", call.name))
    })?;
    Ok(json!({
        "id": guard.foreign(&call.id),
        "type": "function",
        "function": { "name": guard.foreign(&call.name), "arguments": guard.json(arguments) },
    }))
}

fn tool_values(tools: &[ToolSpec], guard: &Guard) -> Result<Vec<Json>, Fault> {
    let value = |tool: &ToolSpec| {
        let parameters: Json = serde_json::from_str(&tool.parameters).map_err(|e| {
            Fault::Invalid(format!("the parameters of tool `{}` are not JSON: {e}", tool.name))
        })?;
        Ok(json!({
            "type": "function",
            "function": {
                "name": guard.foreign(&tool.name),
                "description": guard.foreign(&tool.description),
                "parameters": guard.json(parameters),
            },
        }))
    };
    tools.iter().map(value).collect()
}

/// For a template that knows no tools: Hermes' own words, in the system message.
fn tell_of_tools(messages: &mut Vec<Json>, tools: &[Json]) {
    let list: Vec<String> = tools.iter().map(Json::to_string).collect();
    let words = format!(
        "You may call a function. The functions, as JSON:\n<tools>\n{}\n</tools>\nTo call one, answer with only\n\
         <tool_call>\n{{\"name\": NAME, \"arguments\": ARGUMENTS}}\n</tool_call>",
        list.join("\n")
    );
    match messages.first_mut().filter(|first| first["role"] == "system") {
        Some(first) => {
            let text = first["content"].as_str().unwrap_or_default();
            first["content"] = json!(format!("{text}\n\n{words}"));
        }
        None => messages.insert(0, json!({ "role": "system", "content": words })),
    }
}

fn without_system(messages: &[Json]) -> Option<Vec<Json>> {
    let (first, rest) = messages.split_first()?;
    if first["role"] != "system" {
        return None;
    }
    let mut rest = rest.to_vec();
    let user = rest.iter_mut().find(|message| message["role"] == "user")?;
    let words = format!("{}\n\n{}", first["content"].as_str()?, user["content"].as_str()?);
    user["content"] = json!(words);
    Some(rest)
}

/// Keeps outside text from spelling control tokens: a sentinel character goes inside each spelling,
/// and the tokenizer is later given the prompt in pieces cut at the sentinels.
pub struct Guard<'a> {
    control: &'a Spellings,
    marks: &'a Spellings,
    pub sentinel: char,
}

/// Texts to look for, by their first byte.
pub struct Spellings {
    by_first: Vec<Vec<String>>,
}

impl Spellings {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Spellings {
        let mut by_first = vec![Vec::new(); 256];
        for text in texts {
            if let Some(&first) = text.as_bytes().first() {
                by_first[first as usize].push(text);
            }
        }
        Spellings { by_first }
    }

    fn at(&self, text: &str) -> Option<&String> {
        let first = *text.as_bytes().first()?;
        self.by_first[first as usize].iter().find(|spelling| text.starts_with(spelling.as_str()))
    }
}

impl<'a> Guard<'a> {
    /// `control` are the texts of control tokens; `marks` those of other tokens that the template uses.
    /// The sentinel is a noncharacter that the request does not hold, where there is one.
    pub fn new(control: &'a Spellings, marks: &'a Spellings, request: &Generate) -> Guard<'a> {
        let free = |c: &char| {
            !request
                .messages
                .iter()
                .any(|m| m.content.contains(*c) || m.tool_calls.iter().any(|t| t.arguments.contains(*c)))
                && !request.tools.iter().any(|t| t.description.contains(*c) || t.parameters.contains(*c))
        };
        let sentinel = ('\u{FDD0}'..='\u{FDEF}').find(free).unwrap_or('\u{FDD0}');
        Guard { control, marks, sentinel }
    }

    fn foreign(&self, text: &str) -> String {
        self.guarded(text, |rest| self.control.at(rest).or_else(|| self.marks.at(rest)).is_some())
    }

    fn own(&self, text: &str) -> String {
        self.guarded(text, |rest| self.control.at(rest).is_some())
    }

    fn guarded(&self, text: &str, spells: impl Fn(&str) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            out.push(c);
            if spells(&text[at..]) {
                out.push(self.sentinel);
            }
        }
        out
    }

    fn json(&self, value: Json) -> Json {
        match value {
            Json::String(text) => Json::String(self.foreign(&text)),
            Json::Array(items) => Json::Array(items.into_iter().map(|item| self.json(item)).collect()),
            Json::Object(map) => {
                let map: Map<String, Json> =
                    map.into_iter().map(|(key, item)| (self.foreign(&key), self.json(item))).collect();
                Json::Object(map)
            }
            other => other,
        }
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The part of C's `strftime` that chat templates use, in UTC.
fn strftime(format: &str, seconds: u64) -> String {
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
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let days = seconds / 86_400;
    let (year, month, day) = civil(days as i64);
    let (name, weekday) = (MONTHS[month as usize - 1], DAYS[(days % 7) as usize]);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out += &format!("{day:02}"),
            Some('m') => out += &format!("{month:02}"),
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &format!("{:02}", year % 100),
            Some('B') => out += name,
            Some('b') => out += &name[..3],
            Some('A') => out += weekday,
            Some('a') => out += &weekday[..3],
            Some('H') => out += &format!("{:02}", seconds / 3600 % 24),
            Some('M') => out += &format!("{:02}", seconds / 60 % 60),
            Some('S') => out += &format!("{:02}", seconds % 60),
            Some(other) => out.push(other),
            None => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
