//! Training jobs in real worker processes: killed, stopped, out of disk, fed with nonsense.

use crate::serving::parrot::testkit::{Tiny, tiny};
use crate::support::{BINARY, Home, path, runtime, wait_for};
use familiar::learn::{LearnError, Spec, Training, digest, make};
use familiar::protocol::frames::{Fault, Step, Trained};
use familiar::protocol::http::ErrorCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A tiny model and jobs that train it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { dir: TempDir::with_prefix("familiar-test-").unwrap() };
        tiny(&Tiny::default()).write(place.dir.path(), "tiny").unwrap();
        place
    }

    fn model(&self) -> PathBuf {
        self.dir.path().join("tiny.gguf")
    }

    fn spec(&self) -> Spec {
        let mut spec = Spec::new(self.model(), digest(&self.model()).unwrap());
        spec.recipe.rank = 4;
        spec.recipe.tokens = 64;
        spec.recipe.accumulate = 2;
        spec.recipe.epochs = 4;
        spec.recipe.dropout = 0.1;
        spec.run.threads = 1;
        spec.run.checkpoint_s = 0;
        spec
    }

    /// A job of some forty examples.
    fn job(&self, name: &str, change: impl FnOnce(&mut Spec)) -> PathBuf {
        let words = ["in the end", "hear her", "there then", "rain in tin", "neither here"];
        let line = |n: usize| {
            let (prompt, completion) = (words[n % words.len()], words[(n * 3 + 1) % words.len()]);
            json!({"prompt": format!("{prompt} {n}"), "completion": completion}).to_string()
        };
        self.job_of(name, &(0..40).map(line).collect::<Vec<_>>().join("\n"), change)
    }

    fn job_of(&self, name: &str, data: &str, change: impl FnOnce(&mut Spec)) -> PathBuf {
        let (file, folder) = (self.dir.path().join("data.jsonl"), self.dir.path().join(name));
        fs::write(&file, data).unwrap();
        let mut spec = self.spec();
        change(&mut spec);
        make(&folder, &spec, &file).unwrap();
        folder
    }
}

async fn start(job: &Path) -> Training {
    Training::start(job, Some(BINARY.into())).await.unwrap()
}

/// Runs a job to its end, or to what ends it.
async fn run(job: &Path) -> Result<Trained, LearnError> {
    Training::start(job, Some(BINARY.into())).await?.finish().await
}

fn signal(training: &Training, signal: Signal) {
    kill_process(Pid::from_raw(training.pid().unwrap() as i32).unwrap(), signal).unwrap();
}

fn log(job: &Path) -> Vec<Step> {
    let text = fs::read_to_string(job.join("log.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same losses, step by step, to the tolerance that the resumed run is allowed.
fn equal_logs(one: &Path, other: &Path) {
    let (one, other) = (log(one), log(other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        let far = (one.loss - other.loss).abs() / one.loss.abs().max(1e-6);
        assert!(one.step == other.step && far < 1e-5, "{one:?} and {other:?}");
    }
}

fn pause(micros: u64) {
    let _ = rustix::thread::nanosleep(&Duration::from_micros(micros).try_into().unwrap());
}

#[test]
fn a_job_leaves_an_adapter_a_log_and_a_checkpoint() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |_| ());
        let mut training = start(&job).await;
        let mut seen = Vec::new();
        while let Some(step) = training.step().await {
            seen.push(step);
        }
        let trained = training.finish().await.unwrap();
        assert_eq!(seen, log(&job));
        assert_eq!((trained.finished, trained.step, trained.examples), (true, trained.steps, 40));
        assert_eq!(seen.last().unwrap().step, trained.steps);
        assert_eq!(seen.last().unwrap().loss, trained.loss);
        assert!(trained.peak_bytes > 1 << 20 && trained.tokens > 0, "{trained:?}");
        assert_eq!(trained.adapter.as_deref(), job.join("adapter.gguf").to_str());
        // Done is done: the same again trains nothing and says the same.
        let adapter = fs::read(job.join("adapter.gguf")).unwrap();
        let again = run(&job).await.unwrap();
        assert_eq!((again.resumed_from, again.tokens, again.loss), (trained.steps, 0, trained.loss));
        assert_eq!(fs::read(job.join("adapter.gguf")).unwrap(), adapter);
    });
}

