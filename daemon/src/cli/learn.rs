//! `learn new|train` and `learn adapter ...`: training jobs by hand, without a daemon. The work is done in
//! a worker like the daemon's; stopping the command stops it, and the same command goes on.

use super::args;
use super::exit::{Exit, Failure, Outcome};
use super::output::{self, Look, bytes, count, duration, harmless, one_line};
use crate::config::paths::Paths;
use crate::engine::{Adapters, EngineError, Models};
use crate::learn::adapters::{self, Base, CarryError, Description};
use crate::learn::{LearnError, MakeError, Recipe, Spec, Training, digest, make};
use crate::protocol::frames::{Step, Trained};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// Does what `learn` was told to. `train` needs a runtime and is given one by the caller.
pub async fn learn(paths: &Paths, args: args::Learn, out: &mut impl Write, look: Look) -> Outcome {
    match args {
        args::Learn::New(new) => make_job(paths, new, out),
        args::Learn::Train { job, json } => train(&job, json, out, look).await,
        args::Learn::Adapter(adapter) => adapter_command(paths, adapter, out),
        // What asks the daemon was taken before.
        _ => Ok(()),
    }
}

fn make_job(paths: &Paths, args: args::NewJob, out: &mut impl Write) -> Outcome {
    let found = model(paths, &args.model)?;
    let mut spec = Spec::new(found.path, found.digest);
    let recipe = &mut spec.recipe;
    let Recipe { rank, alpha, .. } = *recipe;
    recipe.rank = args.rank.unwrap_or(rank);
    // The ratio that the defaults have.
    recipe.alpha = args.alpha.unwrap_or(recipe.rank as f32 * alpha / rank as f32);
    recipe.learning_rate = args.learning_rate.unwrap_or(recipe.learning_rate);
    recipe.epochs = args.epochs.unwrap_or(recipe.epochs);
    recipe.tokens = args.tokens.unwrap_or(recipe.tokens);
    recipe.accumulate = args.accumulate.unwrap_or(recipe.accumulate);
    recipe.seed = args.seed.unwrap_or(recipe.seed);
    spec.run.threads = args.threads.unwrap_or(spec.run.threads);
    let examples = make(&args.job, &spec, &args.data)?;
    let job = harmless_path(&args.job);
    let examples = count(examples as u64, "example", "examples");
    writeln!(out, "{job} holds a job with {examples}; its spec.toml may be changed before it begins.")?;
    writeln!(out, "`familiar learn train {job}` runs it.")?;
    Ok(())
}

