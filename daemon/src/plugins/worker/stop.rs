//! Why a call was stopped, in words for the owner, the model and the plugin's author. What wasmtime says of
//! its own machinery (addresses, backtraces) goes nowhere.

use crate::protocol::plugins::ToolError;
use std::time::Duration;
use wasmtime::Trap;

/// What ends a call from the host's side. Travels through WebAssembly as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("it ran longer than {}", duration(.0))]
    Deadline(Duration),
    #[error("nobody waits for it any more")]
    Cancelled,
    /// An import that has no error to answer with was refused.
    #[error("{0}")]
    Refused(String),
    /// An import of WASI that leads nowhere here.
    #[error("it used {0}, and {1}")]
    Wasi(String, &'static str),
    #[error("it ended itself by exiting; a tool returns instead")]
    Exit,
    #[error("its answer is larger than {}", bytes(*.0))]
    Output(u64),
    #[error("the broker gave no answer: {0}")]
    Broker(String),
}

/// Limits that were reached on the way, without ending the call at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Bytes of memory that were refused beyond this limit.
    pub memory: Option<u64>,
    /// Entries of tables that were refused beyond this limit.
    pub table: Option<usize>,
}

/// How an error of wasmtime's reads. `last` is what the guest wrote to its standard error at the end.
pub fn explain(error: &wasmtime::Error, reached: Reached, import_bytes: usize, last: &str) -> ToolError {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return ToolError::Stopped(stop.to_string());
    }
    let mut words = match error.downcast_ref::<Trap>() {
        Some(trap) => trapped(*trap, import_bytes),
        None => broken(&error.root_cause().to_string(), import_bytes),
    };
    if let Some(limit) = reached.memory {
        words = format!("{words}, after it was refused more than {} of memory", bytes(limit));
    }
    if let Some(limit) = reached.table {
        words = format!("{words}, after it was refused more than {limit} entries of tables");
    }
    if !last.is_empty() {
        words = format!("{words}; it last wrote: {last}");
    }
    ToolError::Stopped(words)
}

fn trapped(trap: Trap, import_bytes: usize) -> String {
    match trap {
        Trap::UnreachableCodeReached => "it gave up (a panic, an abort or a failed assertion)".into(),
        Trap::StackOverflow => {
            format!(
                "it used more than {} of stack: its recursion is too deep",
                bytes(super::engine::STACK as u64)
            )
        }
        Trap::MemoryOutOfBounds => "it reached outside its memory".into(),
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "it called a function that does not exist".into()
        }
        Trap::IntegerDivisionByZero => "it divided by zero".into(),
        Trap::IntegerOverflow | Trap::BadConversionToInteger => "a number did not fit its type".into(),
        Trap::CannotEnterComponent => {
            "it was entered again while it still ran, which the component model forbids".into()
        }
        Trap::CannotLeaveComponent => {
            "it used an import where none may be used (while memory is made for it, or after it returned)"
                .into()
        }
        Trap::AllocationTooLarge => {
            format!("it handed over more than {} at once", bytes(import_bytes as u64))
        }
        other => against_the_rules(&other.to_string()),
    }
}

/// What went wrong where the guest's values are read, or the instance is made.
fn broken(cause: &str, import_bytes: usize) -> String {
    let is = |part: &str| cause.contains(part);
    if is("fuel allocated for hostcalls") {
        format!("it handed over more than {} at once", bytes(import_bytes as u64))
    } else if is("realloc return") {
        "its `realloc` gave memory that is not its own, or not aligned".into()
    } else if is("utf-8") || is("UTF-8") || is("utf16") || is("surrogate") {
        "it handed over text that is not valid Unicode".into()
    } else if is("out of bounds") || is("out-of-bounds") {
        "it handed over a string or list that lies outside its memory".into()
    } else if is("not aligned") || is("unaligned") {
        "it handed over a pointer that is not aligned".into()
    } else if is("discriminant") || is("char") || is("invalid variant") {
        "it handed over a value that its type does not have".into()
    } else if is("handle limit") {
        format!("it holds more than {} handles", super::HANDLES)
    } else if is("handle") || is("resource") {
        "it used a handle that is not its own".into()
    } else if is("memory limits") || is("memory minimum") {
        "its memory could not be made".into()
    } else {
        against_the_rules(cause)
    }
}

fn against_the_rules(cause: &str) -> String {
    format!("it broke a rule of WebAssembly ({})", cause.lines().next().unwrap_or_default())
}

/// `64 MiB`, `2 KiB` or `300 bytes`.
pub fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

fn duration(time: &Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}
