//! What is promised to clients: shapes, sessions, citations, models, and that nothing but unix sockets
//! is ever opened.

#[path = "parrot.rs"]
pub mod parrot;

use crate::support::{BINARY, Home, path, wait_for};
use parrot::{endless, parrot};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const EMBER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/daemon/models/ember/ember.gguf");
const KEY: &str = "# Notes\n\nThe spare key is under the blue flower pot.\n";
const WHERE: &str = "Where is the spare key?";

/// Settings that keep answers short: what is said does not matter to most tests.
const SHORT: &str = "[model]\nthreads = 1\n[ask]\npassages = 2\nmax_tokens = 24\n";

/// A home with these settings, without a daemon.
pub fn configured(settings: &str) -> Home {
    let home = Home::new();
    std::fs::create_dir_all(home.root()).unwrap();
    std::fs::write(home.root().join("config.toml"), settings).unwrap();
    home
}

pub fn serving(settings: &str) -> Home {
    let mut home = configured(settings);
    home.start();
    home
}

/// A served home with one indexed note.
fn with_note(settings: &str) -> Home {
    let home = serving(settings);
    home.write("notes.md", KEY);
    home.index();
    home
}

/// Imports a model file and answers with it.
pub fn adopt(home: &Home, file: &std::path::Path) {
    home.ok(&["model", "import", path(file)]);
    home.ok(&["model", "use", file.file_stem().unwrap().to_str().unwrap()]);
}

/// A daemon that another program starts; ended with it.
pub struct Wrapped(pub Child);

impl Wrapped {
    /// Runs `wrapper... familiar daemon` and waits until it serves.
    pub fn start(home: &Home, wrapper: &[&str]) -> Wrapped {
        let log = std::fs::File::create(home.dir.path().join("daemon.log")).unwrap();
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).args([BINARY, "daemon"]).env("FAMILIAR_HOME", home.root());
        command.envs(home.environment.iter().cloned());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut wrapped = Wrapped(child);
        wait_for("the wrapped daemon's socket", || {
            let ended = wrapped.0.try_wait().unwrap();
            assert!(ended.is_none(), "{wrapper:?} ended: {ended:?}\n{}", home.log());
            UnixStream::connect(home.socket()).ok()
        });
        wrapped
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        // Already ended in a test that passed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a command can be run and ends well here.
pub fn works(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).output();
    output.is_ok_and(|output| output.status.success())
}

fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no `{field}` in {value}");
    }
}

fn is_number(value: &Value, fields: &[&str]) {
    has(value, fields);
    for field in fields {
        assert!(value[field].is_number(), "`{field}` of {value}");
    }
}

fn hash(file: &std::path::Path) -> String {
    blake3::hash(&std::fs::read(file).unwrap()).to_hex().to_string()
}

/// The events of a streamed answer, read as they come.
pub struct Streamed(BufReader<UnixStream>);

impl Streamed {
    pub fn ask(home: &Home, route: &str, body: &Value) -> Streamed {
        let mut stream = home.connect();
        let body = body.to_string();
        write!(
            stream,
            "POST {route} HTTP/1.1\r\nHost: familiar\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        Streamed(BufReader::new(stream))
    }

    /// The next `data:` line; `None` at the end. What frames the body's chunks is passed over.
    pub fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                return Some(data.into());
            }
            line.clear();
        }
        None
    }
}

#[test]
fn the_stock_openai_client_finds_what_it_expects() {
    let home = serving("[model]\nthreads = 1\n");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/openai_client.py");
    let output = Command::new(python()).args([script, path(&home.socket())]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() >= 13, "{said}");
}

/// A Python with the client's packages: the one that was prepared, or one made here and kept.
pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("FAMILIAR_PYTHON") {
        return python.into();
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join("bin/python");
    let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/requirements.txt");
    let done = folder.join("requirements.txt");
    let wanted = std::fs::read(requirements).unwrap();
    if std::fs::read(&done).ok().as_ref() != Some(&wanted) {
        assert!(works(&["python3", "-m", "venv", path(&folder)]), "python3 -m venv fails");
        let pip = [path(&python), "-m", "pip", "install", "-q", "-r", requirements];
        assert!(works(&pip), "{pip:?} fails");
        std::fs::write(done, wanted).unwrap();
    }
    python
}

