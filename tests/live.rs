//! The live index: what happens to the files happens to what is found, and in the end the index equals
//! the folder.

use crate::support::{Home, LIMIT, path, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tantivy::collector::DocSetCollector;
use tantivy::query::AllQuery;
use tantivy::schema::Value;

/// Paths and the hashes of what is in them.
type Files = BTreeMap<String, String>;

/// The files below a folder, hidden ones too.
fn on_disk(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            on_disk(&path, files);
        } else {
            let hash = blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string();
            files.insert(path.to_str().unwrap().to_owned(), hash);
        }
    }
}

/// The files of the catalog; `None` while it is being written.
fn catalog(home: &Home) -> Option<Files> {
    let file = home.root().join("data/index/catalog.db");
    let db = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let mut select = db.prepare("SELECT path, coalesce(error, hash) FROM files").ok()?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
    rows.collect::<Result<_, _>>().ok()
}

/// The files of the full-text index; `None` while it is being written.
fn text(home: &Home) -> Option<Files> {
    let index = tantivy::Index::open_in_dir(home.root().join("data/index/text")).ok()?;
    let (path, hash) = (index.schema().get_field("path").ok()?, index.schema().get_field("hash").ok()?);
    let searcher = index.reader().ok()?.searcher();
    let mut files = Files::new();
    for address in searcher.search(&AllQuery, &DocSetCollector).ok()? {
        let document: tantivy::TantivyDocument = searcher.doc(address).ok()?;
        let value = |field| Some(document.get_first(field)?.as_str()?.to_owned());
        files.insert(value(path)?, value(hash)?);
    }
    Some(files)
}

/// Some of what is in one and not, or not so, in the other.
fn difference(one: &Files, other: &Files) -> String {
    let extra = |a: &Files, b: &Files| {
        a.iter().filter(|(k, v)| b.get(*k) != Some(v)).map(|(k, _)| k.clone()).take(5).collect::<Vec<_>>()
    };
    format!("{:?} and {:?}", extra(one, other), extra(other, one))
}

/// Waits until the catalog, the full-text index and the status hold the files below the documents
/// folder that are `wanted`, each as it is on disk, and nothing else.
pub fn equals_folder(home: &Home, wanted: impl Fn(&str) -> bool) {
    let mut files = Files::new();
    on_disk(&home.docs(), &mut files);
    files.retain(|path, _| wanted(path));
    holds(home, &files);
}

fn holds(home: &Home, files: &Files) {
    let start = Instant::now();
    loop {
        let status = index_status(home);
        let settled = status["documents"] == files.len() && status["pending"] == 0;
        let late = start.elapsed() > LIMIT;
        if settled || late {
            let (catalog, text) = (catalog(home).unwrap_or_default(), text(home).unwrap_or_default());
            if settled && catalog == *files && text == *files {
                return;
            }
            let (catalog, text) = (difference(&catalog, files), difference(&text, files));
            assert!(
                !late,
                "the index differs from the {} files on disk; catalog: {catalog}; text: {text}; {status}",
                files.len()
            );
        }
        let pause = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let _ = rustix::thread::nanosleep(&pause);
    }
}

