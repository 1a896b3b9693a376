//! Writes a generation into a folder for others. What the owner wrote is not in it: adapter, card and manifest are made
//! from weights, numbers and digests alone, and what the gate found to give away a secret is not written at all.

use super::card::card;
use super::manifest::{Manifest, Model};
use super::{ADAPTER, CARD, SharingError, check_name, failed};
use crate::disk;
use crate::learn::adapters::{self, Base};
use crate::protocol::learn::Generation;
use ed25519_dalek::SigningKey;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What goes out.
pub struct Export<'a> {
    pub generation: &'a Generation,
    pub base: Base<'a>,
    /// What it is called.
    pub name: &'a str,
}

/// Writes all of it, or nothing: it is made beside the folder and moved there when it is whole.
pub fn export(what: &Export<'_>, key: &SigningKey, folder: &Path) -> Result<Manifest, SharingError> {
    let from = may_go(what.generation)?;
    check_name(what.name)?;
    let folder = std::path::absolute(folder).map_err(failed(folder))?;
    empty(&folder)?;
    super::manifest::check(&from, &what.generation.digest)?;
    let new = beside(&folder);
    let made = fill(what, key, &from, &new).and_then(|manifest| {
        fs::rename(&new, &folder).map_err(failed(&folder))?;
        Ok(manifest)
    });
    if made.is_err() {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = fs::remove_dir_all(&new);
    }
    made
}

/// The adapter's file, if the gate let the generation pass and tried it for secrets.
fn may_go(generation: &Generation) -> Result<PathBuf, SharingError> {
    let no = |why: &str| SharingError::NotForOthers { number: generation.number, why: why.into() };
    if generation.state != "promoted" {
        return Err(no(&format!("it is {}, and only what passed the gate is given away", generation.state)));
    }
    let checks = generation.verdict["checks"].as_array();
    let secrets: Vec<_> = checks.into_iter().flatten().filter(|check| check["name"] == "secrets").collect();
    if secrets.is_empty() || !secrets.iter().all(|check| check["passed"] == true) {
        return Err(no(
            "it was not shown that it gives no secret away; `familiar learn now` makes one that is tried",
        ));
    }
    generation.file.as_ref().map(PathBuf::from).ok_or_else(|| no("its adapter was removed"))
}

fn fill(what: &Export<'_>, key: &SigningKey, from: &Path, new: &Path) -> Result<Manifest, SharingError> {
    let Export { generation, base, name } = what;
    // Left by one that was killed.
    match fs::remove_dir_all(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(new)(error)),
        _ => {}
    }
    disk::make_folder(new).map_err(failed(new))?;
    let adapter = adapters::without_data(from, base, &new.join(ADAPTER))?;
    adapters::export(&new.join(ADAPTER), base, new)?;
    let model = Model {
        name: base.name.into(),
        architecture: adapter.architecture.clone(),
        digest: base.digest.into(),
    };
    let readme = new.join(CARD);
    disk::replace(&readme, card(name, &model, generation, &adapter).as_bytes()).map_err(failed(&readme))?;
    let manifest = Manifest::of(new, name, (adapter.rank, adapter.parameters), model)?;
    manifest.write(new, key)?;
    disk::sync(new).map_err(failed(new))?;
    Ok(manifest)
}

/// An absent folder is made by the move.
fn empty(folder: &Path) -> Result<(), SharingError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(SharingError::NotEmpty(folder.to_owned())),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(folder)(error)),
    }
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(".");
    name.push(disk::UNFINISHED);
    folder.with_file_name(name)
}
