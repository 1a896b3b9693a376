//! The full-text side: tantivy's schema, its analyzers, and the one writer. Each passage is one
//! document that carries all a hit needs, so that searching asks nobody else. It knows files only by
//! path and never opens one.

use super::IndexError;
use crate::protocol::frames::Extracted;
use std::path::Path;
use tantivy::collector::DocSetCollector;
use tantivy::indexer::{LogMergePolicy, UserOperation};
use tantivy::query::TermQuery;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TantivyDocument, TextFieldIndexing,
    TextOptions, Value,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter,
    TextAnalyzer,
};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError, Term};

/// Bumped when the schema, the analyzers or the chunker change in a way that old entries do not
/// fit: the index is then rebuilt from the files.
pub(super) const VERSION: u32 = 2;

/// The writer's arena in bytes, tantivy's least: the broker is to stay small.
const ARENA: usize = 15_000_000;

const ANALYZER: &str = "english";

/// Field handles of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub path: Field,
    pub hash: Field,
    pub title: Field,
    pub breadcrumb: Field,
    pub names: Field,
    pub text: Field,
    pub start: Field,
    pub end: Field,
    pub line: Field,
    pub page: Field,
}

/// One indexed passage, as stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub path: String,
    pub hash: String,
    pub title: String,
    pub breadcrumb: String,
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub line: u32,
    pub page: Option<u32>,
}

/// The index on disk. The writer is made on the first write and then kept.
pub(super) struct TextIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    writer: Option<IndexWriter>,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let analyzed = |option| TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(option);
    let positions =
        TextOptions::default().set_indexing_options(analyzed(IndexRecordOption::WithFreqsAndPositions));
    let names = TextOptions::default().set_indexing_options(analyzed(IndexRecordOption::WithFreqs));
    let number = NumericOptions::default().set_stored();
    let fields = Fields {
        path: schema.add_text_field("path", STRING | STORED),
        hash: schema.add_text_field("hash", STORED),
        title: schema.add_text_field("title", names.clone().set_stored()),
        breadcrumb: schema.add_text_field("breadcrumb", names.clone().set_stored()),
        names: schema.add_text_field("names", names),
        text: schema.add_text_field("text", positions.set_stored()),
        start: schema.add_u64_field("start", number.clone()),
        end: schema.add_u64_field("end", number.clone()),
        line: schema.add_u64_field("line", number.clone()),
        page: schema.add_u64_field("page", number),
    };
    (schema.build(), fields)
}

/// Words to index terms: lower case, no accents, no stop words, English stems.
pub(super) fn analyzer() -> TextAnalyzer {
    let builder = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(64))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .dynamic();
    match StopWordFilter::new(Language::English) {
        Some(stop) => builder.filter_dynamic(stop),
        None => builder,
    }
    .filter_dynamic(Stemmer::new(Language::English))
    .build()
}

impl TextIndex {
    /// Opens the folder's index, or makes one when the folder is empty.
    pub(super) fn open(folder: &Path) -> Result<TextIndex, TantivyError> {
        let (schema, fields) = schema();
        std::fs::create_dir_all(folder)?;
        let index = match folder.join("meta.json").exists() {
            true => Index::open_in_dir(folder)?,
            false => Index::create_in_dir(folder, schema.clone())?,
        };
        if index.schema() != schema {
            return Err(TantivyError::SchemaError("another version's schema".into()));
        }
        index.tokenizers().register(ANALYZER, analyzer());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(8)
            .try_into()?;
        Ok(TextIndex { index, reader, fields, writer: None })
    }

    /// What the last commit was given as its payload.
    pub(super) fn payload(&self) -> Result<Option<String>, TantivyError> {
        Ok(self.index.load_metas()?.payload)
    }

    pub(super) fn reader(&self) -> (IndexReader, Fields) {
        (self.reader.clone(), self.fields)
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, TantivyError> {
        if self.writer.is_none() {
            let options = tantivy::indexer::IndexWriterOptions::builder()
                .memory_budget_per_thread(ARENA)
                .num_worker_threads(1)
                .num_merge_threads(1)
                .build();
            let writer: IndexWriter = self.index.writer_with_options(options)?;
            let mut policy = LogMergePolicy::default();
            policy.set_del_docs_ratio_before_merge(0.3);
            policy.set_min_num_segments(6);
            writer.set_merge_policy(Box::new(policy));
            self.writer = Some(writer);
        }
        self.writer.as_mut().ok_or(TantivyError::InternalError("no writer".into()))
    }

    /// No commit was ever made.
    pub(super) fn is_empty(&self) -> bool {
        self.reader.searcher().num_docs() == 0
    }

    /// A writer is open and holds memory.
    pub(super) fn is_writing(&self) -> bool {
        self.writer.is_some()
    }

    /// Forgets a writer that failed, with all it had not committed.
    pub(super) fn abandon(&mut self) {
        self.writer = None;
    }

    /// Lets running merges end, then gives the writer's memory back, and that of the old segments'
    /// files, which the reader maps until it looks again.
    pub(super) fn rest(&mut self) -> Result<(), TantivyError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        writer.wait_merging_threads()?;
        self.reader.reload()
    }

