//! The house's plan, checked: which room may use which. ARCHITECTURE.md draws the same edges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every room with the rooms that it may use. Below, a folder or file of `daemon/src` is a room.
const ALLOWED: [(&str, &[&str]); 39] = [
    ("types", &[]),
    ("protocol", &["types"]),
    ("config", &[]),
    ("llama", &[]),
    // Compiled for tests alone.
    ("testkit", &[]),
    ("memory", &[]),
    ("disk", &[]),
    ("clock", &[]),
    ("visible", &[]),
    ("keys", &[]),
    ("gate", &[]),
    ("generations", &["disk", "gate"]),
    ("idle", &["config", "clock", "disk"]),
    ("report", &["clock", "gate"]),
    ("policy", &["types", "protocol"]),
    ("scrub", &[]),
    ("agent", &["types", "protocol", "config"]),
    ("worker", &["protocol"]),
    ("extract", &["protocol", "types", "clock", "worker"]),
    ("engine", &["types", "protocol", "config", "clock", "llama", "testkit", "worker"]),
    ("learn", &["types", "protocol", "config", "llama", "testkit", "worker"]),
    ("eval", &["types", "protocol", "config", "agent", "engine"]),
    // `extract` only in tests, where documents are read in process.
    ("index", &["types", "protocol", "config", "disk", "policy", "memory", "worker", "extract"]),
    ("samples", &["scrub"]),
    ("sharing", &["protocol", "disk", "keys", "learn", "testkit"]),
    ("store", &["types", "protocol", "samples"]),
    ("plugins", &["types", "protocol", "disk", "keys", "memory", "policy", "worker"]),
    ("egress", &["protocol", "policy"]),
    // The store keeps where the log ends.
    ("audit", &["types", "protocol", "store"]),
    ("approvals", &["types", "protocol", "policy", "store"]),
    // `worker` only in tests, which open an index.
    (
        "tools",
        &[
            "types",
            "protocol",
            "config",
            "agent",
            "approvals",
            "audit",
            "clock",
            "egress",
            "engine",
            "index",
            "plugins",
            "policy",
            "store",
            "worker",
        ],
    ),
    (
        "nights",
        &[
            "types",
            "protocol",
            "config",
            "agent",
            "clock",
            "disk",
            "engine",
            "eval",
            "gate",
            "generations",
            "idle",
            "index",
            "learn",
            "report",
            "samples",
            "scrub",
            "sharing",
            "store",
            "tools",
        ],
    ),
    (
        "session",
        &[
            "types",
            "protocol",
            "config",
            "agent",
            "approvals",
            "engine",
            "idle",
            "index",
            "store",
            "tools",
            "worker",
        ],
    ),
    (
        "api",
        &[
            "types",
            "protocol",
            "agent",
            // Only in tests, which begin all rooms.
            "approvals",
            "audit",
            "config",
            "daemon",
            "doors",
            "engine",
            // Only in tests, too.
            "idle",
            "index",
            "keys",
            "nights",
            "plugins",
            "policy",
            "session",
            // Only in tests, too.
            "sharing",
            "store",
            "tools",
            "worker",
        ],
    ),
    // What all doors do alike; below them, so that it knows neither of them.
    (
        "doors",
        &["protocol", "approvals", "daemon", "engine", "index", "nights", "session", "store", "worker"],
    ),
    ("dbus", &["protocol", "config", "daemon", "doors", "store", "visible"]),
    (
        "daemon",
        &[
            "memory",
            "protocol",
            "config",
            "api",
            "approvals",
            "audit",
            "dbus",
            "egress",
            "engine",
            "idle",
            "index",
            "nights",
            "plugins",
            "session",
            "sharing",
            "store",
            "tools",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "types", "protocol", "config", "audit", "clock", "daemon", "engine", "eval", "extract", "idle",
            "keys", "learn", "plugins", "policy", "sharing", "visible", "worker",
        ],
    ),
    ("main", &["cli"]),
];

