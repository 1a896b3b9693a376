//! Rows of a search, as a desktop shows them, and their ids. Pure.

use super::place::Place;
use crate::protocol::http::SearchHit;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// Rows that are remembered; the oldest are forgotten first.
const KEPT: usize = 512;

/// GNOME shows rows with such ids whatever the number of others.
const SPECIAL: &str = "special:";

/// One row.
#[derive(Debug, Clone)]
pub enum Row {
    /// A file, with the passage that was found.
    File(Box<SearchHit>),
    /// Asks this.
    Ask(String),
}

impl Row {
    /// The file's name, or what would be asked.
    pub fn name(&self) -> String {
        match self {
            Row::File(hit) => {
                let name = Path::new(&hit.path).file_name().unwrap_or_default().to_string_lossy();
                let page = hit.page.map(|page| format!(" (page {page})")).unwrap_or_default();
                format!("{name}{page}")
            }
            Row::Ask(question) => format!("Ask Familiar: {question}"),
        }
    }

    /// Where a file's passage is.
    pub fn place(hit: &SearchHit) -> Place {
        Place { line: hit.line.into(), page: hit.page }
    }

    /// The words around what was found, or what asking does.
    pub fn description(&self) -> String {
        match self {
            Row::File(hit) => hit.snippet.clone(),
            Row::Ask(_) => "Answered from your files, in a terminal".into(),
        }
    }

    /// The name of an icon, by the Icon Naming Specification.
    pub fn icon(&self) -> &'static str {
        let Row::File(hit) = self else { return "system-search" };
        let extension = Path::new(&hit.path).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "htm" | "html" | "xhtml" => "text-html",
            "c" | "cpp" | "go" | "h" | "java" | "js" | "py" | "rs" | "sh" | "ts" => "text-x-script",
            "doc" | "docx" | "epub" | "odt" | "pdf" => "x-office-document",
            "csv" | "ods" | "tsv" | "xls" | "xlsx" => "x-office-spreadsheet",
            "odp" | "pptx" => "x-office-presentation",
            "tar" | "tgz" | "zip" => "package-x-generic",
            "eml" | "mbox" => "mail-unread",
            _ => "text-x-generic",
        }
    }
}

/// Rows that were given out. Ids are keyed digests: the same row has the same id as long as this lives, and nobody makes
/// one up or brings one from another time.
pub struct Rows {
    key: [u8; 32],
    kept: HashMap<String, Row>,
    /// Ids, the one used last at the end.
    order: VecDeque<String>,
}

impl Default for Rows {
    fn default() -> Rows {
        use std::hash::{BuildHasher, Hasher, RandomState};
        // Seeded by the system.
        let seed = [0u8; 4].map(|_| RandomState::new().build_hasher().finish().to_le_bytes());
        let key = *blake3::hash(&seed.concat()).as_bytes();
        Rows { key, kept: HashMap::new(), order: VecDeque::new() }
    }
}

impl Rows {
    /// Remembers a row and gives its id.
    pub fn keep(&mut self, row: Row) -> String {
        let id = self.id(&row);
        if self.kept.insert(id.clone(), row).is_some() {
            self.order.retain(|other| *other != id);
        }
        self.order.push_back(id.clone());
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        id
    }

    pub fn get(&self, id: &str) -> Option<&Row> {
        self.kept.get(id)
    }

    fn id(&self, row: &Row) -> String {
        let (prefix, what) = match row {
            Row::File(hit) => ("", format!("file\0{}\0{}", hit.path, hit.start)),
            Row::Ask(question) => (SPECIAL, format!("ask\0{question}")),
        };
        format!("{prefix}{}", &blake3::keyed_hash(&self.key, what.as_bytes()).to_hex()[..24])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, start: u64) -> Row {
        Row::File(Box::new(SearchHit {
            path: path.into(),
            title: "Title".into(),
            score: 1.0,
            line: 1,
            start,
            end: start + 1,
            page: None,
            snippet: "words".into(),
            hash: String::new(),
        }))
    }

    #[test]
    fn ids_are_stable_say_nothing_and_belong_to_one_time() {
        let mut rows = Rows::default();
        let id = rows.keep(file("/home/a/salary.ods", 7));
        assert_eq!(rows.keep(file("/home/a/salary.ods", 7)), id);
        assert_ne!(rows.keep(file("/home/a/salary.ods", 8)), id);
        assert!(!id.contains("salary") && id.len() == 24, "{id}");
        assert!(rows.keep(Row::Ask("salary".into())).starts_with(SPECIAL));
        assert_eq!(rows.get(&id).unwrap().name(), "salary.ods");
        let mut other = Rows::default();
        assert_ne!(other.keep(file("/home/a/salary.ods", 7)), id);
        assert!(other.get(&id).is_none() && rows.get("").is_none());
    }

    #[test]
    fn the_oldest_rows_are_forgotten() {
        let mut rows = Rows::default();
        let first = rows.keep(file("/first", 0));
        let second = rows.keep(file("/second", 0));
        for n in 0..KEPT as u64 - 1 {
            rows.keep(file("/more", n));
            rows.keep(file("/first", 0));
        }
        assert!(rows.get(&first).is_some() && rows.get(&second).is_none());
        assert!(rows.kept.len() == KEPT && rows.order.len() == KEPT);
    }

    #[test]
    fn a_row_is_shown_with_a_name_and_an_icon() {
        assert_eq!(file("/a/Plan.PDF", 0).icon(), "x-office-document");
        assert_eq!(file("/a/no extension", 0).icon(), "text-x-generic");
        let Row::File(mut hit) = file("/a/slides.pptx", 0) else { unreachable!() };
        hit.page = Some(3);
        assert_eq!(Row::File(hit).name(), "slides.pptx (page 3)");
        assert_eq!(Row::Ask("why".into()).name(), "Ask Familiar: why");
    }
}
