//! The evaluation and the embedded model's recipe have nothing in common: what is measured was never trained on. The
//! recipe's modules are read as text, with every literal that they can draw from.

use crate::support::{BINARY, Home};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A run of so many words in a row is a sentence's own.
const RUN: usize = 5;
/// Words that forms of questions are made of, whatever they ask.
const PLAIN: &str = "a an the is are was were be do does did has have had can could will would should must may might \
    what which who whom whose when where why how much many long often far of in on at to for from by with about and or \
    not no i we you it they he she my our your its this that there here me us them him her as up out off so if any all \
    please now get s t";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("tests/eval").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn recipe() -> BTreeMap<String, String> {
    let folder = root().join("daemon/models/ember/recipe");
    let mut modules = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "py") {
            modules.insert(name_of(&file), std::fs::read_to_string(&file).unwrap());
        }
    }
    modules
}

fn name_of(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Lower-case words in order.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn runs(text: &str) -> impl Iterator<Item = String> {
    let words = words(text);
    (0..words.len().saturating_sub(RUN - 1)).map(move |at| words[at..at + RUN].join(" "))
}

fn texts_of(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, into)),
        Value::Object(map) => map.values().for_each(|item| texts_of(item, into)),
        _ => {}
    }
}

/// Every text of the evaluation's cases.
fn evaluated() -> Vec<String> {
    let mut texts = Vec::new();
    for name in [
        "passages.jsonl",
        "grounded.jsonl",
        "unanswerable.jsonl",
        "turns.jsonl",
        "tools.jsonl",
        "calls.jsonl",
    ] {
        lines(name).iter().for_each(|line| texts_of(line, &mut texts));
    }
    texts
}

/// The value of `NAME = ...` in a module, up to the next statement.
fn literal<'a>(module: &'a str, name: &str) -> &'a str {
    let start = module.find(&format!("\n{name} = ")).unwrap_or_else(|| panic!("the recipe has no {name}"));
    let rest = &module[start + 1..];
    let end = rest.match_indices('\n').find(|(at, _)| {
        let next = rest[at + 1..].chars().next().unwrap_or('\n');
        // A new statement begins with a capital or with `def`, and not inside the text of a list.
        rest[..*at].matches("\"\"\"").count().is_multiple_of(2)
            && (next.is_alphabetic() || next == '#' || next == '\n')
    });
    &rest[..end.map_or(rest.len(), |(at, _)| at)]
}

#[test]
fn no_sentence_of_the_evaluation_occurs_in_the_recipe() {
    let own: BTreeSet<String> = recipe().values().flat_map(|text| runs(text).collect::<Vec<_>>()).collect();
    let shared: BTreeSet<String> = evaluated()
        .iter()
        .flat_map(|text| runs(text).collect::<Vec<_>>())
        .filter(|run| own.contains(run))
        .collect();
    assert!(shared.is_empty(), "{shared:#?}");
}

#[test]
fn no_name_that_the_recipe_draws_occurs_in_the_evaluation() {
    let recipe = recipe();
    let mut names = BTreeSet::new();
    for list in ["FIRST", "LAST", "CITY", "FIRM"] {
        let literal = literal(&recipe["words"], list).split_once('=').unwrap().1;
        names.extend(
            literal.split(|c: char| !c.is_alphabetic()).filter(|name| name.len() > 1 && *name != "split"),
        );
    }
    assert!(names.len() > 150, "{names:?}");
    for text in evaluated() {
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            assert!(!names.contains(word), "`{word}` of the recipe is in: {text}");
        }
    }
}