#[test]
fn sessions_survive_kill_9() {
    let mut home = serving(SHORT);
    adopt(&home, &parrot(home.dir.path(), "parrot", "Yes.", 8192));
    let first = home.json(&["ask", "--json", "--no-tools", "Is it green?"]);
    let session = first["session"].as_str().unwrap().to_owned();
    home.kill();
    home.start();
    let route = format!("/familiar/v1/sessions/{session}");
    let messages = || {
        let (status, body) = home.http("GET", &route, None);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["messages"].as_array().unwrap().clone()
    };
    let kept = messages();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!((&kept[0]["role"], &kept[0]["content"]), (&json!("user"), &json!("Is it green?")));
    assert_eq!((&kept[1]["role"], &kept[1]["content"]), (&json!("assistant"), &json!("Yes.")));
    let second = home.json(&["ask", "--json", "--no-tools", "--session", &session, "Is it blue?"]);
    assert_eq!(second["session"], json!(session));
    // The earlier turn stands in the prompt.
    let alone = home.json(&["ask", "--json", "--no-tools", "Is it blue?"]);
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens(&second) >= tokens(&alone) + "Is it green?Yes.".len() as u64, "{second}\n{alone}");
    assert_eq!(messages().len(), 4);
}

#[test]
fn answers_and_statuses_have_the_promised_shape() {
    let home = with_note(SHORT);
    adopt(&home, &parrot(home.dir.path(), "parrot", "So [1].", 8192));
    let answer = home.json(&["ask", "--json", "--no-tools", WHERE]);
    has(&answer, &["answer", "citations", "tool_calls", "session", "model", "adapter", "usage", "timings"]);
    assert_eq!((&answer["answer"], &answer["model"]), (&json!("So [1]."), &json!("parrot")));
    assert_eq!((&answer["adapter"], &answer["tool_calls"]), (&Value::Null, &json!([])));
    is_number(&answer["usage"], &["prompt_tokens", "cached_tokens", "completion_tokens"]);
    is_number(&answer["timings"], &["ttft_ms", "total_ms", "tokens_per_s"]);
    let citations = answer["citations"].as_array().unwrap();
    assert_eq!(citations.len(), 1, "{answer}");
    is_number(&citations[0], &["n", "start", "end", "line"]);
    has(&citations[0], &["path", "page", "hash", "quote"]);

    let found = home.json(&["search", "--json", "spare key"]);
    is_number(&found, &["took_ms"]);
    let hit = &found["hits"][0];
    is_number(hit, &["score", "line", "start", "end"]);
    has(hit, &["path", "title", "page", "snippet"]);

    let index = home.json(&["index", "status", "--json"]);
    is_number(&index, &["documents", "bytes", "pending", "watched_dirs"]);
    assert!(index["failed"].is_array(), "{index}");
    assert_eq!((&index["documents"], &index["bytes"]), (&json!(1), &json!(KEY.len())));
    assert_eq!(home.json(&["index", "list", "--json"])["roots"], json!([path(&home.docs())]));

    let status = home.status();
    has(&status, &["version", "adapter", "learning", "workers"]);
    is_number(&status, &["pid", "uptime_s", "rss_bytes"]);
    assert_eq!((&status["pid"], &status["model"]["name"]), (&json!(home.pid()), &json!("parrot")));
    assert_eq!(status["index"]["documents"], json!(1));
    for kind in ["engine", "extract"] {
        let workers = status["workers"].as_array().unwrap();
        let worker = workers.iter().find(|worker| worker["kind"] == kind).unwrap();
        has(worker, &["pid", "state"]);
        is_number(worker, &["restarts", "rss_bytes"]);
    }
}

#[test]
fn the_embedded_model_answers() {
    let home = with_note(SHORT);
    let answer = home.json(&["ask", "--json", WHERE]);
    assert!(!answer["answer"].as_str().unwrap().trim().is_empty(), "{answer}");
    assert_eq!(answer["model"], "ember");
    let shown = home.ok(&["ask", WHERE]);
    assert!(shown.contains(answer["answer"].as_str().unwrap().trim()), "{shown}\nand as JSON: {answer}");
}

