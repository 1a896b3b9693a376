//! The conversation on the whole screen of a terminal: the real program in tmux, with the real daemon. What is typed is
//! typed as a person would, and what is looked at is what a person would see.

use crate::hijack::owner;
use crate::serving::parrot::endless;
use crate::serving::{adopt, configured};
use crate::support::{BINARY, Home, path, wait_for};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const EMBER: &str = "[model]\nthreads = 1\n";
const ENDLESS: &str = "[model]\nthreads = 1\nparallel = 1\ncontext = 1000000\n[ask]\nmax_tokens = 65536\n";
const WHERE: &str = "Where is the spare key?";

/// A terminal with the program in it, and a shell below that tells how it ended.
struct Pane {
    folder: PathBuf,
}

impl Pane {
    /// Runs `familiar chat` on a screen of so many columns and rows.
    fn start(home: &Home, (columns, rows): (u16, u16), chat: &str) -> Pane {
        let pane = Pane { folder: home.dir.path().to_owned() };
        let told = "status=$?; echo; echo \"ended with $status\"; stty -a | grep -o '[-]*icanon'; exec cat";
        let program = format!("{BINARY} {chat}; {told}");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        pane.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, &program]);
        pane
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S", path(&self.folder.join("tmux"))]).args(args);
        for unset in ["TMUX", "VISUAL", "EDITOR", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR"] {
            command.env_remove(unset);
        }
        let editor = self.folder.join("vi");
        if editor.exists() {
            command.env("EDITOR", editor);
        }
        command
            .env("HOME", &self.folder)
            .env("FAMILIAR_HOME", self.folder.join("home"))
            .env("LC_ALL", "C.UTF-8");
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Keys by tmux's names for them.
    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// A line and Enter.
    fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.keys(&["Enter"]);
    }

    fn paste(&self, text: &str) {
        let file = self.folder.join("pasted");
        std::fs::write(&file, text).unwrap();
        self.tmux(&["load-buffer", path(&file)]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    fn seen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of `words` are on the screen, and gives it.
    fn until(&self, words: &[&str]) -> String {
        self.when(&format!("{words:?}"), |seen| words.iter().all(|words| seen.contains(words)))
    }

    fn when(&self, what: &str, mut done: impl FnMut(&str) -> bool) -> String {
        let mut last = Last(String::new());
        wait_for(what, || {
            last.0 = self.seen();
            done(&last.0).then(|| last.0.clone())
        })
    }

    fn leave(&self) {
        self.keys(&["C-c", "C-c", "C-c"]);
        self.until(&["ended with 0"]);
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        // With its terminal gone the program ends, too.
        let _ = Command::new("tmux").args(["-S", path(&self.folder.join("tmux")), "kill-server"]).output();
    }
}

/// The screen as it was last, told where a wait ends in a panic.
struct Last(String);

impl Drop for Last {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen ---\n{}", self.0);
        }
    }
}

/// A served home with notes, whose owner was asked already what may be learned from.
fn home(settings: &str) -> Home {
    let mut home = configured(settings);
    home.write(
        "house.md",
        "# House\n\nThe spare key is under the blue flower pot.\n\nThe boiler is serviced in May.\n",
    );
    home.write("garden.md", "# Garden\n\nThe larch was planted by the pond in 1998.\n");
    home.start();
    home.index();
    home.http("POST", "/familiar/v1/learn/consent", Some(json!({ "asked": true })));
    home
}

#[test]
fn a_cited_answer_is_on_the_screen_at_any_size() {
    let home = home(EMBER);
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["Ask your own files.", "2 documents are indexed"]);
    pane.enter(WHERE);
    let seen = pane.until(&["[1] ", "house.md:3", "tokens/s"]);
    assert!(seen.contains("flower pot") && seen.contains("^O conversations"), "{seen}");
    assert!(!seen.contains("new conversation"), "{seen}");
    pane.tmux(&["resize-window", "-x", "200", "-y", "50"]);
    // Wide enough for the conversations beside it.
    let seen = pane.until(&["+ new conversation", "house.md:3", "tokens/s"]);
    assert_eq!(seen.lines().count(), 50, "{seen}");
    pane.enter("When is the boiler serviced?");
    pane.until(&["› When is the boiler serviced?", "May", WHERE]);
    pane.tmux(&["resize-window", "-x", "24", "-y", "8"]);
    pane.when("a small screen", |seen| seen.lines().count() == 8);
    pane.tmux(&["resize-window", "-x", "10", "-y", "4"]);
    pane.until(&["Too small"]);
    pane.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    pane.until(&["tokens/s"]);
    // The terminal is given back as it was.
    pane.keys(&["C-d"]);
    let seen = pane.until(&["familiar chat --session", "ended with 0", "icanon"]);
    assert!(!seen.contains("-icanon") && !seen.contains("Ask your own"), "{seen}");
}