/// The same for `daemon/trainer/src`, from the bottom up. Tests may use `random`, `measure` and `synth` anywhere.
const TRAINER: [(&str, &[&str]); 27] = [
    ("acts", &[]),
    ("math", &[]),
    ("memory", &[]),
    ("random", &[]),
    ("split", &[]),
    ("lanes", &["acts"]),
    ("kernel", &["acts"]),
    ("weight", &["acts", "kernel", "split"]),
    ("dense", &["acts", "kernel", "split", "weight"]),
    ("run", &["weight"]),
    ("kept", &["acts", "kernel", "weight"]),
    ("norm", &["acts", "lanes", "math"]),
    ("rope", &["acts", "lanes"]),
    ("gate", &["acts", "math"]),
    ("attention", &["acts", "kernel", "lanes", "math", "weight"]),
    ("lora", &["acts", "dense", "kernel", "random", "weight"]),
    ("recipe", &["lora"]),
    ("block", &["acts", "attention", "gate", "kept", "lanes", "lora", "norm", "rope", "run", "weight"]),
    // `shape` reads the header for `model`, whose errors are its own too.
    ("shape", &["gate", "model", "rope"]),
    ("model", &["acts", "attention", "block", "kept", "lora", "norm", "rope", "run", "shape", "weight"]),
    ("head", &["acts", "math", "weight"]),
    ("optim", &["lora", "recipe"]),
    ("pack", &["random", "recipe", "run"]),
    ("session", &["acts", "head", "lora", "model", "optim", "pack", "random", "recipe", "run", "weight"]),
    ("adapter", &["lora", "weight"]),
    ("synth", &["random"]),
    (
        "measure",
        &["acts", "kernel", "memory", "model", "pack", "random", "recipe", "run", "session", "weight"],
    ),
];

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let wrong = wrong_edges("daemon/src", &ALLOWED, &[]);
    assert!(wrong.is_empty(), "edges that the plan does not have:\n{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn the_trainers_rooms_use_only_the_rooms_they_may() {
    let wrong = wrong_edges("daemon/trainer/src", &TRAINER, &["random", "measure", "synth"]);
    assert!(wrong.is_empty(), "edges that the plan does not have:\n{}", Vec::from_iter(wrong).join("\n"));
}

/// Edges below `folder` that are not in the `plan`; tests have those to `of_tests` besides.
fn wrong_edges(folder: &str, plan: &[(&str, &[&str])], of_tests: &[&str]) -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut wrong = BTreeSet::new();
    for file in rust_files(&source) {
        let room = room_of(&source, &file);
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = plan.iter().find(|(name, _)| *name == room) else {
            wrong.insert(format!("{room} is not in the plan"));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        let (code, tests) = text.split_at(text.find("#[cfg(test)]").unwrap_or(text.len()));
        let all_tests = file.to_string_lossy().ends_with("_tests.rs");
        // Only `main` is outside the library; elsewhere `familiar::` is a module of that name.
        let root = if room == "main" { "familiar::" } else { "crate::" };
        for (part, of_tests) in [(code, if all_tests { of_tests } else { &[] }), (tests, of_tests)] {
            for used in used_rooms(part, root) {
                let known = allowed.contains(&used.as_str()) || of_tests.contains(&used.as_str());
                if used != room && !known {
                    wrong.insert(format!("{room} -> {used} (in {})", file.display()));
                }
            }
        }
    }
    wrong
}

#[test]
fn the_plan_has_no_room_twice_and_names_only_rooms() {
    for plan in [&ALLOWED[..], &TRAINER] {
        let names: BTreeSet<_> = plan.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), plan.len());
        for (room, allowed) in plan {
            for used in *allowed {
                assert!(names.contains(used), "{room} may use {used}, which is no room");
            }
        }
    }
}

/// The rooms that a source names as `crate::ROOM` or, in a brace list, `crate::{ROOM, ..}`.
fn used_rooms(text: &str, root: &str) -> Vec<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for rest in code.split(root).skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                rooms.extend(list.split(',').map(|part| first_word(part.trim())));
            }
            None => rooms.push(first_word(rest)),
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn room_of(source: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(source).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
    let name = first.trim_end_matches(".rs");
    name.strip_suffix("_tests").unwrap_or(name).to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