    /// Writes every segment anew that still holds the text of deleted passages, and lets go of the old files: deleting
    /// marks them alone, and the next merge might be far away.
    pub(super) fn purge(&mut self) -> Result<(), TantivyError> {
        let segments = self.index.searchable_segment_metas()?;
        let marked: Vec<_> = segments
            .iter()
            .filter(|segment| segment.num_deleted_docs() > 0)
            .map(|segment| segment.id())
            .collect();
        let writer = self.writer()?;
        if !marked.is_empty() {
            writer.merge(&marked).wait()?;
        }
        self.reader.reload()?;
        self.writer()?.garbage_collect_files().wait()?;
        Ok(())
    }

    pub(super) fn delete(&mut self, path: &str) -> Result<(), TantivyError> {
        let term = Term::from_field_text(self.fields.path, path);
        self.writer()?.run([UserOperation::Delete(term)])?;
        Ok(())
    }

    /// Replaces all of a path's passages.
    pub(super) fn replace(&mut self, path: &str, entries: &[Entry]) -> Result<(), TantivyError> {
        let fields = self.fields;
        let term = Term::from_field_text(fields.path, path);
        let names = name_words(path);
        let writer = self.writer()?;
        writer.delete_term(term);
        for entry in entries {
            writer.add_document(document(&fields, entry, &names))?;
        }
        Ok(())
    }

    /// Makes everything so far durable, then searchable.
    pub(super) fn commit(&mut self, payload: &str) -> Result<(), TantivyError> {
        let mut commit = self.writer()?.prepare_commit()?;
        commit.set_payload(payload);
        commit.commit()?;
        self.reader.reload()
    }

    /// A path's committed passages, in order; what a renamed file is indexed from again.
    pub(super) fn entries(&self, path: &str) -> Result<Vec<Entry>, TantivyError> {
        let searcher = self.reader.searcher();
        let term = Term::from_field_text(self.fields.path, path);
        let found = searcher.search(&TermQuery::new(term, IndexRecordOption::Basic), &DocSetCollector)?;
        let mut entries = Vec::with_capacity(found.len());
        for address in found {
            entries.push(entry(&self.fields, &searcher, address)?);
        }
        entries.sort_by_key(|entry| entry.start);
        Ok(entries)
    }
}

fn document(fields: &Fields, entry: &Entry, names: &str) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.path, &entry.path);
    document.add_text(fields.hash, &entry.hash);
    document.add_text(fields.title, &entry.title);
    document.add_text(fields.breadcrumb, &entry.breadcrumb);
    document.add_text(fields.names, names);
    document.add_text(fields.text, &entry.text);
    document.add_u64(fields.start, entry.start);
    document.add_u64(fields.end, entry.end);
    document.add_u64(fields.line, entry.line.into());
    if let Some(page) = entry.page {
        document.add_u64(fields.page, page.into());
    }
    document
}

/// Reads a stored passage.
pub(super) fn entry(
    fields: &Fields,
    searcher: &Searcher,
    address: tantivy::DocAddress,
) -> Result<Entry, TantivyError> {
    let document: TantivyDocument = searcher.doc(address)?;
    let text = |field| document.get_first(field).and_then(|v| v.as_str()).unwrap_or_default().to_string();
    let number = |field| document.get_first(field).and_then(|v| v.as_u64());
    Ok(Entry {
        path: text(fields.path),
        hash: text(fields.hash),
        title: text(fields.title),
        breadcrumb: text(fields.breadcrumb),
        text: text(fields.text),
        start: number(fields.start).unwrap_or_default(),
        end: number(fields.end).unwrap_or_default(),
        line: number(fields.line).unwrap_or_default() as u32,
        page: number(fields.page).map(|page| page as u32),
    })
}

