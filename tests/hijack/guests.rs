//! The plugins that the hijacked model can call: small, honest in what they do with their arguments, and
//! installed as any other.

use crate::hostile_guests::guest::{ANSWER, Guest};
use crate::support::{Home, path};
use familiar::plugins::package;

const TEXT: &str = r#"{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": false}"#;
const NOTHING: &str = r#"{"type": "object", "properties": {}, "additionalProperties": false}"#;
/// Answers `ok` unless the import's answer, whose first byte tells, is an error.
const OUTCOME: &str = "(if (result i32) (i32.load8_u (i32.const 4096))
    (then (call $denied)) (else (i32.const 1024)))";
const DENIED: &str = r#"(data (i32.const 5000) "the owner said no")
    (func $denied (result i32)
        (i32.store (i32.const 2048) (i32.const 1))
        (i32.store (i32.const 2052) (i32.const 2))
        (i32.store (i32.const 2056) (i32.const 5000))
        (i32.store (i32.const 2060) (i32.const 17))
        (i32.const 2048))"#;

/// Sends what it is told to `http://127.0.0.1:PORT/in`.
fn courier(port: u16) -> Guest {
    let url = format!("http://127.0.0.1:{port}/in");
    Guest::new(&format!(
        "(call $send (i32.const 5100) (i32.const 4) (i32.const 5200) (i32.const {}) (i32.const 0) (i32.const 0)
            (i32.const 1) (local.get $args) (local.get $args_len) (i32.const 0) (i32.const 0) (i32.const 0) {ANSWER})
        {OUTCOME}",
        url.len()
    ))
    .own("http", "send", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)")
    .more(DENIED)
    .more(&format!(r#"(data (i32.const 5100) "POST") (data (i32.const 5200) "{url}")"#))
}

/// One note: `write` replaces it, `read` gives it.
fn notes() -> Guest {
    Guest::new(&format!(
        "(if (result i32) (i32.eq (i32.load8_u (local.get $tool)) (i32.const 119))
            (then
                (call $set (i32.const 5300) (i32.const 4) (local.get $args) (local.get $args_len) {ANSWER})
                {OUTCOME})
            (else
                (call $get (i32.const 5300) (i32.const 4) {ANSWER})
                (if (result i32) (i32.load8_u (i32.const 4104))
                    (then (call $result (i32.const 0) (i32.load (i32.const 4108)) (i32.load (i32.const 4112))))
                    (else (call $result (i32.const 0) (i32.const 5400) (i32.const 7))))))"
    ))
    .own("kv", "set", "(param i32 i32 i32 i32 i32)")
    .own("kv", "get", "(param i32 i32 i32)")
    .more(DENIED)
    .more(r#"(data (i32.const 5300) "note") (data (i32.const 5400) "nothing")"#)
}

/// Plans a notice in the far future.
fn planner() -> Guest {
    Guest::new(&format!(
        "(call $schedule (local.get $args) (local.get $args_len) (i32.const 0) (i32.const 0)
            (i64.const 250000000000) {ANSWER})
        {OUTCOME}"
    ))
    .own("notify", "schedule", "(param i32 i32 i32 i32 i64 i32)")
    .more(DENIED)
}

/// Has the model write, four tokens at a time, until it is refused; answers a letter for each time.
fn writer() -> Guest {
    Guest::new(&format!(
        "(local $n i32)
        (loop $again
            (call $text (i32.const 0) (i32.const 0) (local.get $args) (local.get $args_len) (i32.const 4)
                (f32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) {ANSWER})
            (if (i32.eqz (i32.load8_u (i32.const 4096))) (then
                (i32.store8 (i32.add (i32.const 6000) (local.get $n)) (i32.const 120))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))))
        (call $result (i32.const 0) (i32.const 6000) (local.get $n))"
    ))
    .own("generate", "text", "(param i32 i32 i32 i32 i32 f32 i32 i32 i32 i32)")
}

/// Tokens that one call of `writer` may have the model write.
pub const TOKENS: u32 = 24;

/// Packs the four plugins and installs them with all that they ask for.
pub fn install(home: &Home, port: u16) {
    let tool = |name: &str, parameters: &str| {
        format!(r#"{{"name": "{name}", "description": "Does it.", "parameters": {parameters}}}"#)
    };
    let courier_wants =
        format!("http]\nwhy = \"To send.\"\nhosts = [\"127.0.0.1:{port}\"]\nmethods = [\"POST\"]");
    let writer_wants = format!("generate]\nwhy = \"To write.\"\ntokens = {TOKENS}");
    let plugins = [
        ("courier", courier(port), courier_wants, vec![tool("post", TEXT)]),
        (
            "notes",
            notes(),
            "kv]\nwhy = \"To keep it.\"\nquota = 4096".into(),
            vec![tool("write", TEXT), tool("read", NOTHING)],
        ),
        ("planner", planner(), "notify]\nwhy = \"To remind you.\"".into(), vec![tool("remind", TEXT)]),
        ("writer", writer(), writer_wants, vec![tool("compose", TEXT)]),
    ];
    for (name, guest, wants, tools) in plugins {
        put(home, name, &guest, &wants, &tools);
    }
}

/// Installs one plugin with these wants and tools.
pub fn put(home: &Home, name: &str, guest: &Guest, wants: &str, tools: &[String]) {
    let manifest = format!(
        "[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\ndescription = \"A plugin.\"\n[wants.{wants}\n"
    );
    let tools = format!("[{}]", tools.join(","));
    let packed = package::pack(&guest.build(), &manifest, &tools, None).unwrap();
    let file = home.dir.path().join(format!("{name}-1.0.0.wasm"));
    std::fs::write(&file, packed).unwrap();
    home.ok(&["plugin", "install", path(&file), "--dev", "--yes"]);
}