pub fn index_status(home: &Home) -> serde_json::Value {
    let (code, body) = home.http("GET", "/familiar/v1/index", None);
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

pub fn every(_: &str) -> bool {
    true
}

/// Waits until a word is found in these files of the documents folder, and in no others. Their texts must
/// differ: the same words are not given twice.
fn found(home: &Home, word: &str, names: &[&str]) {
    let mut wanted: Vec<String> = names.iter().map(|name| path(&home.docs().join(name)).to_owned()).collect();
    wanted.sort();
    let mut last = Vec::new();
    let start = Instant::now();
    loop {
        let mut hits = home.search(word);
        hits.sort();
        if hits == wanted {
            return;
        }
        last.clone_from(&hits);
        assert!(start.elapsed() < LIMIT, "{word:?} is found in {last:?}, not in {wanted:?}");
    }
}

/// A daemon that has indexed these files.
fn serving(files: &[(&str, &str)]) -> Home {
    let home = Home::started();
    for (name, text) in files {
        home.write(name, text);
    }
    home.index();
    home
}

#[test]
fn a_saved_file_is_found_an_edited_one_by_its_new_words_and_a_deleted_one_no_more() {
    let home = serving(&[]);
    let file = home.write("a.txt", "an alpaca grazes");
    found(&home, "alpaca", &["a.txt"]);
    home.write("a.txt", "a buffalo grazes");
    found(&home, "buffalo", &["a.txt"]);
    found(&home, "alpaca", &[]);
    // As editors save: a new file in the place of the old one.
    let fresh = home.write(".a.txt.swp", "a capybara grazes");
    fs::rename(fresh, &file).unwrap();
    found(&home, "capybara", &["a.txt"]);
    found(&home, "grazes", &["a.txt"]);
    fs::remove_file(&file).unwrap();
    found(&home, "capybara", &[]);
    equals_folder(&home, every);
}

#[test]
fn documents_are_found_by_page_and_bad_ones_are_listed_until_they_are_mended() {
    let home = serving(&[]);
    let good = include_bytes!("documents/reportlab.pdf");
    home.write("good.pdf", good);
    let bad = home.write("bad.pdf", b"%PDF-1.7 and nothing more");
    home.write("letter.eml", include_bytes!("documents/letter.eml"));
    found(&home, "blauen Topf", &["letter.eml"]);
    found(&home, "hedge", &["good.pdf"]);
    let hits = home.json(&["search", "--json", "hedge"]);
    assert_eq!(hits["hits"][0]["page"], 2, "{hits}");
    wait_for("the bad file's reason", || {
        let status = index_status(&home);
        let failed = status["failed"].as_array().unwrap();
        failed
            .iter()
            .find(|file| file["error"].as_str().unwrap().contains("damaged PDF document"))
            .map(|_| ())
    });
    fs::write(&bad, include_bytes!("documents/letter.pdf")).unwrap();
    found(&home, "Kowalski", &["bad.pdf", "good.pdf"]);
    equals_folder(&home, every);
}

#[test]
fn the_last_of_many_quick_edits_is_what_is_found() {
    let home = serving(&[]);
    for i in 0..400 {
        // The same length each time: size tells nothing.
        home.write(&format!("{}.txt", i % 3), format!("edit number{i:04}"));
    }
    found(&home, "number0399", &["0.txt"]);
    found(&home, "number0398", &["2.txt"]);
    equals_folder(&home, every);
}

#[test]
fn renamed_files_and_folders_are_found_under_their_new_names_alone() {
    let home = serving(&[
        ("one.txt", "otter one"),
        ("old/two.txt", "otter two"),
        ("old/in/three.txt", "otter three"),
    ]);
    let docs = home.docs();
    fs::rename(docs.join("one.txt"), docs.join("uno.txt")).unwrap();
    found(&home, "otter", &["old/in/three.txt", "old/two.txt", "uno.txt"]);
    fs::rename(docs.join("old"), docs.join("new")).unwrap();
    found(&home, "otter", &["new/in/three.txt", "new/two.txt", "uno.txt"]);
    // The folders are watched by their new names, and one may take another's.
    fs::rename(docs.join("new/in"), docs.join("old")).unwrap();
    home.write("old/four.txt", "otter four");
    home.write("new/five.txt", "otter five");
    found(&home, "otter", &["new/five.txt", "new/two.txt", "old/four.txt", "old/three.txt", "uno.txt"]);
    // A file that takes another's name.
    fs::rename(docs.join("uno.txt"), docs.join("new/two.txt")).unwrap();
    found(&home, "otter", &["new/five.txt", "new/two.txt", "old/four.txt", "old/three.txt"]);
    equals_folder(&home, every);
}

#[test]
fn what_is_moved_out_is_gone_and_what_is_moved_in_is_found() {
    let home = serving(&[("a.txt", "heron a"), ("sub/b.txt", "heron b"), ("c.txt", "heron c")]);
    let away = home.dir.path().join("away");
    fs::create_dir(&away).unwrap();
    fs::rename(home.docs().join("a.txt"), away.join("a.txt")).unwrap();
    fs::rename(home.docs().join("sub"), away.join("sub")).unwrap();
    found(&home, "heron", &["c.txt"]);
    // Nobody listens there any more.
    fs::write(away.join("sub/d.txt"), "heron d").unwrap();
    fs::write(away.join("sub/b.txt"), "egret b").unwrap();
    fs::rename(away.join("sub"), home.docs().join("back")).unwrap();
    found(&home, "heron", &["back/d.txt", "c.txt"]);
    found(&home, "egret", &["back/b.txt"]);
    equals_folder(&home, every);
}

#[test]
fn folders_made_faster_than_they_can_be_watched_lose_nothing() {
    let home = serving(&[]);
    for i in 0..150 {
        home.write(&format!("n{i}/a/b/c/f.txt"), format!("nested deep{i}"));
        home.write(&format!("n{i}/a/g.txt"), format!("nested flat{i}"));
    }
    equals_folder(&home, every);
    found(&home, "deep149", &["n149/a/b/c/f.txt"]);
    home.write("n7/a/b/late.txt", "nested late");
    found(&home, "late", &["n7/a/b/late.txt"]);
}

#[test]
fn a_folder_made_again_under_its_name_is_followed() {
    let home = serving(&[("a/in/x.txt", "walrus")]);
    for i in 0..10 {
        fs::remove_dir_all(home.docs().join("a")).unwrap();
        home.write("a/in/y.txt", format!("narwhal round{i}"));
        found(&home, &format!("round{i}"), &["a/in/y.txt"]);
        home.write("a/in/z.txt", format!("beluga after{i}"));
        found(&home, &format!("after{i}"), &["a/in/z.txt"]);
    }
    found(&home, "walrus", &[]);
    equals_folder(&home, every);
}

#[test]
fn a_file_and_a_folder_may_take_each_others_names() {
    let home =
        serving(&[("a", "puffin file"), ("b/in.txt", "puffin inside"), ("b/deep/er.txt", "puffin deeper")]);
    let (docs, away) = (home.docs(), home.dir.path().join("away"));
    fs::rename(docs.join("b"), &away).unwrap();
    fs::rename(docs.join("a"), docs.join("b")).unwrap();
    fs::rename(&away, docs.join("a")).unwrap();
    found(&home, "puffin", &["a/deep/er.txt", "a/in.txt", "b"]);
    equals_folder(&home, every);
}

#[test]
fn a_new_file_is_not_taken_for_a_deleted_one_whose_inode_it_got() {
    let home = serving(&[("a.txt", "magpie"), ("other.txt", "stork")]);
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let set =
        |name: &str| fs::File::options().write(true).open(home.docs().join(name)).unwrap().set_modified(at);
    set("a.txt").unwrap();
    // Read again with the time that both files bear.
    home.index();
    equals_folder(&home, every);
    fs::remove_file(home.docs().join("a.txt")).unwrap();
    home.write("b.txt", "curlew");
    set("b.txt").unwrap();
    found(&home, "curlew", &["b.txt"]);
    found(&home, "magpie", &[]);
    equals_folder(&home, every);
}

#[test]
fn ignore_files_are_heeded_and_so_are_their_changes() {
    let files = [
        (".gitignore", "build/\n*.log\n"),
        ("a.txt", "lemur one"),
        ("a.log", "lemur two"),
        ("build/b.txt", "lemur three"),
        ("deep/build/c.txt", "lemur four"),
        ("deep/.familiarignore", "secret*\n"),
        ("deep/secret.txt", "lemur five"),
        ("deep/d.txt", "lemur six"),
    ];
    let home = serving(&files);
    found(&home, "lemur", &["a.txt", "deep/d.txt"]);
    home.write("new.log", "lemur seven");
    home.write("build/new.txt", "lemur eight");
    home.write("new.txt", "lemur nine");
    found(&home, "lemur", &["a.txt", "deep/d.txt", "new.txt"]);
    home.write(".gitignore", "*.txt\n!/deep/**\n");
    found(&home, "lemur", &["a.log", "deep/build/c.txt", "deep/d.txt", "new.log"]);
    fs::remove_file(home.docs().join("deep/.familiarignore")).unwrap();
    let wanted = ["a.log", "deep/build/c.txt", "deep/d.txt", "deep/secret.txt", "new.log"];
    found(&home, "lemur", &wanted);
    equals_folder(&home, |path| wanted.iter().any(|name| path.ends_with(&format!("/docs/{name}"))));
}

#[test]
fn secrets_are_never_found_however_they_come_in() {
    let secrets =
        [".ssh/config", ".env", "p/.env.local", "safe.kdbx", "keys/id_ed25519", "tls/server.pem", ".netrc"];
    let mut home = Home::new();
    fs::create_dir_all(home.root()).unwrap();
    // Hidden files too, so that nothing but the secret keeps them out.
    fs::write(home.root().join("config.toml"), "[index]\nhidden = true\n").unwrap();
    home.write("notes.txt", "wombat notes");
    home.write(".hidden/notes.txt", "wombat hidden");
    for name in secrets {
        home.write(name, "wombat secret");
    }
    home.start();
    home.index();
    let wanted = [".hidden/notes.txt", "notes.txt"];
    found(&home, "wombat", &wanted);
    for name in secrets {
        home.write(name, "wombat secret, saved again");
    }
    fs::rename(home.docs().join("notes.txt"), home.docs().join("notes.kdbx")).unwrap();
    fs::rename(home.docs().join(".hidden"), home.docs().join(".gnupg")).unwrap();
    home.write("last.txt", "wombat last");
    found(&home, "wombat", &["last.txt"]);
    equals_folder(&home, |path| path.ends_with("/last.txt"));
    let refused = home.fails(4, &["index", "add", path(&home.docs().join(".ssh"))]);
    assert!(refused.contains("SSH keys"), "{refused}");
}

#[test]
fn a_burst_past_the_event_queue_ends_equal_to_the_folder() {
    let home = serving(&[]);
    let make = |thread: usize| {
        for i in 0..5_000 {
            let name = format!("d{}/e{}/{thread}-{i}.txt", i % 20, i % 3);
            home.write(&name, format!("burst file{thread}x{i}"));
            // Folders come, go and change their names meanwhile.
            if i % 500 == 499 {
                let (old, new) = (home.docs().join(&name), home.docs().join(format!("moved{thread}-{i}")));
                fs::create_dir_all(home.docs().join(format!("empty{thread}-{i}"))).unwrap();
                fs::create_dir(&new).unwrap();
                fs::rename(old, new.join("here.txt")).unwrap();
                fs::rename(&new, home.docs().join(format!("again{thread}-{i}"))).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || make(thread));
        }
    });
    equals_folder(&home, every);
    found(&home, "file0x0", &["d0/e0/0-0.txt"]);
    found(&home, "file3x4998", &["d18/e0/3-4998.txt"]);
    found(&home, "file2x4999", &["again2-4999/here.txt"]);
    // Every folder is watched under the name it has now.
    let mut folders = vec![home.docs()];
    for folder in fs::read_dir(home.docs()).unwrap().map(|entry| entry.unwrap().path()) {
        folders.extend(fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()));
        folders.push(folder);
    }
    for folder in folders {
        fs::write(folder.join("late.txt"), "late comer").unwrap();
    }
    equals_folder(&home, every);
    fs::remove_dir_all(home.docs().join("d0")).unwrap();
    fs::remove_dir_all(home.docs().join("d1")).unwrap();
    equals_folder(&home, every);
}

