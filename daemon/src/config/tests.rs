use super::load::parse;
use super::paths::{Paths, PathsError};
use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn refused(text: &str, expected: Expect) {
    let error = parse(Path::new("config.toml"), text).expect_err("the file is wrong");
    expected.assert_eq(&error.to_string());
}

#[test]
fn an_absent_file_means_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&folder.path().join("config.toml")).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.settings().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn the_example_names_every_setting_with_its_default() {
    let loaded = parse(Path::new("familiar.toml"), include_str!("../../../config/familiar.toml")).unwrap();
    assert_eq!(loaded.config, Config::default());
    let missing: Vec<_> = loaded.settings().into_iter().filter(|s| s.origin == Origin::Default).collect();
    assert_eq!(missing, []);
}

#[test]
fn every_setting_has_a_description_a_default_and_limits() {
    let schema = schema();
    for (table, sub) in schema["properties"].as_object().unwrap() {
        assert!(sub["description"].is_string(), "{table}");
        for (key, setting) in sub["properties"].as_object().unwrap() {
            assert!(setting["description"].is_string(), "{table}.{key}");
            assert!(!setting["default"].is_null(), "{table}.{key}");
            if setting["type"] == "integer" || setting["type"] == "number" {
                assert!(setting["minimum"].is_number() && setting["maximum"].is_number(), "{table}.{key}");
            }
        }
    }
}

#[test]
fn unknown_keys_are_named_with_their_line_and_the_nearest_setting() {
    refused(
        "[model]\nthread = 4\n",
        expect!["config.toml:2: `model.thread` is not a setting; did you mean `model.threads`?"],
    );
    refused(
        "\n\nthreads = 4",
        expect!["config.toml:3: `threads` is not a setting; did you mean `model.threads`?"],
    );
    refused(
        "[models]\nname = 'x'",
        expect!["config.toml:1: `models` is not a setting; did you mean `model`?"],
    );
    refused(
        "[model]\n\"\\u001b[31m\" = 1",
        expect![[r"config.toml:2: `model.\u{1b}[31m` is not a setting; `familiar config show` lists all"]],
    );
}