#[test]
fn a_citation_is_the_files_own_words() {
    let home = with_note(SHORT);
    adopt(&home, &parrot(home.dir.path(), "parrot", "So [1].", 8192));
    let file = home.docs().join("notes.md");
    let answer = home.json(&["ask", "--json", "--no-tools", WHERE]);
    let citation = &answer["citations"][0];
    assert_eq!((&citation["n"], &citation["path"]), (&json!(1), &json!(path(&file))));
    assert_eq!((&citation["hash"], &citation["stale"]), (&json!(hash(&file)), &json!(false)));
    let range = |name: &str| citation[name].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(json!(text[range("start")..range("end")]), citation["quote"]);
    let before = text[..range("start")].matches('\n').count();
    assert_eq!(range("line"), before + 1);
    assert_eq!(home.json(&["search", "--json", "spare key"])["hits"][0]["hash"], json!(hash(&file)));
}

#[test]
fn a_citation_of_a_file_that_changes_meanwhile_is_stale() {
    let home = with_note("[model]\nthreads = 1\ncontext = 65536\n[ask]\nmax_tokens = 8000\n");
    adopt(&home, &endless(home.dir.path(), "endless", "So [1].", 65536));
    let mut events = Streamed::ask(
        &home,
        "/familiar/v1/ask",
        &json!({"question": WHERE, "stream": true, "no_tools": true}),
    );
    let started: Value = serde_json::from_str(&events.next().unwrap()).unwrap();
    assert_eq!((&started["type"], &started["passages"]), (&json!("started"), &json!(1)));
    // The answer is longer than all buffers: it cannot end before it is read.
    let old = hash(&home.docs().join("notes.md"));
    home.write("notes.md", "# Notes\n\nThe spare key is with the neighbours.\n");
    let done = std::iter::from_fn(|| events.next()).last().unwrap();
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["type"], "done", "{}", done["message"]);
    let citation = &done["citations"][0];
    assert_eq!((&citation["hash"], &citation["stale"]), (&json!(old), &json!(true)));
    assert!(done["left_out"].to_string().contains("token limit"), "{}", done["left_out"]);
}

#[test]
fn a_streamed_answer_is_the_whole_answer() {
    let home = with_note(SHORT);
    let ask = |stream: bool| json!({"question": WHERE, "stream": stream});
    let (status, whole) = home.http("POST", "/familiar/v1/ask", Some(ask(false)));
    assert_eq!(status, 200, "{whole}");
    let whole: Value = serde_json::from_str(&whole).unwrap();
    let mut events = Streamed::ask(&home, "/familiar/v1/ask", &ask(true));
    let events: Vec<Value> =
        std::iter::from_fn(|| events.next()).map(|data| serde_json::from_str(&data).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"done")), "{kinds:?}");
    let text: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
    let done = events.last().unwrap();
    assert_eq!(json!(text), whole["answer"]);
    assert_eq!((&done["answer"], &done["citations"]), (&whole["answer"], &whole["citations"]));
}

#[test]
fn a_warm_answer_equals_a_cold_one() {
    let home = with_note(SHORT);
    home.write(
        "notes.md",
        KEY.to_string() + &"The spare tyre is in the shed, not far from the key. ".repeat(8),
    );
    wait_for("the longer note", || (home.search("tyre").len() == 1).then_some(()));
    let ask = || home.json(&["ask", "--json", "--no-tools", WHERE]);
    let cold = ask();
    assert_eq!(cold["usage"]["cached_tokens"], 0, "{cold}");
    let warm = ask();
    assert!(warm["usage"]["cached_tokens"].as_u64().unwrap() > 0, "{warm}");
    let pid = home.worker_pid("engine").unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let again = wait_for("an answer of a new worker", || {
        let output = home.run(&["ask", "--json", "--no-tools", WHERE]);
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).unwrap())
    });
    assert_eq!(again["usage"]["cached_tokens"], 0, "{again}");
    for other in [&warm, &again] {
        assert_eq!(other["answer"], cold["answer"]);
        assert_eq!(other["usage"]["completion_tokens"], cold["usage"]["completion_tokens"]);
    }
}

