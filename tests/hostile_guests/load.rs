//! Files that are not even loaded, and components that are odd as a whole.

use super::cases::{Case, Ends, case};
use super::guest::{GOOD, Guest, component};
use familiar::policy::grants::Grants;
use std::fmt::Write;

fn refused(name: &str, guest: Vec<u8>, words: &'static str) -> Case {
    Case { name: name.into(), guest, grants: Grants::default(), ends: Ends::Refused(words) }
}

pub fn files() -> Vec<Case> {
    let good = Guest::new(GOOD).build();
    let invalid = "this is no component that can run here";
    let mut tail = good.clone();
    tail.extend_from_slice(b"and then some");
    vec![
        refused("an empty file", vec![], "the file is empty"),
        refused("a text", b"#!/bin/sh\nrm -rf ~\n".to_vec(), "this is not WebAssembly"),
        refused(
            "a program of this machine",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(),
            "this is not WebAssembly",
        ),
        refused("four bytes", b"\0asm".to_vec(), "this is not WebAssembly"),
        refused("eight bytes of no layer", b"\0asm\x01\0\x07\0".to_vec(), "of a version that is not known"),
        refused(
            "WebAssembly of another version",
            b"\0asm\x63\0\0\0".to_vec(),
            "of a version that is not known",
        ),
        refused("a core module", wat::parse_str("(module)").unwrap(), "this is a core module"),
        refused("half a component", good[..good.len() / 2].to_vec(), invalid),
        refused("a component without its last byte", good[..good.len() - 1].to_vec(), invalid),
        refused("a component with something behind it", tail, invalid),
        refused("compiled code", b"\0asm\x0d\0\x01\0\x7fELF".to_vec(), invalid),
        refused("zeros", vec![0; 100_000], "this is not WebAssembly"),
    ]
}

pub fn again() -> Vec<Case> {
    let ends = Ends::Stopped("it was entered again while it still ran");
    vec![Case { name: "a call of itself".into(), guest: entered_again(), grants: Grants::default(), ends }]
}

