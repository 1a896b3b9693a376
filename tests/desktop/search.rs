//! The searches of GNOME and KDE, as the shells use them.

use super::desk::{Client, Desk, NAME, file, refused};
use crate::serving::works;
use crate::support::{BINARY, path, runtime, wait_for};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use zbus::zvariant::OwnedValue;

const GNOME: (&str, &str) = ("/org/familiar/Agent/SearchProvider", "org.gnome.Shell.SearchProvider2");
const KDE: (&str, &str) = ("/org/familiar/Agent/KRunner", "org.kde.krunner1");

/// No words.
const NONE: &[&str] = &[];

type Meta = HashMap<String, OwnedValue>;
/// Id, text, icon, type, relevance, properties.
type Match = (String, String, String, i32, f64, Meta);

/// A desk with some files, whose programs of the desktop write down how they were started.
fn desk() -> Desk {
    let desk = Desk::prepared("[model]\nthreads = 1\n", |home, _| {
        let programs = home.dir.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        let at = |name: &str| path(&home.dir.path().join(name)).to_owned();
        let note = format!(
            "printf '%s\\n' \"$@\" \"$XDG_ACTIVATION_TOKEN$DESKTOP_STARTUP_ID\" >{0}.part; mv {0}.part {0}",
            at("opened")
        );
        program(&programs, "xdg-open", &note);
        let asks = format!(
            "printf '%s\\n' \"$@\" >{}\n\"$@\" </dev/null >{1}.part 2>&1; mv {1}.part {1}",
            at("asked"),
            at("said")
        );
        program(&programs, "xdg-terminal-exec", &asks);
        let before = std::env::var("PATH").unwrap_or_default();
        home.environment.push(("PATH", format!("{}:{before}", path(&programs))));
        // Nothing of the machine's own choice of programs.
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "xdg"),
            ("XDG_DATA_HOME", "xdg"),
            ("XDG_CONFIG_DIRS", "none"),
            ("XDG_DATA_DIRS", "none"),
        ] {
            home.environment.push((name, at(folder)));
        }
        home.environment.push(("XDG_CURRENT_DESKTOP", String::new()));
    });
    desk.home.write("money/plan.md", "# Budget\n\nThe budget of the household for spring is tight.\n");
    desk.home.write("trip.txt", "The trip to Lisbon leaves the budget at 400 euros.\n");
    desk.home.write("other.md", "# Bees\n\nNothing here is about money.\n");
    desk.home.index();
    desk
}