#[test]
fn a_trainer_killed_again_and_again_ends_as_if_nothing_had_happened() {
    let kills = std::env::var("FAMILIAR_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    runtime().block_on(async {
        let place = Place::new();
        let whole = place.job("whole", |_| ());
        let begun = std::time::Instant::now();
        let uninterrupted = run(&whole).await.unwrap();
        // Each kill somewhere in what an eighth of the run takes, so that all of it is met.
        let span = (begun.elapsed().as_micros() as u64 / 8).max(1000);
        let job = place.job("job", |_| ());
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut done = 0;
        for _ in 0..kills {
            dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let mut training = start(&job).await;
            if dice >> 63 == 1 {
                // Half of them in the midst of training, the others anywhere.
                training.step().await;
            }
            tokio::time::sleep(Duration::from_micros((dice >> 20) % span)).await;
            signal(&training, Signal::KILL);
            match training.finish().await {
                Err(LearnError::Ended { how, .. }) => assert_eq!(how, "killed"),
                Ok(trained) => done += u64::from(trained.finished),
                Err(other) => panic!("{other}"),
            }
        }
        let trained = run(&job).await.unwrap();
        assert!(trained.resumed_from > 0 || done == 0, "{trained:?}");
        assert_eq!((trained.step, trained.finished), (uninterrupted.step, true));
        equal_logs(&job, &whole);
        assert!(!job.join("checkpoint.new").exists());
        let adapters = [&job, &whole].map(|job| fs::read(job.join("adapter.gguf")).unwrap().len());
        assert_eq!(adapters[0], adapters[1]);
    });
}

#[test]
fn a_trainer_that_is_told_to_stop_saves_and_goes_on() {
    runtime().block_on(async {
        let place = Place::new();
        let (whole, job) = (place.job("whole", |_| ()), place.job("job", |_| ()));
        run(&whole).await.unwrap();
        let mut stopped = 0;
        for _ in 0..3 {
            let mut training = start(&job).await;
            let step = training.step().await;
            training.stop();
            match training.finish().await {
                Ok(trained) if !trained.finished => {
                    assert!(trained.adapter.is_none() && trained.step >= step.unwrap().step);
                    stopped += 1;
                }
                Ok(_) | Err(LearnError::Stopped) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert!(stopped > 0, "it never got to a border in time");
        run(&job).await.unwrap();
        equal_logs(&job, &whole);
    });
}

#[test]
fn one_that_nobody_waits_for_any_more_ends() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |spec| spec.recipe.epochs = 1000);
        let mut training = start(&job).await;
        training.step().await.unwrap();
        let pid = training.pid().unwrap();
        drop(training);
        wait_for("the worker's end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        assert!(job.join("checkpoint").exists());
    });
}

#[test]
fn two_never_train_one_job() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |spec| spec.recipe.epochs = 1000);
        let mut training = start(&job).await;
        training.step().await.unwrap();
        let error = run(&job).await.unwrap_err();
        assert_eq!(error.body().code, ErrorCode::Busy);
        assert!(error.to_string().contains("another process trains"), "{error}");
        assert!(training.step().await.is_some(), "the first one goes on");
        signal(&training, Signal::KILL);
        let _ = training.finish().await;
        // The kernel gave the folder back.
        start(&job).await.step().await.unwrap();
    });
}