#[test]
fn no_tool_of_the_evaluation_can_come_out_of_the_recipe() {
    let families = recipe()["tools"].clone();
    let families = literal(&families, "FAMILIES");
    let mut made = BTreeSet::new();
    for line in families.lines().filter(|line| line.matches(" | ").count() == 4) {
        let parts: Vec<&str> = line.split(" | ").collect();
        for verb in parts[0].split(' ') {
            for object in parts[3].split('|').filter_map(|object| object.split('/').next()) {
                let mut both = words(&format!("{verb} {object}"));
                both.sort();
                made.insert(both);
            }
        }
    }
    assert!(made.len() > 500, "{} tools", made.len());
    let sources = recipe();
    for tool in lines("tools.jsonl") {
        let name = tool["name"].as_str().unwrap();
        let mut parts = words(name);
        parts.sort();
        assert!(!made.contains(&parts), "the recipe can make `{name}`");
        let description = words(tool["description"].as_str().unwrap()).join(" ");
        for (module, text) in &sources {
            assert!(!words(text).join(" ").contains(&description), "{module}: {description}");
        }
    }
}

#[test]
fn no_question_of_the_evaluation_has_a_form_of_the_recipes_notes() {
    let plain: BTreeSet<String> = words(PLAIN).into_iter().collect();
    let notes = recipe()["notes"].clone();
    let mut forms = Vec::new();
    for line in literal(&notes, "FACTS").lines().filter(|line| line.matches(" | ").count() == 3) {
        for form in line.rsplit(" | ").next().unwrap().split(';') {
            let parts: Vec<String> = form.split("{s}").map(|part| words(part).join(" ")).collect();
            // "what is the {s}" is English; a form of one's own has two words that mean something.
            let own = words(&form.replace("{s}", "")).iter().filter(|word| !plain.contains(*word)).count();
            if own >= 2 {
                forms.push(parts);
            }
        }
    }
    assert!(forms.len() > 50, "{} forms", forms.len());
    for name in ["grounded.jsonl", "turns.jsonl"] {
        for line in lines(name) {
            let question = words(line["question"].as_str().unwrap()).join(" ");
            let has = |form: &&Vec<String>| {
                question.starts_with(form[0].as_str()) && question.ends_with(form[form.len() - 1].as_str())
            };
            if let Some(form) = forms.iter().find(has) {
                panic!("`{question}` has the form {form:?}");
            }
        }
    }
}

#[test]
fn the_recipes_corpus_leaves_out_what_the_documentation_is_from() {
    let corpus = recipe()["corpus"].clone();
    let left_out = literal(&corpus, "LEFT_OUT");
    assert!(left_out.contains("\"xz-utils\"") && left_out.contains("\"liblzma\""), "{left_out}");
    assert!(corpus.contains("if left_out(package):\n                    continue"));
    let documentation = std::fs::read_to_string(root().join("tests/eval/documentation.txt")).unwrap();
    assert!(documentation.contains("XZ Utils"));
}

#[test]
fn a_model_is_measured_and_one_that_is_not_here_is_told_of() {
    let home = Home::new();
    let bench = |model: &str| {
        Command::new(BINARY)
            .args(["bench", "model", "--model", model, "--cases", "1", "--json"])
            .env("FAMILIAR_HOME", home.root())
            .output()
            .unwrap()
    };
    let done = bench("ember");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    let report = &found["figures"]["report"];
    let skills: Vec<&str> =
        report["lines"].as_array().unwrap().iter().map(|line| line["skill"].as_str().unwrap()).collect();
    let all = ["answer", "cites", "unknown", "wrongly_unknown", "tool", "arguments", "previous_turn"];
    assert_eq!(skills, all);
    assert!(report["lines"].as_array().unwrap().iter().all(|line| line["of"] == 1));
    let text = &report["documentation"];
    let bits = |key: &str| text[key].as_f64().unwrap();
    assert!(bits("xz") < bits("gzip") && bits("gzip") < 8.0 && bits("bits_per_byte") < 8.0, "{text}");
    assert!(text["bytes"].as_u64().unwrap() > 30_000);
    let missing = bench("nobody");
    let told = String::from_utf8_lossy(&missing.stderr);
    assert!(missing.status.code() == Some(5) && told.contains("familiar model list"), "{told}");
}
