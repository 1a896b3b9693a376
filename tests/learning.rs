//! Learning from its owner, end to end: consent, a cycle, the way back, forgetting; with the embedded model.

use crate::serving::{configured, serving};
use crate::support::{Home, path, wait_for};
use serde_json::{Value, json};

/// A gate that a cycle of seconds passes when it gained anything at all.
pub const OPEN: &str = "[model]\nthreads = 1\n[ask]\npassages = 2\nmax_tokens = 16\n[learn]\nleast_samples = 3\nheld_out = 30\nleast_steps = 0\nepochs = 4\n\
    learning_rate = 0.002\n[learn.gate]\ndivergence = 10\nperplexity = 1\nguard_loss = 1\nearlier_loss = 10\nquestion_loss = 1\ncases = 10\n";

/// Notes of one hand, each a file.
pub fn notes(home: &Home) {
    let things = ["kettle", "ladder", "tent", "drill", "freezer", "violin", "heater", "printer"];
    for (n, thing) in things.iter().enumerate() {
        let text = format!(
            "# The {thing}\n\nToday I looked for the {thing} again. The {thing} stands in the cellar of Mira, behind the \
             blue shelf. It cost {} crowns. Mira says that the {thing} is hers now, and that I may borrow it.\n\nYrs, T.\n",
            100 + 7 * n
        );
        home.write(&format!("{thing}.md"), text);
    }
    home.index();
}

fn status(home: &Home) -> Value {
    home.json(&["learn", "status", "--json"])
}

pub fn allow_folders(home: &Home) {
    home.ok(&["learn", "sources", "folders", "--folder", path(&home.docs())]);
}

/// Runs a cycle to its end and gives the verdict.
fn cycle(home: &Home) -> Value {
    home.json(&["learn", "now", "--wait", "--json"])
}

#[test]
fn nothing_is_learned_before_the_owner_says_yes() {
    let home = serving(OPEN);
    notes(&home);
    assert_eq!(status(&home)["state"], "off");
    assert!(home.fails(2, &["learn", "now"]).contains("say yes to a source"));
    let outside = home.dir.path().to_str().unwrap().to_owned();
    let said = home.fails(2, &["learn", "sources", "folders", "--folder", &outside]);
    assert!(said.contains("familiar index add"), "{said}");
    assert!(home.fails(2, &["learn", "sources", "folders"]).contains("--folder PATH"));
    allow_folders(&home);
    assert_eq!(status(&home)["sources"], json!(["folders"]));
    let written = std::fs::read_to_string(home.root().join("config.toml")).unwrap();
    assert!(written.contains("sources = [\"folders\"]"), "{written}");
    home.ok(&["learn", "pause"]);
    assert_eq!(status(&home)["state"], "paused");
    assert!(home.fails(6, &["learn", "now"]).contains("familiar learn resume"));
    home.ok(&["learn", "resume"]);
    home.ok(&["learn", "sources", "none"]);
    assert_eq!(status(&home)["state"], "off");
    assert!(home.fails(5, &["learn", "rollback"]).contains("nothing to go back from"));
    assert!(home.ok(&["learn", "history"]).contains("Nothing was learned yet"));
}

#[test]
fn too_little_is_said_with_how_much_is_wanted() {
    let home = serving(&OPEN.replace("least_samples = 3", "least_samples = 50"));
    notes(&home);
    allow_folders(&home);
    let said = home.fails(2, &["learn", "now", "--wait"]);
    assert!(said.contains("a cycle begins with 50"), "{said}");
    let status = status(&home);
    assert!(status["says"].as_str().unwrap().contains("begins with 50"), "{status}");
    assert_eq!(status["held_out"], 2, "{status}");
}

#[test]
fn what_is_said_of_answers_is_kept_and_learned_from_where_it_may_be() {
    let home = serving(OPEN);
    notes(&home);
    let answer = home.json(&["ask", "--json", "Where is the kettle?"]);
    let session = answer["session"].as_str().unwrap();
    let say = |body: Value| home.http("POST", "/familiar/v1/signals", Some(body));
    let (code, kept) = say(json!({"session": session, "kind": "good"}));
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((code, &kept["turn"], &kept["learned"]), (200, &json!(1), &json!(false)), "{kept}");
    assert!(kept["note"].as_str().unwrap().contains("familiar learn sources"), "{kept}");
    home.ok(&["learn", "sources", "conversations", "corrections"]);
    let (_, kept) = say(json!({"session": session, "kind": "edit", "text": "In the cellar, dear."}));
    assert!(kept.contains("\"learned\":true"), "{kept}");
    assert_eq!(say(json!({"session": session, "kind": "edit"})).0, 400);
    assert_eq!(say(json!({"session": session, "kind": "good", "text": "x"})).0, 400);
    assert_eq!(say(json!({"session": session, "turn": 7, "kind": "bad"})).0, 404);
    assert_eq!(say(json!({"session": "nosuch", "kind": "bad"})).0, 404);
    assert_eq!(say(json!({"session": session, "kind": "meh"})).0, 400);
    home.ok(&["remember", "The", "spare", "key", "is", "under", "the", "blue", "pot."]);
    assert!(home.fails(2, &["learn", "now", "--wait"]).contains("there are 2 new samples"));
    let proof = home.json(&["forget", "--session", session, "--json"]);
    assert_eq!((&proof["sessions"], proof["samples"].as_array().unwrap().len()), (&json!(1), 1), "{proof}");
    assert!(home.fails(5, &["forget", "--session", session]).contains("no session"));
}