#[test]
fn a_source_opens_in_the_editor_at_its_line_and_the_conversation_is_there_after() {
    let home = home(EMBER);
    let editor = home.dir.path().join("vi");
    std::fs::write(&editor, "#!/bin/sh\necho \"editing $*\"\nread line\necho \"$line\" > \"$0.said\"\n")
        .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&editor, executable).unwrap();
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["Ask your own files."]);
    pane.enter(WHERE);
    pane.until(&["house.md:3", "tokens/s"]);
    pane.keys(&["Tab", "Up"]);
    pane.until(&["Enter open"]);
    pane.keys(&["Enter"]);
    pane.until(&["editing +3 /", "house.md"]);
    // All that is typed is the editor's.
    pane.enter("typed there");
    pane.until(&["tokens/s", "Enter open"]);
    assert_eq!(std::fs::read_to_string(editor.with_extension("said")).unwrap(), "typed there\n");
    std::fs::remove_file(home.docs().join("house.md")).unwrap();
    pane.keys(&["Enter"]);
    pane.until(&["house.md:3 cannot be opened: No such file"]);
    pane.leave();
}

#[test]
fn conversations_are_begun_left_and_gone_on_with() {
    let home = home(EMBER);
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["Ask your own files."]);
    pane.enter(WHERE);
    pane.until(&["tokens/s"]);
    pane.enter("/new");
    pane.until(&["Ask your own files.", "A new conversation."]);
    pane.keys(&["C-o"]);
    pane.until(&["+ new conversation", "Where is the"]);
    pane.keys(&["Down", "Enter"]);
    pane.until(&[&format!("› {WHERE}"), "house.md:3"]);
    pane.enter("/good");
    pane.until(&["✓ right", "Noted."]);
    pane.enter("/edit Below the *blue* pot.");
    pane.until(&["✎ put right:", "Below the blue pot."]);
    pane.enter("/forget");
    pane.until(&["forget this conversation?"]);
    pane.keys(&["y"]);
    pane.until(&["Forgotten:", "1 conversation"]);
    assert_eq!(home.http("GET", "/familiar/v1/sessions", None).1, r#"{"sessions":[]}"#);
    pane.leave();
}

#[test]
fn ten_thousand_pasted_lines_are_one_step_and_too_many_are_refused() {
    let home = home(EMBER);
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["Ask your own files."]);
    let lines: String = (0..10_000).map(|n| format!("line {n} of a long text\n")).collect();
    pane.keys(&["s", "e", "e"]);
    pane.paste(&lines);
    pane.until(&["see[pasted 10,000 lines]"]);
    pane.paste(&lines.repeat(4));
    pane.until(&["Not pasted", "1.0 MB is the most"]);
    // It is sent as it is; that it does not fit the model is the daemon's to say.
    pane.keys(&["Enter"]);
    pane.until(&["line 9 of", "… and 9,990 more lines", "^R asks it again"]);
    pane.keys(&["Up"]);
    pane.until(&["› see[pasted 10,000 lines]"]);
    pane.keys(&["C-u"]);
    pane.enter(WHERE);
    pane.until(&["house.md:3", "tokens/s"]);
    pane.leave();
}

#[test]
fn ctrl_c_ends_the_answer_and_twice_the_program() {
    let home = home(ENDLESS);
    adopt(&home, &endless(home.dir.path(), "endless", "Yes.", 1_000_000));
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["Ask your own files."]);
    pane.enter("Well?");
    pane.until(&["Yes....", "^C stop"]);
    pane.keys(&["C-c"]);
    pane.until(&["(stopped)", "^R asks it again"]);
    // The daemon stopped as well: there is room for one answer at a time.
    pane.enter("And now?");
    pane.when("the next answer", |seen| seen.contains("› And now?") && seen.contains("Yes...."));
    pane.keys(&["C-c"]);
    pane.until(&["^C leaves"]);
    pane.keys(&["C-c"]);
    let seen = pane.until(&["ended with 0", "icanon"]);
    assert!(!seen.contains("-icanon"), "{seen}");
}