pub fn worlds() -> Vec<Case> {
    let tools = |version: &str, call: &str| {
        component(&format!(
            r#"(component
                (core module $m (func (export "call") (param i32 i32) (result i32) unreachable)
                    (func (export "none"))
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
                (core instance $i (instantiate $m))
                {call}
                (instance $tools (export "call" (func $call)))
                (export "familiar:plugin/tools@{version}" (instance $tools)))"#
        ))
    };
    let simple = "(func $call (canon lift (core func $i \"none\")))";
    let imports = |name: &str| component(&format!("(component (import \"{name}\" (instance)))"));
    let other = "it is for another world";
    vec![
        refused("a component that exports nothing", component("(component)"), other),
        refused(
            "a command of WASI",
            component(
                r#"(component (core module $m (func (export "run") (result i32) i32.const 0))
                (core instance $i (instantiate $m))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $it (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $it)))"#,
            ),
            other,
        ),
        refused(
            "a world of the same name without a version",
            component(r#"(component (instance $i) (export "familiar:plugin/tools" (instance $i)))"#),
            other,
        ),
        refused(
            "tools without a call",
            component(r#"(component (instance $i) (export "familiar:plugin/tools@1.0.0" (instance $i)))"#),
            "has no function `call`",
        ),
        refused("a call of another type", tools("1.0.0", simple), "its `call` has another type"),
        refused(
            "a call with too few words",
            tools(
                "1.0.0",
                "(func $call (param \"tool\" string) (result string) (canon lift (core func $i \"call\") (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\"))))",
            ),
            "its `call` has another type",
        ),
        refused("tools of version 1.9", tools("1.9.0", simple), "update Familiar"),
        refused("tools of version 2", tools("2.0.0", simple), "SDK of version 1"),
        refused("an import of version 1.9", imports("familiar:plugin/kv@1.9.0"), "update Familiar"),
        refused("an import of version 0.1", imports("familiar:plugin/kv@0.1.0"), "SDK of version 1"),
        refused(
            "an interface that the world lacks",
            imports("familiar:plugin/shell@1.0.0"),
            "familiar:plugin/shell, which is not in the world",
        ),
        refused(
            "an import of somebody else's",
            imports("evil:host/run@1.0.0"),
            "it imports `evil:host/run@1.0.0`",
        ),
        refused(
            "WASI of another version",
            imports("wasi:cli/environment@0.3.0"),
            "it imports `wasi:cli/environment@0.3.0`",
        ),
        refused(
            "WASI without a version",
            imports("wasi:cli/environment"),
            "it imports `wasi:cli/environment`",
        ),
        refused(
            "a bare function as an import",
            component(r#"(component (import "system" (func (param "command" string))))"#),
            "it imports `system`",
        ),
        refused(
            "a module as an import",
            component(r#"(component (import "code" (core module)))"#),
            "it imports `code`",
        ),
        refused(
            "a component as an import",
            component(r#"(component (import "more" (component)))"#),
            "this is no component that can run here",
        ),
        refused(
            "an import of ours with another type",
            Guest::new("(call $get (i64.const 1)) (i32.const 1024)")
                .world("get: func(key: string) -> result<option<list<u8>>, error>;", "get: func(key: u64);")
                .own("kv", "get", "(param i64)")
                .build(),
            "its imports or exports do not fit",
        ),
        refused(
            "a function of ours that there is not",
            Guest::new("(call $erase) (i32.const 1024)")
                .world("interface kv {", "interface kv { erase: func();")
                .own("kv", "erase", "")
                .build(),
            "its imports or exports do not fit",
        ),
        refused(
            "an answer with another field",
            Guest::new(GOOD).world("data: option<string>,", "data: option<u64>,").build(),
            "its `call` has another type",
        ),
    ]
}

/// A component whose `call` calls itself, from outside, while it runs. Only a fixed-up table can tie that knot.
fn entered_again() -> Vec<u8> {
    let core = "(param i32 i32 i32 i32 i32 i32 i32 i32 i64)";
    component(&format!(
        r#"(component
            (core module $m
                (type $call (func {core} (param i32)))
                (memory (export "memory") 1)
                (table (export "table") 1 funcref)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "call") {core} (result i32)
                    (call_indirect (type $call)
                        (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                        (local.get 6) (local.get 7) (local.get 8) (i32.const 2048) (i32.const 0))
                    i32.const 2048))
            (core instance $i (instantiate $m))
            (type $context' (record (field "session" string) (field "language" string) (field "deadline-ms" u64)))
            (export $context "context" (type $context'))
            (type $source' (record (field "path" string) (field "start" u64) (field "end" u64)))
            (export $source "source" (type $source'))
            (type $output' (record (field "text" string) (field "data" (option string)) (field "sources" (list $source))))
            (export $output "output" (type $output'))
            (type $error' (variant (case "invalid-arguments" string) (case "not-found" string)
                (case "denied" string) (case "unavailable" string) (case "failed" string)))
            (export $error "tool-error" (type $error'))
            (func $call (param "tool" string) (param "arguments" string) (param "context" $context)
                (result (result $output (error $error)))
                (canon lift (core func $i "call") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc"))))
            (core func $again (canon lower (func $call) (memory (core memory $i "memory"))
                (realloc (core func $i "realloc"))))
            (core module $fix
                (import "m" "table" (table 1 funcref))
                (import "own" "call" (func {core} (param i32)))
                (elem (i32.const 0) func 0))
            (core instance (instantiate $fix (with "m" (instance $i))
                (with "own" (instance (export "call" (func $again))))))
            (instance $tools (export "context" (type $context)) (export "source" (type $source))
                (export "output" (type $output)) (export "tool-error" (type $error)) (export "call" (func $call)))
            (export "familiar:plugin/tools@1.0.0" (instance $tools)))"#
    ))
}

/// Sizes that a decent component does not have.
pub fn sizes() -> Vec<Case> {
    let many = |n: usize, part: &dyn Fn(usize) -> String| {
        let parts = (0..n).fold(String::new(), |mut all, n| {
            let _ = write!(all, "{}", part(n));
            all
        });
        component(&format!("(component {parts})"))
    };
    let nested = (0..1500).fold(component("(component)"), |inner, _| nest(&inner));
    let invalid = "this is no component that can run here";
    vec![
        refused("components in components, 1500 deep", nested, ""),
        refused("200,000 types", many(200_000, &|_| "(type u8)".into()), ""),
        refused(
            "a type that doubles 40 times",
            many(40, &|n| match n {
                0 => "(type $t0 (tuple u8 u8))".into(),
                n => format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1),
            }),
            "",
        ),
        refused(
            "3000 core modules",
            many(3000, &|n| format!("(core module $m{n} (memory 1)) (core instance (instantiate $m{n}))")),
            invalid,
        ),
        refused(
            "2000 instances of one module",
            many(2001, &|n| match n {
                0 => "(core module $m (func))".into(),
                _ => "(core instance (instantiate $m))".into(),
            }),
            invalid,
        ),
        refused(
            "five memories",
            many(5, &|n| format!("(core module $m{n} (memory 1)) (core instance (instantiate $m{n}))")),
            invalid,
        ),
        refused("2000 imports", many(2000, &|n| format!("(import \"a{n}\" (func))")), "it imports `a"),
        refused(
            "100,001 exports",
            many(100_001, &|n| format!("(instance $i{n}) (export \"a{n}\" (instance $i{n}))")),
            "",
        ),
        refused(
            "an export name of 200,000 letters",
            component(&format!(
                "(component (instance $i) (export \"{}\" (instance $i)))",
                "a".repeat(200_000)
            )),
            invalid,
        ),
        refused("memory that is shared", component("(component (core module (memory 1 1 shared)))"), invalid),
        refused("memory of 64 bits", component("(component (core module (memory i64 1)))"), invalid),
        refused(
            "two memories in a module",
            component("(component (core module (memory 1) (memory 1)))"),
            invalid,
        ),
        refused(
            "objects of the garbage collector",
            component(
                "(component (core module (type (struct (field i32))) (func (drop (struct.new_default 0)))))",
            ),
            invalid,
        ),
        refused("exceptions", component("(component (core module (tag) (func (throw 0))))"), invalid),
        case(
            "blocks in blocks, 50,000 deep",
            Guest::new(GOOD).more(&format!("(func {} {})", "block ".repeat(50_000), "end ".repeat(50_000))),
            Ends::Harmless("ok"),
        ),
    ]
}

/// A component that holds another and nothing else (section 4 of the binary format).
fn nest(inner: &[u8]) -> Vec<u8> {
    let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
    let mut length = inner.len();
    while length > 0x7f {
        outer.push(length as u8 | 0x80);
        length >>= 7;
    }
    outer.push(length as u8);
    outer.extend_from_slice(inner);
    outer
}