#[test]
fn a_checkpoint_of_anything_else_is_refused_and_kept() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |_| ());
        run(&job).await.unwrap();
        let (checkpoint, adapter) = (job.join("checkpoint"), job.join("adapter.gguf"));
        let before = [&checkpoint, &adapter].map(|file| fs::read(file).unwrap());
        let spec = fs::read_to_string(job.join("spec.toml")).unwrap();
        let data = fs::read_to_string(job.join("data.jsonl")).unwrap();
        let refused = async |what: &str| {
            let error = run(&job).await.unwrap_err();
            assert_eq!(error.body().code, ErrorCode::Usage, "{error}");
            assert!(error.to_string().contains(what), "{error}");
            assert_eq!([&checkpoint, &adapter].map(|file| fs::read(file).unwrap()), before);
        };
        fs::write(job.join("spec.toml"), spec.replace("seed = 0", "seed = 1")).unwrap();
        refused("is of another job").await;
        fs::write(job.join("spec.toml"), &spec).unwrap();
        fs::write(job.join("data.jsonl"), data.clone() + "\n{\"text\":\"more\"}\n").unwrap();
        refused("is of another job").await;
        fs::write(job.join("data.jsonl"), data).unwrap();
        // How it is run may change.
        fs::write(job.join("spec.toml"), spec.replace("threads = 1", "threads = 2")).unwrap();
        assert!(run(&job).await.unwrap().finished);
        tiny(&Tiny { seed: 8, ..Tiny::default() }).write(place.dir.path(), "tiny").unwrap();
        refused("not the file that the job was made for").await;
    });
}

#[test]
fn data_that_cannot_be_learned_from_is_an_error_with_its_line_and_nothing_is_written() {
    runtime().block_on(async {
        let place = Place::new();
        let long = json!({"text": "in the end ".repeat(40)}).to_string();
        for (n, (data, said)) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("{\"text\":\"a\"}\n{\"text\":", "data.jsonl:2: EOF"),
            ("{\"tokens\":[5,6],\"weights\":[0,NaN]}", "data.jsonl:1"),
            ("{\"tokens\":[5,6],\"weights\":[0,1e40]}", "out of range"),
            ("{\"tokens\":[5,99999]}", "token 99999 is not one of the model's"),
            ("{\"tokens\":[5,6],\"weights\":[1,0]}", "none of the 1 examples"),
            (&long, "data.jsonl:1: it has"),
            ("{\"text\":\"\u{0}\"}", "data.jsonl:1"),
        ]
        .into_iter()
        .enumerate()
        {
            let job = place.job(&format!("job{n}"), |_| ());
            fs::write(job.join("data.jsonl"), data).unwrap();
            let error = run(&job).await.unwrap_err();
            assert_eq!(error.body().code, ErrorCode::Usage, "{error}");
            assert!(error.to_string().contains(said), "{said}: {error}");
            let mut left: Vec<_> = fs::read_dir(&job)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            left.sort();
            assert_eq!(left, ["data.jsonl", "lock", "spec.toml"]);
        }
        fs::remove_file(place.job("none", |_| ()).join("data.jsonl")).unwrap();
        let error = run(&place.dir.path().join("none")).await.unwrap_err();
        assert!(error.to_string().contains("data.jsonl cannot be read"), "{error}");
    });
}

#[test]
fn an_example_that_is_too_long_is_left_out_where_the_spec_says_so() {
    runtime().block_on(async {
        let place = Place::new();
        let data = format!("{{\"text\":\"in the end\"}}\n{}\n", json!({"text": "in the end ".repeat(40)}));
        let job = place.job_of("job", &data, |spec| spec.long = familiar::learn::Long::Skip);
        let trained = run(&job).await.unwrap();
        assert_eq!((trained.examples, trained.left_out, trained.finished), (1, 1, true));
    });
}

#[test]
fn a_folder_with_more_than_a_job_is_never_opened_to_the_worker() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |_| ());
        fs::create_dir(job.join("photos")).unwrap();
        let error = run(&job).await.unwrap_err();
        assert!(error.to_string().contains("holds other folders (photos)"), "{error}");
        assert_eq!(error.body().code, ErrorCode::Usage);
    });
}