/// The passages of an extracted file.
pub(super) fn entries_of(path: &str, extracted: &Extracted) -> Vec<Entry> {
    let place = |at: u64| source(&extracted.map, at);
    let passage = |chunk: &crate::protocol::frames::Chunk| {
        let text = extracted.text.get(chunk.start as usize..chunk.end as usize)?;
        Some(Entry {
            path: path.to_string(),
            hash: extracted.hash.clone(),
            title: extracted.title.clone(),
            breadcrumb: chunk.breadcrumb.clone(),
            text: text.to_string(),
            start: place(chunk.start),
            end: place(chunk.end),
            line: chunk.line,
            page: chunk.page,
        })
    };
    extracted.chunks.iter().filter_map(passage).collect()
}

/// Where a byte of an extracted text stands in the decoded content.
pub(super) fn source(map: &[(u64, u64)], at: u64) -> u64 {
    let next = map.partition_point(|run| run.0 <= at);
    let Some(run) = next.checked_sub(1).map(|i| map[i]) else { return at };
    let position = run.1 + (at - run.0);
    map.get(next).map_or(position, |after| position.min(after.1))
}

/// The first byte of an extracted text that comes from `position` of the content or later.
pub(super) fn target(map: &[(u64, u64)], position: u64) -> u64 {
    let next = map.partition_point(|run| run.1 <= position);
    let Some(run) = next.checked_sub(1).map(|i| map[i]) else {
        return if map.is_empty() { position } else { 0 };
    };
    let at = run.0 + (position - run.1);
    map.get(next).map_or(at, |after| at.min(after.0))
}

/// A path as words: parts of its names, with camelCase taken apart, and a name like `zlib1g` also as
/// its letters alone.
fn name_words(path: &str) -> String {
    let mut words = String::with_capacity(path.len() + 16);
    for part in path.split(|c: char| !c.is_alphanumeric()) {
        let mut before = ' ';
        for c in part.chars() {
            if c.is_uppercase() && before.is_lowercase() {
                words.push(' ');
            }
            words.push(c);
            before = c;
        }
        words.push(' ');
        let letters = part.split(|c: char| c.is_numeric()).next().unwrap_or_default();
        if letters.len() > 2 && letters.len() < part.len() {
            words.push_str(letters);
            words.push(' ');
        }
    }
    words
}

impl From<TantivyError> for IndexError {
    fn from(error: TantivyError) -> Self {
        IndexError::Store(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart() {
        assert_eq!(
            name_words("/a-b/myFile_two.tar.gz").split_whitespace().collect::<Vec<_>>(),
            ["a", "b", "my", "File", "two", "tar", "gz"]
        );
    }

    #[test]
    fn versions_come_off_names() {
        let words = name_words("/zlib1g-dev/x86.txt");
        assert_eq!(words.split_whitespace().collect::<Vec<_>>(), ["zlib1g", "zlib", "dev", "x86", "txt"]);
    }

    #[test]
    fn positions_lead_there_and_back() {
        let map = [(0, 10), (5, 20), (9, 40)];
        assert_eq!([0, 4, 5, 8, 9, 12].map(|at| source(&map, at)), [10, 14, 20, 23, 40, 43]);
        assert_eq!([0, 10, 14, 19, 20, 30, 41].map(|at| target(&map, at)), [0, 0, 4, 5, 5, 9, 10]);
        assert_eq!((source(&[], 7), target(&[], 7)), (7, 7));
    }

    #[test]
    fn passages_are_replaced_and_come_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = TextIndex::open(dir.path()).unwrap();
        let entry = |path: &str, text: &str| Entry {
            path: path.into(),
            hash: "h".into(),
            title: "t".into(),
            breadcrumb: "b".into(),
            text: text.into(),
            start: 3,
            end: 9,
            line: 2,
            page: Some(4),
        };
        index.replace("/a", &[entry("/a", "old words")]).unwrap();
        index.replace("/b", &[entry("/b", "other words")]).unwrap();
        index.commit("one").unwrap();
        index.replace("/a", &[entry("/a", "new words")]).unwrap();
        index.delete("/b").unwrap();
        index.commit("two").unwrap();
        assert_eq!(index.entries("/a").unwrap(), [entry("/a", "new words")]);
        assert!(index.entries("/b").unwrap().is_empty());
        index.rest().unwrap();
        drop(index);
        let index = TextIndex::open(dir.path()).unwrap();
        assert_eq!(index.payload().unwrap().as_deref(), Some("two"));
    }
}
