//! Reads JSON Schema: what must hold at one place, gathered over references and combinations, as a list of
//! plain alternatives. Every assertion of the drafts up to 2020-12 is either understood here or refused by
//! its name; nothing is passed over.

use super::number::Bounds;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

/// Alternatives at one place, after anyOf, oneOf and the like are multiplied out.
const MAX_ALTERNATIVES: usize = 64;
/// Schemas that hold at one place together.
const MAX_TOGETHER: usize = 256;

/// Assertions that a grammar here cannot hold a model to. (A keyword that no draft knows asserts nothing.)
const REFUSED: [&str; 8] = [
    "$dynamicRef",
    "$recursiveRef",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "contains",
    "extends",
    "disallow",
    "divisibleBy",
];

/// Types as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    pub const NONE: Types = Types(0);
    pub const NULL: Types = Types(1);
    pub const BOOLEAN: Types = Types(2);
    pub const INTEGER: Types = Types(4);
    /// Numbers that are no integers.
    pub const FRACTION: Types = Types(8);
    pub const STRING: Types = Types(16);
    pub const ARRAY: Types = Types(32);
    pub const OBJECT: Types = Types(64);
    pub const NUMBER: Types = Types(12);
    pub const ALL: Types = Types(127);

    pub fn has(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    pub fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    pub fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub fn without(self, other: Types) -> Types {
        Types(self.0 & !other.0)
    }

    pub fn bits(self) -> u8 {
        self.0
    }

    /// The type of a value.
    pub fn of(value: &Value) -> Types {
        match value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            Value::Number(number) => match number.as_f64().is_some_and(|number| number.fract() == 0.0) {
                true => Types::INTEGER,
                false => Types::FRACTION,
            },
            Value::String(_) => Types::STRING,
            Value::Array(_) => Types::ARRAY,
            Value::Object(_) => Types::OBJECT,
        }
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    fn named(name: &str) -> Option<Types> {
        Some(match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "string" => Types::STRING,
            "array" => Types::ARRAY,
            "object" => Types::OBJECT,
            _ => return None,
        })
    }
}

/// What must hold at one place, all of it at once. Text of the schema is borrowed.
#[derive(Debug, Clone)]
pub struct Plain<'s> {
    pub types: Types,
    /// The members of an `enum`, or a `const`: further ones are among `maps`.
    pub values: Option<Vec<&'s Value>>,
    pub bounds: Bounds<'s>,
    pub patterns: Vec<&'s str>,
    pub formats: Vec<&'s str>,
    pub least_length: usize,
    pub most_length: Option<usize>,
    pub least_items: usize,
    pub most_items: Option<usize>,
    pub unique: bool,
    pub required: Vec<&'s str>,
    pub least_properties: usize,
    pub most_properties: Option<usize>,
    /// Properties that were taken away, so that another branch surely does not hold.
    pub forbidden: Vec<&'s str>,
    /// Properties whose values must not satisfy a schema, for the same reason, and the keyword behind it.
    pub excluded: Vec<(&'s str, &'s Value, &'static str)>,
    /// All schemas that were gathered: what they say of items and properties is read there.
    pub maps: Vec<&'s Map<String, Value>>,
    /// Schemas that must not hold, and the keyword that says so.
    pub nots: Vec<(&'s Value, &'static str)>,
}

impl<'s> Plain<'s> {
    fn anything() -> Plain<'s> {
        Plain {
            types: Types::ALL,
            values: None,
            bounds: Bounds::default(),
            patterns: Vec::new(),
            formats: Vec::new(),
            least_length: 0,
            most_length: None,
            least_items: 0,
            most_items: None,
            unique: false,
            required: Vec::new(),
            least_properties: 0,
            most_properties: None,
            forbidden: Vec::new(),
            excluded: Vec::new(),
            maps: Vec::new(),
            nots: Vec::new(),
        }
    }
}

/// A schema's whole document, in which its references lead.
#[derive(Debug, Clone, Copy)]
pub struct Document<'s> {
    root: &'s Value,
    /// Written for a draft in which the content of strings was asserted.
    old: bool,
}

/// A schema still to be read, and those that led to it.
#[derive(Debug, Clone)]
struct Pending<'s> {
    schema: &'s Value,
    above: Vec<&'s Map<String, Value>>,
}

/// One way to satisfy a schema that leaves a choice.
#[derive(Debug, Clone, Default)]
struct Branch<'s> {
    schemas: Vec<&'s Value>,
    nots: Vec<(&'s Value, &'static str)>,
    required: Vec<&'s str>,
    forbidden: Vec<&'s str>,
}

