//! `learn status|sources|now|history|rollback|pause|resume|report`, `remember` and `forget`: learning as its owner sees it.

use super::args;
use super::client::decode;
use super::exit::{Failure, Outcome};
use super::output::{self, Look, count, duration, one_line};
use super::share;
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::learn::{
    ForgetProof, ForgetRequest, Generation, History, LearnOutcome, LearnStatus, RememberRequest,
    RollbackRequest, RolledBack, SourcesRequest,
};
use std::io::{self, Write};
use std::path::Path;

/// What of `learn` asks the daemon; the rest is given back.
pub async fn learn(
    paths: &Paths,
    start: bool,
    args: args::Learn,
    out: &mut impl Write,
    look: Look,
) -> Outcome<Option<args::Learn>> {
    match args {
        args::Learn::Status(json) => status(paths, start, json.json, out).await?,
        args::Learn::Sources(args) => sources(paths, start, args, out).await?,
        args::Learn::Now(args) => now(paths, start, args, out, look).await?,
        args::Learn::History(json) => history(paths, start, json.json, out, look).await?,
        args::Learn::Rollback { generation, json } => {
            rollback(paths, start, generation, json.json, out).await?
        }
        args::Learn::Pause => order(paths, start, "learn/pause", "Learning is paused.", out).await?,
        args::Learn::Resume => order(paths, start, "learn/resume", "Learning goes on.", out).await?,
        args::Learn::Report { file } => report(paths, start, &file, out).await?,
        args::Learn::Export(args) => share::export(paths, start, args, out).await?,
        args::Learn::Import(args) => share::import(paths, start, args, out, look).await?,
        other => return Ok(Some(other)),
    }
    Ok(None)
}

async fn status(paths: &Paths, start: bool, json: bool, out: &mut impl Write) -> Outcome {
    let status: LearnStatus = decode(connect(paths, start).await?.get("learn").await?)?;
    if json { output::json(out, &status) } else { show(&status, out) }
}

fn show(status: &LearnStatus, out: &mut impl Write) -> Outcome {
    writeln!(out, "{}", one_line(&status.says, 400))?;
    if status.sources.is_empty() {
        writeln!(out, "`familiar learn sources conversations corrections` lets it learn from what you say;")?;
        writeln!(
            out,
            "`familiar learn sources folders --folder PATH` from your own writing. It stays on this machine."
        )?;
        return Ok(());
    }
    writeln!(out, "learns from    {}", one_line(&status.sources.join(", "), 200))?;
    for folder in &status.folders {
        writeln!(out, "               {}", one_line(folder, 4096))?;
    }
    let serves =
        status.generation.map_or("the model as it came".into(), |number| format!("generation {number}"));
    writeln!(out, "serves         {serves}")?;
    let samples: u64 = status.samples.values().sum();
    writeln!(
        out,
        "samples        {samples}, {} of them held out to measure with, {} new",
        status.held_out, status.new
    )?;
    if let Some(last) = &status.last {
        writeln!(out, "last           {}", one_line(last, 400))?;
    }
    Ok(())
}

async fn sources(paths: &Paths, start: bool, args: args::Sources, out: &mut impl Write) -> Outcome {
    let none = args.sources.iter().any(|source| source == "none");
    if none && (args.sources.len() > 1 || !args.folders.is_empty()) {
        return Err(Failure::usage("`none` stands alone"));
    }
    let sources = if none { Vec::new() } else { args.sources };
    let wants = sources.iter().any(|source| source == "folders");
    if wants == args.folders.is_empty() {
        return Err(Failure::usage("`folders` needs a `--folder PATH`, and `--folder` needs `folders`"));
    }
    let folders = args.folders.iter().map(|folder| super::index::existing(folder)).collect::<Outcome<_>>()?;
    let request = SourcesRequest { sources, folders };
    let mut client = connect(paths, start).await?;
    let status: LearnStatus = decode(client.post("learn/sources", &request).await?)?;
    if args.json.json { output::json(out, &status) } else { show(&status, out) }
}

async fn now(paths: &Paths, start: bool, args: args::Now, out: &mut impl Write, look: Look) -> Outcome {
    let mut client = connect(paths, start).await?;
    if !args.wait {
        // What is wrong at once is told; a cycle that is under way after a moment goes on by itself.
        let asked = tokio::time::timeout(std::time::Duration::from_secs(2), client.post("learn/now", &()));
        if let Ok(ended) = asked.await {
            return outcome(&decode(ended?)?, args.json.json, out, look);
        }
        writeln!(out, "It learns; `familiar learn status` shows how far it is.")?;
        return Ok(());
    }
    let (mut ask, mut said) = (connect(paths, start).await?, String::new());
    let ended = client.post("learn/now", &());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            ended = &mut ended => return outcome(&decode(ended?)?, args.json.json, out, look),
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {
                let status: LearnStatus = decode(ask.get("learn").await?)?;
                if status.says != said {
                    writeln!(io::stderr(), "{}", look.dim(&one_line(&status.says, 200)))?;
                    said = status.says;
                }
            }
        }
    }
}

