//! Guests written by hand as core modules, made into components of the world in `sdk/wit`. They can say at
//! the canonical ABI what no language's bindings would.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where a good answer stands in a guest's memory: `ok(output { text: "ok" })`.
pub const GOOD: &str = "(i32.const 1024)";
pub const CALL: &str = "familiar:plugin/tools@1.0.0#call";
/// What an import's answer is written to.
pub const ANSWER: &str = "(i32.const 4096)";

/// What of WASI the guests below use, in the words of its own packages.
const WASI: [(&str, &str); 5] = [
    (
        "io.wit",
        "package wasi:io@0.2.6;
        interface error { resource error { to-debug-string: func() -> string; } }
        interface poll {
            resource pollable { ready: func() -> bool; block: func(); }
            poll: func(in: list<borrow<pollable>>) -> list<u32>;
        }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; }
            resource output-stream {
                check-write: func() -> result<u64, stream-error>;
                write: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }",
    ),
    (
        "cli.wit",
        "package wasi:cli@0.2.6;
        interface environment {
            get-environment: func() -> list<tuple<string, string>>;
            get-arguments: func() -> list<string>;
            initial-cwd: func() -> option<string>;
        }
        interface exit { exit: func(status: result); }
        interface stdin { use wasi:io/streams@0.2.6.{input-stream}; get-stdin: func() -> input-stream; }
        interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
        interface stderr { use wasi:io/streams@0.2.6.{output-stream}; get-stderr: func() -> output-stream; }",
    ),
    (
        "clocks.wit",
        "package wasi:clocks@0.2.6;
        interface wall-clock {
            record datetime { seconds: u64, nanoseconds: u32 }
            now: func() -> datetime;
        }
        interface monotonic-clock {
            use wasi:io/poll@0.2.6.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }",
    ),
    (
        "rest.wit",
        "package wasi:random@0.2.6;
        interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }",
    ),
    (
        "files.wit",
        "package wasi:filesystem@0.2.6;
        interface types {
            resource descriptor { read: func(length: u64, offset: u64) -> list<u8>; }
            open: func(path: string) -> descriptor;
        }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }",
    ),
];

const SOCKETS: &str = "package wasi:sockets@0.2.6;
    interface tcp-create-socket { resource tcp-socket; create-tcp-socket: func() -> tcp-socket; }";

const WORLD: &str = "package test:guest;
    world guest {
        include familiar:plugin/described@1.0.0;
        import wasi:io/error@0.2.6;
        import wasi:io/poll@0.2.6;
        import wasi:io/streams@0.2.6;
        import wasi:cli/environment@0.2.6;
        import wasi:cli/exit@0.2.6;
        import wasi:cli/stdin@0.2.6;
        import wasi:cli/stdout@0.2.6;
        import wasi:cli/stderr@0.2.6;
        import wasi:clocks/wall-clock@0.2.6;
        import wasi:clocks/monotonic-clock@0.2.6;
        import wasi:random/random@0.2.6;
        import wasi:filesystem/types@0.2.6;
        import wasi:filesystem/preopens@0.2.6;
        import wasi:sockets/tcp-create-socket@0.2.6;
    }";

/// A guest in the making. The parts are WebAssembly text.
pub struct Guest {
    /// `(import ..)`s, one function each.
    imports: String,
    memory: String,
    realloc: String,
    /// The body of `call`, whose parameters are `$tool $tool_len $args $args_len $session $session_len
    /// $language $language_len $deadline`; it leaves the address of the result.
    call: String,
    describe: String,
    /// More of the module.
    more: String,
    /// The world that it is made for.
    wit: String,
}

impl Guest {
    /// One that does `body` when it is called.
    pub fn new(body: &str) -> Guest {
        Guest {
            imports: String::new(),
            memory: "(memory (export \"memory\") 4)".into(),
            realloc: BUMP.into(),
            call: body.into(),
            describe: "(i32.const 3072)".into(),
            more: String::new(),
            wit: include_str!("../../sdk/wit/plugin.wit").into(),
        }
    }

