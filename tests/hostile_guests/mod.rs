//! Hostile guests through the real jailed worker: each is refused or stopped with words that say why, the
//! broker lives on, and the worker that ran it answers a good call next.

mod cases;
mod grants;
pub mod guest;
mod life;
mod load;
mod reach;
mod stage;

use crate::support::runtime;
use cases::{Case, Ends};
use familiar::plugins::PluginError;
use familiar::policy::grants::Grants;
use familiar::protocol::plugins::{Ask, Called, ToolError};
use guest::{GOOD, Guest};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stage::Stage;
use std::cell::Cell;
use std::time::Duration;

/// How it ended, in a line; `Err` if not as it should.
fn judge(case: &Case, called: &Result<Called, PluginError>) -> Result<String, String> {
    match (&case.ends, called) {
        (Ends::Refused(words), Err(PluginError::Unusable(why))) if why.contains(words) => Ok(why.clone()),
        (Ends::Stopped(words), Ok(Called { result: Err(ToolError::Stopped(why)), .. }))
            if why.contains(words) =>
        {
            Ok(why.clone())
        }
        (Ends::Harmless(text), Ok(Called { result: Ok(output), .. })) if output.text == *text => {
            Ok("came to nothing".into())
        }
        _ => Err(format!("{called:?}")),
    }
}

#[test]
fn every_hostile_guest_is_stopped_with_clear_words_and_the_worker_lives() {
    let all: Vec<Case> = [
        cases::time(),
        cases::memory(),
        cases::traps(),
        cases::answers(),
        cases::lies(),
        reach::values(),
        reach::places(),
        reach::wasi(),
        load::again(),
        load::files(),
        load::worlds(),
        load::sizes(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(all.len() >= 60, "{}", all.len());
    let (stage, good) = (Stage::new(), Guest::new(GOOD).build());
    let mut wrong = Vec::new();
    runtime().block_on(async {
        stage.is_well(&good, "nothing").await;
        for case in &all {
            let called = stage.call(&case.guest, case.grants.clone(), Duration::from_millis(300)).await;
            match judge(case, &called) {
                Ok(how) => println!("{}: {how}", case.name),
                Err(how) => wrong.push(format!("{}: {how}", case.name)),
            }
            if let Ok(called) = &called {
                let log: usize = called.log.iter().map(|line| line.message.len()).sum();
                assert!(log <= 64 << 10, "{}", case.name);
            }
            stage.is_well(&good, &case.name).await;
        }
        stage.runtime.stop().await;
    });
    assert!(wrong.is_empty(), "{} of {} end otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    println!("{} hostile guests", all.len());
    let beyond: Vec<Ask> = stage
        .asked()
        .into_iter()
        .filter(|ask| match ask {
            Ask::Read { .. } | Ask::Send(_) | Ask::Generate(_) => true,
            Ask::KvSet { key, value } => key.len() + value.len() > 8 << 20,
            _ => false,
        })
        .collect();
    assert!(beyond.is_empty(), "these came through: {beyond:?}");
}

/// Bytes of a good component, some of them changed, cut out or put in twice.
fn mutated(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = good.len();
    let change = (0..4_u8, 0..length, 0..64_usize, any::<u8>());
    proptest::collection::vec(change, 1..8).prop_map(move |changes| {
        let mut bytes = good.clone();
        for (kind, at, span, value) in changes {
            let (at, end) = (at.min(bytes.len()), (at + span).min(bytes.len()));
            match kind {
                0 if at < bytes.len() => bytes[at] = value,
                1 if at < bytes.len() => bytes[at] ^= 1 << (value % 8),
                2 => drop(bytes.drain(at..end)),
                _ => {
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        bytes
    })
}

#[test]
fn mutated_components_harm_nobody() {
    let (stage, good) = (Stage::new(), Guest::new(GOOD).build());
    let (runtime, ran) = (runtime(), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&mutated(good.clone()), |guest| {
        let call = stage.call(&guest, Grants::default(), Duration::from_millis(300));
        match runtime.block_on(call) {
            Err(PluginError::Unusable(_)) => Ok(()),
            Ok(_) => {
                ran.set(ran.get() + 1);
                Ok(())
            }
            Err(other) => Err(TestCaseError::fail(other.to_string())),
        }
    });
    outcome.unwrap();
    println!("300 mutated components, {} of which ran", ran.get());
    runtime.block_on(async {
        stage.is_well(&good, "mutated components").await;
        stage.runtime.stop().await;
    });
    assert_eq!(stage.asked(), []);
}