#[test]
fn folders_renamed_during_the_first_walk_are_followed() {
    let home = Home::started();
    for i in 0..2_000 {
        home.write(&format!("a{}/f{i}.txt", i % 10), format!("walked file{i}"));
    }
    home.ok(&["index", "add", path(&home.docs())]);
    for i in 0..10 {
        // To the end of the walk.
        fs::rename(home.docs().join(format!("a{i}")), home.docs().join(format!("z{i}"))).unwrap();
        wait_for("some progress", || (index_status(&home)["documents"].as_u64()? >= i * 100).then_some(()));
    }
    equals_folder(&home, every);
    for i in 0..10 {
        home.write(&format!("z{i}/late.txt"), format!("late file{i}"));
    }
    equals_folder(&home, every);
}

#[test]
fn what_happened_while_no_daemon_ran_is_found_out() {
    let mut home = serving(&[]);
    for i in 0..30 {
        home.write(&format!("d{}/f{i}.txt", i % 3), format!("pelican number{i}"));
    }
    equals_folder(&home, every);
    home.ok(&["stop"]);
    home.write("d1/f1.txt", "flamingo one");
    home.write("new/f30.txt", "flamingo two");
    fs::remove_file(home.docs().join("d2/f2.txt")).unwrap();
    fs::remove_dir_all(home.docs().join("d0")).unwrap();
    fs::rename(home.docs().join("d2"), home.docs().join("e2")).unwrap();
    // The same size and time as before: only the inode's own time tells.
    let file = home.docs().join("d1/f4.txt");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, "stork no number").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
    home.kill();
    home.start();
    equals_folder(&home, every);
    found(&home, "flamingo", &["d1/f1.txt", "new/f30.txt"]);
    found(&home, "stork", &["d1/f4.txt"]);
    found(&home, "number5", &["e2/f5.txt"]);
    assert_eq!(index_status(&home)["warnings"], serde_json::json!([]));
}