#[test]
fn wrong_types_and_ranges_are_named_with_their_line() {
    refused(
        "[model]\nthreads = -1",
        expect!["config.toml:2: `model.threads` must be between 0 and 1024, not -1"],
    );
    refused(
        "model.threads = 'all'",
        expect!["config.toml:1: `model.threads` must be a whole number, not text"],
    );
    refused(
        "model = 3",
        expect!["config.toml:1: `model` must be a table, as in `[model]`, not a whole number"],
    );
    refused(
        "[[model]]\nthreads = 1",
        expect!["config.toml:1: `model` must be a table, as in `[model]`, not a list"],
    );
    refused(
        "[ask]\ntemperature = nan",
        expect!["config.toml:2: `ask.temperature` must be between 0 and 2, not nan"],
    );
    refused(
        "[index]\nexclude = ['a', 1]",
        expect!["config.toml:2: `index.exclude` has an item that must be text in quotes, not a whole number"],
    );
    refused(
        "[index]\nmax_file_bytes = 99999999999999999999999",
        expect![
            "config.toml:2: `index.max_file_bytes` must be between 1 and 1099511627776, not 99999999999999999999999"
        ],
    );
    refused(
        "[log]\nlevel = 'loud'",
        expect![[
            r#"config.toml:2: `log.level` must be one of off, error, warn, info, debug, trace, or a filter, not "loud""#
        ]],
    );
    refused(
        "[learn]\nhours = '25-6'",
        expect![[r#"config.toml:2: `learn.hours` must have hours from 0 to 24, not "25-6""#]],
    );
    refused(
        "[model]\nname = '../../etc/passwd'",
        expect![
            "config.toml:2: `model.name` must be a model's name (`familiar model list` prints them), not a path"
        ],
    );
}

#[test]
fn all_problems_are_told_at_once() {
    refused(
        "[model]\nthreads = -1\n[asks]\n[log]\nlevle = 1\n",
        expect![[r#"
            config.toml:2: `model.threads` must be between 0 and 1024, not -1
            config.toml:3: `asks` is not a setting; did you mean `ask`?
            config.toml:5: `log.levle` is not a setting; did you mean `log.level`?"#]],
    );
}

#[test]
fn broken_toml_is_named_with_its_line() {
    refused(
        "[model]\nthreads = \n",
        expect!["config.toml:2: string values must be quoted, expected literal string"],
    );
    refused("[model]\nthreads = 1\nthreads = 2\n", expect!["config.toml:3: duplicate key"]);
    let nested = format!("index.exclude = {}", "[".repeat(100_000));
    assert!(parse(Path::new("config.toml"), &nested).is_err());
}

#[test]
fn values_come_with_where_they_came_from() {
    let loaded = parse(
        Path::new("c"),
        "# mine\n[model]\nthreads = 0x10\nask.passages=1".replace("ask.", "#").as_str(),
    )
    .unwrap();
    assert_eq!(loaded.config.model.threads, 16);
    let settings = loaded.settings();
    let threads = settings.iter().find(|s| s.key == "model.threads").unwrap();
    assert_eq!(threads.origin, Origin::File { line: 3 });
    let shown = serde_json::to_string(threads).unwrap();
    assert_eq!(shown, r#"{"key":"model.threads","value":16,"from":"file","line":3}"#);
    assert_eq!(settings.iter().filter(|s| s.origin == Origin::Default).count(), settings.len() - 1);
}

#[test]
fn what_is_no_regular_text_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    assert!(matches!(load(folder.path()), Err(ConfigError::Read { .. })));
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(load(&file), Err(ConfigError::Read { .. })));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, [0xff, 0xfe, 0]).unwrap();
    assert!(matches!(load(&file), Err(ConfigError::Read { .. })));
    std::fs::write(&file, " ".repeat((1 << 20) + 1)).unwrap();
    assert!(load(&file).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn choosing_a_model_keeps_comments_mode_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("dotfiles.toml");
    let file = folder.path().join("config.toml");
    std::fs::write(&real, "# mine\n[ask]\npassages = 3 # few\n\n[model]\nname = \"ember\" # small\n")
        .unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &file).unwrap();
    set_model(&file, "qwen", PERSONAL).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "# mine\n[ask]\npassages = 3 # few\n\n[model]\nname = \"qwen\" # small\n");
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn choosing_a_model_makes_the_file_and_never_writes_an_invalid_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/config.toml");
    set_model(&file, "qwen", PERSONAL).unwrap();
    assert_eq!(load(&file).unwrap().config.model.name, "qwen");
    assert!(set_model(&file, "../x", PERSONAL).is_err());
    assert!(set_model(&file, "qwen", "../x").is_err());
    set_model(&file, "qwen", "mine").unwrap();
    assert_eq!(load(&file).unwrap().config.model.adapter, "mine");
    set_model(&file, "qwen", PERSONAL).unwrap();
    assert_eq!(load(&file).unwrap().config.model.name, "qwen");
    std::fs::write(&file, "[model]\nnmae = 1\n").unwrap();
    assert!(matches!(set_model(&file, "qwen", PERSONAL), Err(ConfigError::Invalid { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[model]\nnmae = 1\n");
}

#[test]
fn choosing_a_model_works_in_every_way_a_table_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    for text in [
        "model = { threads = 2 }",
        "model.threads = 2",
        "[model]\nthreads = 2",
        "\u{feff}[model]\r\nthreads = 2\r\n",
    ] {
        std::fs::write(&file, text).unwrap();
        set_model(&file, "qwen", PERSONAL).unwrap();
        let config = load(&file).unwrap().config;
        assert_eq!((config.model.name.as_str(), config.model.threads), ("qwen", 2), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "\\PC*|([a-z_]{1,8}(\\.[a-z]{1,5})? ?= ?[-0-9a-z'\"\\[\\]{},.]{0,12}\n){0,8}") {
        let _ = parse(Path::new("config.toml"), &text);
    }

    #[test]
    fn no_value_of_a_known_key_makes_loading_panic(key in 0..32usize, value in "\\PC{0,20}|'\\PC{0,20}'|[-+0-9a-fxeob._]{1,24}") {
        let keys = check::keys(&schema());
        let _ = parse(Path::new("config.toml"), &format!("{} = {value}", keys[key % keys.len()]));
    }
}

fn resolve(variables: &[(&str, &str)]) -> Result<Paths, PathsError> {
    Paths::resolve(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn paths_follow_xdg() {
    let paths = resolve(&[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/7")]).unwrap();
    assert_eq!(paths.config_file, Path::new("/home/a/.config/familiar/config.toml"));
    assert_eq!(paths.data, Path::new("/home/a/.local/share/familiar"));
    assert_eq!(paths.state, Path::new("/home/a/.local/state/familiar"));
    assert_eq!(paths.socket(), Path::new("/run/user/7/familiar/familiar.sock"));
    let moved = resolve(&[("HOME", "/home/a"), ("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "not/absolute")])
        .unwrap();
    assert_eq!(moved.data, Path::new("/d/familiar"));
    assert_eq!(moved.config_file, paths.config_file);
    assert_eq!(moved.runtime, Path::new("/home/a/.local/state/familiar/run"));
}

#[test]
fn familiar_home_holds_everything() {
    let paths =
        resolve(&[("FAMILIAR_HOME", "/f"), ("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")]).unwrap();
    assert_eq!(paths, Paths::under(Path::new("/f")));
    assert_eq!(paths.config_file, Path::new("/f/config.toml"));
}

#[test]
fn unusable_paths_are_explained() {
    assert!(matches!(resolve(&[]), Err(PathsError::NoHome)));
    assert!(matches!(resolve(&[("HOME", "relative")]), Err(PathsError::NoHome)));
    let long = "/x".repeat(60);
    assert!(matches!(resolve(&[("FAMILIAR_HOME", &long)]), Err(PathsError::TooLong(_))));
}

#[test]
fn folders_are_made_private() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::under(folder.path());
    std::fs::create_dir(&paths.runtime).unwrap();
    std::fs::set_permissions(&paths.runtime, std::fs::Permissions::from_mode(0o777)).unwrap();
    paths.create().unwrap();
    let mode = |folder: &PathBuf| std::fs::metadata(folder).unwrap().mode() & 0o777;
    assert_eq!([mode(&paths.data), mode(&paths.state), mode(&paths.runtime)], [0o700; 3]);
    paths.check_runtime().unwrap();
}

#[test]
fn a_file_or_a_link_in_the_place_of_the_socket_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::under(folder.path());
    symlink("/tmp", &paths.runtime).unwrap();
    assert!(matches!(paths.check_runtime(), Err(PathsError::Folder { .. })));
    std::fs::remove_file(&paths.runtime).unwrap();
    std::fs::write(&paths.runtime, "").unwrap();
    assert!(matches!(paths.check_runtime(), Err(PathsError::Folder { .. })));
    assert!(paths.create().is_err());
}