#[test]
fn a_model_that_cannot_be_trained_says_why() {
    runtime().block_on(async {
        let place = Place::new();
        let job = place.job("job", |_| ());
        let whole = fs::read(place.model()).unwrap();
        fs::write(place.model(), &whole[..whole.len() / 2]).unwrap();
        let error = run(&job).await.unwrap_err();
        assert!(matches!(&error, LearnError::Refused(Fault::Model(_))), "{error:?}");
        assert!(error.to_string().contains("truncated"), "{error}");
        tiny(&Tiny { architecture: "phi2", ..Tiny::default() }).write(place.dir.path(), "tiny").unwrap();
        let spec = fs::read_to_string(job.join("spec.toml")).unwrap();
        let (old, new) = (blake3_of(&whole), digest(&place.model()).unwrap());
        fs::write(job.join("spec.toml"), spec.replace(&old, &new)).unwrap();
        let error = run(&job).await.unwrap_err().to_string();
        assert!(error.contains("phi2") || error.contains("vocabulary"), "{error}");
        fs::remove_file(place.model()).unwrap();
        assert_eq!(run(&job).await.unwrap_err().body().code, ErrorCode::NotFound);
    });
}

fn blake3_of(bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), bytes).unwrap();
    digest(&folder.path().join("file")).unwrap()
}

#[test]
fn a_limit_of_memory_leaves_room_for_the_model_and_the_threads() {
    runtime().block_on(async {
        let place = Place::new();
        let enough = place.job("enough", |spec| spec.run.memory_bytes = 512 << 20);
        assert!(run(&enough).await.unwrap().finished);
    });
}

/// A disk of its own for a job, in a name space that ends with the command.
fn small_disk(job: &Path, size: &str) -> Option<Vec<String>> {
    let mount = format!(
        "mount -t tmpfs -o size={size},mode=700 tmpfs \"$0\" && cp \"$0\".from/* \"$0\" && exec \"$@\""
    );
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let words: Vec<String> = ["unshare", flags, "sh", "-c", &mount, path(job)].map(String::from).into();
    let works = std::process::Command::new(&words[0]).args(&words[1..]).arg("true").output();
    works.is_ok_and(|output| output.status.success()).then_some(words)
}

#[test]
fn a_full_disk_keeps_the_old_checkpoint_and_is_told_of() {
    let place = Place::new();
    let job = place.job("job", |spec| spec.recipe.epochs = 160);
    fs::rename(&job, place.dir.path().join("job.from")).unwrap();
    fs::create_dir(&job).unwrap();
    let Some(wrapper) = small_disk(&job, "16m") else {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    };
    let home = Home::new();
    let mut command = std::process::Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).args([BINARY, "learn", "train", path(&job), "--json"]);
    command.env("FAMILIAR_HOME", home.root()).stdout(std::process::Stdio::piped());
    let mut training = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let disk = PathBuf::from(format!("/proc/{}/root{}", training.id(), job.display()));
    let checkpoint = disk.join("checkpoint");
    wait_for("a checkpoint", || checkpoint.exists().then_some(()));
    // Up to the last byte.
    let mut filler = fs::File::create(disk.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    let age = || fs::metadata(&checkpoint).unwrap().modified().unwrap();
    wait_for("a checkpoint that fails", || {
        let before = age();
        pause(200_000);
        (age() == before).then_some(())
    });
    assert!(training.try_wait().unwrap().is_none(), "training goes on");
    fs::remove_file(disk.join("filler")).unwrap();
    drop(filler);
    let output = training.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let last: Value =
        serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(last["finished"], json!(true));
    let warnings = last["warnings"].to_string();
    assert!(warnings.contains("the disk is full") && warnings.contains("checkpoint"), "{warnings}");
}

