//! The SDK and the templates as the program carries them, so that `plugin new` needs neither network nor
//! repository. Data only.

macro_rules! files {
    ($($path:literal,)*) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/", $path)))),*]
    };
}

/// Path below `sdk/`, and content.
pub const SDK: &[(&str, &[u8])] = files![
    "Cargo.toml",
    "c/familiar.h",
    "c/json.h",
    "macros/Cargo.toml",
    "macros/src/lib.rs",
    "macros/src/tool.rs",
    "src/ask_user.rs",
    "src/bindings.rs",
    "src/clock.rs",
    "src/error.rs",
    "src/generate.rs",
    "src/http.rs",
    "src/kv.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/notify.rs",
    "src/output.rs",
    "src/plugin.rs",
    "src/progress.rs",
    "src/schema.rs",
    "src/search.rs",
    "template/c/.gitignore.in",
    "template/c/plugin.c",
    "template/c/plugin.toml",
    "template/c/tests/greet.toml",
    "template/c/tools.json",
    "template/python/.gitignore.in",
    "template/python/plugin.py",
    "template/python/plugin.toml",
    "template/python/tests/greet.toml",
    "template/python/tools.json",
    "template/rust/Cargo.toml.in",
    "template/rust/.gitignore.in",
    "template/rust/plugin.toml",
    "template/rust/src/lib.rs",
    "template/rust/tests/greet.toml",
    "wit/plugin.wit",
];

/// What there are templates for.
pub fn languages() -> Vec<&'static str> {
    let mut all: Vec<&str> =
        SDK.iter().filter_map(|(path, _)| Some(path.strip_prefix("template/")?.split_once('/')?.0)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn below(folder: &Path, of: &Path, all: &mut BTreeSet<String>) {
        for found in std::fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            let name = path.strip_prefix(of).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true if name == "tests" || name == "conformance" || name.ends_with("target") => {}
                true => below(&path, of, all),
                false if name.ends_with("_tests.rs") || name.ends_with(".md") => {}
                false => drop(all.insert(name)),
            }
        }
    }

    #[test]
    fn the_program_carries_all_of_the_sdk() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let mut there = BTreeSet::new();
        below(&sdk, &sdk, &mut there);
        assert_eq!(SDK.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), there);
    }
}
