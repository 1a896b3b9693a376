//! Bad input, end to end: whatever comes, there is a clear message and the daemon lives on.

use crate::serving::parrot::testkit::{Tiny, tiny};
use crate::serving::parrot::{endless, parrot};
use crate::serving::{Streamed, Wrapped, adopt, configured, serving, works};
use crate::support::{Home, path, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const EMBER: &[u8] = include_bytes!("../daemon/models/ember/ember.gguf");
const SHORT: &str = "[model]\nthreads = 1\n[ask]\npassages = 2\nmax_tokens = 8\n";

/// The same bytes every time, like nothing that is known.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Puts `new` in the place of the first `old`, which has the same length.
fn patched(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old).expect("nothing to patch");
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// The tiny model with another value of one of its numbers.
fn lying(key: &str, value: u32) -> Vec<u8> {
    let mut bytes = tiny(&Tiny::default()).bytes();
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap() + key.len() + 4;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn unknown_architecture() -> Vec<u8> {
    let bytes = tiny(&Tiny::default()).bytes();
    // The value follows its key, its type and its length.
    let key = [b"general.architecture".as_slice(), &8u32.to_le_bytes(), &5u64.to_le_bytes()].concat();
    let (old, new) = ([key.as_slice(), b"llama"].concat(), [key.as_slice(), b"lhasa"].concat());
    patched(&bytes, &old, &new)
}

/// What is no model, and what its refusal must say.
fn bad_models() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let no_bytes = tiny(&Tiny { byte_tokens: false, ..Tiny::default() }).bytes();
    vec![
        ("half", EMBER[..EMBER.len() / 2].to_vec(), "truncated"),
        ("last-byte", EMBER[..EMBER.len() - 1].to_vec(), "truncated"),
        ("header", EMBER[..100].to_vec(), "truncated"),
        ("empty", Vec::new(), "GGUF"),
        ("noise", noise(1 << 20), "not a GGUF file"),
        ("named", [b"GGUF\x03\0\0\0".to_vec(), noise(1 << 20)].concat(), "broken"),
        ("version", [b"GGUF\x63\0\0\0".to_vec(), noise(1000)].concat(), "version 99"),
        ("architecture", unknown_architecture(), "`lhasa` is unknown"),
        ("no-bytes", no_bytes, "byte tokens"),
    ]
}

/// That it still serves, with the same process.
fn lives(home: &Home, pid: u64) {
    assert_eq!(home.status()["pid"], json!(pid), "the daemon was started anew:\n{}", home.log());
}

fn answers(home: &Home) {
    let answer = home.json(&["ask", "--json", "--no-tools", "Where is the spare key?"]);
    assert!(!answer["answer"].as_str().unwrap().is_empty(), "{answer}");
}

fn with_note(settings: &str) -> Home {
    let home = serving(settings);
    home.write("notes.md", "# Notes\n\nThe spare key is under the blue flower pot.\n");
    home.index();
    home
}

#[test]
fn files_that_are_no_models_are_not_imported() {
    let home = serving(SHORT);
    let pid = home.pid().into();
    for (name, bytes, says) in bad_models() {
        let file = home.dir.path().join(format!("{name}.gguf"));
        fs::write(&file, bytes).unwrap();
        let said = home.fails(2, &["model", "import", path(&file)]);
        assert!(said.contains(says) && said.contains(path(&file)), "{name}: {said}");
    }
    let folder = home.fails(1, &["model", "import", path(&home.docs())]);
    assert!(folder.contains("not a regular file"), "{folder}");
    home.fails(5, &["model", "import", path(&home.docs().join("absent.gguf"))]);
    let odd = home.dir.path().join("odd name.gguf");
    fs::write(&odd, EMBER).unwrap();
    assert!(home.fails(2, &["model", "import", path(&odd)]).contains("no name for a model"));
    let models = home.json(&["model", "list", "--json"]);
    assert_eq!(models["models"].as_array().unwrap().len(), 1, "{models}");
    let left: Vec<_> =
        fs::read_dir(home.root().join("data/models")).into_iter().flatten().flatten().collect();
    assert!(left.iter().all(|file| file.file_name().to_string_lossy().starts_with("ember.")), "{left:?}");
    lives(&home, pid);
}

#[test]
fn a_model_that_was_damaged_is_named_and_others_answer() {
    let home = with_note(SHORT);
    let pid = home.pid().into();
    let good = parrot(home.dir.path(), "victim", "Yes.", 2048);
    adopt(&home, &good);
    answers(&home);
    home.ok(&["model", "use", "ember"]);
    let victim = home.root().join("data/models/victim.gguf");
    for (name, bytes, says) in bad_models() {
        fs::write(&victim, bytes).unwrap();
        let said = home.fails(2, &["model", "use", "victim"]);
        assert!(said.contains(says) && said.contains("victim"), "{name}: {said}");
    }
    // Damaged while it is the one in use: loaded anew for the next question.
    for (name, bytes, says) in bad_models() {
        fs::copy(&good, &victim).unwrap();
        home.ok(&["model", "use", "victim"]);
        fs::write(&victim, bytes).unwrap();
        let output = home.run(&["ask", "--no-tools", "Where is the spare key?"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {:?} {said}", output.status);
        assert!(said.contains("victim") && said.contains(says), "{name}: {said}");
        home.ok(&["model", "use", "ember"]);
    }
    answers(&home);
    lives(&home, pid);
}

#[test]
fn a_daemon_whose_model_is_damaged_starts_and_says_so() {
    let mut home = configured("[model]\nname = \"victim\"\nthreads = 1\n");
    let victim = home.root().join("data/models/victim.gguf");
    fs::create_dir_all(victim.parent().unwrap()).unwrap();
    fs::write(&victim, noise(100_000)).unwrap();
    home.start();
    let output = home.run(&["ask", "Well?"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("victim") && said.contains("not a GGUF file"),
        "{said}"
    );
    let message = json!({"role": "user", "content": "Well?"});
    let body = json!({"model": "victim", "messages": [message]});
    let (status, answer) = home.http("POST", "/v1/chat/completions", Some(body));
    assert!(status >= 400 && answer.contains("victim"), "{status} {answer}");
    let report: Value = serde_json::from_slice(&home.run(&["doctor", "--json"]).stdout).unwrap();
    assert_eq!(
        report["checks"].as_array().unwrap().iter().find(|c| c["name"] == "model").unwrap()["level"],
        "fail"
    );
    // One that is not there at all.
    fs::remove_file(&victim).unwrap();
    let said = home.fails(5, &["ask", "Well?"]);
    assert!(said.contains("`victim`"), "{said}");
    home.ok(&["model", "use", "ember"]);
    home.json(&["ask", "--json", "Well?"]);
}

#[test]
fn a_model_whose_header_lies_stops_no_more_than_its_own_worker() {
    let home = with_note(SHORT);
    let pid = home.pid().into();
    let shapes = tiny(&Tiny::default()).bytes();
    let mut liars = vec![("shape".to_string(), {
        let name = b"blk.0.attn_q.weight";
        let at = shapes.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4;
        let mut bytes = shapes.clone();
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    })];
    for (key, value) in [
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.block_count", 100),
        ("llama.embedding_length", u32::MAX),
        ("llama.rope.dimension_count", 7),
        ("llama.context_length", 0),
        ("tokenizer.ggml.eos_token_id", 1 << 30),
    ] {
        liars.push((format!("{key}-{value}"), lying(key, value)));
    }
    for (n, (what, bytes)) in liars.into_iter().enumerate() {
        let file = home.dir.path().join(format!("liar{n}.gguf"));
        fs::write(&file, bytes).unwrap();
        let imported = home.run(&["model", "import", path(&file)]);
        if imported.status.success() {
            home.ok(&["model", "use", &format!("liar{n}")]);
            // It may work, too, where the lie does not matter to llama.cpp.
            let output = home.run(&["ask", "--no-tools", "Where is the spare key?"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || !said.trim().is_empty(), "{what}: no message");
            assert!(output.status.code().is_some(), "{what}: {:?}", output.status);
            home.ok(&["model", "use", "ember"]);
        } else {
            let said = String::from_utf8_lossy(&imported.stderr);
            assert_eq!(imported.status.code(), Some(2), "{what}: {said}");
            assert!(said.contains(path(&file)), "{what}: {said}");
        }
        lives(&home, pid);
    }
    answers(&home);
}

#[test]
fn a_question_longer_than_the_context_is_refused_with_numbers() {
    let home = with_note(SHORT);
    let long = "where is the spare key and what else ".repeat(2000);
    let said = home.fails(2, &["ask", "--no-tools", &long]);
    let numbers: Vec<u64> =
        said.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    assert!(said.contains("too long") && numbers.len() >= 2 && numbers[0] > numbers[1], "{said}");
    answers(&home);
}

#[test]
fn what_does_not_fit_the_context_is_said() {
    let home = serving("[model]\nthreads = 1\n[ask]\npassages = 6\nmax_tokens = 8\n");
    let words = "The spare key is under the blue flower pot, and so are many more words. ".repeat(30);
    for n in 0..6 {
        home.write(&format!("{n}.md"), format!("# Part {n}\n\n{words}\n"));
    }
    home.index();
    adopt(&home, &parrot(home.dir.path(), "parrot", "Yes.", 2048));
    let answer = home.json(&["ask", "--json", "--no-tools", "Where is the spare key?"]);
    assert!(answer["left_out"].to_string().contains("retrieved passages did not fit"), "{answer}");
    // People are told, too.
    let output = home.run(&["ask", "--no-tools", "Where is the spare key?"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("note: ") && said.contains("did not fit"), "{said}");
}

#[test]
fn what_does_not_fit_of_a_long_conversation_is_said() {
    let home = serving("[model]\nthreads = 1\n[ask]\npassages = 0\nmax_tokens = 8\n");
    adopt(&home, &parrot(home.dir.path(), "parrot", "Yes.", 2048));
    let question = "Is it so, as we said before and will say again? ".repeat(8);
    let first = home.json(&["ask", "--json", "--no-tools", &question]);
    assert!(first.get("left_out").is_none(), "{first}");
    let session = first["session"].as_str().unwrap();
    let last = (0..6)
        .map(|_| home.json(&["ask", "--json", "--no-tools", "--session", session, &question]))
        .find(|answer| answer.get("left_out").is_some())
        .expect("all of a conversation longer than the context was said to fit");
    assert!(last["left_out"].to_string().contains("earlier messages did not fit"), "{last}");
    assert_eq!(last["answer"], "Yes.");
}

#[test]
fn messages_longer_than_the_context_are_refused_as_openai_does() {
    let home = serving(SHORT);
    for stream in [false, true] {
        let message = json!({"role": "user", "content": "too many words ".repeat(20_000)});
        let body = json!({"model": "ember", "messages": [message], "stream": stream});
        let (status, answer) = home.http("POST", "/v1/chat/completions", Some(body));
        assert_eq!(status, 400, "{answer}");
        let error = &serde_json::from_str::<Value>(&answer).unwrap()["error"];
        assert_eq!(error["code"], "context_length_exceeded", "{error}");
        assert!(error["message"].as_str().unwrap().contains("tokens"), "{error}");
    }
}

#[test]
fn settings_with_an_unknown_key_stop_the_start_and_say_where() {
    let home = configured("[ask]\npassages = 2\n\n[model]\nthread = 1\n");
    let file = home.root().join("config.toml");
    let place = format!("{}:5: ", file.display());
    for command in [&["daemon"][..], &["config", "show"], &["status"]] {
        let said = home.fails(1, command);
        assert!(said.contains(&place) && said.contains("model.thread"), "{command:?}: {said}");
    }
    fs::write(&file, "[ask]\npassages = \"two\"\n").unwrap();
    let said = home.fails(1, &["daemon"]);
    assert!(said.contains(":2: ") && said.contains("ask.passages"), "{said}");
    // A pipe in its place must not be waited for.
    fs::remove_file(&file).unwrap();
    make_fifo(&file);
    assert!(home.fails(1, &["daemon"]).contains("not a regular file"));
}

#[test]
fn a_bad_reload_keeps_the_old_settings() {
    let home = with_note("[model]\nthreads = 1\n[ask]\nmax_tokens = 3\n");
    let file = home.root().join("config.toml");
    adopt(&home, &parrot(home.dir.path(), "parrot", "Yes, it", 2048));
    let tokens =
        || home.json(&["ask", "--json", "--no-tools", "Well?"])["usage"]["completion_tokens"].clone();
    assert_eq!(tokens(), 3);
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{}nonsense = 1\n", good.replace("max_tokens = 3", "max_tokens = 2"))).unwrap();
    let (status, body) = home.http("POST", "/familiar/v1/config/reload", None);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("nonsense") && body.contains("config.toml:"), "{body}");
    assert_eq!(tokens(), 3);
    let pid = rustix::process::Pid::from_raw(home.pid() as i32).unwrap();
    let said = || home.log().matches("the settings stay as they were").count();
    let before = said();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    wait_for("the log to tell of a bad reload", || (said() > before).then_some(()));
    assert_eq!(tokens(), 3);
    fs::write(&file, good.replace("max_tokens = 3", "max_tokens = 2")).unwrap();
    assert_eq!(home.http("POST", "/familiar/v1/config/reload", None).0, 200);
    assert_eq!(tokens(), 2);
}

/// Writes all, or `bytes` and an end, and reads what comes back until the daemon closes; a connection that
/// it cut is a good end.
fn exchange(home: &Home, bytes: &[u8], then: Option<&[u8]>) -> String {
    let mut stream = home.connect();
    // It may have been cut off before all was written.
    let _ = stream.write_all(bytes);
    match then {
        Some(then) => drop(stream.write_all(then)),
        None => drop(stream.shutdown(std::net::Shutdown::Write)),
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the daemon neither answered nor closed: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn refused(answer: &str) -> bool {
    answer.is_empty() || answer.starts_with("HTTP/1.1 4")
}

#[test]
fn garbage_on_the_socket_is_refused() {
    let home = serving("");
    let pid = home.pid().into();
    for garbage in [
        noise(100),
        noise(300_000),
        vec![0; 5000],
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
    ] {
        let answer = exchange(&home, &garbage, None);
        assert!(
            refused(&answer),
            "{:?} got {answer}",
            String::from_utf8_lossy(&garbage[..garbage.len().min(60)])
        );
    }
    for (body, says) in [
        (&b"not json"[..], "expected"),
        (b"{\"question\": ", "EOF"),
        (b"{\"question\": 5}", "string"),
        (b"{\"question\": \"x\", \"sesion\": \"y\"}", "sesion"),
        (b"\xff\xfe\xfd", ""),
        (b"", ""),
    ] {
        let head = format!(
            "POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = exchange(&home, head.as_bytes(), Some(body));
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains(says), "{body:?} got {answer}");
        assert!(answer.contains("\"message\""), "{answer}");
    }
    let deep = json!("[".repeat(100_000)).to_string().replace('"', "");
    let head = format!(
        "POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        deep.len()
    );
    assert!(refused(&exchange(&home, head.as_bytes(), Some(deep.as_bytes()))));
    lives(&home, pid);
}

#[test]
fn half_requests_hold_up_nobody() {
    let home = serving("");
    let pid = home.pid().into();
    let halves = [
        &b""[..],
        b"POST /familiar/v1/ask HT",
        b"GET /familiar/v1/status HTTP/1.1\r\nHost: x\r\n",
        b"POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"question\":",
    ];
    let waiting: Vec<UnixStream> = (0..100)
        .map(|n| {
            let mut stream = home.connect();
            stream.write_all(halves[n % halves.len()]).unwrap();
            stream
        })
        .collect();
    lives(&home, pid);
    drop(waiting);
    lives(&home, pid);
}

#[test]
fn more_connections_than_allowed_are_told_to_come_back() {
    let home = serving("");
    let pid = home.pid().into();
    let open: Vec<UnixStream> = (0..300).map(|_| home.connect()).collect();
    let turned_away = |mut stream: &UnixStream| {
        stream.set_nonblocking(true).unwrap();
        let mut answer = [0; 12];
        stream.read(&mut answer).is_ok_and(|length| answer[..length] == *b"HTTP/1.1 503")
    };
    wait_for("a connection that is turned away", || open.iter().any(turned_away).then_some(()));
    drop(open);
    wait_for("room for others", || home.run(&["status"]).status.success().then_some(()));
    lives(&home, pid);
}

/// Sends up to a gigabyte after `head` until it is cut off; returns the bytes sent and what came back.
fn pour(home: &Home, head: &str, part: &[u8]) -> (usize, String) {
    const GIGABYTE: usize = 1 << 30;
    let mut stream = home.connect();
    stream.set_write_timeout(Some(crate::support::LIMIT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut sent = 0;
    while sent < GIGABYTE {
        match stream.write(part) {
            Ok(written) => sent += written,
            Err(error) => {
                let cut = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                assert!(cut.contains(&error.kind()), "after {sent} bytes: {error}");
                break;
            }
        }
    }
    let mut answer = Vec::new();
    // What was answered before the cut may be lost with it.
    let _ = stream.read_to_end(&mut answer);
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_gigabyte_is_cut_off() {
    let home = serving("");
    let pid = home.pid().into();
    let ask = "POST /familiar/v1/ask HTTP/1.1\r\nHost: x\r\n";
    let chunk = [b"40000\r\n".to_vec(), vec![b'a'; 0x40000], b"\r\n".to_vec()].concat();
    for (head, part) in [
        (format!("{ask}Content-Length: {}\r\n\r\n", 1u64 << 30), vec![b'a'; 1 << 18]),
        (format!("{ask}Transfer-Encoding: chunked\r\n\r\n"), chunk),
        ("GET /".to_string(), vec![b'a'; 1 << 18]),
        (format!("{ask}X: "), vec![b'a'; 1 << 18]),
    ] {
        let (sent, answer) = pour(&home, &head, &part);
        assert!(sent < 64 << 20, "{sent} bytes were taken after {head:?}");
        assert!(refused(&answer), "{head:?}: {answer}");
    }
    // An announced one is refused before it comes.
    let mut stream = home.connect();
    stream.write_all(format!("{ask}Content-Length: {}\r\n\r\n", 1u64 << 30).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("larger than"), "{answer}");
    let status = home.status();
    assert!(status["rss_bytes"].as_u64().unwrap() < 256 << 20, "{status}");
    lives(&home, pid);
}

#[test]
fn an_answer_whose_asker_left_is_given_up() {
    // One at a time: whoever asks next waits for those before. Left alone, each of these writes on for
    // many minutes.
    let home =
        with_note("[model]\nthreads = 1\nparallel = 1\ncontext = 1000000\n[ask]\nmax_tokens = 65536\n");
    adopt(&home, &endless(home.dir.path(), "endless", "Yes.", 1_000_000));
    let question = json!({"question": "Well?", "stream": true, "no_tools": true});
    let message = json!({"role": "user", "content": "Well?"});
    let chat = json!({"model": "endless", "messages": [message], "stream": true, "max_tokens": 900_000});
    for n in 0..20 {
        let (route, body) =
            if n % 2 == 0 { ("/familiar/v1/ask", &question) } else { ("/v1/chat/completions", &chat) };
        let mut events = Streamed::ask(&home, route, body);
        for _ in 0..4 {
            assert!(events.next().is_some());
        }
    }
    // The one that asked for no stream leaves as well.
    let mut whole = chat.clone();
    whole["stream"] = json!(false);
    drop(Streamed::ask(&home, "/v1/chat/completions", &whole));
    let mut next = chat;
    next["stream"] = json!(false);
    next["max_tokens"] = json!(4);
    let (status, body) = home.http("POST", "/v1/chat/completions", Some(next));
    assert_eq!(status, 200, "{body}");
    // The sessions that were left can be asked again.
    let sessions: Value = serde_json::from_str(&home.http("GET", "/familiar/v1/sessions", None).1).unwrap();
    for session in sessions["sessions"].as_array().unwrap() {
        assert_eq!(session["turns"], 0, "an answer that nobody saw was stored: {session}");
    }
}

fn make_fifo(file: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Failed files of the index, by path.
fn failed(home: &Home) -> Vec<(PathBuf, String)> {
    let status = home.json(&["index", "status", "--json"]);
    let failed = status["failed"].as_array().unwrap().iter();
    failed
        .map(|file| (file["path"].as_str().unwrap().into(), file["error"].as_str().unwrap().into()))
        .collect()
}

#[test]
fn odd_files_do_not_keep_others_from_being_found() {
    let home = serving("");
    let pid = home.pid().into();
    let docs = home.docs();
    home.write("good.md", "The walrus sleeps.\n");
    home.write("program.bin", noise(200_000));
    home.write("zeros.txt", vec![0; 10_000]);
    home.write("latin.txt", b"Der Gr\xfc\xdfgott steht am Tor, und die Stra\xdfe ist na\xdf.\n");
    home.write("noise.txt", noise(5000));
    home.write("empty.txt", "");
    home.write("one-line.txt", "manatee ".repeat(500_000));
    home.write("deep.html", format!("{}narwhal{}", "<div>".repeat(100_000), "</div>".repeat(100_000)));
    home.write(&format!("{}/deep.txt", "d/".repeat(200)), "The otter swims.\n");
    File::create(docs.join("huge.txt")).unwrap().set_len(1 << 30).unwrap();
    fs::write(docs.join(std::ffi::OsStr::from_bytes(b"na\xefve.txt")), "The lemur leaps.\n").unwrap();
    symlink("b", docs.join("a")).unwrap();
    symlink("a", docs.join("b")).unwrap();
    symlink(&docs, docs.join("d/back")).unwrap();
    symlink("absent", docs.join("dangling")).unwrap();
    symlink("/etc/passwd", docs.join("outside.txt")).unwrap();
    make_fifo(&docs.join("pipe.txt"));
    let _listener = std::os::unix::net::UnixListener::bind(docs.join("socket")).unwrap();

    home.index();
    assert_eq!(home.search("walrus"), [path(&docs.join("good.md"))]);
    assert_eq!(home.search("otter").len(), 1);
    assert_eq!(home.search("Straße"), [path(&docs.join("latin.txt"))]);
    assert_eq!(home.search("manatee").first().map(String::as_str), Some(path(&docs.join("one-line.txt"))));
    assert!(home.search("root").is_empty(), "a link out of the folder was followed");
    let failed = failed(&home);
    let why = |name: &str| {
        let file = docs.join(name);
        failed.iter().find(|(path, _)| *path == file).map(|(_, error)| error.as_str())
    };
    assert!(why("huge.txt").is_some_and(|why| why.contains("1024 MB")), "{failed:?}");
    assert!(why("program.bin").is_some(), "{failed:?}");
    assert!(failed.iter().any(|(_, error)| error.contains("not UTF-8")), "{failed:?}");
    for fine in ["good.md", "latin.txt", "empty.txt", "pipe.txt", "a", "dangling", "socket"] {
        assert_eq!(why(fine), None);
    }
    for odd in ["pipe.txt", "socket", "a"] {
        let said = home.run(&["index", "add", path(&docs.join(odd))]);
        assert!(!said.status.success() && !said.stderr.is_empty(), "{odd} was added");
    }
    lives(&home, pid);
}

#[test]
fn what_may_not_be_read_is_listed_as_failed() {
    // Root may read everything, unless the daemon is started without that power.
    let root = rustix::process::geteuid().is_root();
    let without = "-dac_override,-dac_read_search";
    let (bounding, inheritable) = (format!("--bounding-set={without}"), format!("--inh-caps={without}"));
    let wrapper: &[&str] = if root { &["setpriv", &bounding, &inheritable] } else { &["env"] };
    if !works(&[wrapper, &["true"]].concat()) {
        eprintln!("SKIPPED: {wrapper:?} does not work here, and root may read everything");
        return;
    }
    let home = configured("[index]\npoll_s = 1\n");
    let daemon = Wrapped::start(&home, wrapper);
    home.write("open.txt", "The walrus sleeps.\n");
    let file = home.write("closed.txt", "The otter swims.\n");
    home.write("closed/inside.txt", "The lemur leaps.\n");
    let folder = home.docs().join("closed");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o000);
    mode(&folder, 0o000);
    home.index();
    assert_eq!(home.search("walrus").len(), 1);
    assert!(home.search("otter lemur").is_empty());
    let failed = failed(&home);
    for path in [&file, &folder] {
        let why = failed.iter().find(|(failed, _)| failed == path).map(|(_, error)| error.to_lowercase());
        assert!(why.is_some_and(|why| why.contains("permission denied")), "{path:?}: {failed:?}");
    }
    mode(&folder, 0o700);
    mode(&file, 0o600);
    wait_for("files that may be read now", || {
        (home.search("otter").len() == 1 && home.search("lemur").len() == 1).then_some(())
    });
    lives(&home, daemon.0.id().into());
}

#[test]
fn files_deleted_while_they_are_read_are_gone() {
    let home = serving("");
    let pid = home.pid().into();
    let file = |n: usize| home.docs().join(format!("{}/{n}.txt", n % 20));
    for n in 0..600 {
        home.write(&format!("{}/{n}.txt", n % 20), format!("walrus{n} {}\n", "sleeps on ".repeat(500)));
    }
    home.ok(&["index", "add", path(&home.docs())]);
    wait_for("the index to be at work", || {
        let status = home.json(&["index", "status", "--json"]);
        (status["pending"] != json!(0) || status["documents"] != json!(0)).then_some(())
    });
    for n in (0..600).filter(|n| n % 3 != 0) {
        fs::remove_file(file(n)).unwrap();
    }
    fs::remove_dir_all(home.docs().join("19")).unwrap();
    let left = (0..600).filter(|n| file(*n).exists()).count() as u64;
    wait_for("the index to equal the folder", || {
        let status = home.json(&["index", "status", "--json"]);
        (status["documents"] == json!(left) && status["pending"] == json!(0)).then_some(())
    });
    assert!(failed(&home).is_empty(), "{:?}", failed(&home));
    assert!(home.search("walrus1").is_empty());
    let found = home.search("walrus3");
    assert!(!found.is_empty() && found.iter().all(|hit| hit == path(&file(3))), "{found:?}");
    lives(&home, pid);
}

/// How a daemon gets a small disk for its data: in a name space of its own, so that nothing stays mounted.
fn small_disk(home: &Home) -> Option<[String; 6]> {
    fs::create_dir_all(home.root().join("data")).unwrap();
    fs::set_permissions(home.root().join("data"), fs::Permissions::from_mode(0o700)).unwrap();
    let mount = "mount -t tmpfs -o size=24m,mode=700 tmpfs \"$0\" && exec \"$@\"";
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let data = home.root().join("data");
    let words = ["unshare", flags, "sh", "-c", mount, path(&data)].map(String::from);
    let try_it: Vec<&str> = words.iter().map(String::as_str).chain(["true"]).collect();
    works(&try_it).then_some(words)
}

#[test]
fn a_full_disk_is_told_of_and_got_over() {
    let home = configured(SHORT);
    let Some(wrapper) = small_disk(&home) else {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    };
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let daemon = Wrapped::start(&home, &wrapper);
    let pid = daemon.0.id();
    let disk = PathBuf::from(format!("/proc/{pid}/root{}", home.root().join("data").display()));
    home.write("before.txt", "The walrus sleeps.\n");
    home.index();
    // Up to the last byte.
    let filler = disk.join("filler");
    let mut file = File::create(&filler).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    for n in 0..50 {
        home.write(&format!("{n}.txt"), format!("otter{n} {}\n", "swims far away ".repeat(2000)));
    }
    let warning =
        wait_for("a warning", || home.status()["index"]["warnings"].as_array().unwrap().first().cloned());
    assert!(warning.as_str().unwrap().contains("disk"), "{warning}");
    assert!(home.ok(&["status"]).contains("warning: "));
    assert_eq!(home.search("walrus").len(), 1, "what was there before is not found any more");
    let asked = home.run(&["ask", "--no-tools", "Where does the walrus sleep?"]);
    let said = String::from_utf8_lossy(&asked.stderr);
    assert_eq!(asked.status.code(), Some(6), "{said}");
    assert!(said.contains("disk is full") || said.contains("no space left"), "{said}");
    let model = parrot(home.dir.path(), "parrot", "Yes.", 2048);
    let said = home.fails(6, &["model", "import", path(&model)]);
    assert!(said.contains("no space left"), "{said}");

    fs::remove_file(&filler).unwrap();
    drop(file);
    wait_for("the index to catch up", || {
        let status = home.json(&["index", "status", "--json"]);
        let well = status["warnings"].as_array().unwrap().is_empty();
        (well && status["documents"] == json!(51) && status["pending"] == json!(0)).then_some(())
    });
    let found = home.search("otter7");
    let file = home.docs().join("7.txt");
    assert!(!found.is_empty() && found.iter().all(|hit| hit == path(&file)), "{found:?}");
    assert_eq!(home.search("walrus").len(), 1);
    adopt(&home, &model);
    answers(&home);
    lives(&home, pid.into());
}