fn program(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// The lines of what a program of the desktop left, once it is there; gone afterwards.
fn left(desk: &Desk, name: &str) -> Vec<String> {
    let file: PathBuf = desk.home.dir.path().join(name);
    let text = wait_for(name, || std::fs::read_to_string(&file).ok());
    std::fs::remove_file(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn gnome<T>(
    client: &Client,
    method: &str,
    arguments: &(impl serde::Serialize + zbus::zvariant::DynamicType),
) -> zbus::Result<T>
where
    T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
{
    client.proxy(GNOME.0, GNOME.1).await.call(method, arguments).await
}

async fn kde<T>(
    client: &Client,
    method: &str,
    arguments: &(impl serde::Serialize + zbus::zvariant::DynamicType),
) -> zbus::Result<T>
where
    T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
{
    client.proxy(KDE.0, KDE.1).await.call(method, arguments).await
}

async fn found(client: &Client, terms: &[&str]) -> Vec<String> {
    gnome(client, "GetInitialResultSet", &(terms,)).await.unwrap()
}

fn text(meta: &Meta, name: &str) -> String {
    String::try_from(meta[name].try_clone().unwrap()).unwrap()
}

#[test]
fn typing_in_gnome_finds_files_and_a_row_that_asks() {
    let desk = desk();
    runtime().block_on(async {
        let client = desk.client().await;
        let provider = client.proxy(GNOME.0, GNOME.1).await;
        // As it is typed: nobody waits for the answer before the next letter.
        let (one, two, three) = ((NONE, vec!["budg"]), (NONE, vec!["budge"]), (NONE, vec!["budget"]));
        let (_, _, third) = futures::future::join3(
            provider.call::<_, _, Vec<String>>("GetSubsearchResultSet", &one),
            provider.call::<_, _, Vec<String>>("GetSubsearchResultSet", &two),
            provider.call::<_, _, Vec<String>>("GetSubsearchResultSet", &three),
        )
        .await;
        let third = third.unwrap();
        let metas: Vec<Meta> = gnome(&client, "GetResultMetas", &(&third,)).await.unwrap();
        let names: Vec<String> = metas.iter().map(|meta| text(meta, "name")).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(
            names[..2].contains(&"plan.md".into()) && names[..2].contains(&"trip.txt".into()),
            "{names:?}"
        );
        assert_eq!(names[2], "Ask Familiar: budget");
        for (id, meta) in third.iter().zip(&metas) {
            assert_eq!(text(meta, "id"), *id);
            assert!(!text(meta, "gicon").is_empty() && !id.contains("plan") && !id.contains('/'), "{id}");
        }
        let plan = metas.iter().find(|meta| text(meta, "name") == "plan.md").unwrap();
        assert!(text(plan, "description").contains("household"), "{}", text(plan, "description"));
        // Each beginning finds the same, and the same thing has the same id.
        for beginning in ["bud", "budg", "budge"] {
            let ids = found(&client, &[beginning]).await;
            assert!(ids.contains(&text(plan, "id")), "{beginning}: {ids:?}");
            assert!(ids.last().unwrap().starts_with("special:"), "{ids:?}");
        }
        let two = found(&client, &["household", "spri"]).await;
        assert_eq!(two[0], text(plan, "id"));
    });
    assert!(!desk.model_loaded(), "searching loaded the model");
}

#[test]
fn little_or_nothing_typed_gives_nothing_and_too_much_is_refused() {
    let desk = desk();
    runtime().block_on(async {
        let client = desk.client().await;
        for terms in [&[][..], &[""], &["b"], &["b", ""], &["  ", " "]] {
            assert!(found(&client, terms).await.is_empty(), "{terms:?}");
        }
        // One character is a word in some languages.
        assert_eq!(found(&client, &["猫"]).await.len(), 1);
        let long = "x".repeat(5000);
        for terms in [vec![long.as_str()], vec!["word"; 1000]] {
            let (name, said) = refused(gnome::<Vec<String>>(&client, "GetInitialResultSet", &(terms,)).await);
            assert!(name == "org.familiar.Error.TooLong" && said.contains("`terms`"), "{name}: {said}");
        }
        assert!(kde::<Vec<Match>>(&client, "Match", &("b",)).await.unwrap().is_empty());
        let (name, _) = refused(kde::<Vec<Match>>(&client, "Match", &(long,)).await);
        assert_eq!(name, "org.familiar.Error.TooLong");
    });
}

#[test]
fn the_last_of_many_queries_at_once_is_answered() {
    let desk = desk();
    runtime().block_on(async {
        let client = desk.client().await;
        let runner = client.proxy(KDE.0, KDE.1).await;
        let queries: Vec<(String,)> = (0..300).map(|n| (format!("budget {n}"),)).collect();
        let calls = queries.iter().map(|query| runner.call::<_, _, Vec<Match>>("Match", query));
        let answers = futures::future::join_all(calls).await;
        let rows: Vec<usize> = answers.into_iter().map(|answer| answer.unwrap().len()).collect();
        assert!(rows.iter().all(|rows| [0, 3].contains(rows)), "{rows:?}");
        assert!(rows.contains(&0), "no query was overtaken");
        assert_eq!(kde::<Vec<Match>>(&client, "Match", &("budget",)).await.unwrap().len(), 3);
    });
    assert!(!desk.model_loaded(), "searching loaded the model");
}

#[test]
fn what_is_chosen_in_gnome_is_opened() {
    let desk = desk();
    runtime().block_on(async {
        let client = desk.client().await;
        let ids = found(&client, &["household"]).await;
        gnome::<()>(&client, "ActivateResult", &(&ids[0], NONE, 42u32)).await.unwrap();
        let opened = left(&desk, "opened");
        assert_eq!(opened[0], path(&desk.home.docs().join("money/plan.md")));
        assert!(opened[1].ends_with("_TIME42"), "{opened:?}");
        // A file that went away meanwhile.
        let trip = found(&client, &["lisbon"]).await;
        std::fs::remove_file(desk.home.docs().join("trip.txt")).unwrap();
        let gone = gnome::<()>(&client, "ActivateResult", &(&trip[0], NONE, 0u32)).await;
        assert_eq!(refused(gone).0, "org.familiar.Error.NotFound");
        // The row that asks, in a terminal, where the question is one argument.
        let ids = found(&client, &["where", "is", "$(the)", "\"household\";", "--budget?"]).await;
        gnome::<()>(&client, "ActivateResult", &(ids.last().unwrap(), NONE, 0u32)).await.unwrap();
        let question = "where is $(the) \"household\"; --budget?";
        let said = left(&desk, "said").join("\n");
        assert_eq!(left(&desk, "asked"), [BINARY, "chat", "--", question]);
        assert!(said.contains("budget of the household"), "{said}");
        gnome::<()>(&client, "LaunchSearch", &(vec!["household", "budget"], 0u32)).await.unwrap();
        left(&desk, "said");
        assert_eq!(left(&desk, "asked")[3], "household budget");
        let empty = gnome::<()>(&client, "LaunchSearch", &(NONE, 0u32)).await;
        assert_eq!(refused(empty).0, "org.familiar.Error.Usage");
    });
}

#[test]
fn an_editor_that_can_be_told_the_line_opens_there() {
    if !works(&["xdg-mime", "--version"]) {
        eprintln!("SKIPPED: xdg-mime is not installed");
        return;
    }
    let desk = desk();
    let at = |name: &str| desk.home.dir.path().join(name);
    std::fs::create_dir_all(at("xdg/applications")).unwrap();
    let entry = "[Desktop Entry]\nType=Application\nName=Kate\nExec=kate %U\nMimeType=text/plain;\n";
    std::fs::write(at("xdg/applications/org.kde.kate.desktop"), entry).unwrap();
    let chosen =
        "[Default Applications]\ntext/plain=org.kde.kate.desktop\ntext/markdown=org.kde.kate.desktop\n";
    std::fs::write(at("xdg/mimeapps.list"), chosen).unwrap();
    program(
        &at("bin"),
        "kate",
        &format!("printf '%s\\n' \"$@\" >{0}.part; mv {0}.part {0}", path(&at("edited"))),
    );
    let lines: String = (1..200).map(|n| format!("Entry {n} of the diary.\n\n")).collect();
    desk.home.write("diary.txt", format!("{lines}The walrus came at last.\n"));
    desk.home.index();
    runtime().block_on(async {
        let client = desk.client().await;
        let ids = found(&client, &["walrus"]).await;
        gnome::<()>(&client, "ActivateResult", &(&ids[0], NONE, 0u32)).await.unwrap();
        let edited = left(&desk, "edited");
        let line: u64 = edited[0].strip_prefix("--line=").expect("a line").parse().unwrap();
        assert!((300..=399).contains(&line), "{edited:?}");
        assert_eq!(edited[1], path(&desk.home.docs().join("diary.txt")));
    });
}

#[test]
fn kde_matches_and_runs() {
    let desk = desk();
    runtime().block_on(async {
        let client = desk.client().await;
        let matches: Vec<Match> = kde(&client, "Match", &("budget",)).await.unwrap();
        assert_eq!(matches.len(), 3, "{matches:?}");
        assert!(matches.windows(2).all(|pair| pair[0].4 >= pair[1].4), "{matches:?}");
        assert!(
            matches
                .iter()
                .all(|(_, _, icon, _, relevance, _)| !icon.is_empty() && (0.0..1.0).contains(relevance))
        );
        assert_eq!(matches[2].1, "Ask Familiar: budget");
        let plan = matches.iter().find(|found| found.1 == "plan.md").unwrap();
        let urls = Vec::<String>::try_from(plan.5["urls"].try_clone().unwrap()).unwrap();
        assert_eq!(urls, [format!("file://{}", path(&desk.home.docs().join("money/plan.md")))]);
        assert!(text(&plan.5, "subtext").contains("household"));
        let actions: Vec<(String, String, String)> = kde(&client, "Actions", &()).await.unwrap();
        assert_eq!(actions[0].0, "folder");
        kde::<()>(&client, "SetActivationToken", &("token-7",)).await.unwrap();
        kde::<()>(&client, "Run", &(&plan.0, "")).await.unwrap();
        let file = desk.home.docs().join("money/plan.md");
        assert_eq!(left(&desk, "opened"), [path(&file), "token-7"]);
        kde::<()>(&client, "Run", &(&plan.0, "folder")).await.unwrap();
        assert_eq!(left(&desk, "opened"), [path(file.parent().unwrap()), ""]);
        for (id, action) in [(&plan.0, "erase"), (&matches[2].0, "folder")] {
            assert_eq!(refused(kde::<()>(&client, "Run", &(id, action)).await).0, "org.familiar.Error.Usage");
        }
        kde::<()>(&client, "Teardown", &()).await.unwrap();
        assert!(!desk.model_loaded(), "searching loaded the model");
        kde::<()>(&client, "Run", &(&matches[2].0, "")).await.unwrap();
        left(&desk, "said");
        assert_eq!(left(&desk, "asked")[3], "budget");
    });
}

#[test]
fn ids_that_are_made_up_or_from_another_time_open_nothing() {
    let mut desk = desk();
    let runtime = runtime();
    let old = runtime.block_on(async { found(&desk.client().await, &["household"]).await });
    desk.home.ok(&["stop"]);
    desk.home.kill();
    desk.start();
    runtime.block_on(async {
        let client = desk.client().await;
        let plan = path(&desk.home.docs().join("money/plan.md")).to_owned();
        for id in
            [old[0].as_str(), old[1].as_str(), "", "special:", "0123456789abcdef01234567", &plan, "../../etc"]
        {
            let made_up = gnome::<()>(&client, "ActivateResult", &(id, NONE, 0u32)).await;
            assert_eq!(refused(made_up).0, "org.familiar.Error.NotFound", "{id}");
            assert_eq!(refused(kde::<()>(&client, "Run", &(id, "")).await).0, "org.familiar.Error.NotFound");
            let metas: Vec<Meta> = gnome(&client, "GetResultMetas", &(vec![id],)).await.unwrap();
            assert!(metas.is_empty(), "{id}");
        }
        let many = gnome::<Vec<Meta>>(&client, "GetResultMetas", &(vec!["x"; 1000],)).await;
        assert_eq!(refused(many).0, "org.familiar.Error.TooLong");
        let wrong = refused(gnome::<Vec<String>>(&client, "GetInitialResultSet", &("text",)).await).0;
        assert_eq!(wrong, "org.freedesktop.DBus.Error.InvalidArgs");
    });
    assert!(!desk.home.dir.path().join("opened").exists());
}

#[test]
fn without_search_providers_only_the_agent_is_there() {
    let desk = Desk::new("[desktop]\nsearch_providers = false\n");
    runtime().block_on(async {
        let client = desk.client().await;
        assert_eq!(client.property::<String>("Model").await, "ember");
        let (name, _) = refused(gnome::<Vec<String>>(&client, "GetInitialResultSet", &(NONE,)).await);
        assert!(name.starts_with("org.freedesktop.DBus.Error.Unknown"), "{name}");
    });
}

#[test]
fn the_files_of_the_desktop_name_what_is_served() {
    let read = |name: &str| std::fs::read_to_string(file("config/dbus").join(name)).unwrap();
    let has = |name: &str, lines: &[String]| {
        let text = read(name);
        for line in lines {
            assert!(text.lines().any(|other| other == line), "{name} lacks {line}");
        }
    };
    has("org.familiar.Agent.service", &[format!("Name={NAME}"), "SystemdService=familiar.service".into()]);
    let place = format!("ObjectPath={}", GNOME.0);
    has("familiar-search-provider.ini", &[format!("BusName={NAME}"), place, "Version=2".into()]);
    has("familiar-search-provider.ini", &["DesktopId=familiar.desktop".into()]);
    let (service, place) = ("X-Plasma-DBusRunner-Service", "X-Plasma-DBusRunner-Path");
    has("familiar-krunner.desktop", &[format!("{service}={NAME}"), format!("{place}={}", KDE.0)]);
    has(
        "familiar.desktop",
        &["Type=Application".into(), "Exec=familiar chat".into(), "Terminal=true".into()],
    );
}
