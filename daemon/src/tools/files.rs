//! The owner's index, below the folders that were granted to a plugin. Everything found is labelled with
//! its file: anybody may have written it.

use super::services::{Proposal, Services, failed, learn_private};
use crate::index::IndexError;
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::plugins::{Answer, File, Hit, Refusal};
use crate::types::{Label, Origin, Passage};
use std::path::{Path, PathBuf};

/// Passages that one search gives; files that one listing gives; bytes that one reading gives.
const MOST_HITS: u32 = 50;
const MOST_FILES: usize = 1000;
const MOST_READ: u32 = 64 << 10;
/// Bytes of a query. The search itself cuts what is longer, but that a plugin should know.
const LONGEST_QUERY: usize = 4 << 10;

pub async fn find(
    services: &Services,
    calling: &Calling,
    query: &str,
    limit: u32,
) -> Result<Answer, Refusal> {
    if query.len() > LONGEST_QUERY {
        let length = query.len();
        let why =
            format!("the query has {length} bytes and {LONGEST_QUERY} are allowed: search with fewer words");
        return Err(Refusal::Invalid(why));
    }
    permit(services, calling, Effect::Search).await?;
    // That nothing is found tells something of the owner, too.
    learn_private(calling, "the index");
    let limit = limit.min(MOST_HITS) as usize;
    let hits = services.house.index.search_below(query, limit, granted(calling)).await.map_err(failed)?;
    let passages: Vec<Passage> = hits.into_iter().map(|hit| hit.passage).collect();
    for passage in &passages {
        calling.learned(&Label::from(Origin::File, passage.path.as_str()));
    }
    services.found(passages.iter().cloned());
    Ok(Answer::Hits(passages.into_iter().map(hit).collect()))
}

pub async fn list(
    services: &Services,
    calling: &Calling,
    suffix: &str,
    after: Option<String>,
) -> Result<Answer, Refusal> {
    permit(services, calling, Effect::Search).await?;
    learn_private(calling, "the index");
    let after = after.unwrap_or_default();
    let below = granted(calling);
    let files = services.house.index.files(suffix, &after, below, MOST_FILES).await.map_err(failed)?;
    for file in &files {
        // Names are text, too, and somebody gave them.
        calling.learned(&Label::from(Origin::File, file.path.as_str()));
    }
    let file =
        |file: crate::index::IndexedFile| File { path: file.path, size: file.size, modified: file.modified };
    Ok(Answer::Files(files.into_iter().map(file).collect()))
}

pub async fn read(
    services: &Services,
    calling: &Calling,
    path: &str,
    start: u64,
    length: u32,
) -> Result<Answer, Refusal> {
    permit(services, calling, Effect::Read(path.into())).await?;
    // Whether there is such a file is the owner's to know.
    learn_private(calling, "the index");
    let real = real_path(path).await;
    // A link may lead out of what was granted; where to, is not told.
    if !calling.grants.search.as_ref().is_some_and(|search| search.holds(&real)) {
        return Err(Refusal::Denied(format!("{} leads out of the folders that are granted", shown(path))));
    }
    let end = start.saturating_add(u64::from(length.clamp(1, MOST_READ)));
    let text = services.house.index.text(&real, start, end).await.map_err(refused)?;
    if Path::new(&text.path) != real {
        return Err(Refusal::NotFound(format!("{} was replaced while it was read", shown(path))));
    }
    calling.learned(&Label::from(Origin::File, text.path.as_str()));
    let passage = Passage {
        path: text.path,
        title: text.title,
        breadcrumb: String::new(),
        text: text.text,
        start: text.start,
        end: text.end,
        line: text.line,
        page: None,
        hash: text.hash,
        score: 1.0,
    };
    services.found([passage.clone()]);
    Ok(Answer::Hits(vec![hit(passage)]))
}

/// Where a path leads; a path that leads nowhere stays as it is.
async fn real_path(path: &str) -> PathBuf {
    let path = PathBuf::from(path);
    let written = path.clone();
    let found = tokio::task::spawn_blocking(move || std::fs::canonicalize(path)).await;
    found.ok().and_then(Result::ok).unwrap_or(written)
}

fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

async fn permit(services: &Services, calling: &Calling, effect: Effect) -> Result<(), Refusal> {
    services.permit(calling, Proposal { effect, action: String::new(), bytes: &[] }).await.map(drop)
}

fn granted(calling: &Calling) -> &[PathBuf] {
    calling.grants.search.as_ref().map_or(&[], |search| &search.paths)
}

fn refused(error: IndexError) -> Refusal {
    match error {
        IndexError::NotFound(_) | IndexError::NotAFile(_) => Refusal::NotFound(error.to_string()),
        IndexError::Denied { .. } | IndexError::Outside(_) => Refusal::Denied(error.to_string()),
        _ => failed(error),
    }
}

fn hit(passage: Passage) -> Hit {
    Hit {
        path: passage.path,
        title: passage.title,
        breadcrumb: passage.breadcrumb,
        text: passage.text,
        start: passage.start,
        end: passage.end,
        line: passage.line,
        page: passage.page,
        score: passage.score,
        origin: Origin::File,
    }
}
