//! `chat`: a conversation, on the whole screen of a terminal or line by line. It asks once what may be learned from, on a
//! terminal alone; what it is told goes to the daemon, which keeps it.

mod consent;
mod core;
mod plain;
mod run;
mod view;
mod words;

use super::args;
use super::exit::Outcome;
use super::output::{Look, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use std::io::{self, IsTerminal, Write};

/// What the command says: the conversation to go on with, and what is asked first.
#[derive(Debug, Default)]
struct Begin {
    session: Option<String>,
    question: Option<String>,
}

/// `familiar chat`
pub async fn chat(paths: &Paths, start: bool, args: args::Chat, out: &mut impl Write, look: Look) -> Outcome {
    // Says at once what is wrong with the daemon, not after the first question.
    drop(connect(paths, start).await?);
    let question = Some(args.question.join(" ")).filter(|question| !question.trim().is_empty());
    let begin = Begin { session: args.session, question };
    let session = match args.plain || !whole_screen(look) {
        true => plain::run(paths, start, begin, out, look).await?,
        false => run::run(paths, start, begin, look).await?,
    };
    if let Some(session) = session {
        let line =
            format!("This conversation goes on with: familiar chat --session {}", one_line(&session, 200));
        writeln!(out, "\n{}", look.dim(&line))?;
    }
    Ok(())
}

/// Whether somebody sits at a terminal that can be drawn on.
fn whole_screen(look: Look) -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    look.terminal && io::stdin().is_terminal() && !["", "dumb"].contains(&term.as_str())
}
