//! Hostile guests that reach for what is not theirs, through the imports of the world and of WASI.

use super::cases::{Case, Ends, TEXT, case, everything, stopped};
use super::guest::{ANSWER, GOOD, Guest};

/// Calls an import, then answers with the first byte of what came back.
fn tell(body: &str) -> Guest {
    Guest::new(&format!("{body} (call $result (i32.const 0) {ANSWER} (i32.const 1))"))
}

const FINE: Ends = Ends::Harmless("\0");
const ERROR: Ends = Ends::Harmless("\u{1}");

pub fn values() -> Vec<Case> {
    let get = |at: &str, len: &str| {
        tell(&format!("(call $get (i32.const {at}) (i32.const {len}) {ANSWER})")).own("kv", "get", TEXT)
    };
    let set = |key: &str, len: &str, pages: u32| {
        let call = format!(
            "(call $set (i32.const 65536) (i32.const {key}) (i32.const 0) (i32.const {len}) {ANSWER})"
        );
        tell(&call)
            .own("kv", "set", "(param i32 i32 i32 i32 i32)")
            .memory(&format!("(memory (export \"memory\") {pages})"))
    };
    let write = |level: &str, len: &str| {
        Guest::new(&format!("(call $write (i32.const {level}) (i32.const 1536) (i32.const {len})) {GOOD}"))
            .own("log", "write", "(param i32 i32 i32)")
    };
    let outside = "it handed over a string or list that lies outside its memory";
    let much = "it handed over more than 8 MiB at once";
    let mut cases = vec![
        stopped("a key that is not Unicode", get("1538", "4"), "it handed over text that is not valid Unicode"),
        stopped("a key of 4 GB", get("0", "-1"), outside),
        stopped("a key of 16 MiB", set("16777216", "1", 300), much),
        stopped("a value of 32 MiB", set("1", "33554432", 600), much),
        stopped("key and value of 5 MiB each", set("5242880", "5242880", 200), much),
        stopped("a log line of 4 GB", write("1", "-1"), outside),
        stopped("a log level that there is not", write("77", "2"), "it handed over a value that its type does not have"),
        stopped("a log line that is not Unicode", write("1", "6"), "it handed over text that is not valid Unicode"),
        case(
            "a flood of log lines",
            Guest::new(&format!(
                "(local $n i32) (loop $again (call $write (i32.const 1) (i32.const 1536) (i32.const 2))
                (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
                {GOOD}"
            ))
            .own("log", "write", "(param i32 i32 i32)"),
            Ends::Harmless("ok"),
        ),
        stopped(
            "255 million options to choose from",
            tell(&format!(
                "(call $choose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 268435456) {ANSWER})"
            ))
            .own("ask-user", "choose", "(param i32 i32 i32 i32 i32)"),
            outside,
        ),
        case("a temperature that is not a number", generate("nan"), ERROR),
        case("a temperature that is not a number, with a payload", generate("-nan:0x12345"), ERROR),
        case("an endless temperature", generate("inf"), ERROR),
        case("a temperature below nothing", generate("-0x1p-3"), ERROR),
    ];
    for case in &mut cases {
        case.grants = everything();
    }
    cases
}

fn generate(temperature: &str) -> Guest {
    tell(&format!(
        "(call $text (i32.const 0) (i32.const 0) (i32.const 1536) (i32.const 2) (i32.const 10)
        (f32.const {temperature}) (i32.const 0) (i32.const 0) (i32.const 0) {ANSWER})"
    ))
    .own("generate", "text", "(param i32 i32 i32 i32 i32 f32 i32 i32 i32 i32)")
}

