//! The index on real folders with real kernel events. Documents are read in this process by the
//! extract room's pure part; what the worker adds is tested with the worker.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// A folder to index and a folder for the index.
struct Place {
    _dir: tempfile::TempDir,
    docs: PathBuf,
    store: PathBuf,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (docs, store) = (base.join("docs"), base.join("index"));
        fs::create_dir(&docs).unwrap();
        Place { _dir: dir, docs, store }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.docs.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    async fn open(&self) -> Index {
        self.open_with(IndexConfig::default()).await
    }

    async fn open_with(&self, config: IndexConfig) -> Index {
        Index::open_with(self.store.clone(), config, Extractor::InProcess).await.unwrap()
    }

    async fn filled(&self) -> Index {
        let index = self.open().await;
        index.add(&self.docs).await.unwrap();
        index.settled().await;
        index
    }
}

async fn paths(index: &Index, query: &str) -> Vec<String> {
    let hits = index.search(query, 50).await.unwrap();
    let mut paths: Vec<String> = hits.into_iter().map(|hit| file_of(&hit.passage.path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn file_of(path: &str) -> String {
    Path::new(path).file_name().unwrap().to_string_lossy().into_owned()
}

/// Waits for something that events bring about.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_indexed_and_its_passages_lead_back() {
    let place = Place::new();
    place.write(
        "bread.md",
        "# Bread\n\nThe dough must rest for nine hours.\n\n## Oven\n\nBake it at 240 degrees.\n",
    );
    place.write("deep/er/car.txt", "The car needs new brakes before the winter.\n");
    place.write("picture.png", "\u{0}\u{1}binary");
    let index = place.filled().await;
    let hit = index.search("How long should the dough rest?", 5).await.unwrap().remove(0);
    assert_eq!(file_of(&hit.passage.path), "bread.md");
    assert_eq!(hit.passage.title, "Bread");
    assert!(hit.snippet.contains("nine hours"));
    let bytes = fs::read(&hit.passage.path).unwrap();
    let range = hit.passage.start as usize..hit.passage.end as usize;
    assert_eq!(&bytes[range], hit.passage.text.as_bytes());
    assert_eq!(hit.passage.hash, blake3::hash(&bytes).to_hex().to_string());
    assert!(index.verify(&hit.passage.path, &hit.passage.hash).await);
    let status = index.status();
    assert_eq!((status.documents, status.pending, status.watched_dirs), (2, 0, 3));
    assert_eq!(status.failed.len(), 1);
    assert!(status.failed[0].error.contains("binary"), "{:?}", status.failed);
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed() {
    let place = Place::new();
    let first = place.write("a.txt", "alpaca grazing");
    let index = place.filled().await;
    fs::write(&first, "buffalo grazing").unwrap();
    until("a change is found", async || paths(&index, "buffalo").await == ["a.txt"]).await;
    assert!(paths(&index, "alpaca").await.is_empty());
    place.write("new/folder/c.txt", "capybara swimming");
    until("a file in a new folder is found", async || paths(&index, "capybara").await == ["c.txt"]).await;
    fs::remove_file(&first).unwrap();
    until("a removed file is gone", async || paths(&index, "buffalo").await.is_empty()).await;
    fs::remove_dir_all(place.docs.join("new")).unwrap();
    until("a removed folder is gone", async || paths(&index, "capybara").await.is_empty()).await;
    index.settled().await;
    assert_eq!(index.status().documents, 0);
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_keep_documents() {
    let place = Place::new();
    place.write("old/one.txt", "first document about otters");
    place.write("old/two.txt", "second document about otters");
    let index = place.filled().await;
    fs::rename(place.docs.join("old"), place.docs.join("fresh")).unwrap();
    fs::rename(place.docs.join("fresh/one.txt"), place.docs.join("fresh/uno.txt")).unwrap();
    until("the new names are found", async || {
        let hits = index.search("otters", 9).await.unwrap();
        hits.len() == 2 && hits.iter().all(|hit| hit.passage.path.contains("fresh"))
    })
    .await;
    assert_eq!(paths(&index, "otters").await, ["two.txt", "uno.txt"]);
    // The folder is watched under its new name.
    place.write("fresh/three.txt", "third document about badgers");
    until("a file in the renamed folder is found", async || paths(&index, "badgers").await == ["three.txt"])
        .await;
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_it_was_closed_is_found_out() {
    let place = Place::new();
    for i in 0..20 {
        place.write(&format!("f{i}.txt"), &format!("document number{i} of pelicans"));
    }
    let index = place.filled().await;
    index.close().await;
    fs::remove_file(place.docs.join("f0.txt")).unwrap();
    place.write("f1.txt", "now about flamingos");
    place.write("f20.txt", "and more flamingos");
    let index = place.open().await;
    index.settled().await;
    assert_eq!(paths(&index, "flamingos").await, ["f1.txt", "f20.txt"]);
    assert_eq!(paths(&index, "pelicans").await.len(), 18);
    assert_eq!(index.status().documents, 20);
    assert!(index.status().warnings.is_empty());
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_halves_are_made_again() {
    let place = Place::new();
    place.write("a.txt", "something about lobsters");
    place.filled().await.close().await;
    let damages: [&dyn Fn(&Path); 4] = [
        &|store| fs::write(store.join("catalog.db"), vec![7; 9000]).unwrap(),
        &|store| fs::remove_file(store.join("catalog.db")).unwrap(),
        &|store| fs::remove_dir_all(store.join("text")).unwrap(),
        &|store| fs::write(store.join("text/meta.json"), "{").unwrap(),
    ];
    for (i, damage) in damages.iter().enumerate() {
        damage(&place.store);
        let index = place.open().await;
        index.settled().await;
        assert_eq!(paths(&index, "lobsters").await, ["a.txt"], "damage {i}");
        let warnings = index.status().warnings;
        assert!(warnings.iter().any(|w| w.contains("made again")), "damage {i}: {warnings:?}");
        index.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_come_and_go() {
    let place = Place::new();
    place.write("in/a.txt", "heron one");
    let file = place.write("b.txt", "heron two");
    place.write("c.txt", "heron three");
    let index = place.open().await;
    index.add(&place.docs.join("in")).await.unwrap();
    index.add(&file).await.unwrap();
    index.settled().await;
    assert_eq!(paths(&index, "heron").await, ["a.txt", "b.txt"]);
    assert_eq!(index.roots(), [file.clone(), place.docs.join("in")]);
    // Saved as editors do: a new file put in its place.
    let fresh = place.write("b.new", "egret two");
    fs::rename(fresh, &file).unwrap();
    until("a file root that was replaced is found", async || paths(&index, "egret").await == ["b.txt"]).await;
    index.add(&place.docs).await.unwrap();
    index.settled().await;
    assert_eq!(paths(&index, "heron").await, ["a.txt", "c.txt"]);
    index.remove(&place.docs).await.unwrap();
    index.settled().await;
    assert_eq!(paths(&index, "heron egret").await, ["a.txt", "b.txt"]);
    assert!(matches!(index.remove(&place.docs).await, Err(IndexError::NotARoot(_))));
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out() {
    let place = Place::new();
    place.write(".ssh/config", "wombat");
    place.write(".env", "wombat");
    place.write("keys/id_rsa", "wombat");
    place.write("notes.txt", "wombat");
    let config = IndexConfig { hidden: true, ..IndexConfig::default() };
    let index = place.open_with(config).await;
    index.add(&place.docs).await.unwrap();
    index.settled().await;
    assert_eq!(paths(&index, "wombat").await, ["notes.txt"]);
    let denied = index.add(&place.docs.join(".ssh")).await.unwrap_err().to_string();
    assert!(denied.contains("SSH keys"), "{denied}");
    assert!(matches!(index.text(&place.docs.join(".env"), 0, 0).await, Err(IndexError::Denied { .. })));
    assert!(matches!(index.text(Path::new("/etc/hostname"), 0, 0).await, Err(IndexError::Outside(_))));
    std::os::unix::fs::symlink("/etc/passwd", place.docs.join("link.txt")).unwrap();
    assert!(index.text(&place.docs.join("link.txt"), 0, 0).await.is_err());
    assert!(!index.verify("/etc/hostname", "x").await);
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_listed_and_good_ones_are_found() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.write("good.txt", "penguin");
    let huge = fs::File::create(place.docs.join("huge.txt")).unwrap();
    huge.set_len(1 << 30).unwrap();
    let fifo = place.docs.join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    std::os::unix::fs::symlink(&place.docs, place.docs.join("loop")).unwrap();
    fs::write(place.docs.join(std::ffi::OsStr::from_bytes(b"bad\xff.txt")), "penguin").unwrap();
    fs::write(place.docs.join("latin.txt"), b"penguin caf\xe9 gr\xfc\xdfe").unwrap();
    let index = place.filled().await;
    assert_eq!(paths(&index, "penguin").await, ["good.txt", "latin.txt"]);
    let failed: BTreeMap<String, String> =
        index.status().failed.into_iter().map(|f| (file_of(&f.path), f.error)).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed["huge.txt"].contains("1024 MB"));
    assert!(failed.values().any(|error| error.contains("UTF-8")));
    index.close().await;
}

/// A PDF document of 1000 lines, which is packed to a few hundred bytes.
fn long_pdf() -> Vec<u8> {
    use std::io::Write;
    let content = format!("BT /F 9 Tf {}", "(words about an armadillo) Tj 0 -12 Td ".repeat(1000));
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(content.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let objects = "%PDF-1.4\n1 0 obj <</Pages 2 0 R>> endobj 2 0 obj <</Kids[3 0 R]>> endobj
        3 0 obj <</Type/Page/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>> endobj
        5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj trailer <</Root 1 0 R>>\n";
    let head = format!("4 0 obj <</Filter/FlateDecode/Length {}>> stream\n", packed.len());
    [objects.as_bytes(), head.as_bytes(), &packed, b"\nendstream endobj"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_too_much_text_is_found_by_its_beginning_and_listed() {
    let place = Place::new();
    let file = place.docs.join("long.pdf");
    fs::write(&file, long_pdf()).unwrap();
    let index = place.open_with(IndexConfig { max_file_bytes: 8000, ..IndexConfig::default() }).await;
    index.add(&place.docs).await.unwrap();
    index.settled().await;
    let status = index.status();
    assert_eq!((status.documents, status.failed.len()), (1, 1), "{status:?}");
    assert_eq!(status.failed[0].error, "only its first 8000 bytes of text are indexed");
    let hit = index.search("armadillo", 1).await.unwrap().remove(0);
    assert_eq!(hit.passage.page, Some(1));
    fs::rename(&file, place.docs.join("renamed.pdf")).unwrap();
    until("it is found under its new name", async || paths(&index, "armadillo").await == ["renamed.pdf"])
        .await;
    index.settled().await;
    assert_eq!(index.status().failed.len(), 1);
    fs::write(place.docs.join("renamed.pdf"), "%PDF-1.4 and no more").unwrap();
    until("what cannot be read is not found", async || paths(&index, "armadillo").await.is_empty()).await;
    index.settled().await;
    let status = index.status();
    assert_eq!((status.documents, status.failed.len()), (0, 1), "{status:?}");
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_files_take_effect_when_they_change() {
    let place = Place::new();
    place.write("a/x.txt", "lemur");
    place.write("b/y.txt", "other lemur");
    let index = place.filled().await;
    assert_eq!(paths(&index, "lemur").await, ["x.txt", "y.txt"]);
    place.write(".familiarignore", "a/\n");
    until("an ignored folder is gone", async || paths(&index, "lemur").await == ["y.txt"]).await;
    fs::remove_file(place.docs.join(".familiarignore")).unwrap();
    until("it is back", async || paths(&index, "lemur").await == ["x.txt", "y.txt"]).await;
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_gives_a_stretch_of_a_file() {
    let place = Place::new();
    let file = place.write("a.txt", "line one\nline two\nline three\n");
    let index = place.filled().await;
    let part = index.text(&file, 9, 17).await.unwrap();
    assert_eq!((part.text.as_str(), part.line, part.start, part.end, part.total), ("line two", 2, 9, 17, 29));
    let gone = index.text(&place.docs.join("none.txt"), 0, 0).await;
    assert!(matches!(gone, Err(IndexError::NotFound(_))));
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_past_the_event_queue_ends_equal_to_the_folder() {
    let place = Place::new();
    let index = place.filled().await;
    for i in 0..20_000 {
        let name = format!("d{}/f{i}.txt", i % 7);
        place.write(&name, &format!("burst{i}"));
    }
    until("all files are indexed", async || index.status().documents == 20_000).await;
    index.settled().await;
    for i in [0, 4_999, 19_999] {
        assert_eq!(paths(&index, &format!("burst{i}")).await, [format!("f{i}.txt")]);
    }
    index.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_past_the_watch_budget_are_polled() {
    let place = Place::new();
    place.write("sub/a.txt", "tapir");
    let config = IndexConfig { watch_percent: 0, poll_s: 1, ..IndexConfig::default() };
    let index = place.open_with(config).await;
    index.add(&place.docs).await.unwrap();
    index.settled().await;
    assert_eq!(index.status().polled_dirs, 2);
    place.write("sub/b.txt", "tapir");
    place.write("sub/new/c.txt", "another tapir");
    fs::remove_file(place.docs.join("sub/a.txt")).unwrap();
    until("polling finds changes", async || paths(&index, "tapir").await == ["b.txt", "c.txt"]).await;
    index.close().await;
}

#[tokio::test]
async fn a_search_below_a_folder_finds_nothing_beside_it() {
    let place = Place::new();
    for name in ["a/one.md", "a/deep/two.ics", "ab/three.md", "four.md"] {
        place.write(name, "The lamp is green.");
    }
    let index = place.filled().await;
    let found = async |below: &[PathBuf]| {
        let hits = index.search_below("green lamp", 50, below).await.unwrap();
        let mut names: Vec<String> = hits.into_iter().map(|hit| file_of(&hit.passage.path)).collect();
        names.sort();
        names
    };
    // The same words are given once; which file has them is the index's choice.
    assert_eq!(found(&[]).await.len(), 1);
    assert!(["one.md", "two.ics"].contains(&found(&[place.docs.join("a")]).await[0].as_str()));
    assert_eq!(found(&[place.docs.join("ab")]).await, ["three.md"]);
    assert_eq!(found(&[place.docs.join("four.md")]).await, ["four.md"]);
    assert!(found(&[place.docs.join("four")]).await.is_empty());
    index.close().await;
}

#[tokio::test]
async fn files_are_listed_by_their_names_and_from_where_one_left_off() {
    let place = Place::new();
    for name in ["a/one.ics", "a/two.md", "b/three.ics", "b/four.ics"] {
        place.write(name, "Some text.");
    }
    let index = place.filled().await;
    let listed = async |suffix: &str, after: &str, below: &[PathBuf], most: usize| -> Vec<String> {
        let files = index.files(suffix, after, below, most).await.unwrap();
        files.iter().map(|file| file_of(&file.path)).collect()
    };
    assert_eq!(listed(".ics", "", &[], 10).await, ["one.ics", "four.ics", "three.ics"]);
    assert_eq!(listed("", "", &[], 2).await, ["one.ics", "two.md"]);
    let first = place.docs.join("a/one.ics");
    assert_eq!(listed(".ics", first.to_str().unwrap(), &[], 10).await, ["four.ics", "three.ics"]);
    assert_eq!(listed(".ics", "", &[place.docs.join("b")], 10).await, ["four.ics", "three.ics"]);
    let file = index.files("two.md", "", &[], 1).await.unwrap().remove(0);
    assert!(file.size == 10 && file.modified > 1_600_000_000, "{file:?}");
    index.close().await;
}

#[tokio::test]
async fn the_last_word_is_found_while_it_is_being_typed() {
    let place = Place::new();
    place.write("money.md", "# Budget\n\nThe budget of the household for spring.\n");
    place.write("setup.md", "# Setup\n\nConfiguring the bootloader takes a minute.\n");
    let index = place.filled().await;
    let typed = async |query: &str| -> Vec<String> {
        let hits = index.search_typed(query, 10).await.unwrap();
        hits.into_iter().map(|hit| file_of(&hit.passage.path)).collect()
    };
    for query in ["bud", "budg", "BUDGE", "budget", "household budg", "spring bu budge"] {
        assert_eq!(typed(query).await, ["money.md"], "{query}");
    }
    for query in ["config", "configuri", "configurin", "configuring", "bootl"] {
        assert_eq!(typed(query).await, ["setup.md"], "{query}");
    }
    for query in ["", "bx", "budgetary reform xyz", "zzz", "é", "budg "] {
        let found = typed(query).await;
        assert!(found.is_empty() || query.starts_with("budgetary"), "{query}: {found:?}");
    }
}