fn outcome(ended: &LearnOutcome, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    if json {
        return output::json(out, ended);
    }
    let LearnOutcome { generation, accepted, reason, eval } = ended;
    match accepted {
        true => writeln!(out, "Generation {generation} serves from now on.")?,
        false => writeln!(out, "Generation {generation} was rejected: {}", one_line(reason, 1000))?,
    }
    for check in eval["checks"].as_array().into_iter().flatten() {
        let mark = if check["passed"] == true { look.green("ok") } else { look.red("no") };
        writeln!(out, "  {mark}  {}", one_line(check["says"].as_str().unwrap_or_default(), 400))?;
    }
    Ok(())
}

async fn history(paths: &Paths, start: bool, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let history: History = decode(connect(paths, start).await?.get("learn/history").await?)?;
    if json {
        return output::json(out, &history);
    }
    if history.generations.is_empty() {
        writeln!(out, "Nothing was learned yet; the model answers as it came.")?;
    }
    for generation in &history.generations {
        one(generation, out, look)?;
    }
    Ok(())
}

fn one(generation: &Generation, out: &mut impl Write, look: Look) -> Outcome {
    let Generation { number, state, samples, tokens, seconds, .. } = generation;
    let serves = if generation.serving { look.bold("  serves") } else { String::new() };
    let from = generation.parent.map_or("from nothing".into(), |parent| format!("from {parent}"));
    let samples = count(*samples, "sample", "samples");
    let took = duration(u64::try_from(*seconds).unwrap_or(0));
    writeln!(out, "{number:>3}  {state:<9} {from}, {samples}, {tokens} tokens in {took}{serves}")?;
    writeln!(out, "     {}", look.dim(&one_line(&generation.reason, 300)))?;
    Ok(())
}

async fn rollback(
    paths: &Paths,
    start: bool,
    generation: Option<u32>,
    json: bool,
    out: &mut impl Write,
) -> Outcome {
    let request = RollbackRequest { generation };
    let back: RolledBack = decode(connect(paths, start).await?.post("learn/rollback", &request).await?)?;
    if json {
        return output::json(out, &back);
    }
    match back.generation {
        Some(number) => writeln!(out, "Generation {number} serves from now on.")?,
        None => writeln!(out, "The model answers as it came from now on.")?,
    }
    Ok(())
}

async fn order(paths: &Paths, start: bool, resource: &str, said: &str, out: &mut impl Write) -> Outcome {
    connect(paths, start).await?.post(resource, &()).await?;
    writeln!(out, "{said}")?;
    Ok(())
}

async fn report(paths: &Paths, start: bool, file: &Path, out: &mut impl Write) -> Outcome {
    let page: String = decode(connect(paths, start).await?.get("learn/report").await?)?;
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", file.display()));
    std::fs::write(file, page).map_err(failed)?;
    writeln!(out, "{} is written; open it in a browser.", one_line(&file.to_string_lossy(), 4096))?;
    Ok(())
}

/// `familiar remember TEXT`.
pub async fn remember(paths: &Paths, start: bool, text: &[String], out: &mut impl Write) -> Outcome {
    let request = RememberRequest { text: text.join(" ") };
    connect(paths, start).await?.post("remember", &request).await?;
    writeln!(out, "Kept in mind.")?;
    Ok(())
}

/// `familiar forget PATH|--session ID|--all`.
pub async fn forget(paths: &Paths, start: bool, args: args::Forget, out: &mut impl Write) -> Outcome {
    let absolute = |path: &Path| -> io::Result<String> {
        // What is forgotten may be gone already.
        std::path::absolute(path).map(|path| path.to_string_lossy().into_owned())
    };
    let path = args.path.as_deref().map(|path| super::index::existing(path).or_else(|_| absolute(path)));
    let path = path.transpose().map_err(|error| Failure::failed(error.to_string()))?;
    let request = ForgetRequest { path, session: args.session, all: args.all };
    let proof: ForgetProof = decode(connect(paths, start).await?.post("forget", &request).await?)?;
    if let Some(file) = &args.proof {
        let text = serde_json::to_vec_pretty(&proof).map_err(io::Error::other)?;
        std::fs::write(file, text)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    }
    if args.json.json { output::json(out, &proof) } else { forgotten(&proof, out) }
}

pub fn forgotten(proof: &ForgetProof, out: &mut impl Write) -> Outcome {
    writeln!(out, "Forgotten: {}.", one_line(&proof.what, 4096))?;
    let samples = count(proof.samples.len() as u64, "sample", "samples");
    let turns = count(proof.turns, "answer", "answers");
    let sessions = count(proof.sessions, "conversation", "conversations");
    writeln!(out, "Removed {samples}, {turns} and {sessions}.")?;
    if !proof.retired.is_empty() {
        let numbers: Vec<String> = proof.retired.keys().map(u32::to_string).collect();
        writeln!(out, "Destroyed the generations that had seen any of it: {}.", numbers.join(", "))?;
        match proof.generation {
            Some(number) => writeln!(out, "Generation {number} serves now.")?,
            None => writeln!(out, "The model answers as it came.")?,
        }
    }
    if proof.rebuild {
        writeln!(
            out,
            "What remains is learned again in the next quiet hours, or with `familiar learn now`."
        )?;
    }
    Ok(())
}