/// Places that are not granted, by names that may look as if they were.
pub fn places() -> Vec<Case> {
    let paths = [
        "/granted/../etc/passwd",
        "/granted/x/../../etc/passwd",
        "/granted/..",
        "/grantedly/x",
        "granted/x",
        "../granted/x",
        "/etc/passwd",
        "//etc/passwd",
        "",
        "/",
        "~/granted",
        "/GRANTED/x",
        "/granted\\..\\etc",
        "file:///granted/x",
    ];
    let urls = [
        "https://example.org@evil.test/",
        "https://example.org:pw@evil.test/",
        "https://example.org.evil.test/",
        "https://evil.test/example.org",
        "https://evil.test#example.org",
        "https://example.org:8443/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://example.org/",
        "unix:/run/user/0/familiar/familiar.sock",
        "example.org",
        "//example.org/",
        "https://exam\u{430}ple.org/",
        "",
    ];
    let text = |text: &str| {
        let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const 5000) \"{escaped}\")")
    };
    let read = |path: &str| {
        tell(&format!(
            "(call $read (i32.const 5000) (i32.const {}) (i64.const 0) (i32.const 100) {ANSWER})",
            path.len()
        ))
        .own("search", "read", "(param i32 i32 i64 i32 i32)")
        .more(&text(path))
    };
    let paths = paths.into_iter().map(|path| case(&format!("reading {path:?}"), read(path), ERROR));
    let urls = urls.into_iter().map(|url| case(&format!("fetching {url:?}"), fetch(3200, 3, url), ERROR));
    let method =
        case("posting where only fetching is granted", fetch(3203, 4, "https://example.org/"), ERROR);
    paths.chain(urls).chain([method]).map(|case| case.granted(everything())).collect()
}

/// `http.send` with a method that lies at an address, and a URL.
pub fn fetch(method: u32, method_len: u32, url: &str) -> Guest {
    let escaped: String = url.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let none = "(i32.const 0) (i32.const 0) (i32.const 0)";
    tell(&format!(
        "(i32.store (i32.const 5900) (i32.const {method})) (i32.store (i32.const 5904) (i32.const {method_len}))
        (call $send (i32.const {method}) (i32.const {method_len}) (i32.const 6000) (i32.const {})
            (i32.const 0) (i32.const 0) {none} {none} {ANSWER})",
        url.len()
    ))
    .own("http", "send", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)")
    .more(&format!("(data (i32.const 6000) \"{escaped}\")"))
}

