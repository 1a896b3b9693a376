//! The engine handle with real worker processes and the embedded model.

use crate::serving::parrot::testkit::{Tiny, lora, tiny};
use crate::support::{BINARY, runtime, wait_for};
use familiar::config::Config;
use familiar::engine::{Adapters, Engine, EngineError, Generation, Models, Output};
use familiar::protocol::frames::{Fault, Generate, Sampling};
use familiar::types::{Finish, Message, Role, ToolChoice};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

struct Place {
    engine: Engine,
    config: watch::Sender<Arc<Config>>,
    folder: TempDir,
}

impl Place {
    fn new(change: impl FnOnce(&mut Config)) -> Place {
        let folder = TempDir::new().unwrap();
        let mut config = Config::default();
        change(&mut config);
        let (sender, receiver) = watch::channel(Arc::new(config));
        let (models, adapters) = (Models::new(folder.path()), Adapters::new(folder.path().join("adapters")));
        let engine = Engine::with_program(models, adapters, receiver, Some(BINARY.into()));
        Place { engine, config: sender, folder }
    }

    fn use_model(&self, name: &str) {
        self.config.send_modify(|config| {
            let mut changed = (**config).clone();
            changed.model.name = name.into();
            *config = Arc::new(changed);
        });
    }

    fn use_adapter(&self, name: &str) {
        self.config.send_modify(|config| {
            let mut changed = (**config).clone();
            changed.model.adapter = name.into();
            *config = Arc::new(changed);
        });
    }

    fn pid(&self) -> Option<u32> {
        self.engine.status().1.pid
    }

    fn wait_until_stopped(&self, pid: u32) {
        wait_for("the worker's end", || {
            (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }
}

fn ask(text: &str) -> Generate {
    Generate {
        messages: vec![Message::new(Role::User, text)],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        json_schema: None,
        quotes: None,
        sampling: Sampling { max_tokens: 16, ..Sampling::default() },
    }
}

/// An answer that goes on until the context is full.
fn ask_much() -> Generate {
    let mut request = ask("numbers");
    let numbers = r#"{"type":"array","items":{"type":"integer","minimum":100000},"minItems":1000}"#;
    request.json_schema = Some(numbers.into());
    request.sampling.max_tokens = 100_000;
    request
}

async fn finish(mut answer: Generation) -> Result<Finish, EngineError> {
    while let Some(output) = answer.next().await {
        if let Output::Done { finish, usage, .. } = output? {
            assert!(usage.prompt_tokens > 0);
            assert!(answer.next().await.is_none());
            return Ok(finish);
        }
    }
    panic!("an answer without an end");
}

/// Waits for the first words.
async fn begun(answer: &mut Generation) {
    while !matches!(answer.next().await.unwrap().unwrap(), Output::Text(_)) {}
}

#[test]
fn a_model_is_loaded_used_unloaded_and_loaded_again() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        assert_eq!(place.engine.status().1.state, "idle");
        let info = place.engine.hold().await.unwrap().model.clone();
        assert_eq!(info.name, "ember");
        finish(place.engine.generate(ask("What is a kernel?")).await.unwrap()).await.unwrap();
        assert!(place.engine.count(ask("What is a kernel?")).await.unwrap() > 3);
        let (model, worker) = place.engine.status();
        assert!(model.loaded && model.context == Some(info.context) && worker.state == "running");
        let pid = worker.pid.unwrap();
        place.engine.unload().await;
        place.wait_until_stopped(pid);
        assert!(!place.engine.status().0.loaded);
        finish(place.engine.generate(ask("Again?")).await.unwrap()).await.unwrap();
        assert_ne!(place.pid(), Some(pid));
    });
}