#[test]
fn documents_of_a_folder_that_is_taken_out_vanish() {
    let home = serving(&[("keep/a.txt", "heron a"), ("drop/b.txt", "heron b")]);
    let other = home.dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("c.txt"), "heron c").unwrap();
    home.ok(&["index", "add", path(&other), "--wait"]);
    assert_eq!(home.search("heron").len(), 3);
    home.ok(&["index", "remove", path(&other)]);
    found(&home, "heron", &["drop/b.txt", "keep/a.txt"]);
    fs::write(other.join("d.txt"), "heron d").unwrap();
    home.write("keep/e.txt", "heron e");
    found(&home, "heron", &["drop/b.txt", "keep/a.txt", "keep/e.txt"]);
    home.ok(&["index", "remove", path(&home.docs())]);
    found(&home, "heron", &[]);
    equals_folder(&home, |_| false);
    let refused = home.fails(5, &["index", "remove", path(&home.docs())]);
    assert!(refused.contains("not an indexed folder"), "{refused}");
}

#[test]
fn folders_past_the_watch_limit_are_looked_at_from_time_to_time() {
    let mut home = Home::new();
    fs::create_dir_all(home.root()).unwrap();
    fs::write(home.root().join("config.toml"), "[index]\nwatch_percent = 0\npoll_s = 1\n").unwrap();
    home.write("sub/a.txt", "tapir a");
    home.start();
    home.index();
    let status = index_status(&home);
    assert_eq!((&status["watched_dirs"], &status["polled_dirs"]), (&0.into(), &2.into()), "{status}");
    assert!(status["warnings"][0].as_str().unwrap().contains("max_user_watches"), "{status}");
    home.write("sub/b.txt", "tapir b");
    home.write("new/deep/c.txt", "tapir c");
    home.write("sub/a.txt", "okapi a");
    found(&home, "tapir", &["new/deep/c.txt", "sub/b.txt"]);
    fs::rename(home.docs().join("sub"), home.docs().join("bus")).unwrap();
    fs::remove_file(home.docs().join("new/deep/c.txt")).unwrap();
    found(&home, "tapir", &["bus/b.txt"]);
    found(&home, "okapi", &["bus/a.txt"]);
    equals_folder(&home, every);
}
