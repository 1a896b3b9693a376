//! How many looks at subschemas it takes to check arguments. References and combinations multiply: forty
//! schemas of which each names the next one twice are 2^40 looks at `{}`. Counted by arithmetic, each pair
//! of a schema and a value once, before a validator is let loose on them. Pure; it validates nothing.

use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::ptr;

/// Looks that a schema may take at one value, whatever the value.
const MOST_AT_ONCE: u64 = 10_000;
/// Looks at a call's arguments with all that is in them.
const MOST: u64 = 1_000_000;
/// Levels that a validator, which calls itself for each, may go down on a thread's stack.
const DEEPEST: usize = 500;

/// Keywords whose schema, schemas or named schemas hold for the value itself.
const ONE_HERE: [&str; 4] = ["not", "if", "then", "else"];
const LIST_HERE: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const NAMED_HERE: [&str; 2] = ["dependentSchemas", "dependencies"];
/// The same for what is in the value. `items` is one schema or, in old drafts, a list.
const ONE_BELOW: [&str; 6] = [
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "additionalItems",
    "unevaluatedItems",
    "contains",
];
const LIST_BELOW: [&str; 2] = ["prefixItems", "items"];
const NAMED_BELOW: [&str; 2] = ["properties", "patternProperties"];

/// Refuses a schema whose looks at one value are too many, or may never end.
///
/// # Errors
/// A sentence for the plugin's author.
pub fn check(root: &Value) -> Result<(), String> {
    let mut counter = Counter::new(root, MOST_AT_ONCE);
    let (mut seen, mut targets) = (HashSet::new(), HashSet::new());
    // Below each other at most, in whatever order the references lead from one to the next.
    let mut deepest = levels(root);
    let mut open = vec![root];
    while let Some(schema) = open.pop() {
        let Value::Object(map) = schema else { continue };
        if !seen.insert(ptr::from_ref(schema)) {
            continue;
        }
        counter.count(schema, None, 0).map_err(Trouble::of_schema)?;
        if let Some(target) = counter.target(map).map_err(Trouble::of_schema)?
            && targets.insert(ptr::from_ref(target))
        {
            deepest += levels(target);
        }
        if deepest > DEEPEST {
            return Err(Trouble::Deep.of_schema());
        }
        open.extend(counter.here(map).map_err(Trouble::of_schema)?);
        open.extend(below(map));
    }
    Ok(())
}

/// The looks that a call's arguments take, under a schema that [`check`] let pass.
///
/// # Errors
/// A sentence for the model: there are too many.
pub fn of(root: &Value, arguments: &Value) -> Result<u64, String> {
    let looks = Counter::new(root, MOST).count(root, Some(arguments), 0);
    looks.map(|looks| looks.once).map_err(Trouble::of_call)
}

#[derive(Debug)]
enum Trouble {
    Many,
    Deep,
    Circle,
    Nowhere(String),
}

impl Trouble {
    fn of_schema(self) -> String {
        match self {
            Trouble::Many => format!(
                "its schema asks for more than {MOST_AT_ONCE} looks at one value, as its references and \
                 combinations multiply: combine fewer schemas"
            ),
            Trouble::Deep => {
                format!("its schema and what it refers to have more than {DEEPEST} levels: make it flatter")
            }
            Trouble::Circle => {
                "its schema has a reference that leads back to where it stands, with no property \
                                or item in between: take it out"
                    .into()
            }
            Trouble::Nowhere(target) => {
                format!("the schema is wrong: `$ref` to `{}` leads nowhere", target.escape_debug())
            }
        }
    }

