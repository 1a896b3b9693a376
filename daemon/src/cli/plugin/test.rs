//! `plugin test`: the plugin in the daemon's own sandbox, with a made-up house around it. No daemon, and
//! nothing of the owner's, is touched.

use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::{self, Look, count, harmless};
use super::build::{self, Held};
use super::cases::{Case, Cases};
use super::fakes::Fakes;
use super::{file_failure, judge};
use crate::config::paths::Paths;
use crate::plugins::package::Package;
use crate::plugins::{Calling, Run, Runtime};
use crate::protocol::plugins::{Limits, ToolError};
use crate::types::Label;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a call may take, as the daemon's default is.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a case went.
#[derive(Debug, Serialize)]
struct Verdict {
    file: PathBuf,
    name: String,
    ok: bool,
    problems: Vec<String>,
}

pub async fn test(paths: &Paths, folder: &Path, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let cases = cases(folder)?;
    let runtime = build::runtime(paths)?;
    let verdicts = run(paths, folder, &runtime, cases).await;
    runtime.stop().await;
    let verdicts = verdicts?;
    let failed = verdicts.iter().filter(|verdict| !verdict.ok).count();
    if json {
        output::json(out, &json!({"ok": failed == 0, "cases": verdicts}))?;
    } else {
        for verdict in &verdicts {
            let mark = if verdict.ok { look.green("ok    ") } else { look.red("FAILED") };
            writeln!(out, "{mark}  {}", harmless(&verdict.name))?;
            for line in verdict.problems.iter().flat_map(|problem| problem.lines()) {
                writeln!(out, "        {}", harmless(line))?;
            }
        }
        let all = count(verdicts.len() as u64, "case", "cases");
        writeln!(out, "{all}, {failed} failed")?;
    }
    out.flush()?;
    if failed == 0 { Ok(()) } else { Err(Failure::Silent(Exit::Failed)) }
}

/// Every case below `tests`, file by file.
fn cases(folder: &Path) -> Outcome<Vec<(PathBuf, Case)>> {
    let tests = folder.join("tests");
    let listed = fs::read_dir(&tests).map_err(|error| file_failure(&tests, &error))?;
    let mut files: Vec<PathBuf> = listed
        .filter_map(|found| Some(found.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| file_failure(&file, &error))?;
        let read: Cases = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            let what = error.message().replace('\n', ", ");
            Failure::new(Exit::Usage, format!("{}:{line}: {what}", file.display()))
        })?;
        all.extend(read.cases.into_iter().map(|case| (file.clone(), case)));
    }
    if all.is_empty() {
        let message = format!("there is no [[case]] in {}/*.toml", tests.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    Ok(all)
}

async fn run(
    paths: &Paths,
    folder: &Path,
    runtime: &Runtime,
    cases: Vec<(PathBuf, Case)>,
) -> Outcome<Vec<Verdict>> {
    let built = build::make(paths, folder, None, runtime).await?;
    let held = Held::new(paths, &built.bytes)?;
    let mut verdicts = Vec::new();
    for (file, case) in cases {
        let problems = one(runtime, &held, &built.package, &case).await?;
        verdicts.push(Verdict { file, ok: problems.is_empty(), name: case.name, problems });
    }
    Ok(verdicts)
}

/// What was not as expected.
async fn one(runtime: &Runtime, held: &Held, package: &Package, case: &Case) -> Outcome<Vec<String>> {
    let Some(tool) = package.tool(&case.tool) else {
        let tools: Vec<&str> = package.tools.iter().map(|tool| tool.name.as_str()).collect();
        return Ok(vec![format!("there is no tool `{}`, but {}", case.tool, tools.join(", "))]);
    };
    let manifest = &package.manifest;
    let credentials = manifest.credentials.iter().map(|credential| credential.name.clone()).collect();
    let fakes = Fakes::new(case.given.clone(), credentials);
    let arguments = match &case.arguments {
        Value::Null => "{}".to_owned(),
        arguments => arguments.to_string(),
    };
    let (result, log) = match tool.check_arguments(&arguments) {
        // As the daemon does: such a call never reaches the plugin.
        Err(why) => (Err(ToolError::InvalidArguments(why)), Vec::new()),
        Ok(()) => {
            let grants = manifest.wants().meet(&case.granted(manifest.wants()));
            let calling = Calling::new(
                &manifest.name,
                &package.digest,
                &tool.name,
                &case.session,
                grants,
                Label::owner(),
            );
            let run = Run {
                file: held.file.clone(),
                file_digest: held.digest.clone(),
                tool: tool.name.clone(),
                arguments,
                language: case.language.clone(),
                limits: Limits::default(),
                deadline: DEADLINE,
                calling: Arc::new(calling),
            };
            let called = runtime.call(run, Arc::new(fakes.clone())).await;
            let called = called.map_err(|error| Failure::failed(error.to_string()))?;
            (called.result, called.log)
        }
    };
    Ok(judge::judge(&case.expect, &result, &log, &fakes.done()))
}