#[test]
fn a_text_is_scored_by_itself_whatever_was_said_before() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let text = "The log is kept for seven days. The log is kept for seven days.";
        let first = place.engine.score(text).await.unwrap();
        finish(place.engine.generate(ask("What is a kernel?")).await.unwrap()).await.unwrap();
        assert_eq!(place.engine.score(text).await.unwrap(), first);
        assert!(first.nats > 0.0 && first.bytes <= text.len() as u64 && first.bytes + 20 > text.len() as u64);
        let noise = place.engine.score("qz xv kk wj zq vx jj qk zz xk vv kq jx zv qq").await.unwrap();
        assert!(noise.nats / noise.bytes as f64 > first.nats / first.bytes as f64);
        let long = place.engine.score(&text.repeat(1000)).await;
        assert!(matches!(long, Err(EngineError::Request(Fault::PromptTooLong { .. }))), "{long:?}");
    });
}

#[test]
fn requests_that_come_while_it_loads_wait_and_share_one_worker() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let answers = (0..6).map(|i| {
            let engine = place.engine.clone();
            tokio::spawn(async move { finish(engine.generate(ask(&format!("number {i}"))).await?).await })
        });
        for answer in answers.collect::<Vec<_>>() {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(place.engine.status().1.restarts, 0);
    });
}

#[test]
fn nobody_asking_ends_the_process_and_its_memory_with_it() {
    runtime().block_on(async {
        let place = Place::new(|config| config.model.keep_alive_s = 0);
        for _ in 0..2 {
            let mut answer = place.engine.generate(ask_much()).await.unwrap();
            begun(&mut answer).await;
            let pid = place.pid().unwrap();
            drop(answer);
            tokio::task::block_in_place(|| place.wait_until_stopped(pid));
        }
        finish(place.engine.generate(ask("Still there?")).await.unwrap()).await.unwrap();
    });
}

#[test]
fn dropping_an_answer_makes_room_for_the_next() {
    runtime().block_on(async {
        let place = Place::new(|config| config.model.parallel = 1);
        for _ in 0..5 {
            let mut answer = place.engine.generate(ask_much()).await.unwrap();
            begun(&mut answer).await;
        }
        finish(place.engine.generate(ask("And now?")).await.unwrap()).await.unwrap();
        assert_eq!(place.engine.status().1.restarts, 0);
    });
}

#[test]
fn a_killed_worker_is_an_error_at_once_and_a_new_one_answers() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let mut answer = place.engine.generate(ask_much()).await.unwrap();
        begun(&mut answer).await;
        let pid = place.pid().unwrap() as i32;
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        let error = finish(answer).await.unwrap_err();
        assert!(error.to_string().contains("stopped unexpectedly"), "{error}");
        finish(place.engine.generate(ask("Better now?")).await.unwrap()).await.unwrap();
    });
}

#[test]
fn another_model_takes_over_and_the_answer_under_way_is_finished() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let ember = place.engine.models().path("ember").unwrap();
        place.engine.models().import(&ember, Some("other"), |_, _| ()).unwrap();
        let mut request = ask_much();
        request.sampling.max_tokens = 300;
        let mut old = place.engine.generate(request).await.unwrap();
        begun(&mut old).await;
        let old_pid = place.pid().unwrap();
        place.use_model("other");
        let new = place.engine.generate(ask("Who?")).await.unwrap();
        assert_eq!((old.model.name.as_str(), new.model.name.as_str()), ("ember", "other"));
        finish(new).await.unwrap();
        assert_eq!(finish(old).await.unwrap(), Finish::Length);
        tokio::task::block_in_place(|| place.wait_until_stopped(old_pid));
        assert_ne!(place.pid(), Some(old_pid));
    });
}

