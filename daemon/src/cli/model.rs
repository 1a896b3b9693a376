//! `model list|import|use|info|remove`. The daemon keeps the models; the client only names them.

use super::args;
use super::client::{decode, segment};
use super::exit::{Exit, Failure, Outcome};
use super::index::existing;
use super::output::{self, Look, bytes, harmless, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::http::ModelEntry;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

pub async fn model(
    paths: &Paths,
    start: bool,
    args: args::Model,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    match args {
        args::Model::List(json) => {
            let answer = connect(paths, start).await?.get("models").await?;
            if json.json { output::json(out, &answer) } else { list(answer, out, look) }
        }
        args::Model::Info { name, json } => {
            let answer = connect(paths, start).await?.get(&format!("models/{}", segment(&name))).await?;
            if json.json { output::json(out, &answer) } else { info(&decode(answer)?, out) }
        }
        args::Model::Import { file, name } => {
            let name = name.map_or_else(|| name_of(&file), Ok)?;
            let request = json!({"path": existing(&file)?, "name": name});
            let mut client = connect(paths, start).await?;
            let spinner = spinner(format!("importing {}", harmless(&name)));
            let answer = client.post("models/import", &request).await;
            spinner.finish_and_clear();
            answer?;
            let name = harmless(&name);
            writeln!(out, "{name} is imported. `familiar model use {name}` makes it answer.")?;
            Ok(())
        }
        args::Model::Use { name, adapter } => {
            let adapter = adapter.map(named_or_found).transpose()?;
            let request = json!({"name": name, "adapter": adapter});
            connect(paths, start).await?.post("models/use", &request).await?;
            let with = match adapter.filter(|adapter| adapter != "none") {
                Some(adapter) => format!(" with {}", harmless(&adapter)),
                None => String::new(),
            };
            let name = harmless(&name);
            writeln!(out, "{name}{with} answers from the next question on; it is loaded when that comes.")?;
            Ok(())
        }
        args::Model::Remove { name } => {
            connect(paths, start).await?.delete(&format!("models/{}", segment(&name))).await?;
            writeln!(out, "{} is removed.", harmless(&name))?;
            Ok(())
        }
    }
}

/// An adapter's name as it is, and a path in full: the daemon runs in another folder.
fn named_or_found(adapter: String) -> Outcome<String> {
    if !adapter.contains('/') {
        return Ok(adapter);
    }
    existing(Path::new(&adapter))
}

/// The file's name without `.gguf`.
fn name_of(file: &Path) -> Outcome<String> {
    file.file_stem()
        .and_then(|stem| stem.to_str())
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Exit::Usage, "the file's name makes no model name; give one with --name"))
}

/// Turns on a terminal, since a model of many gigabytes is copied for a while; nothing elsewhere.
fn spinner(message: String) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

#[derive(serde::Deserialize)]
struct Models {
    models: Vec<ModelEntry>,
}

fn list(answer: Value, out: &mut impl Write, look: Look) -> Outcome {
    let Models { models } = decode(answer)?;
    let width = models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
    for model in &models {
        let mark = if model.in_use { look.green("*") } else { " ".into() };
        let origin = if model.embedded { "embedded" } else { "imported" };
        writeln!(
            out,
            "{mark} {:width$}  {:>6}  {:>7}  {:8}  {origin}",
            one_line(&model.name, 100),
            parameters(model.parameters),
            bytes(model.size_bytes),
            one_line(&model.quantization, 16),
        )?;
    }
    Ok(())
}

fn info(model: &ModelEntry, out: &mut impl Write) -> Outcome {
    let origin = if model.embedded { "embedded in the program" } else { "imported" };
    let in_use = if model.in_use { ", in use" } else { "" };
    writeln!(out, "name          {} ({origin}{in_use})", one_line(&model.name, 100))?;
    writeln!(out, "file          {}, {}", one_line(&model.path, 4096), bytes(model.size_bytes))?;
    writeln!(out, "architecture  {}", one_line(&model.architecture, 100))?;
    writeln!(out, "parameters    {}", parameters(model.parameters))?;
    writeln!(out, "quantization  {}", one_line(&model.quantization, 100))?;
    writeln!(out, "context       {} tokens", model.train_context)?;
    writeln!(out, "blake3        {}", one_line(&model.hash, 100))?;
    Ok(())
}

fn parameters(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.0}K", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", count as f64 / 1e6),
        _ => format!("{:.1}B", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use expect_test::expect;

    fn entry(name: &str) -> ModelEntry {
        ModelEntry {
            name: name.into(),
            path: "/data/models/x.gguf".into(),
            size_bytes: 12_000_000,
            architecture: "llama".into(),
            parameters: 5_300_000,
            quantization: "Q8_0".into(),
            train_context: 2048,
            hash: "ab".into(),
            in_use: name == "ember",
            embedded: name == "ember",
        }
    }

    #[test]
    fn models_are_listed_with_the_one_in_use_marked() {
        let mut out = Vec::new();
        list(json!({"models": [entry("ember"), entry("qwen3-0.6b")]}), &mut out, PLAIN).unwrap();
        info(&entry("ember"), &mut out).unwrap();
        expect![[r#"
            * ember         5.3M    12 MB  Q8_0      embedded
              qwen3-0.6b    5.3M    12 MB  Q8_0      imported
            name          ember (embedded in the program, in use)
            file          /data/models/x.gguf, 12 MB
            architecture  llama
            parameters    5.3M
            quantization  Q8_0
            context       2048 tokens
            blake3        ab
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_model_is_called_after_its_file() {
        assert_eq!(name_of(Path::new("dir/Qwen3-0.6B-Q8_0.gguf")).unwrap(), "Qwen3-0.6B-Q8_0");
        assert!(name_of(Path::new("/")).is_err());
    }
}
