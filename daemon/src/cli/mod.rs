//! The command line: every subcommand but `daemon` and `worker` is a client of the daemon's socket.
//! This room prints and sets exit codes; it decides nothing that the daemon could decide.

mod approvals;
mod args;
mod ask;
mod audit;
mod bench;
mod bench_model;
mod chat;
mod client;
mod doctor;
mod exit;
mod index;
mod learn;
mod model;
mod nights;
mod output;
mod plugin;
mod search;
mod settings;
mod share;
mod sse;
mod start;
mod status;
mod worker;

use crate::config::paths::Paths;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use exit::{Failure, Outcome};
use output::Look;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(cli);
    // What is not flushed by now goes nowhere, and whoever would care closed the pipe.
    let _ = io::stdout().flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                // With standard error gone too, the exit code still tells.
                let _ = writeln!(io::stderr(), "familiar: {message}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let (paths, start) = (Paths::from_env, !cli.no_start);
    let (out, look) = (&mut io::stdout(), Look::of_stdout());
    match cli.command {
        // Without any runtime: a worker must have one thread when it enters its jail.
        Command::Worker(args) => worker::run(args),
        Command::Daemon => start::serve(paths()?),
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => manual(folder.as_deref()),
        Command::Config(args) => settings::settings(&paths()?, args, out, look),
        Command::Status(json) => wait(status::status(&paths()?, start, json.json, out, look)),
        Command::Doctor(json) => wait(doctor::doctor(&paths()?, json.json, out, look)),
        Command::Stop => wait(status::stop(&paths()?, out)),
        Command::Ask(args) => wait(ask::ask(&paths()?, start, args, out, look)),
        Command::Chat(args) => wait(chat::chat(&paths()?, start, args, out, look)),
        Command::Index(args) => wait(index::index(&paths()?, start, args, out, look)),
        Command::Search(args) => wait(search::search(&paths()?, start, args, out, look)),
        Command::Approvals(args) => wait(approvals::approvals(&paths()?, start, args, out, look)),
        Command::Audit(args) => wait(audit::audit(&paths()?, start, args, out, look)),
        Command::Notices(json) => wait(approvals::notices(&paths()?, start, json.json, out, look)),
        Command::Learn(args) => wait(async {
            match nights::learn(&paths()?, start, args, out, look).await? {
                Some(by_hand) => learn::learn(&paths()?, by_hand, out, look).await,
                None => Ok(()),
            }
        }),
        Command::Remember { text } => wait(nights::remember(&paths()?, start, &text, out)),
        Command::Forget(args) => wait(nights::forget(&paths()?, start, args, out)),
        Command::Bench(args::Bench::Model(args)) => {
            wait(bench_model::bench_model(&paths()?, args, out, look))
        }
        Command::Plugin(args) => wait(plugin::plugin(&paths()?, start, args, out, look)),
        Command::Bench(args) => bench::bench(args, out),
        Command::Model(args) => wait(model::model(&paths()?, start, args, out, look)),
    }
}

/// Runs a client's conversation with the daemon. One thread is enough for it.
fn wait(conversation: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))?
        .block_on(conversation)
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "familiar", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

fn manual(folder: Option<&Path>) -> Outcome {
    match folder {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder)
            .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
    }
    Ok(())
}