    fn of_call(self) -> String {
        match self {
            Trouble::Many => format!(
                "the arguments take more than {MOST} looks to check against the schema: give fewer of them, or \
                 nest them less"
            ),
            Trouble::Deep => "the arguments are nested too deep for the schema: nest them less".into(),
            other => other.of_schema(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Looks {
    /// For one check.
    once: u64,
    /// For asking everything that holds at this value once more, as `unevaluated…` does.
    again: u64,
    height: usize,
}

const ONE: Looks = Looks { once: 1, again: 1, height: 1 };

struct Counter<'v> {
    root: &'v Value,
    most: u64,
    /// Sums made so far: to count must not take long either.
    sums: u64,
    /// By schema and value; `None` while it is being counted.
    known: HashMap<(*const Value, *const Value), Option<Looks>>,
}

impl<'v> Counter<'v> {
    fn new(root: &'v Value, most: u64) -> Counter<'v> {
        Counter { root, most, sums: 0, known: HashMap::new() }
    }

    /// Without a value: the looks that every value takes.
    fn count(&mut self, schema: &'v Value, value: Option<&'v Value>, depth: usize) -> Result<Looks, Trouble> {
        let Value::Object(map) = schema else { return Ok(ONE) };
        if !map.keys().any(|key| leads_on(key)) {
            return Ok(ONE);
        }
        let key = (ptr::from_ref(schema), value.map_or(ptr::null(), ptr::from_ref));
        match self.known.get(&key) {
            Some(None) => return Err(Trouble::Circle),
            Some(Some(looks)) if depth + looks.height <= DEEPEST => return Ok(*looks),
            Some(Some(_)) => return Err(Trouble::Deep),
            None if depth >= DEEPEST => return Err(Trouble::Deep),
            None => _ = self.known.insert(key, None),
        }
        let mut looks = ONE;
        for part in self.here(map)? {
            let found = self.add(&mut looks, part, value, depth)?;
            looks.again = looks.again.saturating_add(found.once).saturating_add(found.again);
        }
        if map.contains_key("unevaluatedProperties") || map.contains_key("unevaluatedItems") {
            looks.once = looks.once.saturating_add(looks.again);
        }
        match value {
            Some(Value::Object(members)) => self.members(&mut looks, map, members, depth)?,
            Some(Value::Array(items)) => self.items(&mut looks, map, items, depth)?,
            _ => {}
        }
        if looks.once > self.most {
            return Err(Trouble::Many);
        }
        self.known.insert(key, Some(looks));
        Ok(looks)
    }

    fn add(
        &mut self,
        looks: &mut Looks,
        part: &'v Value,
        value: Option<&'v Value>,
        depth: usize,
    ) -> Result<Looks, Trouble> {
        self.sums += 1;
        if self.sums > MOST {
            return Err(Trouble::Many);
        }
        let found = self.count(part, value, depth + 1)?;
        looks.once = looks.once.saturating_add(found.once);
        looks.height = looks.height.max(found.height + 1);
        Ok(found)
    }

    fn members(
        &mut self,
        looks: &mut Looks,
        map: &'v Map<String, Value>,
        members: &'v Map<String, Value>,
        depth: usize,
    ) -> Result<(), Trouble> {
        let named = |key: &str| map.get(key).and_then(Value::as_object);
        let (own, patterns) = (named("properties"), named("patternProperties"));
        for (name, value) in members {
            let known = own.and_then(|own| own.get(name));
            // Which patterns a name matches is not asked: no more than all of them.
            for part in known.into_iter().chain(patterns.into_iter().flat_map(Map::values)) {
                self.add(looks, part, Some(value), depth)?;
            }
            let others = ["additionalProperties", "unevaluatedProperties"].into_iter();
            for part in others.filter(|_| known.is_none()).filter_map(|key| map.get(key)) {
                self.add(looks, part, Some(value), depth)?;
            }
            if let Some(part) = map.get("propertyNames") {
                self.add(looks, part, None, depth)?;
            }
        }
        Ok(())
    }

    fn items(
        &mut self,
        looks: &mut Looks,
        map: &'v Map<String, Value>,
        items: &'v [Value],
        depth: usize,
    ) -> Result<(), Trouble> {
        for (at, item) in items.iter().enumerate() {
            for key in ["prefixItems", "items", "additionalItems", "unevaluatedItems", "contains"] {
                let part = match map.get(key) {
                    Some(Value::Array(own)) => own.get(at),
                    other => other,
                };
                if let Some(part) = part {
                    self.add(looks, part, Some(item), depth)?;
                }
            }
        }
        Ok(())
    }

    /// The schemas that hold for the value itself.
    fn here(&self, map: &'v Map<String, Value>) -> Result<Vec<&'v Value>, Trouble> {
        let mut all = parts(map, &ONE_HERE, &LIST_HERE, &NAMED_HERE);
        all.extend(self.target(map)?);
        Ok(all)
    }

    /// What `$ref` leads to: a place in the same document.
    fn target(&self, map: &Map<String, Value>) -> Result<Option<&'v Value>, Trouble> {
        let Some(reference) = map.get("$ref").and_then(Value::as_str) else { return Ok(None) };
        let pointer = reference.strip_prefix('#').and_then(percent_decoded);
        let found = pointer.and_then(|pointer| self.root.pointer(&pointer));
        found.map(Some).ok_or_else(|| Trouble::Nowhere(reference.chars().take(100).collect()))
    }
}

/// The schemas that hold for what is in the value.
fn below(map: &Map<String, Value>) -> Vec<&Value> {
    let mut all = parts(map, &ONE_BELOW, &LIST_BELOW, &NAMED_BELOW);
    all.extend(map.get("items").filter(|items| !items.is_array()));
    all
}

fn parts<'v>(map: &'v Map<String, Value>, one: &[&str], list: &[&str], named: &[&str]) -> Vec<&'v Value> {
    let mut all: Vec<&Value> = one.iter().filter_map(|key| map.get(*key)).collect();
    all.extend(list.iter().filter_map(|key| map.get(*key)?.as_array()).flatten());
    all.extend(named.iter().filter_map(|key| map.get(*key)?.as_object()).flat_map(Map::values));
    all
}

fn leads_on(key: &str) -> bool {
    let lists = [&ONE_HERE[..], &LIST_HERE, &NAMED_HERE, &ONE_BELOW, &LIST_BELOW, &NAMED_BELOW];
    key == "$ref" || lists.iter().any(|list| list.contains(&key))
}

/// Levels of JSON.
fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// `None`: a percent sign that no two hex digits follow.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `count` schemas; `link` makes each of a reference to the next.
    fn chain(count: usize, link: impl Fn(Value) -> Value, last: Value) -> Value {
        let next = |n: usize| json!({"$ref": format!("#/$defs/a{n}")});
        let mut all = Map::from_iter((0..count).map(|n| (format!("a{n}"), link(next(n + 1)))));
        all.insert(format!("a{count}"), last);
        json!({"type": "object", "$ref": "#/$defs/a0", "$defs": all})
    }

    #[test]
    fn what_multiplies_is_refused_and_what_adds_up_is_not() {
        let twice = |next: Value| json!({"allOf": [next, next]});
        for leaf in [json!({"minProperties": 0}), json!({"required": ["x"]})] {
            assert!(check(&chain(40, twice, leaf.clone())).unwrap_err().contains("combine fewer"));
            assert_eq!(check(&chain(8, twice, leaf)), Ok(()));
        }
        let again = |next: Value| json!({"allOf": [next], "unevaluatedProperties": false});
        assert!(check(&chain(40, again, json!({}))).unwrap_err().contains("combine fewer"));
        assert_eq!(check(&chain(40, |next| json!({"not": next}), json!({}))), Ok(()));
        let many: Vec<Value> = (0..2000).map(|n| json!({"const": n})).collect();
        assert_eq!(check(&json!({"properties": {"a": {"oneOf": many}}})), Ok(()));
    }

    #[test]
    fn what_does_not_end_or_goes_too_deep_is_refused() {
        let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}});
        assert!(check(&circle).unwrap_err().contains("leads back"));
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"items": {"$ref": "#"}}}});
        assert_eq!(check(&tree), Ok(()));
        for link in [|next: Value| json!({"not": next}), |next: Value| json!({"items": next})] {
            assert!(check(&chain(600, link, json!({}))).unwrap_err().contains("flatter"));
        }
        assert!(check(&json!({"$ref": "#/$defs/a%2"})).unwrap_err().contains("leads nowhere"));
        let encoded = json!({"$ref": "#/$defs/a%3Cb%3E", "$defs": {"a<b>": {"type": "object"}}});
        assert_eq!(check(&encoded), Ok(()));
    }

    /// Each level of the arguments is asked twice at each level of the schema.
    #[test]
    fn arguments_that_multiply_the_looks_are_refused() {
        let schema = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        assert_eq!(check(&schema), Ok(()));
        let nested = |depth| (0..depth).fold(json!({}), |inside, _| json!({"a": inside}));
        assert!(of(&schema, &nested(3)).unwrap() < 100);
        assert!(of(&schema, &nested(60)).unwrap_err().contains("nest them less"));
        let list = json!({"properties": {"a": {"items": {"type": "integer"}}}});
        assert_eq!(of(&list, &json!({"a": vec![1; 50_000]})), Ok(50_002));
    }
}