impl<'s> Document<'s> {
    pub fn new(root: &'s Value) -> Document<'s> {
        let draft = root.get("$schema").and_then(Value::as_str).unwrap_or_default();
        Document { root, old: draft.contains("draft-0") }
    }

    /// All that the schemas say together, as alternatives of which one must hold.
    ///
    /// # Errors
    /// The keyword that is not understood.
    pub fn alternatives(&self, schemas: &[&'s Value]) -> Result<Vec<Plain<'s>>, String> {
        let pending = schemas.iter().rev().map(|schema| Pending { schema, above: Vec::new() }).collect();
        let mut open: Vec<(Plain, Vec<Pending>)> = vec![(Plain::anything(), pending)];
        let mut done = Vec::new();
        while let Some((mut plain, mut pending)) = open.pop() {
            let Some(Pending { schema, above }) = pending.pop() else {
                if !plain.types.is_none() {
                    done.push(plain);
                }
                continue;
            };
            let map = match schema {
                Value::Bool(false) => continue,
                Value::Bool(true) => {
                    open.push((plain, pending));
                    continue;
                }
                Value::Object(map) => map,
                _ => return Err("a schema that is neither an object nor a boolean".into()),
            };
            if above.iter().any(|known| std::ptr::eq(*known, map)) {
                return Err("a reference that leads only to itself".into());
            }
            if plain.maps.iter().any(|known| std::ptr::eq(*known, map)) {
                open.push((plain, pending));
                continue;
            }
            plain.maps.push(map);
            if plain.maps.len() > MAX_TOGETHER {
                return Err(format!("more than {MAX_TOGETHER} schemas at one place"));
            }
            for (key, value) in map {
                self.keyword(&mut plain, map, key, value)?;
            }
            let above = [above.as_slice(), &[map]].concat();
            let next = |schema: &'s Value| Pending { schema, above: above.clone() };
            pending.extend(self.all_of(map)?.into_iter().map(next));
            for branch in branches(map)?.into_iter().rev() {
                let (mut plain, mut pending) = (plain.clone(), pending.clone());
                pending.extend(branch.schemas.into_iter().map(next));
                plain.nots.extend(branch.nots);
                plain.required.extend(branch.required);
                plain.forbidden.extend(branch.forbidden);
                open.push((plain, pending));
            }
            if open.len() + done.len() > MAX_ALTERNATIVES {
                return Err(format!("more than {MAX_ALTERNATIVES} alternatives at one place"));
            }
        }
        Ok(done)
    }

    /// The schemas that hold besides a schema's own keywords.
    fn all_of(&self, map: &'s Map<String, Value>) -> Result<Vec<&'s Value>, String> {
        let mut all = Vec::new();
        if let Some(target) = map.get("$ref") {
            all.push(self.target(target.as_str().ok_or("`$ref` that is no text")?)?);
        }
        if let Some(value) = map.get("allOf") {
            all.extend(array("allOf", value)?.iter().rev());
        }
        Ok(all)
    }

    fn target(&self, reference: &str) -> Result<&'s Value, String> {
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let pointer = pointer.ok_or_else(|| format!("a reference out of the schema ({reference:?})"))?;
        let pointer = percent_decoded(pointer);
        self.root.pointer(&pointer).ok_or_else(|| format!("the reference {reference:?}, which leads nowhere"))
    }

    /// Checks values against a part of the document.
    pub fn validator(&self, map: &Map<String, Value>) -> Result<Validator, String> {
        let mut map = map.clone();
        for home in ["$defs", "definitions"] {
            if let (None, Some(named)) = (map.get(home), self.root.get(home)) {
                map.insert(home.into(), named.clone());
            }
        }
        self.validator_of(&Value::Object(map))
    }

    pub fn validator_of(&self, schema: &Value) -> Result<Validator, String> {
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(schema)
            .map_err(|why| format!("a part that cannot be checked by itself ({why})"))
    }

    fn keyword(
        &self,
        plain: &mut Plain<'s>,
        map: &'s Map<String, Value>,
        key: &'s str,
        value: &'s Value,
    ) -> Result<(), String> {
        match key {
            "type" => plain.types = plain.types.and(types(value)?),
            "enum" => _ = plain.values.get_or_insert(array(key, value)?.iter().collect()),
            "const" => _ = plain.values.get_or_insert(vec![value]),
            "minimum" | "exclusiveMinimum" => {
                plain.bounds.least.push((number(key, value)?, key == "exclusiveMinimum"));
            }
            "maximum" | "exclusiveMaximum" => {
                plain.bounds.most.push((number(key, value)?, key == "exclusiveMaximum"));
            }
            "multipleOf" => plain.bounds.multiples.push(number(key, value)?),
            "pattern" => plain.patterns.push(text(key, value)?),
            "format" => plain.formats.push(text(key, value)?),
            "minLength" => plain.least_length = plain.least_length.max(count(key, value)?),
            "maxLength" => lower(&mut plain.most_length, count(key, value)?),
            "minItems" => plain.least_items = plain.least_items.max(count(key, value)?),
            "maxItems" => lower(&mut plain.most_items, count(key, value)?),
            "uniqueItems" => plain.unique |= value.as_bool().ok_or("`uniqueItems` that is no boolean")?,
            "required" => {
                for name in array(key, value)? {
                    plain.required.push(text(key, name)?);
                }
            }
            "minProperties" => plain.least_properties = plain.least_properties.max(count(key, value)?),
            "maxProperties" => lower(&mut plain.most_properties, count(key, value)?),
            "not" => plain.nots.push((value, "not")),
            "unevaluatedItems" | "unevaluatedProperties" if !value.is_boolean() => {
                return Err(format!("`{key}` with a schema"));
            }
            "unevaluatedItems" if value == &Value::Bool(false) => {
                return Err(format!("`{key}`: name what may follow in `items`"));
            }
            "contentEncoding" | "contentMediaType" if self.old => return Err(format!("`{key}`")),
            "$id" if !std::ptr::eq(map, self.root.as_object().unwrap_or(map)) => {
                return Err("`$id` inside of the schema".into());
            }
            key if REFUSED.contains(&key) => return Err(format!("`{key}`")),
            _ => {}
        }
        Ok(())
    }
}

/// The ways that a schema's combinations leave. One without any, if it has none.
fn branches<'s>(map: &'s Map<String, Value>) -> Result<Vec<Branch<'s>>, String> {
    let mut all = vec![Branch::default()];
    for (key, value) in map {
        let choices: Vec<Branch> = match key.as_str() {
            "anyOf" => array(key, value)?
                .iter()
                .map(|one| Branch { schemas: vec![one], ..Branch::default() })
                .collect(),
            "oneOf" => one_of(array(key, value)?),
            "if" => {
                let (then, otherwise) = (map.get("then"), map.get("else"));
                let holds = std::iter::once(value).chain(then).collect();
                vec![
                    Branch { schemas: holds, ..Branch::default() },
                    Branch {
                        schemas: otherwise.into_iter().collect(),
                        nots: vec![(value, "if")],
                        ..Branch::default()
                    },
                ]
            }
            "dependentRequired" | "dependentSchemas" | "dependencies" => {
                for (name, wanted) in value.as_object().ok_or_else(|| format!("`{key}` that is no object"))? {
                    let without = Branch { forbidden: vec![name], ..Branch::default() };
                    let mut with = Branch { required: vec![name], ..Branch::default() };
                    match wanted {
                        Value::Array(names) => {
                            for name in names {
                                with.required.push(text(key, name)?);
                            }
                        }
                        schema => with.schemas.push(schema),
                    }
                    all = product(&all, &[without, with])?;
                }
                continue;
            }
            _ => continue,
        };
        all = product(&all, &choices)?;
    }
    Ok(all)
}

fn one_of(schemas: &[Value]) -> Vec<Branch<'_>> {
    let branch = |index: usize| {
        let others = schemas.iter().enumerate().filter(|(other, _)| *other != index);
        Branch {
            schemas: vec![&schemas[index]],
            nots: others.map(|(_, other)| (other, "oneOf")).collect(),
            ..Branch::default()
        }
    };
    (0..schemas.len()).map(branch).collect()
}

