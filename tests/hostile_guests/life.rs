//! The worker's own life: many guests at once, calls that nobody waits for, waits for the owner, packages
//! that change, code that was damaged on the disk.

use super::cases::everything;
use super::guest::{ANSWER, GOOD, Guest};
use super::stage::Stage;
use crate::support::runtime;
use familiar::plugins::{Calling, HostServices, PluginError};
use familiar::policy::grants::Grants;
use familiar::protocol::plugins::{Answer, Ask, Called, ToolError};
use futures::future::{BoxFuture, join_all};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const FOREVER: &str = "(loop $again (br $again)) (unreachable)";
const LONG: Duration = Duration::from_secs(60);

fn stopped(called: Result<Called, PluginError>) -> String {
    match called {
        Ok(Called { result: Err(ToolError::Stopped(why)), .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// Answers `confirm` once it is let, and everything else never.
struct Slow {
    asked: Semaphore,
    answer: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Arc<Slow> {
        Arc::new(Slow { asked: Semaphore::new(0), answer: Arc::new(Semaphore::new(0)) })
    }
}

impl HostServices for Slow {
    fn answer(&self, calling: Arc<Calling>, ask: Ask) -> BoxFuture<'static, Answer> {
        self.asked.add_permits(1);
        let answer = self.answer.clone();
        Box::pin(async move {
            match ask {
                Ask::Confirm { .. } => {
                    let _asking = calling.wait();
                    answer.acquire().await.map(|_| Answer::Flag(true)).unwrap()
                }
                _ => std::future::pending().await,
            }
        })
    }
}

/// A guest that asks the owner, and answers with what it was told.
fn confirming() -> Vec<u8> {
    Guest::new(&format!(
        "(call $confirm (i32.const 1536) (i32.const 2) {ANSWER}) (call $result (i32.const 0) {ANSWER} (i32.const 5))"
    ))
    .own("ask-user", "confirm", "(param i32 i32 i32)")
    .build()
}

#[test]
fn many_endless_loops_at_once_end_and_others_run_meanwhile() {
    let (stage, good, endless) = (Stage::new(), Guest::new(GOOD).build(), Guest::new(FOREVER).build());
    runtime().block_on(async {
        stage.is_well(&good, "nothing").await;
        let loops = (0..40).map(|_| stage.call(&endless, Grants::default(), Duration::from_millis(200)));
        let (ended, ()) = tokio::join!(join_all(loops), stage.is_well(&good, "loops of another plugin"));
        for called in ended {
            assert_eq!(stopped(called), "it ran longer than 200 ms");
        }
        stage.is_well(&good, "40 loops").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn more_calls_than_may_wait_are_refused() {
    let (stage, endless) = (Stage::new(), Guest::new(FOREVER).build());
    runtime().block_on(async {
        let loops = (0..100).map(|_| stage.call(&endless, Grants::default(), Duration::from_millis(20)));
        let ended = join_all(loops).await;
        let refused = ended.iter().filter(|ended| matches!(ended, Err(PluginError::Busy(_)))).count();
        assert!((1..=36).contains(&refused), "{refused}");
        stage.runtime.stop().await;
    });
}

#[test]
fn the_deadline_stands_still_while_the_owner_is_asked() {
    let (stage, slow, guest) = (Stage::new(), Slow::new(), confirming());
    let endless = Guest::new(FOREVER).build();
    runtime().block_on(async {
        stage.is_well(&Guest::new(GOOD).build(), "nothing").await;
        // Shorter than the wait, and longer than a wait may cost.
        let run = stage.run(&guest, "tool", everything(), Duration::from_secs(2));
        let runtime = stage.runtime.clone();
        let services = slow.clone();
        let call = tokio::spawn(async move { runtime.call(run, services).await });
        let _asked = slow.asked.acquire().await.unwrap();
        // The loops take longer than the deadline of the one that waits.
        for _ in 0..3 {
            stopped(stage.call(&endless, Grants::default(), Duration::from_millis(800)).await);
        }
        assert!(!call.is_finished());
        slow.answer.add_permits(1);
        let text = call.await.unwrap().unwrap().result.unwrap().text;
        assert_eq!(text, "\0\0\0\0\u{1}");
        stage.runtime.stop().await;
    });
}

/// A guest that has the owner told something, which asks for no yes and takes as long as it takes.
fn telling() -> Vec<u8> {
    Guest::new(&format!("(call $delete (i32.const 1536) (i32.const 2) {ANSWER}) {GOOD}"))
        .own("kv", "delete", "(param i32 i32 i32)")
        .build()
}

#[test]
fn the_deadline_runs_while_an_import_that_may_ask_the_owner_does_not() {
    let (stage, slow, guest) = (Stage::new(), Slow::new(), telling());
    runtime().block_on(async {
        let run = stage.run(&guest, "tool", everything(), Duration::from_millis(300));
        assert_eq!(stopped(stage.runtime.call(run, slow.clone()).await), "it ran longer than 300 ms");
        stage.is_well(&Guest::new(GOOD).build(), "a slow import").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn what_was_taken_back_ends_the_calls_that_have_it() {
    let (stage, slow, guest) = (Stage::new(), Slow::new(), confirming());
    runtime().block_on(async {
        stage.is_well(&Guest::new(GOOD).build(), "nothing").await;
        let run = stage.run(&guest, "tool", everything(), LONG);
        let (runtime, services, plugin) = (stage.runtime.clone(), slow.clone(), run.calling.plugin.clone());
        let call = tokio::spawn(async move { runtime.call(run, services).await });
        let _asked = slow.asked.acquire().await.unwrap();
        stage.runtime.end_calls("another");
        stage.is_well(&Guest::new(GOOD).build(), "another's end").await;
        assert!(!call.is_finished());
        stage.runtime.end_calls(&plugin);
        let ended = call.await.unwrap().unwrap_err().to_string();
        assert!(ended.contains("taken back"), "{ended}");
        stage.is_well(&Guest::new(GOOD).build(), "an end from outside").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn the_deadline_runs_while_other_imports_are_answered() {
    let (stage, slow) = (Stage::new(), Slow::new());
    let guest =
        Guest::new(&format!("(call $now {ANSWER}) {GOOD}")).own("clock", "now", "(param i32)").build();
    runtime().block_on(async {
        let run = stage.run(&guest, "tool", everything(), Duration::from_millis(300));
        assert_eq!(stopped(stage.runtime.call(run, slow.clone()).await), "it ran longer than 300 ms");
        stage.is_well(&Guest::new(GOOD).build(), "an import without an answer").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn a_call_that_nobody_waits_for_gives_its_place_back() {
    let (stage, slow, guest) = (Stage::new(), Slow::new(), confirming());
    let endless = Guest::new(FOREVER).build();
    runtime().block_on(async {
        let good = Guest::new(GOOD).build();
        stage.is_well(&good, "nothing").await;
        for round in 0..3 {
            // As many as there are places, of two plugins: half of them wait for the owner, half run.
            let mut calls = Vec::new();
            for (guest, services) in
                [(&guest, slow.clone() as Arc<dyn HostServices>), (&endless, slow.clone())]
            {
                for _ in 0..4 {
                    let run = stage.run(guest, "tool", everything(), LONG);
                    let (runtime, services) = (stage.runtime.clone(), services.clone());
                    calls.push(tokio::spawn(async move { runtime.call(run, services).await }));
                }
            }
            slow.asked.acquire_many(4).await.unwrap().forget();
            calls.iter().for_each(|call| call.abort());
            join_all(calls).await;
            stage.is_well(&good, &format!("round {round}")).await;
        }
        stage.runtime.stop().await;
    });
}

#[test]
fn a_worker_that_is_killed_fails_its_calls_and_the_next_one_is_answered() {
    let (stage, slow, guest) = (Stage::new(), Slow::new(), confirming());
    runtime().block_on(async {
        let run = stage.run(&guest, "tool", everything(), LONG);
        let (runtime, services) = (stage.runtime.clone(), slow.clone());
        let call = tokio::spawn(async move { runtime.call(run, services).await });
        let _asked = slow.asked.acquire().await.unwrap();
        let pid = stage.runtime.status().pid.and_then(|pid| Pid::from_raw(pid as i32)).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, PluginError::Died(_)), "{error}");
        let called = stage.call(&Guest::new(GOOD).build(), Grants::default(), LONG).await.unwrap();
        assert_eq!(called.result.unwrap().text, "ok");
        assert_eq!(stage.runtime.status().restarts, 1);
        stage.runtime.stop().await;
    });
}

#[test]
fn a_file_that_is_not_the_one_that_was_asked_for_is_refused() {
    let (stage, guest) = (Stage::new(), Guest::new(GOOD).build());
    runtime().block_on(async {
        let mut run = stage.run(&guest, "tool", Grants::default(), LONG);
        std::fs::write(&run.file, confirming()).unwrap();
        let (file, digest) = (run.file.clone(), run.file_digest.clone());
        let error = stage.runtime.load(&file, &digest).await.unwrap_err();
        assert!(error.to_string().contains("it changed meanwhile"), "{error}");
        run.file = stage.folder.path().to_owned();
        let error = stage.runtime.call(run, stage.services.clone()).await.unwrap_err();
        assert!(error.to_string().contains("not a plain file"), "{error}");
        let large = stage.folder.path().join("large");
        std::fs::File::create(&large).unwrap().set_len((128 << 20) + 1).unwrap();
        let error = stage.runtime.load(&large, &digest).await.unwrap_err();
        assert!(error.to_string().contains("larger than 128 MiB"), "{error}");
        stage.is_well(&Guest::new(GOOD).more("(func)").build(), "wrong files").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn compiled_code_is_used_again_and_damaged_code_is_not() {
    let (stage, guest) = (Stage::new(), Guest::new(GOOD).build());
    let (file, digest) = stage.file(&guest);
    runtime().block_on(async {
        let first = stage.runtime.load(&file, &digest).await.unwrap();
        assert!(!first.cached);
        stage.runtime.stop().await;
        assert!(stage.runtime.load(&file, &digest).await.unwrap().cached);
        stage.runtime.stop().await;
        let compiled: Vec<_> = std::fs::read_dir(stage.folder.path().join("compiled"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(compiled.len(), 1);
        let mut code = std::fs::read(&compiled[0]).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 0x10;
        std::fs::write(&compiled[0], code).unwrap();
        assert!(!stage.runtime.load(&file, &digest).await.unwrap().cached);
        let called = stage.call(&guest, Grants::default(), LONG).await.unwrap();
        assert_eq!(called.result.unwrap().text, "ok");
        stage.runtime.stop().await;
    });
}

#[test]
fn descriptions_come_from_the_guest_and_its_failures_are_told() {
    let stage = Stage::new();
    runtime().block_on(async {
        let describe = |guest: Guest| {
            let (file, digest) = stage.file(&guest.build());
            let runtime = stage.runtime.clone();
            async move { runtime.describe(&file, &digest).await.map_err(|error| error.to_string()) }
        };
        assert_eq!(describe(Guest::new(GOOD)).await, Ok("[]".into()));
        let clock = Guest::new(GOOD).own("clock", "now", "(param i32)");
        for (guest, words) in [
            (Guest::new(GOOD).describe("(unreachable)"), "it gave up"),
            (Guest::new(GOOD).describe("(i32.const -4)"), "outside its memory"),
            (
                clock.describe(&format!("(call $now {ANSWER}) (i32.const 3072)")),
                "nobody waits for it any more",
            ),
        ] {
            let error = describe(guest).await.unwrap_err();
            assert!(error.contains("could not describe its tools") && error.contains(words), "{error}");
        }
        stage.is_well(&Guest::new(GOOD).build(), "descriptions").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn the_folder_of_compiled_code_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (stage, guest) = (Stage::new(), Guest::new(GOOD).build());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    runtime().block_on(async {
        stage.is_well(&guest, "nothing").await;
        let compiled = stage.folder.path().join("compiled");
        assert_eq!(mode(&compiled), 0o700);
        for entry in std::fs::read_dir(&compiled).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
        stage.runtime.stop().await;
    });
}
