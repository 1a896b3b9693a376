//! From JSON Schema to a grammar under which every finished text satisfies the schema. It may allow less
//! than the schema does (no exponents, no escapes in keys, properties in the order of the schema), never
//! more; what it cannot promise it refuses by name. Pure.

mod apart;
mod automaton;
mod formats;
mod gbnf;
mod number;
mod object;
mod schema;
#[cfg(test)]
pub mod synth;

pub use gbnf::{Expr, Rules};

use automaton::Language;
use regex_syntax::hir::Hir;
use schema::{Document, Plain, Types};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Bytes of a schema, and levels of it.
const MAX_SCHEMA: usize = 64 << 10;
const MAX_DEPTH: usize = 32;
/// Bytes of a property's name.
const MAX_NAME: usize = 256;
/// Characters of a string, and items of a list, that are written at most whatever the schema allows.
const MAX_LENGTH: usize = 65_536;
const MAX_ITEMS: usize = 1_000;
/// Characters of a string with a pattern, where its length makes the pattern too large.
const SHORT: usize = 200;
/// Levels of a value of which nothing is said.
const FREE_DEPTH: usize = 3;

/// Reads a schema's text.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<Value, String> {
    if text.len() > MAX_SCHEMA {
        return Err(format!("{} bytes of schema, and {MAX_SCHEMA} are allowed", text.len()));
    }
    let schema: Value = serde_json::from_str(text).map_err(|e| format!("no JSON ({e})"))?;
    if !schema.is_object() {
        return Err("no JSON Schema object".into());
    }
    if depth(&schema) > MAX_DEPTH {
        return Err(format!("a schema nested deeper than {MAX_DEPTH} levels"));
    }
    match longest_name(&schema) {
        longest if longest > MAX_NAME => {
            Err(format!("a property name of {longest} bytes, and {MAX_NAME} are allowed"))
        }
        _ => Ok(schema),
    }
}

