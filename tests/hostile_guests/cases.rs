//! Hostile guests that run: what each does, and the words that it is stopped with.

use super::guest::{ANSWER, GOOD, Guest};
use familiar::policy::grants::{Generate, Grants, Http, Kv, Search};

/// One hostile guest, and how it must end.
pub struct Case {
    pub name: String,
    pub guest: Vec<u8>,
    pub grants: Grants,
    pub ends: Ends,
}

pub enum Ends {
    /// It is not even loaded.
    Refused(&'static str),
    /// The sandbox stops it.
    Stopped(&'static str),
    /// It goes its way, which leads nowhere, and answers this.
    Harmless(&'static str),
}

pub fn case(name: &str, guest: Guest, ends: Ends) -> Case {
    Case { name: name.into(), guest: guest.build(), grants: Grants::default(), ends }
}

pub fn stopped(name: &str, guest: Guest, words: &'static str) -> Case {
    case(name, guest, Ends::Stopped(words))
}

impl Case {
    pub fn granted(mut self, grants: Grants) -> Case {
        self.grants = grants;
        self
    }
}

/// Everything, as far as grants go.
pub fn everything() -> Grants {
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Grants {
        log: true,
        clock: true,
        kv: Some(Kv { quota: 65536 }),
        search: Some(Search { paths: vec!["/granted".into()] }),
        generate: Some(Generate { tokens: 100 }),
        http: Some(Http { hosts: owned(&["example.org"]), methods: owned(&["GET"]) }),
        notify: true,
        ask_user: true,
        progress: true,
    }
}

pub const LATE: &str = "it ran longer than 300 ms";
const FOREVER: &str = "(loop $again (br $again)) (unreachable)";

/// Answers with 500,000 sources, which lie in zeroed memory.
const MANY_SOURCES: &str = "(drop (call $result (i32.const 0) (i32.const 1536) (i32.const 2)))
    (i32.store (i32.const 2072) (i32.const 131072)) (i32.store (i32.const 2076) (i32.const 500000))
    (i32.const 2048)";

/// The signature of an import with one text and an answer too large for a number.
pub const TEXT: &str = "(param i32 i32 i32)";

pub fn time() -> Vec<Case> {
    let endless = |body: &str| Guest::new(body);
    vec![
        stopped("an endless loop", endless(FOREVER), LATE),
        stopped(
            "an endless loop in the module's start",
            endless(GOOD).more("(func $begin (loop $again (br $again))) (start $begin)"),
            LATE,
        ),
        stopped("an endless loop while memory is made for its arguments", endless(GOOD).realloc(FOREVER), LATE),
        stopped(
            "an endless loop after it answered",
            endless(GOOD).post_return("(loop $again (br $again))"),
            LATE,
        ),
        stopped(
            "endless tail calls",
            endless("(return_call $round)").more("(func $round (result i32) (return_call $round))"),
            LATE,
        ),
        stopped(
            "endless copies of its whole memory",
            endless(
                "(loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 131072)) (br $again))
                (unreachable)",
            ),
            LATE,
        ),
        stopped(
            "endless imports that are answered at once",
            endless(&format!("(loop $again (call $now {ANSWER}) (br $again)) (unreachable)")).own(
                "clock",
                "now",
                "(param i32)",
            ),
            LATE,
        )
        .granted(everything()),
        stopped(
            "endless imports that may wait for the owner",
            endless(&format!(
                "(loop $again (call $delete (i32.const 1536) (i32.const 2) {ANSWER}) (br $again)) (unreachable)"
            ))
            .own("kv", "delete", TEXT),
            LATE,
        )
        .granted(everything()),
        stopped(
            "a sleep of a century",
            endless("(call $block (call $timer (i64.const 3000000000000000000))) (unreachable)")
                .import(
                    "wasi:clocks/monotonic-clock@0.2.6",
                    "subscribe-duration",
                    "timer",
                    "(param i64) (result i32)",
                )
                .import("wasi:io/poll@0.2.6", "[method]pollable.block", "block", "(param i32)"),
            LATE,
        ),
        stopped(
            "a poll of nothing",
            endless(&format!("(call $poll (i32.const 0) (i32.const 0) {ANSWER}) (unreachable)")).import(
                "wasi:io/poll@0.2.6",
                "poll",
                "poll",
                TEXT,
            ),
            "waited for nothing",
        ),
    ]
}

pub fn memory() -> Vec<Case> {
    let grow =
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let two = |pages: u32| {
        Guest::new("(drop (i32.load8_u (i32.const 0))) (i32.const 1024)")
            .memory(&format!("(memory (export \"memory\") {pages})"))
    };
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))";
    let wide: String = (0..2000).map(|n| format!("(local $v{n} i64)")).collect();
    let sum: String = (0..2000)
        .map(|n| format!("(local.set $v{n} (i64.add (local.get $v{n}) (i64.load (i32.const {n}))))"))
        .collect();
    vec![
        stopped(
            "memory that grows and grows",
            Guest::new(grow),
            "it gave up (a panic, an abort or a failed assertion), after it was refused more than 64 MiB of memory",
        ),
        stopped(
            "more memory from the start than a call may have",
            two(1100),
            "after it was refused more than 64 MiB of memory",
        ),
        case(
            "memory of 4 GiB from the start",
            two(65536),
            Ends::Refused("exceeds the limit of 0x40000000 bytes"),
        ),
        stopped(
            "data beyond its memory",
            Guest::new(GOOD).more("(data (i32.const 262140) \"0123456789\")"),
            "it reached outside its memory",
        ),
        stopped(
            "data at the end of 4 GiB",
            Guest::new(GOOD).more("(data (i32.const -2) \"0123456789\")"),
            "it reached outside its memory",
        ),
        stopped(
            "a table that grows and grows",
            Guest::new(
                "(loop $again (br_if $again (i32.ne (table.grow $many (ref.null func) (i32.const 1000)) \
                (i32.const -1)))) (unreachable)",
            )
            .more("(table $many 1 funcref)"),
            "after it was refused more than 100000 entries of tables",
        ),
        case(
            "a table of ten million entries from the start",
            Guest::new(GOOD).more("(table 10000000 funcref)"),
            Ends::Refused("table"),
        ),
        stopped(
            "two tables that are too large together",
            Guest::new(GOOD).more("(table 60000 funcref) (table 60000 funcref)"),
            "after it was refused more than 100000 entries of tables",
        ),
        case(
            "five tables in a module",
            Guest::new(GOOD).more(&"(table 1 funcref)".repeat(5)),
            Ends::Refused("tables"),
        ),
        stopped(
            "recursion without end",
            Guest::new("(call $deep (i32.const 0))").more(deep),
            "it used more than 512 KiB of stack: its recursion is too deep",
        ),
        stopped(
            "recursion with large frames",
            Guest::new("(call $wide (i32.const 0))").more(&format!(
                "(func $wide (param i32) (result i32) {wide} {sum} (call $wide (local.get 0)))"
            )),
            "it used more than 512 KiB of stack",
        ),
        stopped(
            "recursion while memory is made for its arguments",
            Guest::new(GOOD).realloc("(call $deep (i32.const 0))").more(deep),
            "it used more than 512 KiB of stack",
        ),
        stopped(
            "a read outside its memory",
            Guest::new("(i32.load (i32.const -4))"),
            "it reached outside its memory",
        ),
        stopped(
            "a write outside its memory",
            Guest::new("(i64.store offset=4294967295 (i32.const -1) (i64.const 1)) (i32.const 1024)"),
            "it reached outside its memory",
        ),
    ]
}

pub fn traps() -> Vec<Case> {
    let gave_up = "it gave up (a panic, an abort or a failed assertion)";
    vec![
        stopped("a trap in its call", Guest::new("(unreachable)"), gave_up),
        stopped(
            "a trap in the module's start",
            Guest::new(GOOD).more("(func $begin (unreachable)) (start $begin)"),
            gave_up,
        ),
        stopped(
            "a trap while memory is made for its arguments",
            Guest::new(GOOD).realloc("(unreachable)"),
            gave_up,
        ),
        stopped("a trap after it answered", Guest::new(GOOD).post_return("(unreachable)"), gave_up),
        stopped(
            "a division by zero",
            Guest::new("(i32.div_u (i32.const 1) (local.get $session_len))"),
            "it divided by zero",
        ),
        stopped(
            "a division that overflows",
            Guest::new("(i32.div_s (i32.const -2147483648) (i32.const -1))"),
            "a number did not fit its type",
        ),
        stopped(
            "not a number made a number",
            Guest::new("(i32.trunc_f32_s (f32.const nan))"),
            "a number did not fit its type",
        ),
        stopped(
            "a call of a function that is not there",
            Guest::new("(call_indirect (result i32) (i32.const 3))").more("(table 8 funcref)"),
            "it called a function that does not exist",
        ),
        stopped(
            "a call beyond its table",
            Guest::new("(call_indirect (result i32) (i32.const 800))").more("(table 8 funcref)"),
            "it called a function that does not exist",
        ),
        stopped(
            "a call of a function of another type",
            Guest::new("(call_indirect (result i32) (i32.const 0))")
                .more("(table 1 funcref) (elem (i32.const 0) $odd) (func $odd (param f64))"),
            "it called a function that does not exist",
        ),
    ]
}

/// Answers that are not what they claim to be.
pub fn answers() -> Vec<Case> {
    let text = |at: &str, len: &str| {
        Guest::new(&format!("(call $result (i32.const 0) (i32.const {at}) (i32.const {len}))"))
    };
    let large = |len: &str| text("65536", len).memory("(memory (export \"memory\") 900)");
    // Writes into the result at 2048 after it was made, as `call` leaves it.
    let bent = |stores: &str| {
        Guest::new(&format!(
            "(drop (call $result (i32.const 0) (i32.const 1536) (i32.const 2))) {stores} (i32.const 2048)"
        ))
    };
    let sources = |at: &str, len: &str| {
        bent(&format!(
            "(i32.store (i32.const 2072) (i32.const {at})) (i32.store (i32.const 2076) (i32.const {len}))"
        ))
    };
    let outside = "it handed over a string or list that lies outside its memory";
    let aligned = "it handed over a pointer that is not aligned";
    let valueless = "it handed over a value that its type does not have";
    vec![
        stopped("a text of 4 GB", text("0", "-1"), outside),
        stopped("a text that ends beyond its memory", text("262143", "2"), outside),
        stopped("a text that wraps around", text("-8", "16"), outside),
        stopped("a text larger than an answer may be", large("1048577"), "its answer is larger than 1 MiB"),
        stopped(
            "a text far larger than an answer may be",
            large("16777216"),
            "it handed over more than 8 MiB at once",
        ),
        stopped(
            "a text that is not Unicode",
            text("1538", "4"),
            "it handed over text that is not valid Unicode",
        ),
        stopped("half a character", text("1538", "1"), "it handed over text that is not valid Unicode"),
        stopped(
            "a result that is neither good nor bad",
            bent("(i32.store8 (i32.const 2048) (i32.const 7))"),
            valueless,
        ),
        stopped(
            "an option that is neither there nor not",
            bent("(i32.store8 (i32.const 2060) (i32.const 9))"),
            valueless,
        ),
        stopped(
            "an error of a kind that there is not",
            bent("(i32.store8 (i32.const 2048) (i32.const 1)) (i32.store8 (i32.const 2052) (i32.const 200))"),
            valueless,
        ),
        stopped(
            "an error of 4 GB",
            bent(
                "(i32.store8 (i32.const 2048) (i32.const 1)) (i32.store (i32.const 2052) (i32.const 4))
                (i32.store (i32.const 2056) (i32.const 0)) (i32.store (i32.const 2060) (i32.const -1))",
            ),
            outside,
        ),
        stopped(
            "data of 4 GB",
            bent("(i32.store8 (i32.const 2060) (i32.const 1)) (i32.store (i32.const 2068) (i32.const -1))"),
            outside,
        ),
        stopped("268 million sources", sources("0", "268435455"), outside),
        stopped("sources that wrap around", sources("8", "178956971"), outside),
        stopped("sources that are not aligned", sources("1025", "1"), aligned),
        stopped(
            "a source of 4 GB",
            sources("3208", "1").more("(data (i32.const 3208) \"\\00\\00\\00\\00\\ff\\ff\\ff\\ff\")"),
            outside,
        ),
        stopped(
            "half a million sources",
            large("2").body(MANY_SOURCES),
            "it handed over more than 8 MiB at once",
        ),
        stopped("an answer that is not aligned", Guest::new("(i32.const 1025)"), aligned),
        stopped("an answer outside its memory", Guest::new("(i32.const 262140)"), outside),
        stopped("an answer at the end of 4 GiB", Guest::new("(i32.const -4)"), outside),
    ]
}

/// Memory for the host's values that is none, and imports where none may be used.
pub fn lies() -> Vec<Case> {
    let not_memory = "its `realloc` gave memory that is not its own, or not aligned";
    let keys = |realloc: &str| {
        Guest::new(&format!("(call $keys (i32.const 1536) (i32.const 0) {ANSWER}) {GOOD}"))
            .own("kv", "keys", TEXT)
            .realloc(realloc)
    };
    let nowhere = "it used an import where none may be used";
    vec![
        stopped(
            "memory for its arguments beyond its own",
            Guest::new(GOOD).realloc("(i32.const 262143)"),
            not_memory,
        ),
        stopped(
            "memory for its arguments at the end of 4 GiB",
            Guest::new(GOOD).realloc("(i32.const -1)"),
            not_memory,
        ),
        stopped(
            "memory for an import's answer that is not aligned",
            // Texts may lie anywhere, so that the call itself comes through.
            keys("(i32.const 8193)"),
            not_memory,
        )
        .granted(everything()),
        case("all memory at one place", keys("(i32.const 8192)"), Ends::Harmless("ok")).granted(everything()),
        stopped(
            "an import while memory is made",
            Guest::new(GOOD).realloc("(drop (call $is_cancelled)) (i32.const 8192)").own(
                "progress",
                "is-cancelled",
                "(result i32)",
            ),
            nowhere,
        )
        .granted(everything()),
        stopped(
            "an import after it answered",
            Guest::new(GOOD).post_return("(drop (call $is_cancelled))").own(
                "progress",
                "is-cancelled",
                "(result i32)",
            ),
            nowhere,
        )
        .granted(everything()),
        stopped(
            "memory taken back while an import's answer is written",
            keys("(memory.fill (i32.const 0) (i32.const 255) (i32.const 8192)) (i32.const 8192)"),
            "it handed over a value that its type does not have",
        )
        .granted(everything()),
    ]
}