    pub fn import(mut self, interface: &str, name: &str, id: &str, signature: &str) -> Guest {
        let import = format!("(import \"{interface}\" \"{name}\" (func ${id} {signature}))");
        self.imports.push_str(&import);
        self
    }

    /// An import of the world's own package.
    pub fn own(self, interface: &str, name: &str, signature: &str) -> Guest {
        let interface = format!("familiar:plugin/{interface}@1.0.0");
        let id = name.replace('-', "_");
        self.import(&interface, name, &id, signature)
    }

    pub fn memory(mut self, memory: &str) -> Guest {
        self.memory = memory.into();
        self
    }

    /// The body of `cabi_realloc`, with `$old $old_len $align $new_len`.
    pub fn realloc(mut self, body: &str) -> Guest {
        self.realloc = body.into();
        self
    }

    /// Makes it for a world that is a little different.
    pub fn world(mut self, from: &str, to: &str) -> Guest {
        assert!(self.wit.contains(from), "{from}");
        self.wit = self.wit.replace(from, to);
        self
    }

    pub fn body(mut self, body: &str) -> Guest {
        self.call = body.into();
        self
    }

    pub fn describe(mut self, body: &str) -> Guest {
        self.describe = body.into();
        self
    }

    pub fn more(mut self, more: &str) -> Guest {
        self.more.push_str(more);
        self
    }

    /// What runs once the host has read the result, whose address is `$result`.
    pub fn post_return(self, body: &str) -> Guest {
        self.more(&format!("(func (export \"cabi_post_{CALL}\") (param $result i32) {body})"))
    }

    pub fn core(&self) -> String {
        let Guest { imports, memory, realloc, call, describe, more, wit: _ } = self;
        format!(
            r#"(module
            {imports}
            {memory}
            (global $next (mut i32) (i32.const 8192))
            (func $realloc (export "cabi_realloc")
                (param $old i32) (param $old_len i32) (param $align i32) (param $new_len i32) (result i32)
                {realloc})
            (func (export "{CALL}")
                (param $tool i32) (param $tool_len i32) (param $args i32) (param $args_len i32)
                (param $session i32) (param $session_len i32) (param $language i32) (param $language_len i32)
                (param $deadline i64) (result i32)
                {call})
            (func (export "familiar:plugin/describe@1.0.0#tools") (result i32) {describe})
            (func $result (param $tag i32) (param $text i32) (param $len i32) (result i32)
                (i32.store (i32.const 2048) (local.get $tag))
                (i32.store (i32.const 2052) (local.get $text))
                (i32.store (i32.const 2056) (local.get $len))
                (i32.const 2048))
            (data (i32.const 1024) "\00\00\00\00\00\06\00\00\02\00\00\00")
            (data (i32.const 1536) "ok\ff\fe\c0\80")
            (data (i32.const 3072) "\08\0c\00\00\02\00\00\00[]")
            (data (i32.const 3200) "GETPOST/granted/key/../etc/passwd")
            {more})"#
        )
    }

    pub fn build(&self) -> Vec<u8> {
        let core = self.core();
        let mut module = wat::parse_str(&core).unwrap_or_else(|error| panic!("{error}\n{core}"));
        let mut resolve = Resolve::default();
        resolve.push_str("plugin.wit", &self.wit).unwrap();
        for (name, text) in WASI.into_iter().chain([("sockets.wit", SOCKETS)]) {
            resolve.push_str(name, text).unwrap();
        }
        let package = resolve.push_str("guest.wit", WORLD).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let encoder = ComponentEncoder::default().module(&module);
        encoder
            .and_then(|encoder| encoder.validate(true).encode())
            .unwrap_or_else(|e| panic!("{e:?}\n{core}"))
    }
}

/// Memory is handed out once, and grows as it must.
const BUMP: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.set $next (i32.add (local.get $at) (local.get $new_len)))
    (block $enough (loop $more
        (br_if $enough (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
        (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
        (unreachable)))
    (local.get $at)";

/// A component in text.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
