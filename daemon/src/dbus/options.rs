//! The options of a call, an `a{sv}`: each is taken by its name, and what is left over, or of another type than it
//! should be, is refused by its name. Pure.

use super::error::Error;
use std::collections::HashMap;
use zbus::zvariant::{OwnedValue, Type};

/// Options that were not taken yet.
pub struct Options {
    given: HashMap<String, OwnedValue>,
    known: Vec<&'static str>,
}

impl Options {
    pub fn new(given: HashMap<String, OwnedValue>) -> Options {
        Options { given, known: Vec::new() }
    }

    /// The option of this name, if it was given.
    pub fn take<T>(&mut self, name: &'static str) -> Result<Option<T>, Error>
    where
        T: Type + TryFrom<OwnedValue>,
    {
        self.known.push(name);
        let Some(value) = self.given.remove(name) else { return Ok(None) };
        let (wanted, found) = (T::SIGNATURE.to_string(), value.value_signature().to_string());
        let wrong = || Error::InvalidOption(format!("`{name}` must be of the type {wanted}, not {found}"));
        if wanted != found {
            return Err(wrong());
        }
        value.try_into().map(Some).map_err(|_| wrong())
    }

    /// Refuses what nobody took.
    pub fn none_left(self) -> Result<(), Error> {
        let Some(unknown) = self.given.keys().min() else { return Ok(()) };
        let shown: String = unknown.chars().take(64).flat_map(char::escape_debug).collect();
        let known = match self.known.as_slice() {
            [] => "there are none here".into(),
            known => format!("there are {}", known.join(", ")),
        };
        Err(Error::InvalidOption(format!("`{shown}` is not an option: {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::zvariant::Value;

    fn options(given: &[(&str, Value<'_>)]) -> Options {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), value.try_to_owned().unwrap()));
        Options::new(given.collect())
    }

    fn said(result: Result<impl std::fmt::Debug, Error>) -> String {
        match result.unwrap_err() {
            Error::InvalidOption(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_taken_by_name_and_type() {
        let mut given = options(&[("k", 5u32.into()), ("session", "s1".into()), ("no_tools", true.into())]);
        assert_eq!(given.take::<u32>("k"), Ok(Some(5)));
        assert_eq!(given.take::<String>("session"), Ok(Some("s1".into())));
        assert_eq!(given.take::<bool>("no_tools"), Ok(Some(true)));
        assert_eq!(given.take::<u32>("k"), Ok(None));
        given.none_left().unwrap();
    }

    #[test]
    fn what_is_unknown_or_of_another_type_is_refused_by_its_name() {
        let wrong = said(options(&[("k", "five".into())]).take::<u32>("k"));
        assert_eq!(wrong, "`k` must be of the type u, not s");
        assert!(said(options(&[("k", (-5i32).into())]).take::<u32>("k")).contains("not i"));
        let mut given = options(&[("temperature", 0.5.into()), ("k", 1u32.into())]);
        given.take::<u32>("k").unwrap();
        given.take::<String>("mode").unwrap();
        assert_eq!(said(given.none_left()), "`temperature` is not an option: there are k, mode");
        let hostile = options(&[("\u{1b}[2J\n", 1u32.into())]).none_left();
        assert!(!said(hostile).contains('\u{1b}'));
        let long = options(&[(&"x".repeat(100_000), 1u32.into())]).none_left();
        assert!(said(long).len() < 200);
    }
}
