//! The cases of `plugin test` as files have them: a call, what it is given, what is expected of it. Pure
//! data; unknown keys are refused with their line.

use crate::plugins::wish;
use crate::policy::grants::{Grants, Interface};
use crate::types::Origin;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    #[serde(rename = "case", default)]
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// Without the plugin's name.
    pub tool: String,
    #[serde(default, deserialize_with = "json")]
    pub arguments: Json,
    #[serde(default = "english")]
    pub language: String,
    #[serde(default)]
    pub session: String,
    /// Interfaces; absent: all that the plugin asks for.
    pub grants: Option<Vec<Interface>>,
    #[serde(default)]
    pub given: Given,
    #[serde(default)]
    pub expect: Expect,
}

fn english() -> String {
    "en".into()
}

/// The world that the call sees.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    #[serde(deserialize_with = "seconds")]
    pub now: i64,
    /// Minutes ahead of UTC.
    pub offset: i32,
    pub kv: BTreeMap<String, String>,
    pub hits: Vec<Hit>,
    pub files: Vec<File>,
    pub replies: Vec<String>,
    pub responses: Vec<Response>,
    #[serde(deserialize_with = "answers")]
    pub answers: Vec<Answer>,
}

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;

impl Default for Given {
    fn default() -> Given {
        Given {
            now: NOW,
            offset: 0,
            kv: BTreeMap::new(),
            hits: Vec::new(),
            files: Vec::new(),
            replies: Vec::new(),
            responses: Vec::new(),
            answers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    pub path: String,
    pub text: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub breadcrumb: String,
    #[serde(default)]
    pub start: u64,
    #[serde(default = "one")]
    pub line: u32,
    pub page: Option<u32>,
    #[serde(default = "full")]
    pub score: f32,
    #[serde(default = "of_a_file")]
    pub origin: Origin,
}

fn one() -> u32 {
    1
}

fn full() -> f32 {
    1.0
}

fn of_a_file() -> Origin {
    Origin::File
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: String,
    pub text: String,
    #[serde(default, deserialize_with = "seconds")]
    pub modified: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    #[serde(default = "get")]
    pub method: String,
    pub url: String,
    #[serde(default = "fine")]
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

fn get() -> String {
    "GET".into()
}

fn fine() -> u16 {
    200
}

/// The owner's answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Choice(u32),
    NoneOfThem,
}

/// What is not named is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    pub text: Option<String>,
    /// Parts of the text, or of the error's sentence.
    pub contains: Vec<String>,
    #[serde(deserialize_with = "some_json")]
    pub data: Option<Json>,
    pub sources: Option<Vec<Source>>,
    pub error: Option<Kind>,
    pub kv: Option<BTreeMap<String, String>>,
    pub notices: Option<Vec<Notice>>,
    pub requests: Option<Vec<Request>>,
    /// A part of each prompt.
    pub prompts: Option<Vec<String>>,
    pub questions: Option<Vec<String>>,
    /// Parts of lines.
    pub log: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    InvalidArguments,
    NotFound,
    Denied,
    Unavailable,
    Failed,
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub path: String,
    pub start: u64,
    pub end: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub title: String,
    pub body: String,
    /// Of one that is planned.
    #[serde(default, deserialize_with = "some_seconds")]
    pub at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default = "get")]
    pub method: String,
    pub url: String,
    #[serde(default)]
    pub body: String,
    pub credential: Option<String>,
}

impl Case {
    /// What the owner is taken to have granted.
    pub fn granted(&self, wants: &Grants) -> Grants {
        let Some(granted) = &self.grants else { return wants.clone() };
        granted.iter().fold(Grants::default(), |all, interface| wish::with(&all, wants, *interface))
    }
}

fn json<'de, D: Deserializer<'de>>(from: D) -> Result<Json, D::Error> {
    toml::Value::deserialize(from).map(of_toml)
}

fn some_json<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    json(from).map(Some)
}

