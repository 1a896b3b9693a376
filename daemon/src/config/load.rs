//! Reads `config.toml` and says where each value came from. It reads the one file it is given and
//! writes nothing; a file that is wrong in any way gives no settings at all, only the list of what to mend.

use super::check::{self, check};
use super::{Config, Hours, IndexConfig, LearnConfig, LogConfig, ModelConfig, SOURCES};
use ignore::gitignore::GitignoreBuilder;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::de::DeTable;
use tracing_subscriber::EnvFilter;

/// No settings file is longer than this many bytes.
const LONGEST: u64 = 1 << 20;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} cannot be read: {error}", .file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{} cannot be written: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },
    /// One line for each problem, `FILE:LINE: what`.
    #[error("{}", listed(.file, .problems))]
    Invalid { file: PathBuf, problems: Vec<Problem> },
}

/// One thing to mend. `line` is 1-based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    pub what: String,
}

fn listed(file: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}:{}: {}", file.display(), problem.line, problem.what))
        .collect();
    lines.join("\n")
}

/// Settings and their origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// The file that was looked for; it may be absent.
    pub file: PathBuf,
    lines: BTreeMap<String, usize>,
}

/// One setting as `familiar config show` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Table and name, as `model.threads`.
    pub key: String,
    pub value: Value,
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    Default,
    File { line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { line } => write!(f, "line {line}"),
        }
    }
}

impl Loaded {
    /// The defaults, for a `file` that is absent.
    pub fn defaults(file: &Path) -> Loaded {
        Loaded { config: Config::default(), file: file.to_owned(), lines: BTreeMap::new() }
    }

    /// Every setting with its effective value, in the order of the documentation.
    pub fn settings(&self) -> Vec<Setting> {
        // Through text, since a JSON value made from an f32 directly shows digits nobody wrote.
        let values: Value = serde_json::to_string(&self.config)
            .and_then(|text| serde_json::from_str(&text))
            .unwrap_or_default();
        check::keys(&schema())
            .into_iter()
            .map(|key| {
                let value = key.split('.').fold(&values, |value, part| &value[part]).clone();
                let origin = match self.lines.get(&key) {
                    Some(line) => Origin::File { line: *line },
                    None => Origin::Default,
                };
                Setting { key, value, origin }
            })
            .collect()
    }
}

/// Reads and validates `file`; an absent one means the defaults.
pub fn load(file: &Path) -> Result<Loaded, ConfigError> {
    match read(file) {
        Ok(text) => parse(file, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Loaded::defaults(file)),
        Err(error) => Err(ConfigError::Read { file: file.to_owned(), error }),
    }
}

/// The file's text. A FIFO or a device is refused before it is opened, since reading one may never end.
pub(super) fn read(file: &Path) -> io::Result<String> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    std::fs::File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(text)
}

/// Validates `text`; `file` names it in messages.
pub(super) fn parse(file: &Path, text: &str) -> Result<Loaded, ConfigError> {
    let invalid = |problems| ConfigError::Invalid { file: file.to_owned(), problems };
    let table = DeTable::parse(text).map_err(|error| invalid(vec![syntax(text, &error)]))?;
    let found = check(text, table.get_ref(), &schema());
    if !found.problems.is_empty() {
        return Err(invalid(found.problems));
    }
    let config: Config = toml::from_str(text).map_err(|error| invalid(vec![syntax(text, &error)]))?;
    let problems: Vec<Problem> = meaning(&config)
        .into_iter()
        .map(|(key, what)| Problem {
            line: found.lines.get(key).copied().unwrap_or(1),
            what: format!("`{key}` {what}"),
        })
        .collect();
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    Ok(Loaded { config, file: file.to_owned(), lines: found.lines })
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    Problem { line: check::line_of(text, offset), what: error.message().replace('\n', ", ") }
}

/// What types and ranges cannot say: settings whose text has a language of its own.
fn meaning(config: &Config) -> Vec<(&'static str, String)> {
    let Config { model, ask: _, index, plugins: _, learn, desktop: _, log } = config;
    [
        model_name(model),
        adapter(model),
        exclude(index),
        sources(learn),
        folders(learn),
        parts(learn),
        hours(learn),
        level(log),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn model_name(model: &ModelConfig) -> Option<(&'static str, String)> {
    let name = &model.name;
    let good =
        !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control());
    (!good).then(|| {
        ("model.name", "must be a model's name (`familiar model list` prints them), not a path".into())
    })
}

fn adapter(model: &ModelConfig) -> Option<(&'static str, String)> {
    let name = &model.adapter;
    let good = name.starts_with('/') || !(name.is_empty() || name.starts_with('.') || name.contains('/'));
    (!good || name.contains(char::is_control))
        .then(|| ("model.adapter", "must be an adapter's name, an absolute path, or `none`".into()))
}

fn exclude(index: &IndexConfig) -> Option<(&'static str, String)> {
    let mut builder = GitignoreBuilder::new("/");
    index.exclude.iter().find_map(|pattern| {
        let error = builder.add_line(None, pattern).err()?;
        Some(("index.exclude", format!("has a pattern that cannot be understood: {error}")))
    })
}

fn sources(learn: &LearnConfig) -> Option<(&'static str, String)> {
    let unknown = learn.sources.iter().find(|source| !SOURCES.contains(&source.as_str()))?;
    Some(("learn.sources", format!("may hold {}, not {unknown:?}", SOURCES.join(", "))))
}

fn folders(learn: &LearnConfig) -> Option<(&'static str, String)> {
    let relative = learn.folders.iter().find(|folder| !folder.starts_with('/'))?;
    Some(("learn.folders", format!("must hold absolute paths, not {relative:?}")))
}

fn parts(learn: &LearnConfig) -> Option<(&'static str, String)> {
    let none = learn.distilled == 0 && learn.style == 0;
    none.then(|| ("learn.distilled", "must not be 0 where `style` is: nothing would be learned".into()))
}

fn hours(learn: &LearnConfig) -> Option<(&'static str, String)> {
    let text = learn.hours.as_str();
    if text.is_empty() {
        return None;
    }
    let error = text.parse::<Hours>().err()?;
    Some(("learn.hours", format!("{error}, not {text:?}")))
}

fn level(log: &LogConfig) -> Option<(&'static str, String)> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = log.level.as_str();
    // A lone word would be taken for a module's name, and a misspelt level would silence the log.
    let lone = text.chars().all(|c| c.is_ascii_alphanumeric());
    if lone && !LEVELS.contains(&text.to_ascii_lowercase().as_str()) {
        return Some((
            "log.level",
            format!("must be one of {}, or a filter, not {text:?}", LEVELS.join(", ")),
        ));
    }
    let error = EnvFilter::builder().parse(text).err()?;
    Some(("log.level", format!("is not a filter: {error}")))
}

/// The JSON Schema of `config.toml`, without references, with every default and limit.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    schema.insert("title".into(), "Familiar's config.toml".into());
    schema.into()
}
