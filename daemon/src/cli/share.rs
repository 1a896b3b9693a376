//! `learn export` and `learn import`: adapters that go to others and come from others. What goes out is signed here with
//! the owner's own key; what comes in is checked and kept by the daemon, after the owner saw whose it is.

use super::args;
use super::client::{Client, decode, segment};
use super::exit::{Exit, Failure, Outcome};
use super::index::existing;
use super::output::{self, Look, count, harmless, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use crate::keys::{self, Author, KeyError};
use crate::learn::adapters::Base;
use crate::protocol::http::{ModelEntry, Models};
use crate::protocol::learn::{Generation, History};
use crate::protocol::packages::PluginAuthor;
use crate::protocol::sharing::{InspectShared, SharedAdapter, SharedList, SharedOffer, TakeShared};
use crate::sharing::{Export, SharingError, export as write_out};
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// `learn export [GENERATION] FOLDER`
pub async fn export(paths: &Paths, start: bool, args: args::Export, out: &mut impl Write) -> Outcome {
    let mut client = connect(paths, start).await?;
    let history: History = decode(client.get("learn/history").await?)?;
    let generation = chosen(&history, args.generation)?;
    let model = model_of(&mut client, generation).await?;
    let name = args.name.unwrap_or_else(|| format!("{}-generation-{}", model.name, generation.number));
    let what = Export {
        generation,
        base: Base { path: Path::new(&model.path), name: &model.name, digest: &model.hash },
        name: &name,
    };
    let (key, made) = keys::load_or_make(&paths.author_key())?;
    let manifest = write_out(&what, &key, &args.folder)?;
    let author = Author::of(&key).fingerprint();
    if args.json.json {
        let report = json!({
            "folder": std::path::absolute(&args.folder)?, "name": name, "generation": generation.number,
            "author": author, "base": manifest.base, "files": manifest.files,
        });
        return output::json(out, &report);
    }
    if made {
        let file = paths.author_key();
        writeln!(out, "Your author's key is made: {}. Keep a copy of it where it is safe.", file.display())?;
    }
    let folder = harmless_path(&args.folder);
    writeln!(
        out,
        "{folder} holds generation {} as GGUF and for PEFT, with its card, signed.",
        generation.number
    )?;
    writeln!(out, "author  {author}")?;
    writeln!(
        out,
        "Read its README.md before you give it away. `familiar learn import {folder}` takes it in."
    )?;
    Ok(())
}

fn chosen(history: &History, number: Option<u32>) -> Outcome<&Generation> {
    let found = history.generations.iter().find(|generation| match number {
        Some(number) => generation.number == number,
        None => generation.serving,
    });
    found.ok_or_else(|| match number {
        Some(number) => {
            let message =
                format!("there is no generation {number} of this model; `familiar learn history` lists them");
            Failure::new(Exit::NotFound, message)
        }
        None => Failure::new(Exit::NotFound, "no generation serves; there is nothing to give away yet"),
    })
}

/// The model that a generation was made on.
async fn model_of(client: &mut Client, generation: &Generation) -> Outcome<ModelEntry> {
    let models: Models = decode(client.get("models").await?)?;
    let found = models.models.into_iter().find(|model| model.hash == generation.base);
    found.ok_or_else(|| {
        let message =
            format!("the model file that generation {} was made on is no longer here", generation.number);
        Failure::new(Exit::NotFound, message)
    })
}

/// `learn import FOLDER`, `--list` and `--remove NAME`
pub async fn import(
    paths: &Paths,
    start: bool,
    args: args::Import,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    if let Some(name) = &args.remove {
        connect(paths, start).await?.delete(&format!("learn/shared/{}", segment(name))).await?;
        return Ok(writeln!(out, "{} is gone, and has no part in answers any more.", harmless(name))?);
    }
    match args.folder {
        Some(folder) => {
            let args = args::Import { folder: None, ..args };
            take((paths, start), folder, args, out, look).await
        }
        None => list(&mut connect(paths, start).await?, args.json.json, out, look).await,
    }
}

async fn list(client: &mut Client, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let listed: SharedList = decode(client.get("learn/shared").await?)?;
    if json {
        return output::json(out, &listed);
    }
    if listed.shared.is_empty() {
        writeln!(out, "No adapter of others is here.")?;
    }
    for one in &listed.shared {
        shown(one, out, look)?;
    }
    Ok(())
}

fn shown(one: &SharedAdapter, out: &mut impl Write, look: Look) -> Outcome {
    let SharedAdapter { name, scale, model, author, .. } = one;
    let rests = if one.in_use { "" } else { "  not in use: another model or adapter is set" };
    let name = look.bold(&one_line(name, 80));
    let (model, author) = (one_line(model, 80), one_line(&author.fingerprint, 40));
    writeln!(out, "{name}  at {scale}, for {model}, by {author}{rests}")?;
    Ok(())
}

async fn take(
    (paths, start): (&Paths, bool),
    folder: PathBuf,
    args: args::Import,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let folder = existing(&folder)?;
    let inspect = InspectShared { folder: folder.clone(), name: args.name.clone() };
    let offer: SharedOffer =
        decode(connect(paths, start).await?.post("learn/shared/inspect", &inspect).await?)?;
    if !args.json.json {
        describe(&offer, args.scale, out, look)?;
    }
    if !(offer.known || args.yes || agreed(&offer.author, out)?) {
        return Err(Failure::new(Exit::Denied, "nothing was taken in"));
    }
    let take = TakeShared { folder, name: args.name, digest: offer.digest, scale: Some(args.scale) };
    // Whoever thought for long would find an earlier connection closed.
    let taken: SharedAdapter = decode(connect(paths, start).await?.post("learn/shared", &take).await?)?;
    if args.json.json {
        return output::json(out, &taken);
    }
    let name = harmless(&taken.name);
    match taken.in_use {
        true => writeln!(
            out,
            "{name} has a part in answers from now on; `familiar learn import --remove {name}` ends it."
        )?,
        false => writeln!(
            out,
            "{name} is here, and has no part in answers: `familiar model use NAME --adapter personal` gives it one."
        )?,
    }
    Ok(())
}

fn describe(offer: &SharedOffer, scale: f32, out: &mut impl Write, look: Look) -> Outcome {
    let SharedOffer { name, author, known, model, rank, parameters, .. } = offer;
    let trust =
        if *known { look.green("known: you have another of theirs") } else { look.yellow("not known yet") };
    writeln!(out, "{}", look.bold(&one_line(name, 80)))?;
    writeln!(out, "author  {} ({trust})", one_line(&author.fingerprint, 40))?;
    writeln!(out, "model   {}", one_line(model, 80))?;
    writeln!(out, "size    rank {rank}, {}", count(*parameters, "parameter", "parameters"))?;
    writeln!(out, "counts  {scale}, beside what was learned here")?;
    Ok(())
}

/// Whether the owner trusts an author who was not known.
fn agreed(author: &PluginAuthor, out: &mut impl Write) -> Outcome<bool> {
    if !io::stdin().is_terminal() {
        let message = format!(
            "{} is not known here, and there is nobody to ask; compare it with the author's own and use --yes",
            one_line(&author.fingerprint, 40)
        );
        return Err(Failure::new(Exit::Denied, message));
    }
    writeln!(
        out,
        "It changes what your model says. Ask its author, in another way, whether this is their key."
    )?;
    write!(out, "Take it in? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn harmless_path(path: &Path) -> String {
    harmless(&path.to_string_lossy()).into_owned()
}

impl From<SharingError> for Failure {
    fn from(error: SharingError) -> Failure {
        let exit = match &error {
            SharingError::NotForOthers { .. } => Exit::Denied,
            SharingError::NotEmpty(_) | SharingError::BadName(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        Failure::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;

    fn author() -> PluginAuthor {
        PluginAuthor { fingerprint: "aaaa-bbbb-cccc-dddd-eeee".into(), key: "00".repeat(32) }
    }

    #[test]
    fn the_owner_sees_whose_it_is() {
        let offer = SharedOffer {
            name: "manners".into(),
            author: author(),
            known: false,
            model: "ember".into(),
            rank: 16,
            parameters: 120_000,
            digest: "d".into(),
        };
        let one = SharedAdapter {
            name: "manners".into(),
            author: author(),
            model: "ember".into(),
            base: "b".into(),
            digest: "d".into(),
            scale: 0.5,
            taken: 0,
            in_use: false,
        };
        let mut out = Vec::new();
        describe(&offer, 0.5, &mut out, PLAIN).unwrap();
        shown(&one, &mut out, PLAIN).unwrap();
        expect_test::expect![[r#"
            manners
            author  aaaa-bbbb-cccc-dddd-eeee (not known yet)
            model   ember
            size    rank 16, 120,000 parameters
            counts  0.5, beside what was learned here
            manners  at 0.5, for ember, by aaaa-bbbb-cccc-dddd-eeee  not in use: another model or adapter is set
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