#[test]
fn models_come_and_go() {
    let home = serving(SHORT);
    let names = || {
        let models = home.json(&["model", "list", "--json"])["models"].as_array().unwrap().clone();
        models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["ember"]);
    home.ok(&["model", "import", EMBER, "--name", "copy"]);
    assert_eq!(names(), ["copy", "ember"]);
    let info = home.json(&["model", "info", "copy", "--json"]);
    let size = std::fs::metadata(EMBER).unwrap().len();
    assert_eq!((&info["size_bytes"], &info["hash"]), (&json!(size), &json!(hash(EMBER.as_ref()))));
    assert_eq!((&info["embedded"], &info["in_use"]), (&json!(false), &json!(false)));
    assert_eq!(info["architecture"], "llama");
    is_number(&info, &["parameters", "train_context"]);
    let again = home.fails(2, &["model", "import", EMBER, "--name", "copy"]);
    assert!(again.contains("here already"), "{again}");

    home.ok(&["model", "use", "copy"]);
    home.write("notes.md", KEY);
    home.index();
    assert_eq!(home.json(&["ask", "--json", WHERE])["model"], "copy");
    let in_use = home.fails(2, &["model", "remove", "copy"]);
    assert!(in_use.contains("in use"), "{in_use}");
    home.ok(&["model", "use", "ember"]);
    assert_eq!(home.json(&["ask", "--json", WHERE])["model"], "ember");
    home.ok(&["model", "remove", "copy"]);
    assert_eq!(names(), ["ember"]);
    // Another model under the name of one that has answered.
    let parrot = parrot(home.dir.path(), "parrot", "Yes.", 8192);
    home.ok(&["model", "import", EMBER, "--name", "other"]);
    home.ok(&["model", "use", "other"]);
    home.json(&["ask", "--json", WHERE]);
    home.ok(&["model", "use", "ember"]);
    home.ok(&["model", "remove", "other"]);
    home.ok(&["model", "import", path(&parrot), "--name", "other"]);
    home.ok(&["model", "use", "other"]);
    assert_eq!(home.json(&["ask", "--json", "--no-tools", WHERE])["answer"], "Yes.");
    home.ok(&["model", "use", "ember"]);
    home.ok(&["model", "remove", "other"]);
    home.fails(2, &["model", "remove", "ember"]);
    for command in [&["model", "info", "copy"][..], &["model", "use", "copy"], &["model", "remove", "copy"]] {
        let said = home.fails(5, command);
        assert!(said.contains("`copy`"), "{said}");
    }
}

#[test]
fn an_adapter_is_put_on_a_model_named_in_answers_and_taken_off_with_it() {
    let mut home = serving(SHORT);
    let tiny = parrot::testkit::tiny(&parrot::testkit::Tiny { context: 8192, ..Default::default() });
    adopt(&home, &tiny.write(home.dir.path(), "tiny").unwrap());
    let digest = home.json(&["model", "info", "tiny", "--json"])["hash"].as_str().unwrap().to_owned();
    let base = "familiar.adapter.base";
    let adapter = parrot::testkit::lora(3).text(base, &digest).write(home.dir.path(), "mine").unwrap();
    let foreign = parrot::testkit::lora(3).text(base, "00").write(home.dir.path(), "foreign").unwrap();
    let ask = |home: &Home| home.json(&["ask", "--json", "--no-tools", "tell me something"]);
    let plain = ask(&home);
    assert_eq!((&plain["adapter"], &home.status()["adapter"]), (&json!(null), &json!(null)));
    home.ok(&["model", "use", "tiny", "--adapter", path(&adapter)]);
    let learned = ask(&home);
    assert_ne!(learned["answer"], plain["answer"]);
    assert_eq!((&learned["adapter"], &home.status()["adapter"]), (&json!("mine"), &json!("mine")));
    // A name is looked for among the data; after a restart it is there again.
    let folder = home.root().join("data/adapters");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&adapter, folder.join("named.gguf")).unwrap();
    home.ok(&["model", "use", "tiny", "--adapter", "named"]);
    home.kill();
    home.start();
    assert_eq!((&ask(&home)["answer"], &ask(&home)["adapter"]), (&learned["answer"], &json!("named")));
    // What is wrong is said at once, and nothing changes.
    let said = home.fails(2, &["model", "use", "tiny", "--adapter", path(&foreign)]);
    assert!(said.contains("made on another file"), "{said}");
    let said = home.fails(2, &["model", "use", "ember", "--adapter", "named"]);
    assert!(said.contains("made on another file"), "{said}");
    home.fails(5, &["model", "use", "tiny", "--adapter", "nobody"]);
    home.fails(5, &["model", "use", "tiny", "--adapter", "./nobody.gguf"]);
    assert_eq!(ask(&home)["adapter"], "named");
    // The same model again keeps it; another one goes without.
    home.ok(&["model", "use", "tiny"]);
    assert_eq!(home.status()["adapter"], "named");
    home.ok(&["model", "use", "ember"]);
    assert_eq!(ask(&home)["adapter"], json!(null));
    home.ok(&["model", "use", "tiny", "--adapter", "none"]);
    assert_eq!(ask(&home)["answer"], plain["answer"]);
}