/// Runs a job to its end, or until a signal says to stop.
async fn train(job: &Path, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let stream = |kind| signal(kind).map_err(|error| Failure::failed(format!("no signals: {error}")));
    let (mut interrupt, mut terminate) = (stream(SignalKind::interrupt())?, stream(SignalKind::terminate())?);
    let mut training = Training::start(job, None).await?;
    for refused in training.not_jailed() {
        writeln!(io::stderr(), "{} {}", look.yellow("not jailed:"), one_line(&refused, 200))?;
    }
    let bar = bar(json);
    loop {
        let step = tokio::select! {
            step = training.step() => step,
            _ = interrupt.recv() => { training.stop(); continue }
            _ = terminate.recv() => { training.stop(); continue }
        };
        let Some(step) = step else { break };
        if json {
            writeln!(out, "{}", serde_json::to_string(&step).map_err(io::Error::other)?)?;
            out.flush()?;
        } else if let Some(bar) = &bar {
            bar.set_length(step.steps);
            bar.set_position(step.step);
            bar.set_message(pace(&step));
        } else {
            writeln!(out, "step {}/{}  {}", step.step, step.steps, pace(&step))?;
            out.flush()?;
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let trained = training.finish().await?;
    if json {
        writeln!(out, "{}", serde_json::to_string(&trained).map_err(io::Error::other)?)?;
    } else {
        summary(job, &trained, out, look)?;
    }
    out.flush()?;
    if trained.finished { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
}

fn pace(step: &Step) -> String {
    let skipped = if step.skipped { "  skipped: not a finite number" } else { "" };
    let left = duration(step.left_s);
    format!("loss {:.4}  {:.0} tokens/s  {left} left{skipped}", step.loss, step.tokens_per_s)
}

/// Moves on a terminal; elsewhere lines are printed instead.
fn bar(json: bool) -> Option<ProgressBar> {
    (!json && io::stderr().is_terminal()).then(|| {
        let bar = ProgressBar::new(0);
        // The template is ours and valid; the default look would do as well.
        if let Ok(style) = ProgressStyle::with_template("{spinner} step {pos}/{len} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar
    })
}

fn summary(job: &Path, trained: &Trained, out: &mut impl Write, look: Look) -> Outcome {
    for warning in &trained.warnings {
        writeln!(out, "{} {}", look.yellow("warning:"), one_line(warning, 400))?;
    }
    let Trained { step, steps, loss, .. } = trained;
    let job = harmless_path(job);
    match &trained.adapter {
        Some(adapter) => {
            let speed = trained.tokens as f64 / trained.seconds.max(1e-3);
            let (took, peak) = (duration(trained.seconds as u64), bytes(trained.peak_bytes));
            writeln!(
                out,
                "Trained {steps} steps in {took}: loss {loss:.4}, {speed:.0} tokens/s, {peak} at most."
            )?;
            if trained.left_out > 0 {
                let left_out = count(trained.left_out, "example was", "examples were");
                writeln!(out, "{left_out} left out, {} learned from.", trained.examples)?;
            }
            if trained.skipped > 0 {
                let skipped = count(trained.skipped, "step was", "steps were");
                writeln!(out, "{skipped} skipped: the numbers were not finite, or too large.")?;
            }
            let adapter = one_line(adapter, 4096);
            writeln!(out, "`familiar model use NAME --adapter {adapter}` answers with it.")?;
        }
        None => writeln!(out, "Stopped after step {step} of {steps}; `familiar learn train {job}` goes on.")?,
    }
    Ok(())
}

fn adapter_command(paths: &Paths, args: args::Adapter, out: &mut impl Write) -> Outcome {
    match args {
        args::Adapter::Info { adapter, json } => {
            let description = adapters::info(&adapter_file(paths, &adapter)?)?;
            if json.json { output::json(out, &description) } else { describe(&description, out) }
        }
        args::Adapter::Export { adapter, folder, model: name } => {
            let found = model(paths, &name)?;
            adapters::export(&adapter_file(paths, &adapter)?, &found.base(), &folder)?;
            writeln!(out, "{} holds the adapter for PEFT.", harmless_path(&folder))?;
            Ok(())
        }
        args::Adapter::Import { folder, model: name, name: to } => {
            let (found, file) = (model(paths, &name)?, new_adapter(paths, &to)?);
            adapters::import(&folder, &found.base(), &file)?;
            made(&to, &file, out)
        }
        args::Adapter::Merge { name: to, parts } => {
            let file = new_adapter(paths, &to)?;
            let parts = parts.iter().map(|part| weighted(paths, part)).collect::<Outcome<Vec<_>>>()?;
            let parts: Vec<(&Path, f32)> =
                parts.iter().map(|(path, weight)| (path.as_path(), *weight)).collect();
            adapters::merge(&parts, &file)?;
            made(&to, &file, out)
        }
    }
}

fn made(name: &str, file: &Path, out: &mut impl Write) -> Outcome {
    let (name, file) = (harmless(name), harmless_path(file));
    writeln!(out, "{file} is made. `familiar model use MODEL --adapter {name}` answers with it.")?;
    Ok(())
}

fn describe(adapter: &Description, out: &mut impl Write) -> Outcome {
    let targets: Vec<String> =
        adapter.targets.iter().map(|target| format!("{target:?}").to_lowercase()).collect();
    let Description { rank, alpha, scale, .. } = adapter;
    writeln!(out, "architecture  {}", one_line(&adapter.architecture, 100))?;
    writeln!(out, "made on       {}", one_line(&adapter.base, 100))?;
    writeln!(out, "generation    {}", adapter.generation)?;
    writeln!(out, "rank          {rank} (alpha {alpha}, scale {scale})")?;
    writeln!(
        out,
        "parameters    {} in {} blocks: {}",
        adapter.parameters,
        adapter.blocks,
        targets.join(", ")
    )?;
    if !adapter.manifest.is_empty() {
        writeln!(out, "data          {}", one_line(&adapter.manifest, 100))?;
    }
    writeln!(out, "recipe        {}", one_line(&adapter.recipe.to_string(), 4096))?;
    Ok(())
}

/// A model's file with its digest.
struct Found {
    name: String,
    path: PathBuf,
    digest: String,
}

impl Found {
    fn base(&self) -> Base<'_> {
        Base { path: &self.path, name: &self.name, digest: &self.digest }
    }
}

/// A model by its name, or a GGUF file by its path.
fn model(paths: &Paths, name: &str) -> Outcome<Found> {
    if name.contains('/') {
        let path = PathBuf::from(super::index::existing(Path::new(name))?);
        let digest =
            digest(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        return Ok(Found { name: name.into(), path, digest });
    }
    paths.create()?;
    let entry =
        Models::new(paths.models()).info(name, "").map_err(|error| EngineError::from(error).body())?;
    Ok(Found { name: entry.name, path: entry.path.into(), digest: entry.hash })
}

/// An adapter by its name, or a file by its path.
fn adapter_file(paths: &Paths, name: &str) -> Outcome<PathBuf> {
    let name = if name.contains('/') { super::index::existing(Path::new(name))? } else { name.to_owned() };
    let found =
        Adapters::new(paths.adapters()).path(&name).map_err(|error| EngineError::from(error).body())?;
    found.ok_or_else(|| Failure::new(Exit::Usage, "`none` is no adapter; give a name or a file's path"))
}

/// Where a new adapter of this name is written.
fn new_adapter(paths: &Paths, name: &str) -> Outcome<PathBuf> {
    let file =
        Adapters::new(paths.adapters()).new_path(name).map_err(|error| EngineError::from(error).body())?;
    if file.exists() {
        let message = format!("{} is there already; choose another name", harmless_path(&file));
        return Err(Failure::new(Exit::Usage, message));
    }
    let folder = paths.adapters();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    Ok(file)
}

/// `ADAPTER` or `ADAPTER=WEIGHT`.
fn weighted(paths: &Paths, part: &str) -> Outcome<(PathBuf, f32)> {
    let (name, weight) = match part.rsplit_once('=') {
        Some((name, weight)) => (name, weight.parse::<f32>().ok().filter(|weight| weight.is_finite())),
        None => (part, Some(1.0)),
    };
    let wrong =
        || Failure::new(Exit::Usage, format!("`{}` must be ADAPTER or ADAPTER=WEIGHT", harmless(part)));
    Ok((adapter_file(paths, name)?, weight.ok_or_else(wrong)?))
}

fn harmless_path(path: &Path) -> String {
    harmless(&path.to_string_lossy()).into_owned()
}

impl From<LearnError> for Failure {
    fn from(error: LearnError) -> Failure {
        error.body().into()
    }
}

impl From<MakeError> for Failure {
    fn from(error: MakeError) -> Failure {
        let exit = match &error {
            MakeError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            MakeError::Io { .. } => Exit::Failed,
            MakeError::Exists(_) | MakeError::Data(_) | MakeError::Spec(_) => Exit::Usage,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<CarryError> for Failure {
    fn from(error: CarryError) -> Failure {
        Failure::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_end_of_a_job_fits_a_few_lines() {
        let trained = Trained {
            step: 30,
            steps: 30,
            finished: true,
            loss: 1.25,
            tokens: 60_000,
            seconds: 120.0,
            examples: 198,
            left_out: 2,
            skipped: 1,
            peak_bytes: 300_000_000,
            adapter: Some("/jobs/one/adapter.gguf".into()),
            warnings: vec!["the disk was full for a while".into()],
            ..Trained::default()
        };
        let mut out = Vec::new();
        summary(Path::new("one"), &trained, &mut out, PLAIN).unwrap();
        let stopped = Trained { adapter: None, finished: false, step: 7, warnings: vec![], ..trained };
        summary(Path::new("one"), &stopped, &mut out, PLAIN).unwrap();
        expect![[r#"
            warning: the disk was full for a while
            Trained 30 steps in 2 min 0 s: loss 1.2500, 500 tokens/s, 300 MB at most.
            2 examples were left out, 198 learned from.
            1 step was skipped: the numbers were not finite, or too large.
            `familiar model use NAME --adapter /jobs/one/adapter.gguf` answers with it.
            Stopped after step 7 of 30; `familiar learn train one` goes on.
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_step_is_one_line() {
        let step = Step { loss: 2.5, tokens_per_s: 512.4, left_s: 61, skipped: true, ..Step::default() };
        assert_eq!(pace(&step), "loss 2.5000  512 tokens/s  1 min 1 s left  skipped: not a finite number");
    }
}
