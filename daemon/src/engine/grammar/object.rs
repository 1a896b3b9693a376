//! Objects and lists: which properties or items may stand there, in which order and how many.

use super::automaton::{Language, hir_of_text};
use super::gbnf::Expr;
use super::schema::{Document, Plain, Types};
use super::{Converter, MAX_ITEMS, automaton, colon, comma, pattern, quoted};
use regex_syntax::hir::Hir;
use serde_json::Value;

impl<'s> Converter<'s, '_> {
    /// `{..}`: the named properties in the order of the schema, then others.
    pub(super) fn properties(&mut self, plain: &Plain<'s>) -> Result<Expr, String> {
        let names = plain.names();
        if plain.required.iter().any(|name| plain.forbidden.contains(name)) {
            return Ok(Expr::nothing());
        }
        let mut entries = Vec::new();
        for &name in &names {
            if plain.forbidden.contains(&name) {
                continue;
            }
            let required = plain.required.contains(&name);
            let entry = match plain.allows_name(&self.document, name)? {
                true => {
                    let key = Value::from(name).to_string();
                    let excluded = plain.excluded.iter().filter(|excluded| excluded.0 == name);
                    let nots: Vec<_> = excluded.map(|(_, schema, keyword)| (*schema, *keyword)).collect();
                    let value = self.place(&plain.property(name)?, &nots, Types::ALL)?;
                    Expr::Seq(vec![Expr::text(key), colon(), value])
                }
                false => Expr::nothing(),
            };
            entries.push((entry, required));
        }
        let other = if plain.writes_others() { Some(self.others(plain, &names)?) } else { None };
        let inside = self.sequence(entries, other, plain.least_properties, plain.most_properties)?;
        Ok(Expr::Seq(vec![Expr::text("{"), inside, Expr::text("}")]))
    }

    /// A property that the schema does not name. Its key has no escapes that could spell a name.
    fn others(&mut self, plain: &Plain<'s>, names: &[&'s str]) -> Result<Expr, String> {
        let mut base = plain.key_language(&self.document)?;
        for name in names.iter().chain(&plain.forbidden) {
            base.patterns.push((hir_of_text(name), false));
        }
        let mut patterns: Vec<&'s str> = Vec::new();
        for map in &plain.maps {
            if let Some(Value::Object(all)) = map.get("patternProperties") {
                patterns.extend(all.keys().map(String::as_str));
            }
        }
        patterns.sort_unstable();
        patterns.dedup();
        let mut read: Vec<Hir> = Vec::new();
        for text in &patterns {
            read.push(pattern(text)?);
        }
        let explicit = plain.maps.iter().any(|map| map.get("additionalProperties").is_some());
        let mut choices = Vec::new();
        // Keys of one pattern and of no other; then, where that is asked for, those of none.
        for chosen in (0..patterns.len()).map(Some).chain((explicit || patterns.is_empty()).then_some(None)) {
            let mut language = base.clone();
            for (index, hir) in read.iter().enumerate() {
                language.patterns.push((hir.clone(), Some(index) == chosen));
            }
            let key = automaton(language)?.expr(self.rules);
            let value = self.place(&plain.unnamed(chosen.map(|index| patterns[index])), &[], Types::ALL)?;
            choices.push(Expr::Seq(vec![quoted(key), colon(), value]));
        }
        Ok(self.rules.rule(Expr::Any(choices)))
    }

    /// `[..]`: the items with a place of their own, then others.
    pub(super) fn items(&mut self, plain: &Plain<'s>) -> Result<Expr, String> {
        let (least, most) = (plain.least_items, plain.most_items);
        let inside = if plain.unique && most.is_none_or(|most| most > 1) {
            let entries = self.distinct(plain)?;
            self.sequence(entries.into_iter().map(|entry| (entry, false)).collect(), None, least, most)?
        } else {
            let own = plain.own_items();
            let others = plain.maps.iter().any(|map| map.get("items").is_some_and(|items| !items.is_array()));
            if least > MAX_ITEMS {
                return Err(format!("`minItems` above {MAX_ITEMS}"));
            }
            let other = if others || own == 0 || least > own {
                Some(self.place(&plain.item(own), &[], Types::ALL)?)
            } else {
                None
            };
            let mut tail = self.more_items(other, own, least, most);
            for index in (0..own).rev() {
                let mut choices = Vec::new();
                if index >= least {
                    choices.push(Expr::empty());
                }
                if most.is_none_or(|most| most > index) {
                    let item = self.place(&plain.item(index), &[], Types::ALL)?;
                    let before = if index > 0 { comma() } else { Expr::empty() };
                    choices.push(Expr::Seq(vec![before, item, tail]));
                }
                tail = self.rules.rule(Expr::Any(choices));
            }
            tail
        };
        Ok(Expr::Seq(vec![Expr::text("["), inside, Expr::text("]")]))
    }

    /// What follows the `own` items that have their places.
    fn more_items(&mut self, item: Option<Expr>, own: usize, least: usize, most: Option<usize>) -> Expr {
        let need = least.saturating_sub(own);
        let room = most.map(|most| most.saturating_sub(own).min(MAX_ITEMS.max(need)));
        let none = if need == 0 { Expr::empty() } else { Expr::nothing() };
        let Some(item) = item.filter(|_| room != Some(0)) else { return none };
        let further = self.rules.rule(Expr::Seq(vec![comma(), item.clone()]));
        if own > 0 {
            let some = self.rules.times(further.clone(), need.max(1), room);
            return Expr::Any(vec![none, some]);
        }
        let more = self.rules.times(further, need.max(1) - 1, room.map(|room| room - 1));
        Expr::Any(vec![none, Expr::Seq(vec![item, more])])
    }

    /// All items that there may be, where no two may be equal: each is written at most once.
    fn distinct(&mut self, plain: &Plain<'s>) -> Result<Vec<Expr>, String> {
        let refused = || Err("`uniqueItems` where the items are no `enum`".to_owned());
        if plain.own_items() > 0 {
            return refused();
        }
        let mut values: Vec<Value> = Vec::new();
        for item in self.document.alternatives(&plain.item(0))? {
            let members: Vec<Value> = match &item.values {
                Some(_) => item.members(&self.document)?.into_iter().cloned().collect(),
                None if item.nots.is_empty()
                    && item.types.without(Types::BOOLEAN.or(Types::NULL)).is_none() =>
                {
                    let all = [Value::Null, Value::Bool(true), Value::Bool(false)];
                    all.into_iter().filter(|value| item.types.has(Types::of(value))).collect()
                }
                None => return refused(),
            };
            for value in members {
                if !values.iter().any(|known| same(known, &value)) {
                    values.push(value);
                }
            }
        }
        Ok(values.iter().map(|value| Expr::text(value.to_string())).collect())
    }

    /// Entries in their order with commas between them, the required ones always, then any number of
    /// others; `least..=most` in all. One of the others counts, as two of them may have the same key.
    fn sequence(
        &mut self,
        entries: Vec<(Expr, bool)>,
        other: Option<Expr>,
        least: usize,
        most: Option<usize>,
    ) -> Result<Expr, String> {
        let reachable = entries.len() + usize::from(other.is_some());
        if least > reachable {
            return match other {
                Some(_) => Err("`minProperties` beyond the properties that have a name".into()),
                None => Ok(Expr::nothing()),
            };
        }
        // How many there are is told apart up to here.
        let cap = most.unwrap_or(0).max(least).max(1).min(reachable.max(1));
        let most = most.filter(|most| *most < reachable || other.is_some());
        let mut next: Vec<Expr> =
            (0..=cap).map(|count| self.end(other.clone(), count, least, most)).collect();
        for (entry, required) in entries.into_iter().rev() {
            let mut states = Vec::with_capacity(cap + 1);
            for count in 0..=cap {
                let before = if count > 0 { comma() } else { Expr::empty() };
                let full = most.is_some_and(|most| count >= most);
                let with = match full {
                    true => Expr::nothing(),
                    false => Expr::Seq(vec![before, entry.clone(), next[(count + 1).min(cap)].clone()]),
                };
                let choices = if required { vec![with] } else { vec![with, next[count].clone()] };
                states.push(self.rules.rule(Expr::Any(choices)));
            }
            if self.rules.too_many() {
                return Err("a schema that makes too many rules".into());
            }
            next = states;
        }
        Ok(next.swap_remove(0))
    }

    /// What may stand after the last entry, when `count` stand there.
    fn end(&mut self, other: Option<Expr>, count: usize, least: usize, most: Option<usize>) -> Expr {
        let need = least.saturating_sub(count);
        let room = most.map(|most| most.saturating_sub(count));
        let none = if need == 0 { Expr::empty() } else { Expr::nothing() };
        let Some(other) = other.filter(|_| need <= 1 && room != Some(0)) else { return none };
        let further = self.rules.rule(Expr::Seq(vec![comma(), other.clone()]));
        let room = room.map(|room| (room - 1).min(MAX_ITEMS));
        let more = self.rules.times(further, 0, room);
        let before = if count > 0 { comma() } else { Expr::empty() };
        self.rules.rule(Expr::Any(vec![none, Expr::Seq(vec![before, other, more])]))
    }
}

