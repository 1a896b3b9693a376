//! Changes single settings in the owner's file and leaves every comment, blank line and order as it was.
//! The new file replaces the old one by write, fsync and rename; an invalid file is never touched.

use super::load::{ConfigError, parse, read};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, Value};

/// Sets `model.name` and `model.adapter`, making the file and its folder where they are absent. An
/// adapter that stays as it is leaves no line.
pub fn set_model(file: &Path, name: &str, adapter: &str) -> Result<(), ConfigError> {
    let old = text(file)?;
    let before = parse(file, &old)?.config.model.adapter;
    let written = |error| ConfigError::Write { file: file.to_owned(), error };
    let mut new = with(&old, "model", "name", name.into()).map_err(written)?;
    if adapter != before {
        new = with(&new, "model", "adapter", adapter.into()).map_err(written)?;
    }
    parse(file, &new)?;
    replace(file, new.as_bytes()).map_err(written)
}

/// Sets `learn.sources` and `learn.folders`: what the owner said yes to.
pub fn set_learning(file: &Path, sources: &[String], folders: &[String]) -> Result<(), ConfigError> {
    let old = text(file)?;
    parse(file, &old)?;
    let written = |error| ConfigError::Write { file: file.to_owned(), error };
    let list = |items: &[String]| Value::Array(items.iter().map(String::as_str).collect());
    let new = with(&old, "learn", "sources", list(sources)).map_err(written)?;
    let new = with(&new, "learn", "folders", list(folders)).map_err(written)?;
    parse(file, &new)?;
    replace(file, new.as_bytes()).map_err(written)
}

/// What the file says; an absent one says nothing.
fn text(file: &Path) -> Result<String, ConfigError> {
    match read(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(ConfigError::Read { file: file.to_owned(), error }),
    }
}

/// `text` with one setting changed or added. The value's own trailing comment stays.
fn with(text: &str, table: &str, key: &str, mut value: Value) -> io::Result<String> {
    let mut document: DocumentMut = text.parse().map_err(io::Error::other)?;
    let table = document
        .entry(table)
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_like_mut()
        .ok_or_else(|| io::Error::other(format!("`{table}` is not a table")))?;
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
    Ok(document.to_string())
}

/// Replaces the file as a whole, or not at all. A symbolic link stays one: its target is replaced.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".config.toml.{}.tmp", std::process::id()));
    let outcome = write_and_rename(&temporary, &file, bytes);
    if outcome.is_err() {
        // The error of the write is the one to tell; a leftover is harmless and overwritten next time.
        let _ = fs::remove_file(&temporary);
    }
    outcome?;
    File::open(folder)?.sync_all()
}

fn write_and_rename(temporary: &PathBuf, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    new.write_all(bytes)?;
    if let Ok(old) = fs::metadata(file) {
        new.set_permissions(old.permissions())?;
    }
    new.sync_all()?;
    fs::rename(temporary, file)
}
