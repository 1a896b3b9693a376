//! Measurements, not tests: run them by name with `--ignored --nocapture`. `FAMILIAR_JUDGED` is a folder
//! of judged collections in BEIR's layout (corpus.jsonl, queries.jsonl, qrels.tsv), `FAMILIAR_DOCS` a
//! folder of documents (default: the system's documentation).

use super::extractor::Extractor;
use super::search::{WEIGHTS, Weights, weighed};
use super::text::{TextIndex, entries_of};
use super::*;
use std::collections::HashMap;
use std::time::Instant;

struct Collection {
    index: TextIndex,
    queries: Vec<(String, String)>,
    judged: HashMap<String, HashMap<String, f64>>,
    _dir: tempfile::TempDir,
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn load(folder: &Path) -> Collection {
    let dir = tempfile::tempdir().unwrap();
    let mut index = TextIndex::open(dir.path()).unwrap();
    for document in lines(&folder.join("corpus.jsonl")) {
        let field = |name: &str| document[name].as_str().unwrap_or_default().to_string();
        let body = format!("{}\n\n{}\n", field("title"), field("text"));
        let path = format!("/{}.txt", field("_id"));
        let extracted = crate::extract::document("a.txt", body.as_bytes(), 1 << 20).unwrap();
        index.replace(&path, &entries_of(&path, &extracted)).unwrap();
    }
    index.commit("0").unwrap();
    let queries = lines(&folder.join("queries.jsonl"));
    let queries =
        queries.iter().map(|q| (q["_id"].as_str().unwrap().into(), q["text"].as_str().unwrap().into()));
    let mut judged: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("qrels.tsv")).unwrap().lines().skip(1) {
        let parts: Vec<&str> = line.split('\t').collect();
        judged.entry(parts[0].into()).or_default().insert(parts[1].into(), parts[2].parse().unwrap());
    }
    Collection { index, queries: queries.collect(), judged, _dir: dir }
}

/// Mean nDCG@10 over the judged queries, files ranked by their best passage.
fn ndcg(collection: &Collection, weights: &Weights) -> f64 {
    let (reader, fields) = collection.index.reader();
    let mut sum = 0.0;
    let mut count = 0;
    for (id, text) in &collection.queries {
        let Some(judged) = collection.judged.get(id).filter(|j| j.values().any(|g| *g > 0.0)) else {
            continue;
        };
        let mut ranked: Vec<String> = Vec::new();
        for hit in weighed(&reader, &fields, text, 30, &[], weights).unwrap() {
            let id = hit.passage.path[1..].trim_end_matches(".txt").to_string();
            if !ranked.contains(&id) {
                ranked.push(id);
            }
        }
        let gain = |rank: usize, grade: f64| grade / (rank as f64 + 2.0).log2();
        let found: f64 =
            ranked.iter().take(10).enumerate().map(|(i, d)| gain(i, *judged.get(d).unwrap_or(&0.0))).sum();
        let mut grades: Vec<f64> = judged.values().copied().collect();
        grades.sort_by(|a, b| b.total_cmp(a));
        let ideal: f64 = grades.iter().take(10).enumerate().map(|(i, g)| gain(i, *g)).sum();
        sum += found / ideal;
        count += 1;
    }
    sum / count as f64
}

#[test]
#[ignore = "a measurement"]
fn judged_collections() {
    let folder = PathBuf::from(std::env::var("FAMILIAR_JUDGED").expect("FAMILIAR_JUDGED names a folder"));
    let plain = Weights { title: 0.0, breadcrumb: 0.0, names: 0.0, coverage: 0.0, adjacency: 0.0 };
    for name in ["cacm", "cranfield"] {
        let collection = load(&folder.join(name));
        println!(
            "{name}: BM25 alone {:.4}, as it is {:.4}",
            ndcg(&collection, &plain),
            ndcg(&collection, &WEIGHTS)
        );
        for title in [0.0, 0.3, 0.6, 1.0] {
            for coverage in [0.0, 0.5, 1.2, 2.5] {
                for adjacency in [0.0, 0.4, 0.8, 1.6] {
                    let weights = Weights { title, coverage, adjacency, ..WEIGHTS };
                    println!(
                        "  title {title} coverage {coverage} adjacency {adjacency}: {:.4}",
                        ndcg(&collection, &weights)
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn documents() {
    let docs = std::env::var("FAMILIAR_DOCS").unwrap_or_else(|_| "/usr/share/doc".into());
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let index = Index::open_with(dir.path().join("index"), IndexConfig::default(), Extractor::InProcess)
        .await
        .unwrap();
    index.add(Path::new(&docs)).await.unwrap();
    index.settled().await;
    let (status, wall) = (index.status(), start.elapsed().as_secs_f64());
    println!(
        "{} documents, {} failed, {:.1} MB, {wall:.1} s: {:.0} files/s, {:.1} MB/s; rss {} MB",
        status.documents,
        status.failed.len(),
        status.bytes as f64 / 1e6,
        status.documents as f64 / wall,
        status.bytes as f64 / 1e6 / wall,
        rss()
    );
    for failed in status.failed.iter().filter(|f| !f.error.contains("binary")).take(20) {
        println!("  {}: {}", failed.path, failed.error);
    }
    let queries =
        std::env::var("FAMILIAR_QUERIES").unwrap_or_else(|_| "how is the default shell changed".into());
    for query in queries.split('|') {
        let start = Instant::now();
        let hits = index.search(query, 5).await.unwrap();
        println!("{query} ({:.1} ms)", start.elapsed().as_secs_f64() * 1e3);
        for hit in hits {
            let passage = hit.passage;
            println!(
                "  {:6.2} {}:{} [{}] {}",
                passage.score, passage.path, passage.line, passage.breadcrumb, hit.snippet
            );
        }
    }
    tokio::time::sleep(std::time::Duration::from_secs(13)).await;
    println!("rss at rest {} MB", rss());
    index.close().await;
}

fn rss() -> u64 {
    crate::worker::rss_bytes(std::process::id()).unwrap_or_default() >> 20
}