/// Dates become the text that they are written as.
pub fn of_toml(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(of_toml).collect(),
        toml::Value::Table(table) => {
            Json::Object(table.into_iter().map(|(key, value)| (key, of_toml(value))).collect::<Map<_, _>>())
        }
    }
}

/// Seconds since 1970, from a number or a date.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let wrong = serde::de::Error::custom("give seconds since 1970, or a date such as 2026-11-23T10:00:00Z");
    match toml::Value::deserialize(from)? {
        toml::Value::Integer(seconds) => Ok(seconds),
        toml::Value::Datetime(date) => since_1970(&date).ok_or(wrong),
        _ => Err(wrong),
    }
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    seconds(from).map(Some)
}

/// Days are counted as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms". A date without
/// an offset is UTC.
fn since_1970(date: &toml::value::Datetime) -> Option<i64> {
    let day = date.date?;
    let (month, year) = (i64::from(day.month), i64::from(day.year) - i64::from(day.month <= 2));
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day.day) - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let time = date.time.map_or(0, |time| {
        i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second.unwrap_or(0))
    });
    let ahead = match date.offset {
        Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes) * 60,
        _ => 0,
    };
    Some(days * 86_400 + time - ahead)
}

fn answers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Answer>, D::Error> {
    let wrong =
        || serde::de::Error::custom("an answer is true, false, an option's place from 0, or \"none\"");
    let given = Vec::<toml::Value>::deserialize(from)?;
    let answer = |value: toml::Value| match value {
        toml::Value::Boolean(true) => Ok(Answer::Yes),
        toml::Value::Boolean(false) => Ok(Answer::No),
        toml::Value::Integer(place) => u32::try_from(place).map(Answer::Choice).map_err(|_| wrong()),
        toml::Value::String(word) if word == "none" => Ok(Answer::NoneOfThem),
        _ => Err(wrong()),
    };
    given.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Case, toml::de::Error> {
        toml::from_str::<Cases>(&format!("[[case]]\nname = 'x'\ntool = 'y'\n{text}"))
            .map(|mut cases| cases.cases.remove(0))
    }

    #[test]
    fn a_case_needs_little_and_may_say_much() {
        let least = read("").unwrap();
        assert_eq!((least.given.now, least.language.as_str()), (NOW, "en"));
        let case = read(
            "arguments = { n = 1, when = 2026-01-02, deep = { list = [1.5, true] } }\ngrants = ['kv']\n\
             [case.given]\nnow = 2026-11-23T10:00:00+01:00\nanswers = [true, 1, 'none']\nkv = { a = 'b' }\n\
             files = [{ path = '/a', text = 'b' }]\n[case.expect]\nerror = 'not-found'\ndata = [1]\n\
             notices = [{ title = 'a', body = 'b', at = 5 }]\nrequests = [{ url = 'https://a/' }]",
        )
        .unwrap();
        assert_eq!(
            case.arguments,
            serde_json::json!({"n": 1, "when": "2026-01-02", "deep": {"list": [1.5, true]}})
        );
        assert_eq!(case.given.now, 1_795_424_400);
        assert_eq!(case.given.answers, [Answer::Yes, Answer::Choice(1), Answer::NoneOfThem]);
        assert_eq!(case.expect.error, Some(Kind::NotFound));
        let wants =
            Grants { clock: true, kv: Some(crate::policy::grants::Kv { quota: 5 }), ..Grants::default() };
        let granted = case.granted(&wants);
        assert!(!granted.clock && granted.kv == wants.kv);
        assert_eq!(least.granted(&wants), wants);
        for wrong in
            ["exect = 1", "grants = ['files']", "[case.given]\nnow = 'noon'", "[case.given]\nanswers = [-1]"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_counted_right() {
        let at = |text: &str| since_1970(&text.parse().unwrap());
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("2026-01-01"), Some(NOW));
        assert_eq!(at("2000-02-29T23:59:59Z"), Some(951_868_799));
        assert_eq!(at("1969-12-31T23:59:59Z"), Some(-1));
        assert_eq!(at("10:00:00"), None);
    }
}
