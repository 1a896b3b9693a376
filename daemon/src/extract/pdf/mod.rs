//! PDF documents: their text page by page, with headings by the size of the letters. It draws nothing,
//! runs no script, opens no attachment, and follows references only so far, whatever a file makes of them.

mod cmap;
mod content;
mod crypt;
mod file;
mod filter;
mod font;
mod layout;
mod object;

use super::draft::{Draft, Unread};
use content::Painter;
use file::File;
use object::{Dict, Object};
use std::collections::HashSet;

/// Pages that are read.
const PAGES: u32 = 20_000;
/// Parts of a page's content.
const PARTS: usize = 1000;
/// Folders of pages inside of each other.
const DEPTH: usize = 50;

/// Reads a document's text.
pub(super) fn read(bytes: &[u8], draft: &mut Draft, limit: usize) -> Result<(), Unread> {
    let file = File::open(bytes)?;
    let mut painter = Painter::new(&file, limit);
    let mut walk = Walk { file: &file, painter: &mut painter, seen: HashSet::new(), count: 0 };
    walk.all();
    if walk.count == 0 {
        return Err(Unread::Damaged("PDF document", "it has no pages"));
    }
    if painter.layout.bytes() == 0 {
        return Err(Unread::Pictures);
    }
    let full = painter.full();
    painter.layout.write(draft);
    if full {
        draft.cut();
    }
    if let Some(title) = title(&file) {
        draft.set_title(&title);
    }
    Ok(())
}

/// Goes through the pages in order: by the tree from the catalog, else all that call themselves pages.
struct Walk<'a, 'f, 'p> {
    file: &'f File<'a>,
    painter: &'p mut Painter<'a, 'f>,
    seen: HashSet<u32>,
    count: u32,
}

impl Walk<'_, '_, '_> {
    fn all(&mut self) {
        let root = self.file.entry(&self.file.trailer, "Root");
        if let Some(tree) = root.dict().and_then(|root| root.get("Pages")) {
            self.visit(tree, &Dict::new(), 0);
        }
        if self.count > 0 {
            return;
        }
        for number in self.file.numbers() {
            let is_page = |dict: &Dict| self.file.entry(dict, "Type").name() == Some("Page");
            if self.file.get(number).dict().is_some_and(is_page) {
                self.seen.remove(&number);
                self.visit(&Object::Ref(number), &Dict::new(), DEPTH);
            }
        }
    }

    fn visit(&mut self, node: &Object, inherited: &Dict, depth: usize) {
        if let Object::Ref(number) = node
            && !self.seen.insert(*number)
        {
            return;
        }
        let node = self.file.follow(node);
        let Some(dict) = node.dict().filter(|_| self.count < PAGES && !self.painter.full()) else { return };
        let own = self.file.entry(dict, "Resources");
        let resources = own.dict().unwrap_or(inherited);
        match self.file.entry(dict, "Kids") {
            Object::Array(kids) if depth < DEPTH => {
                kids.iter().for_each(|kid| self.visit(kid, resources, depth + 1));
            }
            _ if dict.contains_key("Kids") => {}
            _ => {
                self.count += 1;
                let content = content(self.file, dict);
                self.painter.page(self.count, &content, resources);
            }
        }
    }
}

fn content(file: &File<'_>, page: &Dict) -> Vec<u8> {
    match file.entry(page, "Contents") {
        Object::Array(parts) => {
            let mut content = Vec::new();
            for part in parts.iter().take(PARTS) {
                content.extend(file.data(&file.follow(part)));
                content.push(b'\n');
            }
            content
        }
        stream => file.data(&stream),
    }
}

/// The title that the document gives itself, unless it is a file's name.
fn title(file: &File<'_>) -> Option<String> {
    let info = file.entry(&file.trailer, "Info");
    let Object::Text(title) = file.entry(info.dict()?, "Title") else { return None };
    let title = file.open_text(file.trailer.get("Info"), title);
    let title = match title.strip_prefix(b"\xfe\xff") {
        Some(wide) => encoding_rs::UTF_16BE.decode_without_bom_handling(wide).0.into_owned(),
        None => match std::str::from_utf8(&title) {
            Ok(title) => title.trim_start_matches('\u{feff}').to_string(),
            Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(&title).0.into_owned(),
        },
    };
    let is_file = [".doc", ".docx", ".dvi", ".tex", ".indd", ".qxd"].iter().any(|end| title.ends_with(end));
    let empty = title.trim().is_empty() || title.trim().eq_ignore_ascii_case("untitled");
    (!is_file && !empty && !title.starts_with("Microsoft Word")).then(|| title.replace('\0', ""))
}
