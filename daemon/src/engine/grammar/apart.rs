//! Whether what one schema lets be written can satisfy another: for `oneOf`, of which one branch alone may
//! hold, for `not`, and for the `else` of an `if`. Where it cannot be ruled out, a little is taken away: an
//! optional property, or one of several types.

use super::gbnf::Rules;
use super::number;
use super::schema::{Document, Plain, Types};
use serde_json::Value;

/// Levels of properties that are compared.
const MAX_DEPTH: usize = 4;
const ONE_BY_ONE: [Types; 7] = [
    Types::NULL,
    Types::BOOLEAN,
    Types::INTEGER,
    Types::FRACTION,
    Types::STRING,
    Types::ARRAY,
    Types::OBJECT,
];

impl<'s> Plain<'s> {
    /// Takes away what would satisfy a schema that must not hold. `false`: nothing is left.
    ///
    /// # Errors
    /// It cannot be told apart.
    pub fn settle(&mut self, document: &Document<'s>) -> Result<bool, String> {
        if self.values.is_none() && !self.nots.is_empty() {
            self.types = self.types.and(self.meant());
            for (not, keyword) in self.nots.clone() {
                for other in document.alternatives(&[not])? {
                    if other.types == Types::ALL && other.maps.iter().all(|map| map.is_empty()) {
                        return Ok(false);
                    }
                    if !self.is_apart(document, &other, Some(keyword), 0)? {
                        return Err(match keyword {
                            "oneOf" => "`oneOf` whose branches may hold together".into(),
                            keyword => format!("`{keyword}` that cannot be told apart from the rest"),
                        });
                    }
                }
            }
        }
        Ok(!self.types.is_none())
    }

    /// Whether nothing that is written for `self` satisfies `other`.
    fn is_apart(
        &mut self,
        document: &Document<'s>,
        other: &Plain<'s>,
        narrow: Option<&'static str>,
        depth: usize,
    ) -> Result<bool, String> {
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        if self.values.is_some() {
            let members = self.members(document)?;
            return all_fail(document, &members, other);
        }
        if let Some(values) = &other.values
            && all_fail(document, values, self)?
        {
            return Ok(true);
        }
        for kind in ONE_BY_ONE {
            if !self.types.has(kind) || !other.types.has(kind) {
                continue;
            }
            let apart = match kind {
                Types::OBJECT => self.objects_apart(document, other, narrow, depth)?,
                Types::STRING => self.strings_apart(other),
                Types::INTEGER | Types::FRACTION => self.numbers_apart(other),
                Types::ARRAY => {
                    let ends_before =
                        |a: &Plain, b: &Plain| a.most_items.is_some_and(|most| most < b.least_items);
                    ends_before(self, other) || ends_before(other, self)
                }
                _ => false,
            };
            if !apart {
                let left = self.types.without(kind);
                if narrow.is_none() || left.is_none() || left == Types::FRACTION {
                    return Ok(false);
                }
                self.types = left;
            }
        }
        Ok(true)
    }

    fn objects_apart(
        &mut self,
        document: &Document<'s>,
        other: &Plain<'s>,
        narrow: Option<&'static str>,
        depth: usize,
    ) -> Result<bool, String> {
        let may_write = |name: &str| {
            !self.forbidden.contains(&name)
                && (self.declares(name) || self.required.contains(&name) || self.writes_others())
        };
        if other.required.iter().any(|name| !may_write(name)) {
            return Ok(true);
        }
        let closed = |name: &str| {
            other.forbidden.contains(&name)
                || other.maps.iter().any(|map| {
                    let named = map.get("properties").is_some_and(|all| all.get(name).is_some());
                    map.get("additionalProperties") == Some(&Value::Bool(false))
                        && !named
                        && map.get("patternProperties").is_none()
                })
        };
        if self.required.iter().any(|name| closed(name)) {
            return Ok(true);
        }
        let mut names: Vec<&'s str> = self.required.iter().chain(&other.required).copied().collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.declares(name) && other.declares(name));
        for name in &names {
            if self.property_apart(document, other, name, depth)? {
                return Ok(true);
            }
        }
        let Some(keyword) = narrow else { return Ok(false) };
        // A few values are taken away rather than the whole property.
        for name in names {
            if let [schema] = other.property(name)?[..]
                && document.alternatives(&self.property(name)?)?.iter().all(|own| own.values.is_some())
            {
                self.excluded.push((name, schema, keyword));
                return Ok(true);
            }
        }
        match other.required.iter().find(|name| !self.required.contains(name)) {
            Some(name) => {
                self.forbidden.push(name);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn property_apart(
        &self,
        document: &Document<'s>,
        other: &Plain<'s>,
        name: &str,
        depth: usize,
    ) -> Result<bool, String> {
        let others = document.alternatives(&other.property(name)?)?;
        for mut own in document.alternatives(&self.property(name)?)? {
            own.types = own.types.and(own.meant());
            for other in &others {
                if !own.clone().is_apart(document, other, None, depth + 1)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn strings_apart(&self, other: &Plain<'s>) -> bool {
        let (Ok(mut both), Ok(more)) = (self.language(), other.language()) else { return false };
        both.patterns.extend(more.patterns);
        both.least = both.least.max(more.least);
        both.most = [both.most, more.most].into_iter().flatten().min();
        both.most.is_some_and(|most| most < both.least) || both.automaton().is_ok_and(|both| both.is_empty())
    }

    fn numbers_apart(&self, other: &Plain<'s>) -> bool {
        let mut both = number::Bounds { integer: false, multiples: Vec::new(), ..self.bounds.clone() };
        both.least.extend(&other.bounds.least);
        both.most.extend(&other.bounds.most);
        let mut rules = Rules::default();
        number::expr(&mut rules, &both).is_ok_and(|expr| rules.print(&expr).is_none())
    }
}

/// Whether no value satisfies all that was gathered.
fn all_fail(document: &Document, values: &[&Value], plain: &Plain) -> Result<bool, String> {
    for value in values {
        let mut fails = !plain.types.has(Types::of(value));
        for map in &plain.maps {
            fails = fails || !document.validator(map)?.is_valid(value);
        }
        if !fails {
            return Ok(false);
        }
    }
    Ok(true)
}
