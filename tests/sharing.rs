//! What the owner says of answers, what they are asked once, and adapters that go from one owner to another: the real
//! binary on both sides.

use crate::serving::parrot::parrot;
use crate::serving::parrot::testkit::{Tiny, lora, tiny};
use crate::serving::{adopt, configured};
use crate::support::{BINARY, Home, path, wait_for};
use familiar::gate::{Check, Decision, Verdict};
use familiar::generations::{Card, Generations, State};
use familiar::learn::digest;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SETTINGS: &str = "[model]\nthreads = 1\n[ask]\npassages = 0\nmax_tokens = 24\n";
const HELLO: &str = "hello there";

/// A home with the tiny model, and a generation on it that serves.
fn owner(seed: Option<u64>) -> Home {
    let mut home = configured(SETTINGS);
    let model = tiny(&Tiny::default()).write(home.dir.path(), "tiny").unwrap();
    if let Some(seed) = seed {
        generation(&home, &model, seed);
    }
    home.start();
    adopt(&home, &model);
    home
}

/// As a cycle would have left it.
fn generation(home: &Home, model: &Path, seed: u64) {
    let base = digest(model).unwrap();
    let adapter = lora(seed)
        .text("familiar.adapter.base", &base)
        .u32("familiar.adapter.generation", 0)
        .text("familiar.adapter.manifest", "5ec2e7")
        .text("familiar.adapter.recipe", r#"{"rank": 4}"#)
        .f32("familiar.adapter.alpha", 8.0);
    let data = home.root().join("data");
    fs::create_dir_all(&data).unwrap();
    let file = adapter.write(&data, "candidate").unwrap();
    let check = |name: &str, says: &str| Check { name: name.into(), passed: true, says: says.into() };
    let verdict = Verdict {
        decision: Decision::Promote,
        checks: vec![check("documents", "likelier"), check("secrets", "nothing came out that must not")],
    };
    let mut generations = Generations::open(data.join("generations")).unwrap();
    let card = Card {
        base: base.clone(),
        digest: digest(&file).unwrap(),
        state: State::Promoted,
        scale: 1.0,
        samples: vec!["a".into(), "b".into()],
        verdict: Some(verdict),
        ..Card::default()
    };
    let number = generations.keep(&file, card).unwrap();
    generations.serve(number, &base).unwrap();
}

/// What is answered, and with which adapter.
fn asked(home: &Home) -> (String, Value) {
    let mut answer = home.json(&["ask", "--json", "--no-tools", HELLO]);
    (answer["answer"].as_str().unwrap().to_owned(), answer["adapter"].take())
}

fn exported() -> (Home, PathBuf) {
    let home = owner(Some(3));
    let folder = home.dir.path().join("out");
    home.ok(&["learn", "export", path(&folder)]);
    (home, folder)
}

/// Folders with merged adapters.
fn stacks(home: &Home) -> Vec<String> {
    let listed = fs::read_dir(home.root().join("data/adapters")).unwrap();
    let stacks = listed.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = stacks.flat_map(|stack| fs::read_dir(stack).unwrap());
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_adapter_goes_out_and_serves_elsewhere_beside_what_was_learned_there() {
    let (author, folder) = exported();
    for file in
        ["adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "README.md", "manifest.toml"]
    {
        let bytes = fs::read(folder.join(file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(path(author.dir.path())) && !text.contains("5ec2e7"), "{file}");
    }
    assert!(author.fails(2, &["learn", "export", path(&folder)]).contains("not empty"));
    assert!(
        author
            .fails(5, &["learn", "export", "7", path(&author.dir.path().join("x"))])
            .contains("generation 7")
    );

    let home = owner(Some(5));
    let alone = asked(&home);
    assert_eq!(alone.1, "generation 1");
    let said = home.fails(4, &["learn", "import", path(&folder)]);
    assert!(said.contains("--yes"), "{said}");
    let taken = home.json(&["learn", "import", path(&folder), "--yes", "--scale", "0.75", "--json"]);
    assert_eq!((&taken["in_use"], &taken["scale"]), (&json!(true), &json!(0.75)));
    let both = asked(&home);
    assert_eq!(both.1, "generation 1 + tiny-generation-1");
    assert_ne!(both.0, alone.0);
    assert_eq!(home.status()["adapter"], both.1);
    assert_eq!(home.json(&["learn", "import", "--list", "--json"])["shared"][0], taken);
    // The author is known by now.
    home.ok(&["learn", "import", path(&folder), "--name", "again"]);
    home.ok(&["learn", "import", "--remove", "again"]);
    assert!(home.fails(2, &["learn", "import", path(&folder)]).contains("--name"));
    assert!(home.fails(5, &["learn", "import", "--remove", "again"]).contains("no shared adapter"));
    // Without what was learned here, the other's serves by itself; with nothing, the model as it came.
    home.ok(&["learn", "rollback", "0"]);
    assert_eq!(asked(&home).1, "tiny-generation-1");
    home.ok(&["learn", "rollback", "1"]);
    assert_eq!(asked(&home), both);
    // Where the settings name an adapter, that one alone serves; the file that went out is one, too.
    home.ok(&["model", "use", "tiny", "--adapter", path(&folder.join("adapter.gguf"))]);
    wait_for("the adapter that was set", || (home.status()["adapter"] == "adapter").then_some(()));
    let said = asked(&home);
    assert!(said.1 == "adapter" && said.0 != both.0 && said.0 != alone.0, "{said:?}");
    assert!(home.ok(&["learn", "import", "--list"]).contains("not in use"));
    home.ok(&["model", "use", "tiny", "--adapter", "personal"]);
    wait_for("the personal adapter", || (home.status()["adapter"] == both.1).then_some(()));
    assert_eq!(asked(&home), both);
    home.ok(&["learn", "import", "--remove", "tiny-generation-1"]);
    assert_eq!(asked(&home), alone);
}

#[test]
fn what_was_forgotten_is_not_left_in_a_merged_file() {
    let (_author, folder) = exported();
    let home = owner(Some(5));
    home.ok(&["learn", "import", path(&folder), "--yes"]);
    assert_eq!(stacks(&home), ["generation 1 + tiny-generation-1.gguf"]);
    home.ok(&["forget", "--all"]);
    assert_eq!(stacks(&home), ["tiny-generation-1.gguf"]);
    assert_eq!(asked(&home).1, "tiny-generation-1");
}

#[test]
fn what_serves_beside_others_survives_a_restart() {
    let (_author, folder) = exported();
    let mut home = owner(None);
    let came = asked(&home);
    home.ok(&["learn", "import", path(&folder), "--yes"]);
    let both = asked(&home);
    assert!(both.1 == "tiny-generation-1" && both.0 != came.0);
    home.kill();
    home.start();
    assert_eq!(asked(&home), both);
    // A damaged adapter of another's has no part in answers, and keeps nobody from starting.
    home.kill();
    fs::write(home.root().join("data/adapters/tiny-generation-1.shared.toml"), "x").unwrap();
    home.start();
    assert_eq!(asked(&home), came);
    assert!(home.fails(1, &["learn", "import", "--list"]).contains("--remove tiny-generation-1"));
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    let (author, folder) = exported();
    let home = owner(None);
    let weights = folder.join("adapter_model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[1..]).unwrap();
    let said = home.fails(4, &["learn", "import", path(&folder), "--yes"]);
    assert!(said.contains("adapter_model.safetensors is not the file that its author signed"), "{said}");
    fs::write(&weights, whole).unwrap();
    fs::write(folder.join("manifest.sig"), "00").unwrap();
    assert!(home.fails(4, &["learn", "import", path(&folder), "--yes"]).contains("signature"));
    assert!(home.fails(5, &["learn", "import", path(author.dir.path()), "--yes"]).contains("manifest.toml"));
    // On another model it would be nonsense.
    let other = author.dir.path().join("other");
    author.ok(&["learn", "export", path(&other), "--name", "mine"]);
    home.ok(&["model", "use", "ember"]);
    let said = home.fails(2, &["learn", "import", path(&other), "--yes"]);
    assert!(said.contains("`mine` was made on the model `tiny`") && said.contains("`ember`"), "{said}");
}

/// Lines typed into a chat without a terminal, and what it printed.
fn chat(home: &Home, lines: &str) -> String {
    let mut child = home
        .command(&["chat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn talking() -> Home {
    let mut home = configured(SETTINGS);
    let model = parrot(home.dir.path(), "polly", "Yes.", 4096);
    home.start();
    adopt(&home, &model);
    home
}

#[test]
fn what_is_said_of_an_answer_is_kept_with_it() {
    let home = talking();
    let said = chat(
        &home,
        "/good\nDoes it rain?\n/good\n/edit No, it snows.\n/edit\nNo,\nit snows.\n\n/remember my name is Ada\n/godo\n/help\n",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "There is no answer yet to say that of: ask something first.");
    let noted: Vec<&&str> =
        lines.iter().filter(|line| line.starts_with("Noted. It is not learned from before")).collect();
    assert!(noted.len() == 3 && noted[1].contains("learn sources corrections"), "{said}");
    for words in [
        "Kept in mind.",
        "`/godo` is not understood",
        "  /forget   ",
        "goes on with: familiar chat --session",
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    // Nobody was asked, since nobody sat there.
    assert_eq!(home.http("GET", "/familiar/v1/learn/consent", None).1, r#"{"asked":false}"#);
    home.ok(&["learn", "sources", "conversations", "corrections"]);
    assert!(chat(&home, "Does it rain?\n/good\n").contains("it will be learned from"));
    let learning = &home.status()["learning"];
    assert_eq!(learning["sources"], json!(["conversations", "corrections"]));
    assert!(home.ok(&["status"]).contains("\nlearning "));
}

#[test]
fn a_conversation_is_forgotten_after_a_yes() {
    let home = talking();
    let said = chat(&home, "/forget\nDoes it rain?\n/forget\nwhat?\n/forget\ny\n/good\n");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "Nothing was said yet that could be forgotten.");
    assert!(said.contains("Forget it? [y/N] Nothing was forgotten."), "{said}");
    assert!(said.contains("Removed 0 samples, 0 answers and 1 conversation."), "{said}");
    assert!(said.ends_with("ask something first.\n"), "{said}");
    assert_eq!(home.http("GET", "/familiar/v1/sessions", None).1, r#"{"sessions":[]}"#);
}

/// Holds a conversation with a command on a terminal.
fn on_a_terminal(home: &Home, script: Value, args: &[&str]) -> String {
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/on_a_terminal.py");
    let mut command = Command::new("python3");
    command.args([helper, &script.to_string(), BINARY]).args(args);
    let output = command.env("FAMILIAR_HOME", home.root()).env("NO_COLOR", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn what_may_be_learned_from_is_asked_once_on_a_terminal() {
    let home = talking();
    let diary = home.write("diary/monday.md", "# Monday\n\nIt rained.\n");
    home.index();
    let leaves = json!([["conversations: ", "y"], ["corrections: ", "\u{4}"]]);
    on_a_terminal(&home, leaves, &["chat", "--plain"]);
    assert_eq!(home.status()["learning"]["state"], "off");
    let agrees = json!([
        ["conversations: ", ""],
        ["corrections: ", "y"],
        ["own writing? ", path(diary.parent().unwrap())],
        ["> ", "/quit"],
    ]);
    let said = on_a_terminal(&home, agrees, &["chat", "--plain"]);
    let kept = home.root().join("data");
    for words in ["nothing of it leaves this machine", path(&kept), "It learns from corrections and folders."]
    {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let learning = home.status()["learning"].clone();
    assert_eq!(learning["sources"], json!(["corrections", "folders"]));
    assert_eq!(learning["folders"], json!([path(diary.parent().unwrap())]));
    // Asked once is asked, also when all of it is taken back.
    home.ok(&["learn", "sources", "none"]);
    let said = on_a_terminal(&home, json!([["> ", "/quit"]]), &["chat", "--plain"]);
    assert!(!said.contains("Familiar can learn"), "{said}");
}