#[test]
fn a_chosen_model_stays_chosen_after_a_restart() {
    let mut home = serving(SHORT);
    adopt(&home, &parrot(home.dir.path(), "parrot", "Yes.", 8192));
    home.kill();
    home.start();
    assert_eq!(home.json(&["ask", "--json", "--no-tools", "Well?"])["answer"], "Yes.");
    let settings = std::fs::read_to_string(home.root().join("config.toml")).unwrap();
    assert!(settings.contains("max_tokens = 24"), "other settings were lost:\n{settings}");
}

#[test]
fn without_keep_alive_the_engine_goes_after_the_answer() {
    let home = serving("[model]\nthreads = 1\nkeep_alive_s = 0\ncontext = 65536\n[ask]\nmax_tokens = 8000\n");
    adopt(&home, &endless(home.dir.path(), "endless", "Yes.", 65536));
    let question = json!({"question": "Well?", "stream": true, "no_tools": true});
    let mut events = Streamed::ask(&home, "/familiar/v1/ask", &question);
    assert!(events.next().is_some());
    // The answer is longer than all buffers: it cannot end before it is read.
    let pid = home.worker_pid("engine").expect("no engine is at work");
    assert_eq!(home.log().matches("worker=\"engine\"").count(), 1, "one question, one load: {}", home.log());
    while events.next().is_some() {}
    wait_for("the engine to go", || home.worker_pid("engine").is_none().then_some(()));
    let process = PathBuf::from(format!("/proc/{pid}"));
    wait_for("its process to end", || (!process.exists()).then_some(()));
    assert_eq!(home.status()["model"]["loaded"], json!(false));
    // And it comes back.
    home.ok(&["model", "use", "ember"]);
    home.write("notes.md", KEY);
    home.index();
    assert!(!home.json(&["ask", "--json", WHERE])["answer"].as_str().unwrap().is_empty());
}

#[test]
fn several_questions_at_once_are_all_answered() {
    let home = with_note(SHORT);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| home.json(&["ask", "--json", WHERE]))).collect();
        asked.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let sessions: std::collections::HashSet<_> = answers.iter().map(|a| a["session"].to_string()).collect();
    assert_eq!(sessions.len(), 6);
    for answer in &answers {
        assert!(!answer["answer"].as_str().unwrap().is_empty(), "{answer}");
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
    }
}

