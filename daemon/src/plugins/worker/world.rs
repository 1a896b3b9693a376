//! Names of the world's interfaces, and which of its versions are known here. Within 1.x the world only
//! grows, so a guest of an older minor version runs, and one of a newer may want what is not here.

use crate::policy::grants::Interface;

/// Of `sdk/wit`.
pub const VERSION: &str = "1.0.0";
const MAJOR: u64 = 1;
const MINOR: u64 = 0;

/// `familiar:plugin/NAME@VERSION`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    pub name: &'a str,
    version: &'a str,
}

/// The parts of an import's or export's name, if it is of our package.
pub fn interface(name: &str) -> Option<Named<'_>> {
    let (name, version) = name.strip_prefix("familiar:plugin/")?.split_once('@')?;
    Some(Named { name, version })
}

impl Named<'_> {
    /// The interface's name, if this version of the world has it.
    ///
    /// # Errors
    /// A sentence that says what to do about it.
    pub fn known(&self) -> Result<String, String> {
        let Named { name, version } = self;
        let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
        let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
        let (Some(major), Some(minor)) = (major, minor) else {
            return Err(format!("familiar:plugin/{name} has a version that is none: {version:?}"));
        };
        if major != MAJOR {
            return Err(format!(
                "it is for familiar:plugin {version}, and this Familiar has {VERSION}: build it again with an \
                 SDK of version {MAJOR}"
            ));
        }
        if minor > MINOR {
            return Err(format!(
                "it is for familiar:plugin {version}, and this Familiar has {VERSION}: update Familiar, or \
                 build it with an older SDK"
            ));
        }
        // `types` alone hold no function that could be granted.
        let exported = ["tools", "describe"].contains(name);
        if !exported && Interface::from_name(name).is_none() {
            return Err(format!("it imports familiar:plugin/{name}, which is not in the world"));
        }
        Ok((*name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_versions_and_names_pass() {
        let known = |name| interface(name).map(|interface| interface.known());
        assert_eq!(known("familiar:plugin/kv@1.0.0"), Some(Ok("kv".into())));
        assert_eq!(known("familiar:plugin/kv@1.0.7"), Some(Ok("kv".into())));
        for (name, part) in [
            ("familiar:plugin/kv@1.9.0", "update Familiar"),
            ("familiar:plugin/kv@2.0.0", "SDK of version 1"),
            ("familiar:plugin/kv@0.9.0", "SDK of version 1"),
            ("familiar:plugin/shell@1.0.0", "not in the world"),
            ("familiar:plugin/kv@one", "none"),
            ("familiar:plugin/kv@", "none"),
        ] {
            let error = known(name).unwrap().unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
        assert_eq!(interface("familiar:plugin/kv"), None);
        assert_eq!(interface("familiar:plugins/kv@1.0.0"), None);
        assert_eq!(interface("wasi:cli/exit@0.2.0"), None);
    }
}
