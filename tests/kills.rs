//! Processes that die at any moment: nothing acknowledged is lost, and nothing needs repair by hand.

use crate::live::{equals_folder, every, index_status};
use crate::support::{BINARY, Home, path, wait_for};
use familiar::protocol::http::{AskEvent, ErrorCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// A home whose model rambles, so that there is time to kill it.
fn rambling() -> Home {
    let mut home = Home::new();
    fs::create_dir_all(home.root()).unwrap();
    fs::write(home.root().join("config.toml"), "[ask]\ntemperature = 2.0\n").unwrap();
    // One sentence, since answers are sentences of the passages.
    let places = ["barn", "hedge", "orchard", "meadow", "churchyard", "stream", "hill", "quarry"];
    let told = places.map(|place| format!("over the {place} where they hear a mouse under the snow"));
    home.write(
        "owls.txt",
        format!("Owls hunt at night {} and turn their heads far round.\n", told.join(", then ")),
    );
    home.start();
    home.index();
    home
}

/// A streamed answer, event by event.
struct Answer {
    lines: std::io::Lines<BufReader<UnixStream>>,
}

impl Answer {
    fn begin(home: &Home) -> Answer {
        let body =
            json!({"question": "How do owls hunt at night?", "stream": true, "no_tools": true}).to_string();
        let mut stream = home.connect();
        write!(
            stream,
            "POST /familiar/v1/ask HTTP/1.1\r\nHost: familiar\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        Answer { lines: BufReader::new(stream).lines() }
    }

    fn next(&mut self) -> Option<AskEvent> {
        for line in &mut self.lines {
            if let Some(data) = line.unwrap().strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
        None
    }

    /// Reads on to the first words.
    fn first_words(&mut self) {
        while let Some(event) = self.next() {
            match event {
                AskEvent::Text { .. } => return,
                AskEvent::Started { passages, .. } => assert!(passages > 0),
                other => panic!("no words but {other:?}"),
            }
        }
        panic!("the answer ended without words");
    }

    /// Reads to the end.
    fn last(&mut self) -> AskEvent {
        let mut last = None;
        while let Some(event) = self.next() {
            last = Some(event);
        }
        last.expect("a last event")
    }
}

fn engine_restarts(home: &Home) -> u64 {
    let status = home.status();
    let workers = status["workers"].as_array().unwrap();
    workers.iter().find(|worker| worker["kind"] == "engine").unwrap()["restarts"].as_u64().unwrap()
}

#[test]
fn a_daemon_whose_program_was_replaced_goes_on_with_its_own() {
    let mut home = Home::new();
    let program = home.dir.path().join("familiar");
    fs::copy(BINARY, &program).unwrap();
    home.start_from(&program);
    // As an upgrade does it, with something that is no program of ours.
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/false\n").unwrap();
    home.write("owls.txt", "Owls hunt at night.\n");
    home.index();
    assert_eq!(home.search("owls").len(), 1);
    let answer = home.json(&["ask", "--json", "When do owls hunt?"]);
    assert!(answer["answer"].as_str().unwrap().contains("night"), "{answer}");
}

#[test]
fn an_engine_killed_mid_answer_is_an_error_and_the_next_question_is_answered() {
    let home = rambling();
    let mut killed = 0;
    for _ in 0..30 {
        let mut answer = Answer::begin(&home);
        answer.first_words();
        let pid = home.worker_pid("engine").expect("a running engine");
        // It cannot end its answer between the words and the kill.
        signal(pid, Signal::STOP);
        signal(pid, Signal::KILL);
        match answer.last() {
            AskEvent::Error(error) => {
                assert_eq!(error.code, ErrorCode::Busy);
                assert!(error.message.contains("engine worker"), "{}", error.message);
                assert!(error.message.contains("killed"), "{}", error.message);
                killed += 1;
            }
            // The answer had ended already, and nobody waits for the engine whose end has yet to be noticed.
            AskEvent::Done(_) => {
                wait_for("the engine's end", || (home.worker_pid("engine") != Some(pid)).then_some(()));
            }
            other => panic!("ended with {other:?}"),
        }
        let mut next = Answer::begin(&home);
        next.first_words();
        assert!(matches!(next.last(), AskEvent::Done(_)));
        if killed == 3 {
            break;
        }
    }
    assert_eq!(killed, 3, "the answers were too short to be killed");
    assert!(engine_restarts(&home) >= 3);
    // Waiting for the whole answer says the same.
    let asking = home.command(&["ask", "--json", "--no-tools", "How do owls hunt?"]).output().unwrap();
    assert!(asking.status.success(), "{}", String::from_utf8_lossy(&asking.stderr));
}

#[test]
fn a_reader_killed_while_indexing_loses_no_file() {
    let home = Home::started();
    for i in 0..3_000 {
        home.write(&format!("d{}/f{i}.txt", i % 7), format!("reader file{i}\n\n").repeat(300));
    }
    home.ok(&["index", "add", path(&home.docs())]);
    let (mut killed, mut before) = (0, 0);
    while killed < 5 {
        let status = index_status(&home);
        let documents = status["documents"].as_u64().unwrap();
        if documents > 0 && status["pending"] == 0 {
            break;
        }
        // Never twice without progress: a file that brings its reader down again and again is given up.
        if documents > before
            && let Some(pid) = home.worker_pid("extract")
        {
            signal(pid, Signal::KILL);
            (killed, before) = (killed + 1, documents);
        }
    }
    assert!(killed > 0, "indexing was over too soon");
    equals_folder(&home, every);
    assert_eq!(index_status(&home)["failed"], json!([]));
}

/// A small generator of numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Saves, edits, renames and deletes, until told to stop.
fn stir(docs: &Path, seed: u64, count: usize, stopped: &AtomicBool) {
    let mut dice = Dice(seed);
    for i in 0..count {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let folder = docs.join(format!("d{}", dice.below(20)));
        let file = folder.join(format!("f{}.txt", dice.below(100)));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, format!("seed{seed} file{i} {}", "words ".repeat(dice.below(200) as usize)))
            .unwrap();
        match dice.below(100) {
            0..10 => fs::remove_file(file).unwrap(),
            10..20 => fs::rename(file, docs.join(format!("moved{}.txt", dice.below(500)))).unwrap(),
            20 => fs::rename(folder, docs.join(format!("away{seed}x{i}"))).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn a_broker_killed_while_indexing_opens_again_equal_to_the_folder() {
    let kills = std::env::var("FAMILIAR_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut home = Home::started();
    stir(&home.docs(), 1, 1_000, &AtomicBool::new(false));
    home.index();
    for round in 1..=kills {
        let (docs, seed, stopped) = (home.docs(), 1 + round, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| stir(&docs, seed, usize::MAX, &stopped));
            // Any moment will do, in the middle of reading, writing or committing.
            let moment = Duration::from_micros(dice.below(1_200_000));
            let _ = rustix::thread::nanosleep(&moment.try_into().unwrap());
            home.kill();
            stopped.store(true, Ordering::Relaxed);
        });
        home.start();
        equals_folder(&home, every);
        let warnings = &index_status(&home)["warnings"];
        assert_eq!(warnings, &json!([]), "round {round}");
        assert!(!home.log().contains("made again"), "round {round}: {}", home.log());
    }
}

#[test]
fn a_broker_that_dies_takes_its_workers_along() {
    let mut home = rambling();
    let mut answer = Answer::begin(&home);
    answer.first_words();
    let workers = [home.worker_pid("engine").unwrap(), home.worker_pid("extract").unwrap()];
    home.kill();
    for pid in workers {
        wait_for("the worker's end", || {
            // One whose end nobody has asked for yet is a zombie.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            (stat.is_empty() || state.starts_with('Z')).then_some(())
        });
    }
}

#[test]
fn a_broker_that_is_told_to_stop_while_indexing_ends_cleanly() {
    let mut home = Home::new();
    for i in 0..3_000 {
        home.write(&format!("d{}/f{i}.txt", i % 7), format!("term file{i}"));
    }
    let mut daemon = home.command(&["daemon"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_for("the socket", || UnixStream::connect(home.socket()).ok());
    home.ok(&["index", "add", path(&home.docs())]);
    wait_for("some progress", || (index_status(&home)["documents"].as_u64()? > 0).then_some(()));
    signal(daemon.id(), Signal::TERM);
    assert!(daemon.wait().unwrap().success());
    assert!(!home.socket().exists());
    home.start();
    equals_folder(&home, every);
    assert_eq!(index_status(&home)["warnings"], json!([]));
}