#[test]
fn only_unix_sockets_are_opened() {
    if !works(&["strace", "-V"]) {
        eprintln!("SKIPPED: strace is not installed");
        return;
    }
    let home = configured(SHORT);
    let trace = home.dir.path().join("trace");
    let calls = "trace=socket,socketpair,connect,bind,listen";
    let mut daemon = Wrapped::start(&home, &["strace", "-f", "-e", calls, "-o", path(&trace)]);
    home.write("notes.md", KEY);
    home.index();
    home.json(&["ask", "--json", WHERE]);
    home.ok(&["model", "list"]);
    home.ok(&["doctor"]);
    home.ok(&["stop"]);
    daemon.0.wait().unwrap();
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| {
            ["socket(", "socketpair(", "connect(", "bind(", "listen("].iter().any(|c| line.contains(c))
        })
        .collect();
    assert!(calls.iter().any(|line| line.contains("socket(AF_UNIX")), "no socket was traced:\n{trace}");
    assert!(calls.iter().any(|line| line.contains("socketpair(AF_UNIX")), "no worker was traced:\n{trace}");
    assert!(calls.iter().any(|line| line.contains("familiar.sock")), "no listener was traced:\n{trace}");
    // `listen` names no family: it gets a descriptor that one of the others made.
    let foreign: Vec<_> =
        calls.iter().filter(|line| !line.contains("AF_UNIX") && !line.contains("listen(")).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
}

#[test]
fn the_doors_are_described() {
    let home = serving("");
    let (status, body) = home.http("GET", "/openapi.json", None);
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    for route in [
        "/v1/chat/completions",
        "/v1/models",
        "/familiar/v1/ask",
        "/familiar/v1/search",
        "/familiar/v1/index",
        "/familiar/v1/status",
        "/openapi.json",
    ] {
        assert!(document["paths"].get(route).is_some(), "{route} is not described");
    }
    // What is described without parameters and read with GET is there. Events never end.
    for (route, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_some() && !route.contains('{') && !route.ends_with("/events") {
            assert_eq!(home.http("GET", route, None).0, 200, "{route}");
        }
    }
    let (status, body) = home.http("GET", "/familiar/v1/nothing", None);
    assert_eq!(status, 404);
    assert!(serde_json::from_str::<Value>(&body).unwrap()["message"].is_string(), "{body}");
}

#[test]
fn every_exit_code_means_what_it_should() {
    let mut home = configured("");
    home.fails(3, &["--no-start", "status"]);
    home.fails(3, &["stop"]);
    home.start();
    home.ok(&["status"]);
    home.fails(2, &["ask"]);
    home.fails(2, &["ask", " "]);
    home.fails(2, &["no-such-command"]);
    home.fails(2, &["search", "--mode", "semantic", "key"]);
    home.write(".ssh/id", "a key");
    let denied = home.fails(4, &["index", "add", path(&home.docs().join(".ssh"))]);
    assert!(denied.contains("never indexed"), "{denied}");
    home.fails(5, &["index", "add", path(&home.docs().join("absent"))]);
    home.fails(5, &["index", "remove", path(&home.docs())]);
    home.fails(5, &["ask", "--session", "absent", "Well?"]);
    let second = home.fails(6, &["daemon"]);
    assert!(second.contains(&home.pid().to_string()), "{second}");
    home.ok(&["stop"]);
    home.fails(3, &["--no-start", "status"]);
    std::fs::write(home.root().join("config.toml"), "[model\n").unwrap();
    home.fails(1, &["daemon"]);
}

#[test]
fn doctor_and_completions_need_no_daemon() {
    let mut home = configured("");
    // Whether this machine passes is its own affair; that there is a report is not.
    let report: Value = serde_json::from_slice(&home.run(&["doctor", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in ["landlock", "seccomp", "model", "config", "daemon"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(report["ok"].is_boolean());
    assert!(!home.socket().exists(), "doctor started a daemon");
    let script = home.ok(&["completions", "bash"]);
    assert!(script.contains("familiar") && script.contains("complete"), "{script}");
    let checked = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().and_then(|mut bash| {
        bash.stdin.take().unwrap().write_all(script.as_bytes())?;
        bash.wait()
    });
    assert!(checked.unwrap().success());
    home.start();
    let mut text = String::new();
    home.run(&["doctor"]).stdout.as_slice().read_to_string(&mut text).unwrap();
    assert!(text.contains(&format!("pid {}", home.pid())), "{text}");
}

#[test]
fn a_client_starts_a_daemon_when_none_runs() {
    let home = configured("");
    let status = home.status();
    let pid = status["pid"].as_u64().unwrap();
    assert_eq!(home.status()["pid"], json!(pid));
    home.ok(&["stop"]);
    wait_for("the daemon's end", || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A process without a parent that waits for it stays as a zombie until somebody does.
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
}
