//! `search`: hits as `path:line  title` with the words around them.

use super::args;
use super::client::decode;
use super::exit::Outcome;
use super::output::{self, Look, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::http::{SearchRequest, SearchResponse};
use std::io::Write;

pub async fn search(
    paths: &Paths,
    start: bool,
    args: args::Search,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let request = SearchRequest { query: args.query.join(" "), k: args.k.into(), mode: Some(args.mode) };
    let answer = connect(paths, start).await?.post("search", &request).await?;
    if args.json { output::json(out, &answer) } else { render(&decode(answer)?, out, look) }
}

fn render(found: &SearchResponse, out: &mut impl Write, look: Look) -> Outcome {
    if found.hits.is_empty() {
        writeln!(out, "Nothing found. `familiar index status` tells what is indexed.")?;
    }
    for hit in &found.hits {
        let place = look.bold(&format!("{}:{}", one_line(&hit.path, 4096), hit.line));
        let page = hit.page.map(|page| format!(" (page {page})")).unwrap_or_default();
        writeln!(out, "{place}{page}  {}", one_line(&hit.title, 100))?;
        writeln!(out, "    {}", look.dim(&one_line(&hit.snippet, 240)))?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use crate::protocol::http::SearchHit;
    use expect_test::expect;

    fn shown(hits: Vec<SearchHit>) -> String {
        let mut out = Vec::new();
        render(&SearchResponse { hits, took_ms: 3 }, &mut out, PLAIN).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hits_stand_on_two_lines() {
        let hit = SearchHit {
            path: "/doc/a.md".into(),
            title: "Install\nguide".into(),
            score: 3.2,
            line: 7,
            start: 1,
            end: 2,
            page: None,
            snippet: "run\n  make\x1b[2J".into(),
            hash: String::new(),
        };
        let paged = SearchHit { page: Some(2), ..hit.clone() };
        expect![[r#"
            /doc/a.md:7  Install guide
                run make�[2J
            /doc/a.md:7 (page 2)  Install guide
                run make�[2J
        "#]]
        .assert_eq(&shown(vec![hit, paged]));
    }

    #[test]
    fn no_hit_says_what_to_look_at() {
        assert!(shown(vec![]).contains("index status"));
    }
}
