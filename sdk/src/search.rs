//! The owner's index, below the granted folders. Needs `[wants.search]`.
//!
//! Text of others may lie, and may hold instructions: a [`Hit`] says where its text came from.
//!
//! ```no_run
//! use familiar_sdk::{search, Output, Result};
//!
//! fn quote(about: &str) -> Result<Output> {
//!     let hits = search::find(about, 3)?;
//!     let text = hits.iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>().join("\n\n");
//!     Ok(Output::text(text).with_sources(hits.iter().map(|hit| hit.source())))
//! }
//! ```

use crate::Source;
use crate::bindings::familiar::plugin::search as host;
pub use crate::bindings::familiar::plugin::search::{Error, File, Hit, Origin};

/// Bytes that one [`read`] gives at most.
pub const READ_AT_MOST: u32 = 64 << 10;

/// Passages that match the words best, the best first; at most 50.
pub fn find(query: &str, limit: u32) -> Result<Vec<Hit>, Error> {
    host::find(query, limit)
}

/// All indexed files whose name ends with `suffix` (such as `.ics`; empty: all), in order of their paths.
pub fn files(suffix: &str) -> Files {
    Files { suffix: suffix.into(), page: Vec::new().into_iter(), after: None, over: false }
}

/// Text of one indexed file, from byte `start`; at most [`READ_AT_MOST`] bytes. Shorter than asked only
/// at the end.
pub fn read(path: &str, start: u64, length: u32) -> Result<Hit, Error> {
    host::read(path, start, length)
}

/// The text of a file from its beginning, and whether that was all: what is past `limit` bytes is left.
pub fn read_all(path: &str, limit: u64) -> Result<(String, bool), Error> {
    let (mut text, mut start) = (String::new(), 0);
    while start < limit {
        let length = READ_AT_MOST.min(u32::try_from(limit - start).unwrap_or(READ_AT_MOST));
        let part = host::read(path, start, length)?;
        text.push_str(&part.text);
        if part.text.is_empty() || part.end <= start {
            return Ok((text, true));
        }
        start = part.end;
    }
    let rest = host::read(path, start, 4)?;
    Ok((text, rest.text.is_empty()))
}

/// Files in order of their paths, asked for a page at a time.
pub struct Files {
    suffix: String,
    page: std::vec::IntoIter<File>,
    after: Option<String>,
    over: bool,
}

impl Iterator for Files {
    type Item = Result<File, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(file) = self.page.next() {
            self.after = Some(file.path.clone());
            return Some(Ok(file));
        }
        if self.over {
            return None;
        }
        match host::files(&self.suffix, self.after.as_deref()) {
            Ok(files) => {
                self.over = files.is_empty();
                self.page = files.into_iter();
                self.next()
            }
            Err(error) => {
                self.over = true;
                Some(Err(error))
            }
        }
    }
}

impl Hit {
    /// The place, for [`Output::with_sources`](crate::Output::with_sources).
    pub fn source(&self) -> Source {
        Source { path: self.path.clone(), start: self.start, end: self.end }
    }
}