#[test]
fn a_model_that_cannot_be_used_says_why_and_the_next_one_works() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let ember = std::fs::read(place.engine.models().path("ember").unwrap()).unwrap();
        std::fs::write(place.folder.path().join("half.gguf"), &ember[..ember.len() / 2]).unwrap();
        place.use_model("half");
        let error = place.engine.hold().await.map(|held| held.model.name.clone()).unwrap_err().to_string();
        assert!(error.contains("`half`") && error.contains("truncated"), "{error}");
        place.use_model("nobody");
        let error = place.engine.hold().await.map(|held| held.model.name.clone()).unwrap_err();
        assert!(error.to_string().contains("`nobody`"), "{error}");
        place.use_model("ember");
        finish(place.engine.generate(ask("You?")).await.unwrap()).await.unwrap();
        let error = match place.engine.generate(ask(&"too long ".repeat(5000))).await {
            Ok(answer) => finish(answer).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains("tokens and the context holds"), "{error}");
        finish(place.engine.generate(ask("Still you?")).await.unwrap()).await.unwrap();
    });
}

/// Everything that the model says.
async fn said(place: &Place) -> (String, Option<String>) {
    let mut answer = place.engine.generate(ask("tell me something")).await.unwrap();
    let (mut text, adapter) = (String::new(), answer.model.adapter.clone());
    while let Some(output) = answer.next().await {
        if let Output::Text(part) = output.unwrap() {
            text += &part;
        }
    }
    (text, adapter)
}

#[test]
fn an_adapter_answers_until_it_is_taken_off_and_a_wrong_one_never_does() {
    runtime().block_on(async {
        let place = Place::new(|config| config.model.name = "tiny".into());
        tiny(&Tiny::default()).write(place.folder.path(), "tiny").unwrap();
        let digest = place.engine.models().info("tiny", "").unwrap().hash;
        let adapters = place.folder.path().join("adapters");
        std::fs::create_dir(&adapters).unwrap();
        let base = "familiar.adapter.base";
        lora(3).text(base, &digest).write(&adapters, "mine").unwrap();
        lora(3).text(base, &"0".repeat(64)).write(&adapters, "foreign").unwrap();
        let whole = lora(3).text(base, &digest).bytes();
        std::fs::write(adapters.join("half.gguf"), &whole[..whole.len() / 2]).unwrap();
        let refused = async |name: &str| {
            place.use_adapter(name);
            match place.engine.hold().await {
                Ok(_) => panic!("`{name}` was put on the model"),
                Err(error) => error.to_string(),
            }
        };
        let (plain, none) = said(&place).await;
        let pid = place.pid();
        place.use_adapter("mine");
        let (learned, mine) = said(&place).await;
        assert_ne!(plain, learned);
        assert_eq!(
            (none, mine.as_deref(), place.engine.adapter().as_deref()),
            (None, Some("mine"), Some("mine"))
        );
        assert_ne!(place.pid(), pid, "no state is kept from before");
        assert!(
            refused("foreign").await.contains("was made on another file"),
            "{}",
            refused("foreign").await
        );
        assert!(refused("half").await.contains("truncated"));
        assert!(refused("nobody").await.contains("`nobody`"));
        assert_eq!(said_with(&place, "mine").await, learned);
        assert_eq!(said_with(&place, "none").await, plain);
        assert_eq!(place.engine.status().1.restarts, 0);
        // Another file of the same name is another adapter.
        lora(5).text(base, &digest).write(&adapters, "mine").unwrap();
        let other = said_with(&place, "mine").await;
        assert!(other != learned && other != plain);
    });
}

async fn said_with(place: &Place, adapter: &str) -> String {
    place.use_adapter(adapter);
    said(place).await.0
}

/// llama.cpp is what finds that its tensors are of another model; the engine goes on without it.
#[test]
fn an_adapter_that_llama_refuses_does_not_take_the_engine_down() {
    runtime().block_on(async {
        let place = Place::new(|_| ());
        let file = lora(3).write(place.folder.path(), "small").unwrap();
        place.use_adapter(file.to_str().unwrap());
        let error = place.engine.hold().await.map(|held| held.model.name.clone()).unwrap_err().to_string();
        assert!(error.contains("the adapter `small` cannot be used"), "{error}");
        place.use_adapter("none");
        finish(place.engine.generate(ask("You?")).await.unwrap()).await.unwrap();
    });
}