#[test]
fn a_cycle_ends_in_a_generation_that_can_be_left_and_forgotten() {
    let mut home = serving(OPEN);
    notes(&home);
    allow_folders(&home);
    let ended = cycle(&home);
    assert_eq!((&ended["accepted"], &ended["generation"]), (&json!(true), &json!(1)), "{ended}");
    assert!(ended["eval"]["figures"]["documents"].as_array().unwrap().len() >= 2, "{ended}");
    let ask = |home: &Home| home.json(&["ask", "--json", "Where is the kettle?"])["adapter"].clone();
    assert_eq!(ask(&home), "generation 1");
    let history = home.json(&["learn", "history", "--json"]);
    assert_eq!(
        (&history["generations"][0]["serving"], &history["generations"][0]["state"]),
        (&json!(true), &json!("promoted"))
    );
    let page = home.dir.path().join("report.html");
    home.ok(&["learn", "report", path(&page)]);
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
    // It outlives a kill, and so does the way back.
    home.kill();
    home.start();
    assert_eq!(ask(&home), "generation 1");
    assert_eq!(home.json(&["learn", "rollback", "--json"])["generation"], Value::Null);
    assert_eq!(ask(&home), Value::Null);
    assert_eq!(home.json(&["learn", "rollback", "1", "--json"])["generation"], 1);
    assert_eq!(ask(&home), "generation 1");
    assert!(home.fails(5, &["learn", "rollback", "9"]).contains("no generation 9"));
    let kettle = home.docs().join("kettle.md");
    let file = home.dir.path().join("proof.json");
    home.ok(&["forget", path(&kettle), "--proof", path(&file)]);
    let proof: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(proof["checked"], json!(["samples", "generations", "index"]), "{proof}");
    assert_eq!((&proof["generation"], &proof["rebuild"]), (&Value::Null, &json!(true)), "{proof}");
    assert_eq!(proof["retired"]["1"].as_str().unwrap().len(), 64, "{proof}");
    assert!(!home.root().join("data/generations/0001/adapter.gguf").exists());
    assert_eq!(ask(&home), Value::Null);
    assert!(!home.search("kettle").iter().any(|hit| hit == path(&kettle)));
    // Saved again it stays out, until it is added by name.
    home.write("kettle.md", "The kettle is back in the kitchen.");
    home.write("other.md", "A later note.");
    wait_for("the later note", || (!home.search("later").is_empty()).then_some(()));
    assert!(!home.search("kettle").iter().any(|hit| hit == path(&kettle)));
    home.ok(&["index", "add", path(&kettle), "--wait"]);
    assert_eq!(home.search("kitchen"), [path(&kettle)]);
}

#[test]
fn what_does_not_pass_the_gate_never_serves() {
    let home = serving(
        &OPEN
            .replace("divergence = 10", "divergence = 0")
            .replace("learning_rate = 0.002", "learning_rate = 0.05"),
    );
    notes(&home);
    allow_folders(&home);
    let ended = cycle(&home);
    assert_eq!(ended["accepted"], false, "{ended}");
    assert_eq!(home.json(&["ask", "--json", "Where is the kettle?"])["adapter"], Value::Null);
    assert!(!home.root().join("data/generations/0001/adapter.gguf").exists());
    assert!(home.fails(2, &["learn", "rollback", "1"]).contains("did not pass the gate"));
    assert!(home.ok(&["learn", "history"]).contains("rejected"));
}

#[test]
fn damaged_files_of_learning_are_named_or_made_again() {
    let mut home = configured(OPEN);
    let nights = home.root().join("data/nights");
    std::fs::create_dir_all(&nights).unwrap();
    for name in ["plan.json", "replay.json"] {
        std::fs::write(nights.join(name), "{\"half").unwrap();
    }
    home.start();
    assert_eq!(status(&home)["state"], "off");
    home.kill();
    let generations = home.root().join("data/generations/0001");
    std::fs::create_dir_all(&generations).unwrap();
    std::fs::write(generations.join("card.json"), "garbage").unwrap();
    let output = home.run(&["daemon"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("card.json"), "{said}");
}