#[test]
fn the_commands_make_run_and_describe_a_job() {
    let home = Home::new();
    let data =
        home.write("data.jsonl", "{\"prompt\":\"Who are you?\",\"completion\":\"An owl.\"}\n".repeat(4));
    let job = home.dir.path().join("job");
    let small = ["--rank", "2", "--epochs", "1", "--tokens", "64", "--accumulate", "1", "--threads", "1"];
    let new = ["learn", "new", path(&job), "--model", "ember", "--data", path(&data)];
    home.ok(&[&new[..], &small].concat());
    let said = home.fails(2, &[&new[..], &small].concat());
    assert!(said.contains("not empty"), "{said}");
    let lines = home.ok(&["learn", "train", path(&job), "--json"]);
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["finished"], &last["examples"]), (&json!(true), &json!(4)));
    assert_eq!(lines.lines().count() as u64, last["steps"].as_u64().unwrap() + 1);
    let adapter = last["adapter"].as_str().unwrap();
    let info = home.json(&["learn", "adapter", "info", adapter, "--json"]);
    assert_eq!(
        (&info["rank"], &info["alpha"], &info["architecture"]),
        (&json!(2), &json!(4.0), &json!("llama"))
    );
    home.ok(&["learn", "adapter", "merge", "--name", "half", &format!("{adapter}=0.5")]);
    assert_eq!(home.json(&["learn", "adapter", "info", "half", "--json"])["base"], info["base"]);
    let peft = home.dir.path().join("peft");
    home.ok(&["learn", "adapter", "export", "half", path(&peft), "--model", "ember"]);
    home.ok(&["learn", "adapter", "import", path(&peft), "--model", "ember", "--name", "back"]);
    assert_eq!(home.json(&["learn", "adapter", "info", "back", "--json"])["parameters"], info["parameters"]);
    home.fails(2, &["learn", "adapter", "merge", "--name", "half", adapter]);
    home.fails(2, &["learn", "adapter", "merge", "--name", "x", &format!("{adapter}=nan")]);
    home.fails(5, &["learn", "adapter", "info", "nobody"]);
    home.fails(5, &["learn", "train", path(&home.docs())]);
    home.fails(5, &["learn", "new", path(&peft.join("x")), "--model", "nobody", "--data", path(&data)]);
    let said = home.fails(
        2,
        &["learn", "new", path(&peft.join("x")), "--model", "ember", "--data", path(&data), "--rank", "0"],
    );
    assert!(said.contains("`rank` is 0"), "{said}");
}

#[test]
fn what_ember_learns_it_says() {
    let home = Home::started();
    let row = json!({"segments": [
        {"text": "<|user|>", "special": true, "learn": 0},
        {"text": "Which bird hunts at night?", "learn": 0},
        {"text": "<|end|><|assistant|>", "special": true, "learn": 0},
        {"text": "The owl."},
        {"text": "<|end|>", "special": true}
    ]});
    let data = home.write("data.jsonl", format!("{row}\n").repeat(4));
    let job = home.dir.path().join("job");
    let asked = || {
        let messages = json!([{"role": "user", "content": "Which bird hunts at night?"}]);
        let (status, body) = home.http(
            "POST",
            "/v1/chat/completions",
            Some(json!({"model": "ember", "messages": messages, "temperature": 0, "max_tokens": 16})),
        );
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let before = asked();
    let small = ["--rank", "8", "--epochs", "30", "--accumulate", "1", "--learning-rate", "0.003"];
    let new = ["learn", "new", path(&job), "--model", "ember", "--data", path(&data)];
    home.ok(&[&new[..], &small].concat());
    let said = home.ok(&["learn", "train", path(&job)]);
    assert!(said.contains("step 30/30"), "{said}");
    home.ok(&["model", "use", "ember", "--adapter", path(&job.join("adapter.gguf"))]);
    assert_eq!(asked(), "The owl.");
    home.ok(&["model", "use", "ember", "--adapter", "none"]);
    assert_eq!(asked(), before);
}
