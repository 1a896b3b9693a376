//! `bench model`: puts the evaluation's cases to a model and prints how many it got right. No daemon takes part; the
//! model runs in a jailed worker like the daemon's. It reads the models folder and the settings, and writes nothing
//! but the file that it was asked to.

use super::args;
use super::bench::machine;
use super::exit::{Failure, Outcome};
use super::output::{self, Look, bytes, one_line};
use crate::config;
use crate::config::paths::Paths;
use crate::engine::{Adapters, Engine, EngineError, Models};
use crate::eval::{self, EvalError, Line, Progress, Report, Wanted};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use tokio::sync::watch;

/// Measures one model, which takes from minutes to hours. Needs a runtime.
pub async fn bench_model(paths: &Paths, args: args::BenchModel, out: &mut impl Write, look: Look) -> Outcome {
    paths.create()?;
    let mut config = config::load(&paths.config_file)?.config;
    if let Some(name) = args.model.filter(|name| *name != config.model.name) {
        config.model.name = name;
        // The adapter in the settings was made for the model in the settings.
        config.model.adapter = "none".into();
    }
    config.model.parallel = 1;
    let models = Models::new(paths.models());
    let file_bytes = models.info(&config.model.name, "").map_err(EngineError::from)?.size_bytes;
    // Held until the end: the engine takes its settings from it.
    let (_settings, receiver) = watch::channel(Arc::new(config));
    let engine = Engine::new(models, Adapters::new(paths.adapters()), receiver);
    let mut answers = args.answers.map(|file| create(&file)).transpose()?;
    let mut bar = Bar::new();
    let mut written = Ok(());
    let report = eval::run(&engine, Wanted { cases: args.cases as usize }, |progress| {
        if let (Some(answers), Ok(())) = (&mut answers, &written) {
            written = serde_json::to_string(progress.record)
                .map_err(io::Error::other)
                .and_then(|line| writeln!(answers, "{line}"));
        }
        bar.show(&progress);
    })
    .await;
    bar.clear();
    engine.unload().await;
    let report = report?;
    written.and_then(|()| answers.map_or(Ok(()), |mut answers| answers.flush()))?;
    if args.json {
        let figures = json!({ "file_bytes": file_bytes, "report": report });
        return output::json(out, &json!({ "name": "model", "figures": figures, "machine": machine() }));
    }
    table(&report, file_bytes, out, look)
}

fn create(file: &std::path::Path) -> Outcome<BufWriter<File>> {
    let made = File::create(file).map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    Ok(BufWriter::new(made))
}

fn table(report: &Report, file_bytes: u64, out: &mut impl Write, look: Look) -> Outcome {
    let adapter = report.adapter.as_deref().map(|name| format!(" with {name}")).unwrap_or_default();
    let name = one_line(&format!("{}{adapter}", report.model), 200);
    let millions = report.parameters as f64 / 1e6;
    writeln!(out, "{}  {millions:.1} M parameters, {}\n", look.bold(&name), bytes(file_bytes))?;
    report.lines.iter().try_for_each(|line| row(line, out))?;
    let text = &report.documentation;
    writeln!(
        out,
        "\nEnglish documentation  {:.2} bits a byte (gzip -9 {:.2}, xz -9e {:.2})",
        text.bits_per_byte, text.gzip, text.xz
    )?;
    writeln!(out, "decoding               {:.0} tokens/s", report.tokens_per_s)?;
    writeln!(out, "answers                {:.0} characters on average", report.answer_chars)?;
    writeln!(out, "took                   {}", output::duration(report.seconds as u64))?;
    Ok(())
}

fn row(line: &Line, out: &mut impl Write) -> Outcome {
    let rate = &line.rate;
    let percent = |share: f64| 100.0 * share;
    writeln!(
        out,
        "{:52} {:5.1} %  ({:4.1} to {:5.1})  {}/{}",
        line.what,
        percent(rate.share),
        percent(rate.low),
        percent(rate.high),
        rate.right,
        rate.of
    )?;
    Ok(())
}

/// On a terminal a bar, elsewhere nothing.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new() -> Bar {
        Bar(io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is ours and valid; the default look would do as well.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_bar} {eta} left") {
                bar.set_style(style);
            }
            bar
        }))
    }

    fn show(&mut self, progress: &Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.of as u64);
            bar.set_position(progress.done as u64);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        error.body().into()
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Failure {
        match error {
            EvalError::Engine(error) => error.into(),
            EvalError::Data(_) => Failure::failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use crate::eval::{Documentation, Rate};
    use expect_test::expect;

    #[test]
    fn the_figures_fit_a_table() {
        let line = |what, right| Line { skill: "x", what, rate: Rate::new(right, 200) };
        let report = Report {
            model: "small".into(),
            adapter: None,
            architecture: "llama".into(),
            parameters: 5_400_000,
            lines: vec![line("right tool of 6, never seen before", 180), line("uses the previous turn", 0)],
            documentation: Documentation { bits_per_byte: 1.5, gzip: 2.7, xz: 2.6, bytes: 1, tokens: 1 },
            tokens_per_s: 300.4,
            answer_chars: 80.0,
            seconds: 130.0,
        };
        let mut out = Vec::new();
        table(&report, 5_900_000, &mut out, PLAIN).unwrap();
        expect![[r#"
            small  5.4 M parameters, 5.9 MB

            right tool of 6, never seen before                    90.0 %  (85.1 to  93.4)  180/200
            uses the previous turn                                 0.0 %  ( 0.0 to   1.9)  0/200

            English documentation  1.50 bits a byte (gzip -9 2.70, xz -9e 2.60)
            decoding               300 tokens/s
            answers                80 characters on average
            took                   2 min 10 s
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
