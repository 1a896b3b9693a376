use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"
[plugin]
name = "web-fetch"
version = "1.2.0"
description = "Fetches pages."
authors = ["Ada <ada@example.org>"]
license = "MIT"

[wants.http]
why = "To fetch the pages you ask for."
hosts = ["*"]
methods = ["GET"]

[wants.kv]
why = "To remember pages."
quota = 65536

[wants.search]
why = "To read your notes."

[wants.generate]
why = "To summarise."
tokens = 500

[wants.ask-user]
why = "To ask."

[[credentials]]
name = "token"
why = "To read your private pages."
host = "api.example.org"
prefix = "Bearer "

[build]
command = ["cargo", "build"]
component = "target/x.wasm"
"#;

fn refusal(text: &str) -> ManifestError {
    Manifest::parse(text).expect_err(text)
}

/// The whole manifest with one text in another's place.
fn with(old: &str, new: &str) -> String {
    assert!(WHOLE.contains(old), "{old}");
    WHOLE.replacen(old, new, 1)
}

#[test]
fn a_whole_manifest_is_read() {
    let manifest = Manifest::parse(WHOLE).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.to_string().as_str()), ("web-fetch", "1.2.0"));
    let wants = manifest.wants();
    assert_eq!(wants.kv, Some(Kv { quota: 65536 }));
    assert_eq!(wants.search, Some(Search::default()));
    assert!(wants.ask_user && !wants.clock && !wants.log);
    assert_eq!(manifest.why(Interface::Generate), Some("To summarise."));
    assert_eq!(manifest.why(Interface::Clock), None);
    let token = manifest.credential("token").unwrap();
    assert_eq!((token.header.as_str(), token.prefix.as_str()), ("Authorization", "Bearer "));
    assert!(manifest.build.is_some());
    let least = "plugin = { name = 'a', version = '0.1.0', description = 'x' }";
    assert_eq!(Manifest::parse(least).unwrap().wants(), &Grants::default());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (old, new, line, says) in [
        ("name = \"web-fetch\"", "name = \"Web\"", 3, "no plugin's name"),
        ("name = \"web-fetch\"", "name = \"a--b\"", 3, "no plugin's name"),
        ("name = \"web-fetch\"", "name = \"../x\"", 3, "no plugin's name"),
        ("name = \"web-fetch\"", "name = \"-a\"", 3, "no plugin's name"),
        ("name = \"web-fetch\"", "nam = \"a\"", 3, "`nam`"),
        ("name = \"web-fetch\"", "name = 3", 3, "integer"),
        ("\"1.2.0\"", "\"1.2\"", 4, "no version"),
        ("\"Fetches pages.\"", "\"\"", 5, "is empty"),
        ("\"Fetches pages.\"", "\"a\\u001b[2Jb\"", 5, "\\u{1b}"),
        ("\"Fetches pages.\"", "\"a\\u202eb\"", 5, "\\u{202e}"),
        ("\"Fetches pages.\"", "\"a\\nb\"", 5, "\\u{a}"),
        ("Ada <ada@example.org>", "\\u200bAda", 6, "\\u{200b}"),
        ("license = \"MIT\"", "licence = \"MIT\"", 7, "`licence`"),
        ("hosts = [\"*\"]", "hosts = []", 11, "no host is named"),
        ("hosts = [\"*\"]", "hosts = [\"HTTPS://x\"]", 11, "is no host"),
        ("hosts = [\"*\"]", "hosts = [\"127.1\"]", 11, "write `127.0.0.1`"),
        ("methods = [\"GET\"]", "methods = [\"get\"]", 12, "none of the methods"),
        ("methods = [\"GET\"]", "", 9, "missing field `methods`"),
        ("quota = 65536", "quota = 0", 16, "between 1 and"),
        ("quota = 65536", "quota = -1", 16, "-1"),
        ("quota = 65536", "quota = 99999999999", 16, "between 1 and"),
        ("why = \"To read your notes.\"", "why = \"To read.\"\npaths = [\"a\"]", 20, "absolute path"),
        ("why = \"To read your notes.\"", "why = \"To read.\"\npaths = [\"/a/../b\"]", 20, "absolute path"),
        ("why = \"To read your notes.\"", "why = \"To read.\"\npaths = []", 20, "everything"),
        ("tokens = 500", "tokens = 0", 23, "between 1 and"),
        ("[wants.ask-user]", "[wants.files]", 25, "`files`"),
        ("why = \"To ask.\"", "", 25, "missing field `why`"),
        ("host = \"api.example.org\"", "host = \"*\"", 28, "name one host"),
        ("name = \"token\"", "name = \"To ken\"", 28, "no credential's name"),
        ("prefix = \"Bearer \"", "prefix = \"a\\r\\nb\"", 28, "printable"),
        ("prefix = \"Bearer \"", "header = \"Host\"", 28, "no credential is sent"),
        ("prefix = \"Bearer \"", "header = \"X: y\"", 28, "no header's name"),
        ("hosts = [\"*\"]", "hosts = [\"other.org\"]", 28, "not in `wants.http`"),
        ("\"target/x.wasm\"", "\"../x.wasm\"", 34, "not a path below"),
        ("\"target/x.wasm\"", "\"/etc/passwd\"", 34, "not a path below"),
        ("[\"cargo\", \"build\"]", "[]", 34, "is empty"),
        ("[plugin]", "[plugin", 2, ""),
    ] {
        let error = refusal(&with(old, new));
        assert!(error.what.contains(says), "{new}: {error}");
        assert_eq!(error.line, line, "{new}: {error}");
    }
    let twice = format!("{WHOLE}[[credentials]]\nname = \"token\"\nwhy = \"x\"\nhost = \"a.org\"\n");
    assert!(refusal(&twice).what.contains("two credentials"));
    assert!(refusal(&format!("{WHOLE}#{}", "x".repeat(LONGEST))).what.contains("longer than"));
    assert!(refusal(&format!("a = {}1{}", "[".repeat(20_000), "]".repeat(20_000))).line >= 1);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn a_changed_manifest_is_read_or_refused(at in 0..WHOLE.len(), new in any::<char>()) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        text[at] = new;
        if let Ok(manifest) = Manifest::parse(&text.into_iter().collect::<String>()) {
            prop_assert!(check_name(&manifest.name).is_ok());
            prop_assert!(manifest.whys.iter().all(|(_, why)| !why.contains(hides)));
        }
    }
}