/// What stands behind WASI's names.
pub fn wasi() -> Vec<Case> {
    let none = |interface: &str, name: &str| {
        // A list's length, or an option's tag, lies where its pointer is told.
        tell(&format!("(call $it {ANSWER}) (i32.store {ANSWER} (i32.load (i32.const 4100)))")).import(
            interface,
            name,
            "it",
            "(param i32)",
        )
    };
    let stdout = |body: &str| {
        Guest::new(&format!("(local $out i32) (local $n i32) (local.set $out (call $stdout)) {body} {GOOD}"))
            .import("wasi:cli/stdout@0.2.6", "get-stdout", "stdout", "(result i32)")
            .import("wasi:io/streams@0.2.6", "[resource-drop]output-stream", "drop", "(param i32)")
            .import("wasi:io/streams@0.2.6", "[method]output-stream.check-write", "check", "(param i32 i32)")
            .import(
                "wasi:io/streams@0.2.6",
                "[method]output-stream.write",
                "write",
                "(param i32 i32 i32 i32)",
            )
    };
    let not_its_own = "it used a handle that is not its own";
    vec![
        case("looking at the environment", none("wasi:cli/environment@0.2.6", "get-environment"), FINE),
        case("looking at the arguments", none("wasi:cli/environment@0.2.6", "get-arguments"), FINE),
        case("looking at the folder that it runs in", none("wasi:cli/environment@0.2.6", "initial-cwd"), FINE),
        case("looking for open folders", none("wasi:filesystem/preopens@0.2.6", "get-directories"), FINE),
        case(
            "looking at the clock, which is not granted",
            tell(&format!("(call $now {ANSWER}) (i64.store {ANSWER} (i64.load {ANSWER}))")).import(
                "wasi:clocks/wall-clock@0.2.6",
                "now",
                "now",
                "(param i32)",
            ),
            FINE,
        ),
        stopped(
            "exiting",
            Guest::new("(call $exit (i32.const 0)) (unreachable)").import(
                "wasi:cli/exit@0.2.6",
                "exit",
                "exit",
                "(param i32)",
            ),
            "it ended itself by exiting",
        ),
        stopped(
            "opening a socket",
            Guest::new(&format!("(drop (call $tcp)) {GOOD}")).import(
                "wasi:sockets/tcp-create-socket@0.2.6",
                "create-tcp-socket",
                "tcp",
                "(result i32)",
            ),
            "plugins have no sockets: the import is `http`",
        ),
        stopped(
            "opening a file",
            Guest::new(&format!("(drop (call $open (i32.const 3207) (i32.const 8))) {GOOD}")).import(
                "wasi:filesystem/types@0.2.6",
                "open",
                "open",
                "(param i32 i32) (result i32)",
            ),
            "plugins have no files: the imports are `kv` and `search`",
        ),
        stopped("a handle dropped twice", stdout("(call $drop (local.get $out)) (call $drop (local.get $out))"), not_its_own),
        stopped("a handle used after it was dropped", stdout(&format!("(call $drop (local.get $out)) (call $check (local.get $out) {ANSWER})")), not_its_own),
        stopped("a handle out of thin air", stdout(&format!("(call $check (i32.const 99) {ANSWER})")), not_its_own),
        stopped("a handle below nothing", stdout(&format!("(call $check (i32.const -1) {ANSWER})")), not_its_own),
        stopped("the handle 0", stdout(&format!("(call $check (i32.const 0) {ANSWER})")), not_its_own),
        stopped(
            "an input passed off as an output",
            stdout(&format!("(call $check (call $stdin) {ANSWER})")).import(
                "wasi:cli/stdin@0.2.6",
                "get-stdin",
                "stdin",
                "(result i32)",
            ),
            not_its_own,
        ),
        stopped(
            "handles without end",
            stdout("(loop $again (drop (call $stdout)) (br $again))"),
            "it holds more than 10000 handles",
        ),
        stopped(
            "timers without end",
            Guest::new("(loop $again (call $drop (call $timer (i64.const 1))) (br $again)) (unreachable)")
                .import(
                    "wasi:clocks/monotonic-clock@0.2.6",
                    "subscribe-duration",
                    "timer",
                    "(param i64) (result i32)",
                )
                .import("wasi:io/poll@0.2.6", "[resource-drop]pollable", "drop", "(param i32)"),
            "a call has at most 10000",
        ),
        stopped(
            "a poll of 4 GB of handles",
            Guest::new(&format!("(call $poll (i32.const 0) (i32.const 1073741823) {ANSWER}) {GOOD}")).import(
                "wasi:io/poll@0.2.6",
                "poll",
                "poll",
                TEXT,
            ),
            "it handed over a string or list that lies outside its memory",
        ),
        stopped(
            "4 GB of random bytes",
            Guest::new(&format!("(call $random (i64.const 4294967295) {ANSWER}) {GOOD}")).import(
                "wasi:random/random@0.2.6",
                "get-random-bytes",
                "random",
                "(param i64 i32)",
            ),
            "at most 64 KiB come at once",
        ),
        stopped(
            "18 exabytes of random bytes",
            Guest::new(&format!("(call $random (i64.const -1) {ANSWER}) {GOOD}")).import(
                "wasi:random/random@0.2.6",
                "get-random-bytes",
                "random",
                "(param i64 i32)",
            ),
            "at most 64 KiB come at once",
        ),
        stopped(
            "4 GB to standard output",
            stdout(&format!("(call $write (local.get $out) (i32.const 0) (i32.const -1) {ANSWER})")),
            "it handed over a string or list that lies outside its memory",
        ),
        case(
            "a flood on standard output",
            stdout(&format!(
                "(loop $again
                (call $write (local.get $out) (i32.const 0) (i32.const 65536) {ANSWER})
                (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 50))))"
            )),
            Ends::Harmless("ok"),
        )
        .granted(everything()),
    ]
}
