//! Short notes that stay. Each is one value of the plugin's own store, under its number; it asks for
//! `kv` and nothing else.

mod note;

use familiar_sdk::serde::Serialize;
use familiar_sdk::{Error, Output, Result, kv, tool};
use note::Note;

/// Notes that one answer lists.
const LISTED: usize = 50;

/// Writes down a note for later and tells its number.
#[tool]
fn add(
    /// What to remember, word for word
    text: String,
) -> Result<Output> {
    let text = note::checked(&text)?;
    let last = kv::keys(note::PREFIX)?.iter().filter_map(|key| note::number(key)).max();
    let mut note = Note { number: last.unwrap_or(0).saturating_add(1), text };
    // One write, which the owner may be asked about; another call may have taken the number meanwhile.
    while !kv::create(&note::key(note.number), &note.text)? {
        note.number = note.number.checked_add(1).ok_or_else(|| Error::failed("no number is free"))?;
    }
    let number = note.number;
    Ok(Output::text(format!("Noted as number {number}.")).with_data(&note))
}

/// Lists the notes, the newest first, with their numbers and first lines.
#[tool]
fn list() -> Result<Output> {
    let mut notes = all()?;
    notes.reverse();
    listed(&notes, "There are no notes yet.")
}

/// Finds notes that hold all of some words, in any order.
#[tool]
fn search(
    /// Words or parts of words
    words: String,
) -> Result<Output> {
    let mut found = all()?;
    found.retain(|note| note.holds(&words));
    found.reverse();
    listed(
        &found,
        &format!("No note holds \"{}\": try fewer or shorter words, or list them all.", words.trim()),
    )
}

/// Reads one note in full.
#[tool]
fn read(
    /// The note's number
    number: u32,
) -> Result<Output> {
    let note = get(number)?;
    Ok(Output::text(note.text.as_str()).with_data(&note))
}

/// Replaces the text of a note.
#[tool]
fn edit(
    /// The note's number
    number: u32,
    /// The whole new text
    text: String,
) -> Result<Output> {
    let text = note::checked(&text)?;
    let old = get(number)?;
    let note = Note { number, text };
    kv::set(&note::key(number), &note.text)?;
    Ok(Output::text(format!("Note {number} said: {}\nIt says now: {}", old.line(), note.line()))
        .with_data(&note))
}

/// Deletes a note for good.
#[tool]
fn delete(
    /// The note's number
    number: u32,
) -> Result<Output> {
    let old = get(number)?;
    kv::delete(&note::key(number))?;
    Ok(Output::text(format!("Deleted note {number}: {}", old.line())).with_data(&old))
}

familiar_sdk::plugin!(add, list, search, read, edit, delete);

fn get(number: u32) -> Result<Note> {
    match kv::get(&note::key(number))? {
        Some(text) => Ok(Note { number, text }),
        None => Err(Error::not_found(format!("there is no note {number}: `list` shows which there are"))),
    }
}

/// In the order in which they were written.
fn all() -> Result<Vec<Note>> {
    let numbers = kv::keys(note::PREFIX)?.into_iter().filter_map(|key| note::number(&key));
    // One that is deleted meanwhile is not there.
    let found = numbers.map(|number| Ok(kv::get(&note::key(number))?.map(|text| Note { number, text })));
    found.filter_map(Result::transpose).collect()
}

#[derive(Serialize)]
#[serde(crate = "familiar_sdk::serde")]
struct List<'a> {
    count: usize,
    notes: &'a [Note],
}

fn listed(notes: &[Note], none: &str) -> Result<Output> {
    let shown = &notes[..notes.len().min(LISTED)];
    let mut text: Vec<_> = shown.iter().map(|note| format!("{}. {}", note.number, note.line())).collect();
    if notes.is_empty() {
        text.push(none.into());
    }
    if notes.len() > LISTED {
        text.push(format!("and {} more: search for some of their words", notes.len() - LISTED));
    }
    Ok(Output::text(text.join("\n")).with_data(&List { count: notes.len(), notes: shown }))
}