/// Equal as JSON Schema means it, where 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

impl<'s> Plain<'s> {
    /// The properties that have a name in the schema, in its order.
    pub fn names(&self) -> Vec<&'s str> {
        let mut names: Vec<&'s str> = Vec::new();
        let declared = self.maps.iter().filter_map(|map| map.get("properties")?.as_object());
        for name in declared
            .flat_map(|properties| properties.keys())
            .map(String::as_str)
            .chain(self.required.iter().copied())
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    pub fn declares(&self, name: &str) -> bool {
        self.maps.iter().any(|map| map.get("properties").is_some_and(|all| all.get(name).is_some()))
    }

    /// The schemas that hold for a property's value.
    pub fn property(&self, name: &str) -> Result<Vec<&'s Value>, String> {
        let mut all = Vec::new();
        for map in &self.maps {
            let mut known = false;
            if let Some(schema) = map.get("properties").and_then(|properties| properties.get(name)) {
                all.push(schema);
                known = true;
            }
            if let Some(Value::Object(patterns)) = map.get("patternProperties") {
                for (text, schema) in patterns {
                    let language = Language { patterns: vec![(pattern(text)?, true)], ..Language::default() };
                    if language.automaton()?.accepts(name) {
                        all.push(schema);
                        known = true;
                    }
                }
            }
            if !known && let Some(schema) = map.get("additionalProperties") {
                all.push(schema);
            }
        }
        Ok(all)
    }

    /// The schemas for properties without a name, of one pattern or of none.
    fn unnamed(&self, pattern: Option<&str>) -> Vec<&'s Value> {
        let of = |map: &&'s serde_json::Map<String, Value>| {
            let own = pattern.and_then(|pattern| map.get("patternProperties")?.get(pattern));
            own.or_else(|| map.get("additionalProperties"))
        };
        self.maps.iter().filter_map(of).collect()
    }

    /// Whether properties without a name are written: where the schema speaks of them, or of nothing.
    pub fn writes_others(&self) -> bool {
        let says = |key: &str| {
            self.maps.iter().any(|map| map.get(key).is_some_and(|value| value != &Value::Bool(false)))
        };
        let closed =
            self.maps.iter().any(|map| map.get("unevaluatedProperties") == Some(&Value::Bool(false)));
        let free = self.names().is_empty() && self.forbidden.is_empty();
        !closed && (says("additionalProperties") || says("patternProperties") || free)
    }

    fn allows_name(&self, document: &Document<'s>, name: &str) -> Result<bool, String> {
        for names in self.maps.iter().filter_map(|map| map.get("propertyNames")) {
            if !document.validator_of(names)?.is_valid(&Value::from(name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The keys that `propertyNames` leaves.
    fn key_language(&self, document: &Document<'s>) -> Result<Language, String> {
        let schemas: Vec<&'s Value> = self.maps.iter().filter_map(|map| map.get("propertyNames")).collect();
        let mut alternatives = document.alternatives(&schemas)?;
        let plain = match alternatives.pop() {
            Some(plain) if alternatives.is_empty() && plain.nots.is_empty() => plain,
            Some(_) => return Err("`propertyNames` with alternatives".into()),
            None => return Ok(Language { least: 1, most: Some(0), patterns: Vec::new() }),
        };
        if !plain.types.has(Types::STRING) {
            return Ok(Language { least: 1, most: Some(0), patterns: Vec::new() });
        }
        let mut language = plain.language()?;
        if plain.values.is_some() {
            let members = plain.members(document)?;
            let texts = members.iter().filter_map(|value| value.as_str()).map(hir_of_text);
            language.patterns.push((Hir::alternation(texts.collect()), true));
        }
        Ok(language)
    }

    /// Items that have a place of their own.
    fn own_items(&self) -> usize {
        let lists = self
            .maps
            .iter()
            .filter_map(|map| map.get("prefixItems").or_else(|| map.get("items"))?.as_array());
        lists.map(Vec::len).max().unwrap_or(0)
    }

    /// The schemas that hold for the item at an index.
    fn item(&self, index: usize) -> Vec<&'s Value> {
        let of = |map: &&'s serde_json::Map<String, Value>| match (map.get("prefixItems"), map.get("items")) {
            (Some(Value::Array(own)), rest) => own.get(index).or(rest),
            (None, Some(Value::Array(own))) => own.get(index).or_else(|| map.get("additionalItems")),
            (_, rest) => rest,
        };
        self.maps.iter().filter_map(of).collect()
    }
}