fn product<'s>(some: &[Branch<'s>], others: &[Branch<'s>]) -> Result<Vec<Branch<'s>>, String> {
    if some.len() * others.len() > MAX_ALTERNATIVES {
        return Err(format!("more than {MAX_ALTERNATIVES} alternatives at one place"));
    }
    let join = |a: &Branch<'s>, b: &Branch<'s>| Branch {
        schemas: [&a.schemas[..], &b.schemas].concat(),
        nots: [&a.nots[..], &b.nots].concat(),
        required: [&a.required[..], &b.required].concat(),
        forbidden: [&a.forbidden[..], &b.forbidden].concat(),
    };
    Ok(some.iter().flat_map(|a| others.iter().map(move |b| join(a, b))).collect())
}

fn types(value: &Value) -> Result<Types, String> {
    let one = |value: &Value| {
        value.as_str().and_then(Types::named).ok_or_else(|| format!("the type {value}, which there is not"))
    };
    match value {
        Value::Array(names) => names.iter().try_fold(Types(0), |all, name| Ok(all.or(one(name)?))),
        name => one(name),
    }
}

fn array<'s>(key: &str, value: &'s Value) -> Result<&'s [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("`{key}` that is no list"))
}

fn text<'s>(key: &str, value: &'s Value) -> Result<&'s str, String> {
    value.as_str().ok_or_else(|| format!("`{key}` that is no text"))
}

fn number<'s>(key: &str, value: &'s Value) -> Result<&'s serde_json::Number, String> {
    match value {
        Value::Number(number) => Ok(number),
        _ => Err(format!("`{key}` that is no number")),
    }
}

fn count(key: &str, value: &Value) -> Result<usize, String> {
    let whole = value.as_f64().filter(|count| *count >= 0.0 && count.fract() == 0.0 && *count < 1e15);
    whole.map(|count| count as usize).ok_or_else(|| format!("`{key}` that is no count"))
}

fn lower(most: &mut Option<usize>, to: usize) {
    *most = Some(most.map_or(to, |most| most.min(to)));
}

/// A reference's pointer without the percent signs that a URI needs.
fn percent_decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
