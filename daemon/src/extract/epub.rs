//! EPUB books: the chapters in the order of reading, each of them a page of XHTML, with its headings. Pictures, styles and scripts are
//! left alone, and only parts of the book itself are opened.

use super::draft::{Draft, Unread};
use super::html;
use super::mime::percent_decoded;
use super::xml::{Event, Reader};
use super::zip::Archive;
use std::collections::HashMap;

/// Chapters that are read.
const CHAPTERS: usize = 5000;

pub(super) fn read(archive: &Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    let missing = Unread::Damaged("EPUB book", "its table of parts is missing");
    let container = archive.text("META-INF/container.xml")?;
    let package = Reader::new(&container).find_map(|event| match event {
        Event::Open("rootfile", attributes) => attributes.get("full-path"),
        _ => None,
    });
    let package = package.ok_or(missing.clone())?;
    let text = archive.text(&package)?;
    if text.is_empty() {
        return Err(missing);
    }
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    for part in chapters(&text, draft).into_iter().take(CHAPTERS) {
        if draft.full() {
            break;
        }
        let part = part.split('#').next().unwrap_or_default();
        chapter(
            &archive
                .text(&super::office::resolve(folder, &String::from_utf8_lossy(&percent_decoded(part))))?,
            draft,
        );
    }
    Ok(())
}

/// The parts in the order of reading; sets the book's title.
fn chapters(package: &str, draft: &mut Draft) -> Vec<String> {
    let mut parts: HashMap<String, String> = HashMap::new();
    let mut spine = Vec::new();
    let mut reader = Reader::new(package);
    while let Some(event) = reader.next() {
        match event {
            Event::Open("title", _) => draft.set_title(&reader.text("title")),
            Event::Open("item", attributes) => {
                let kind = attributes.get("media-type").unwrap_or_default();
                if let (Some(id), Some(part), true) =
                    (attributes.get("id"), attributes.get("href"), kind.contains("html"))
                {
                    parts.insert(id.into_owned(), part.into_owned());
                }
            }
            Event::Open("itemref", attributes) => {
                spine.extend(attributes.get("idref").map(|id| id.into_owned()))
            }
            _ => {}
        }
    }
    spine.into_iter().filter_map(|id| parts.get(&id).cloned()).collect()
}

/// A chapter without a heading of its own goes by its title.
fn chapter(source: &str, draft: &mut Draft) {
    let page = html::text(source);
    draft.border();
    let Some(title) = page.title.filter(|_| page.headings.is_empty()) else {
        return draft.append(&page.text, &page.headings, 0);
    };
    draft.mark(1, &title);
    draft.append(&page.text, &[], 0);
}