#[test]
fn a_daemon_that_was_killed_is_waited_for_and_the_question_asked_again() {
    let mut home = home(ENDLESS);
    adopt(&home, &endless(home.dir.path(), "endless", "Yes.", 1_000_000));
    let pane = Pane::start(&home, (100, 24), "chat --no-start");
    pane.until(&["Ask your own files."]);
    pane.enter("Well?");
    pane.until(&["Yes...."]);
    home.kill();
    pane.until(&["the daemon is away", "went away before the answer was whole", "› Well?"]);
    home.start();
    pane.when("the answer again", |seen| seen.contains("Yes....") && !seen.contains("is away"));
    pane.leave();
}

#[test]
fn the_terminal_is_given_back_on_every_signal_that_ends_it() {
    let home = home(EMBER);
    for signal in ["TERM", "HUP"] {
        let pane = Pane::start(&home, (80, 24), "chat");
        pane.until(&["Ask your own files."]);
        let program = pane.tmux(&["list-panes", "-F", "#{pane_pid}"]);
        let output = Command::new("pgrep").args(["-P", program.trim()]).output().unwrap();
        let pid = String::from_utf8(output.stdout).unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap().success());
        let seen = pane.until(&["ended with 1", "icanon"]);
        assert!(!seen.contains("-icanon") && !seen.contains("Ask your own"), "{seen}");
    }
}

#[test]
fn a_request_for_a_yes_is_read_and_answered_in_the_conversation() {
    let (home, hits) = owner::home("");
    home.http("POST", "/familiar/v1/learn/consent", Some(json!({ "asked": true })));
    let child = owner::asking(&home);
    let pane = Pane::start(&home, (80, 24), "chat");
    let seen = pane.until(&["waits for your yes", "courier wants to", "exactly this", "Tab answer"]);
    assert!(seen.contains("good morning") && seen.contains("larch.md"), "{seen}");
    // What is typed is a draft, and no answer.
    pane.keys(&["y"]);
    pane.until(&["› y"]);
    pane.keys(&["Tab"]);
    pane.until(&["y this once", "a always", "n no"]);
    assert_eq!(hits.load(std::sync::atomic::Ordering::SeqCst), 0);
    pane.keys(&["y"]);
    pane.until(&["Allowed, this once."]);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(hits.load(std::sync::atomic::Ordering::SeqCst), 1);
    pane.keys(&["C-u"]);
    pane.leave();
}

#[test]
fn what_may_be_learned_from_is_asked_once_on_the_whole_screen_too() {
    let mut home = configured(EMBER);
    let diary = home.write("diary/monday.md", "# Monday\n\nIt rained.\n");
    home.start();
    home.index();
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["before you begin", "nothing of it leaves", "From conversations"]);
    // Who leaves in the middle said nothing.
    pane.keys(&["y", "Escape"]);
    pane.until(&["Ask your own files."]);
    pane.leave();
    drop(pane);
    let pane = Pane::start(&home, (80, 24), "chat");
    pane.until(&["From conversations"]);
    pane.keys(&["Enter"]);
    pane.until(&["From corrections"]);
    pane.keys(&["y"]);
    pane.until(&["own writing?"]);
    pane.enter(path(diary.parent().unwrap()));
    pane.until(&["It learns from corrections and folders."]);
    pane.leave();
    drop(pane);
    let learning = home.status()["learning"].clone();
    assert_eq!(learning["sources"], json!(["corrections", "folders"]));
    home.ok(&["learn", "sources", "none"]);
    let pane = Pane::start(&home, (80, 24), "chat");
    assert!(!pane.until(&["Ask your own files."]).contains("before you begin"));
    pane.leave();
}

#[test]
fn without_a_terminal_to_draw_on_it_is_plain() {
    let home = home(EMBER);
    let pane = Pane::start(&home, (80, 24), "chat --plain");
    // What is blank at the end of a line is not in a picture of the screen.
    pane.when("a prompt", |seen| seen.lines().any(|line| line == ">"));
    pane.enter(WHERE);
    pane.until(&["house.md:3", "tokens/s"]);
    pane.enter("/quit");
    let seen = pane.until(&["ended with 0"]);
    assert!(seen.contains(&format!("> {WHERE}")), "{seen}");
    let mut child = home.command(&["chat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{WHERE}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("house.md:3") && !said.contains('\x1b'), "{said}");
}
