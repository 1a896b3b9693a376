//! The first question of all: what may be learned from. It is put once, when a chat begins on a terminal and nothing was
//! said yet; every Enter is a no. What was asked and what was answered is the daemon's to keep.

use super::plain::Talk;
use super::words::yes;
use crate::cli::client::{Client, decode};
use crate::cli::exit::Outcome;
use crate::cli::index::existing;
use crate::cli::output::harmless;
use crate::cli::start::connect;
use crate::protocol::learn::{Consent, LearnStatus, SourcesRequest};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

pub(super) const CONVERSATIONS: &str =
    "From conversations: what you write here, and answers that you call /good? [y/N] ";
pub(super) const CORRECTIONS: &str =
    "From corrections: answers that you put right with /edit, and what you /remember? [y/N] ";
pub(super) const FOLDER: &str =
    "From your own writing? The path of its folder, below an indexed one, or Enter for no: ";

/// What the owner said yes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub sources: Vec<String>,
    /// As it was typed.
    pub folder: Option<String>,
}

/// What is asked for, and why.
pub(super) fn explained(data: &str) -> String {
    format!(
        "Familiar can learn from you. While nobody needs the machine it trains a small addition to its model, and\n\
         uses it only when it is measurably better. What is learned from, and what comes of it, is kept in\n\
         {} and nothing of it leaves this machine.\n\
         Passwords and the like are left out where they can be told. `familiar forget` takes back any of it,\n\
         `familiar learn sources none` ends it. Without a yes nothing is learned; Enter means no.\n",
        harmless(data)
    )
}

/// Asks line by line if it is time to. Whoever leaves in the middle is asked again another time.
pub(super) async fn once(talk: &mut Talk<'_>, out: &mut impl Write) -> Outcome {
    let here = talk.look.terminal && io::stdin().is_terminal();
    if !(here && due(&mut connect(talk.paths, talk.start).await?).await?) {
        return Ok(());
    }
    let data = talk.paths.data.clone();
    let Some(answers) = ask(&data, async || talk.line().await, out).await? else {
        return Ok(writeln!(out)?);
    };
    // Whoever thought for long would find an earlier connection closed.
    settle(&mut connect(talk.paths, talk.start).await?, answers, out).await
}

/// Whether it is time to ask.
pub(super) async fn due(client: &mut Client) -> Outcome<bool> {
    // What is wrong with learning, or with the model, is told where it matters.
    let Ok(status) = client.get("learn").await else { return Ok(false) };
    let status: LearnStatus = decode(status)?;
    let consent: Consent = decode(client.get("learn/consent").await?)?;
    Ok(!consent.asked && status.sources.is_empty())
}

/// Tells the daemon what was answered, and the owner what comes of it.
pub(super) async fn settle(client: &mut Client, answers: Answers, out: &mut impl Write) -> Outcome {
    let sources = keep(client, answers, out).await?;
    client.post("learn/consent", &Consent { asked: true }).await?;
    match &sources[..] {
        [] => writeln!(out, "\nNothing is learned. `familiar learn sources` says yes later.\n")?,
        sources => {
            let sources = sources.join(" and ");
            writeln!(out, "\nIt learns from {sources}. `familiar learn status` shows it.\n")?;
        }
    }
    Ok(())
}

/// Tells the daemon, and gives what it learns from now. A folder that cannot be used takes nothing else along.
async fn keep(client: &mut Client, answers: Answers, out: &mut impl Write) -> Outcome<Vec<String>> {
    let Answers { sources, folder } = answers;
    if let Some(folder) = folder {
        let kept = match existing(Path::new(&folder)) {
            Ok(folder) => {
                let sources = sources.iter().cloned().chain(["folders".to_owned()]).collect();
                let request = SourcesRequest { sources, folders: vec![folder] };
                client.post("learn/sources", &request).await.map(|_| request.sources)
            }
            Err(failure) => Err(failure),
        };
        match kept {
            Ok(sources) => return Ok(sources),
            Err(failure) => {
                writeln!(out, "{failure}")?;
                writeln!(out, "Later: `familiar learn sources ... folders --folder PATH`.")?;
            }
        }
    }
    if !sources.is_empty() {
        let request = SourcesRequest { sources: sources.clone(), folders: Vec::new() };
        client.post("learn/sources", &request).await?;
    }
    Ok(sources)
}

/// The question in plain words. `None`: the owner left before the end.
async fn ask(
    data: &Path,
    mut line: impl AsyncFnMut() -> Option<String>,
    out: &mut impl Write,
) -> Outcome<Option<Answers>> {
    writeln!(out, "{}", explained(&data.to_string_lossy()))?;
    let mut answers = Answers::default();
    for (source, question) in [("conversations", CONVERSATIONS), ("corrections", CORRECTIONS)] {
        let Some(said) = put(question, &mut line, out).await? else { return Ok(None) };
        if yes(&said) {
            answers.sources.push(source.into());
        }
    }
    let Some(said) = put(FOLDER, &mut line, out).await? else { return Ok(None) };
    answers.folder = folder_named(&said);
    Ok(Some(answers))
}

/// The folder that an answer names. Who answers with a word means the word.
pub(super) fn folder_named(said: &str) -> Option<String> {
    let folder = said.trim();
    let none = folder.is_empty() || ["n", "no"].contains(&folder.to_lowercase().as_str());
    (!none).then(|| folder.to_owned())
}

async fn put(
    question: &str,
    line: &mut impl AsyncFnMut() -> Option<String>,
    out: &mut impl Write,
) -> Outcome<Option<String>> {
    write!(out, "{question}")?;
    out.flush()?;
    Ok(line().await)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(lines: &[&str]) -> (Option<Answers>, String) {
        let (mut lines, mut out) = (lines.iter(), Vec::new());
        let next = async || lines.next().map(ToString::to_string);
        let answers = ask(Path::new("/home/me/.local/share/familiar"), next, &mut out).await.unwrap();
        (answers, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn every_enter_is_a_no_and_each_source_is_asked_for() {
        let (answers, text) = asked(&["\n", "\n", "\n"]).await;
        assert_eq!(answers, Some(Answers::default()));
        expect_test::expect![[r#"
            Familiar can learn from you. While nobody needs the machine it trains a small addition to its model, and
            uses it only when it is measurably better. What is learned from, and what comes of it, is kept in
            /home/me/.local/share/familiar and nothing of it leaves this machine.
            Passwords and the like are left out where they can be told. `familiar forget` takes back any of it,
            `familiar learn sources none` ends it. Without a yes nothing is learned; Enter means no.

            From conversations: what you write here, and answers that you call /good? [y/N] From corrections: answers that you put right with /edit, and what you /remember? [y/N] From your own writing? The path of its folder, below an indexed one, or Enter for no: "#]]
        .assert_eq(&text);
        let (answers, _) = asked(&["n\n", "y\n", "no\n"]).await;
        assert_eq!(answers, Some(Answers { sources: vec!["corrections".into()], folder: None }));
        let (answers, _) = asked(&["yes\n", "\n", " /home/me/diary \n"]).await;
        let folder = Some("/home/me/diary".into());
        assert_eq!(answers, Some(Answers { sources: vec!["conversations".into()], folder }));
    }

    #[tokio::test]
    async fn who_leaves_in_the_middle_said_nothing() {
        for lines in [&[][..], &["y\n"], &["y\n", "y\n"]] {
            assert_eq!(asked(lines).await.0, None);
        }
    }
}