fn longest_name(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest_name).max().unwrap_or(0),
        Value::Object(map) => {
            map.iter().map(|(name, value)| name.len().max(longest_name(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether a tool's parameters can be made a grammar: what `familiar plugin build` and `install` ask.
///
/// # Errors
/// The keyword that stands in the way.
pub fn check(parameters: &str) -> Result<(), String> {
    let mut rules = Rules::default();
    let schema = read(parameters)?;
    let object = object(&mut rules, &schema)?;
    if rules.first_without_end(&[&object]).is_some() {
        return Err(NOTHING.into());
    }
    rules.print(&object).map(drop).ok_or_else(|| TOO_LARGE.into())
}

/// Why a grammar has no text.
pub const NOTHING: &str = "there is nothing that satisfies it and comes to an end";
pub const TOO_LARGE: &str = "it is too large";

/// The objects that satisfy the schema, as JSON.
///
/// # Errors
/// What of the schema cannot be promised.
pub fn object(rules: &mut Rules, schema: &Value) -> Result<Expr, String> {
    Converter::new(rules, schema).convert(schema, Types::OBJECT)
}

/// The values that satisfy the schema, as JSON.
///
/// # Errors
/// What of the schema cannot be promised.
pub fn value(rules: &mut Rules, schema: &Value) -> Result<Expr, String> {
    Converter::new(rules, schema).convert(schema, Types::ALL)
}

struct Converter<'s, 'r> {
    document: Document<'s>,
    rules: &'r mut Rules,
    /// Places by the schemas that hold there together.
    known: HashMap<(Vec<usize>, Vec<usize>, u8), Expr>,
    /// Places that have a rule and are still to be written.
    open: Vec<Place<'s>>,
    character: Option<Expr>,
    free: HashMap<usize, Expr>,
}

struct Place<'s> {
    rule: usize,
    schemas: Vec<&'s Value>,
    nots: Vec<(&'s Value, &'static str)>,
    only: Types,
}

impl<'s, 'r> Converter<'s, 'r> {
    fn new(rules: &'r mut Rules, schema: &'s Value) -> Converter<'s, 'r> {
        Converter {
            document: Document::new(schema),
            rules,
            known: HashMap::new(),
            open: Vec::new(),
            character: None,
            free: HashMap::new(),
        }
    }

    fn convert(&mut self, schema: &'s Value, only: Types) -> Result<Expr, String> {
        let root = self.place(&[schema], &[], only)?;
        while let Some(Place { rule, schemas, nots, only }) = self.open.pop() {
            let mut choices = Vec::new();
            for mut plain in self.document.alternatives(&schemas)? {
                plain.types = plain.types.and(only);
                plain.nots.extend(&nots);
                if plain.settle(&self.document)? {
                    choices.push(self.plain(&plain)?);
                }
            }
            self.rules.define(rule, Expr::Any(choices));
        }
        Ok(root)
    }

    /// What may stand where all these schemas hold: a rule that is written later, as it may lead back here.
    fn place(
        &mut self,
        schemas: &[&'s Value],
        nots: &[(&'s Value, &'static str)],
        only: Types,
    ) -> Result<Expr, String> {
        let addresses = |schemas: &mut dyn Iterator<Item = &'s Value>| {
            let mut all: Vec<usize> = schemas.map(|schema| std::ptr::from_ref(schema) as usize).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let key = (
            addresses(&mut schemas.iter().copied()),
            addresses(&mut nots.iter().map(|not| not.0)),
            only.bits(),
        );
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        if self.rules.too_many() {
            return Err("a schema that makes too many rules".into());
        }
        let rule = self.rules.reserve();
        self.known.insert(key, Expr::Rule(rule));
        self.open.push(Place { rule, schemas: schemas.to_vec(), nots: nots.to_vec(), only });
        Ok(Expr::Rule(rule))
    }

    fn plain(&mut self, plain: &Plain<'s>) -> Result<Expr, String> {
        if plain.values.is_some() {
            let values = plain.members(&self.document)?;
            return Ok(Expr::Any(values.iter().map(|value| Expr::text(value.to_string())).collect()));
        }
        let types = plain.meant();
        if types == Types::ALL {
            return Ok(self.free(FREE_DEPTH));
        }
        let mut choices = Vec::new();
        if types.has(Types::OBJECT) {
            choices.push(self.properties(plain)?);
        }
        if types.has(Types::ARRAY) {
            choices.push(self.items(plain)?);
        }
        if types.has(Types::STRING) {
            choices.push(self.string(plain)?);
        }
        if types.has(Types::INTEGER) {
            let bounds = number::Bounds { integer: !types.has(Types::FRACTION), ..plain.bounds.clone() };
            choices.push(number::expr(self.rules, &bounds)?);
        }
        if types.has(Types::BOOLEAN) {
            choices.extend([Expr::text("true"), Expr::text("false")]);
        }
        if types.has(Types::NULL) {
            choices.push(Expr::text("null"));
        }
        Ok(Expr::Any(choices))
    }

    fn string(&mut self, plain: &Plain<'s>) -> Result<Expr, String> {
        let language = plain.language()?;
        let inside = if language.patterns.is_empty() {
            if language.least > MAX_LENGTH {
                return Err(format!("`minLength` above {MAX_LENGTH}"));
            }
            let character = self.character();
            self.rules.times(character, language.least, language.most.map(|most| most.min(MAX_LENGTH)))
        } else {
            automaton(language)?.expr(self.rules)
        };
        Ok(quoted(inside))
    }

    /// Any character of a string, or its escape. Half a surrogate pair is none.
    fn character(&mut self) -> Expr {
        if let Some(known) = &self.character {
            return known.clone();
        }
        let hex = || Expr::Chars(vec![(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)]);
        let chars =
            |ranges: &[(char, char)]| Expr::Chars(ranges.iter().map(|r| (r.0.into(), r.1.into())).collect());
        let three = self.rules.times(hex(), 3, Some(3));
        let two = self.rules.times(hex(), 2, Some(2));
        let point = Expr::Any(vec![
            Expr::Seq(vec![chars(&[('0', '9'), ('A', 'C'), ('a', 'c'), ('E', 'F'), ('e', 'f')]), three]),
            Expr::Seq(vec![chars(&[('D', 'D'), ('d', 'd')]), chars(&[('0', '7')]), two]),
        ]);
        let escapes = "\"\\/bfnrt".chars().map(|c| (c, c)).collect::<Vec<_>>();
        let escape = Expr::Any(vec![chars(&escapes), Expr::Seq(vec![Expr::text("u"), point])]);
        let character = Expr::Any(vec![
            Expr::Chars(vec![(0x20, 0x21), (0x23, 0x5b), (0x5d, 0xd7ff), (0xe000, 0x10_ffff)]),
            Expr::Seq(vec![Expr::text("\\"), escape]),
        ]);
        let character = self.rules.rule(character);
        self.character = Some(character.clone());
        character
    }

    /// Any value, so many levels deep.
    fn free(&mut self, depth: usize) -> Expr {
        if let Some(known) = self.free.get(&depth) {
            return known.clone();
        }
        let character = self.character();
        let text = self.rules.times(character, 0, None);
        let text = self.rules.rule(quoted(text));
        let number = number::expr(self.rules, &number::Bounds::default()).unwrap_or(Expr::text("0"));
        let mut choices = vec![text, number, Expr::text("true"), Expr::text("false"), Expr::text("null")];
        if depth > 0 {
            let inner = self.free(depth - 1);
            choices.push(self.list(inner.clone()));
            choices.push(self.record(inner));
        }
        let made = self.rules.rule(Expr::Any(choices));
        self.free.insert(depth, made.clone());
        made
    }

    /// `[..]` of any number of items.
    fn list(&mut self, item: Expr) -> Expr {
        let more = self.rules.rule(Expr::Seq(vec![comma(), item.clone()]));
        let more = self.rules.times(more, 0, None);
        Expr::Any(vec![Expr::text("[]"), Expr::Seq(vec![Expr::text("["), item, more, Expr::text("]")])])
    }

    /// `{..}` of any properties.
    fn record(&mut self, value: Expr) -> Expr {
        let key = Expr::Chars(vec![(0x20, 0x21), (0x23, 0x5b), (0x5d, 0xd7ff), (0xe000, 0x10_ffff)]);
        let key = self.rules.times(key, 0, None);
        let pair = self.rules.rule(Expr::Seq(vec![quoted(key), colon(), value]));
        let more = self.rules.rule(Expr::Seq(vec![comma(), pair.clone()]));
        let more = self.rules.times(more, 0, None);
        Expr::Any(vec![Expr::text("{}"), Expr::Seq(vec![Expr::text("{"), pair, more, Expr::text("}")])])
    }
}

fn quoted(inside: Expr) -> Expr {
    Expr::Seq(vec![Expr::text("\""), inside, Expr::text("\"")])
}

/// Models write a space here, or none.
pub fn comma() -> Expr {
    Expr::Seq(vec![Expr::text(","), Expr::Times(Box::new(Expr::Chars(vec![(0x20, 0x20)])), 0, Some(1))])
}

pub fn colon() -> Expr {
    Expr::Seq(vec![Expr::text(":"), Expr::Times(Box::new(Expr::Chars(vec![(0x20, 0x20)])), 0, Some(1))])
}

/// The automaton of a language; of its shorter strings only, where all are too many.
fn automaton(mut language: Language) -> Result<automaton::Automaton, String> {
    match language.automaton() {
        Err(_) if language.most.is_some_and(|most| most > SHORT && language.least <= SHORT) => {
            language.most = Some(SHORT);
            language.automaton()
        }
        made => made,
    }
}

/// A pattern as JSON Schema means it: that of ECMAScript, searched for.
fn pattern(text: &str) -> Result<Hir, String> {
    let wrong = || format!("the pattern {text:?}: only what a regular language has is understood");
    let translated = jsonschema_regex::to_rust_regex(text).map_err(|()| wrong())?;
    regex_syntax::parse(&translated).map_err(|_| wrong())
}

impl<'s> Plain<'s> {
    /// The types that its keywords speak of, where none is named; else those that are.
    fn meant(&self) -> Types {
        if self.types != Types::ALL {
            return self.types;
        }
        let speaks =
            |keys: &[&str]| self.maps.iter().any(|map| keys.iter().any(|key| map.contains_key(*key)));
        let all = [
            (
                Types::OBJECT,
                &[
                    "properties",
                    "additionalProperties",
                    "patternProperties",
                    "propertyNames",
                    "required",
                    "minProperties",
                    "maxProperties",
                    "unevaluatedProperties",
                ][..],
            ),
            (Types::ARRAY, &["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]),
            (Types::STRING, &["minLength", "maxLength", "pattern", "format"]),
            (Types::NUMBER, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
        ];
        let meant = all.into_iter().filter(|(_, keys)| speaks(keys));
        let forbids = !self.required.is_empty() || !self.forbidden.is_empty();
        let first = if forbids { Types::OBJECT } else { Types::NONE };
        let meant = meant.fold(first, |all, (types, _)| all.or(types));
        if meant.is_none() { Types::ALL } else { meant }
    }

    /// What its strings must be.
    fn language(&self) -> Result<Language, String> {
        let mut patterns = Vec::new();
        for text in &self.patterns {
            patterns.push((pattern(text)?, true));
        }
        for format in self.formats.iter().filter_map(|format| formats::pattern(format)) {
            patterns.push((pattern(format)?, true));
        }
        Ok(Language { patterns, least: self.least_length, most: self.most_length })
    }

    /// The values of its `enum` or `const` that satisfy all the rest too.
    fn members(&self, document: &Document<'s>) -> Result<Vec<&'s Value>, String> {
        let mut left: Vec<&Value> = self.values.iter().flatten().copied().collect();
        left.retain(|value| self.types.has(Types::of(value)));
        let plain = |map: &Map<String, Value>| {
            map.keys()
                .all(|key| matches!(key.as_str(), "type" | "enum" | "description" | "title" | "default"))
                || map.len() == 1 && map.contains_key("const")
        };
        if let ([map], []) = (&self.maps[..], &self.nots[..])
            && plain(map)
        {
            return Ok(left);
        }
        for map in &self.maps {
            let holds = document.validator(map)?;
            left.retain(|value| holds.is_valid(value));
        }
        for (not, _) in &self.nots {
            let holds = match not {
                Value::Object(map) => document.validator(map)?,
                other => document.validator_of(other)?,
            };
            left.retain(|value| !holds.is_valid(value));
        }
        Ok(left)
    }
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
