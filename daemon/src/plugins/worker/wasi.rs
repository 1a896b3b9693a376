//! What the standard libraries of guest languages import of WASI 0.2, with nothing behind it: no arguments,
//! no environment, no files, no input. Output goes to the log. Randomness is real; what time it is, only
//! where `clock` is granted. Everything else of WASI is there by name and ends the call when it is used.
//!
//! The interfaces are those of <https://github.com/WebAssembly/WASI>, `wasi:*@0.2`.

use super::call::{Running, Stream};
use super::stop::Stop;
use std::time::Duration;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Engine, Result, StoreContextMut};

/// Bytes that one call of `random` gives, and that a stream takes at once.
const CHUNK: u64 = 64 << 10;
/// Timers that a call may have.
const TIMERS: usize = 10_000;
/// How long a sleeping guest sleeps without looking whether it must end.
const NAP: Duration = Duration::from_millis(10);

/// What a call keeps for WASI.
#[derive(Default)]
pub struct State {
    /// Nanoseconds after the call's start at which each pollable is ready.
    timers: Vec<u64>,
}

/// Resources by their names in WIT. A handle's number says which stream or timer it is; what leads nowhere
/// is a [`Nothing`].
enum Input {}
enum Output {}
enum Pollable {}
enum Failure {}
enum Terminal {}
enum Nothing {}

const READY: u32 = u32::MAX;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code)]
    Failed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Whether an import is of WASI 0.2.
pub fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
        && import.split_once('@').is_some_and(|(_, version)| version.starts_with("0.2."))
}

/// Defines all that the component imports of WASI.
///
/// # Errors
/// The component says something of WASI that cannot be.
pub fn define(engine: &Engine, linker: &mut Linker<Running>, component: &Component) -> Result<()> {
    for (import, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        if !is_wasi(import) {
            continue;
        }
        let mut instance = linker.instance(import)?;
        let interface_name = import.split('@').next().unwrap_or(import);
        for (name, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::Resource(_) => instance.resource(name, resource(name), |_, _| Ok(()))?,
                ComponentItem::ComponentFunc(_) => function(&mut instance, interface_name, name)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<Input>(),
        "output-stream" => ResourceType::host::<Output>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "error" => ResourceType::host::<Failure>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        _ => ResourceType::host::<Nothing>(),
    }
}

type Cx<'a> = StoreContextMut<'a, Running>;
type Written = (Result<(), StreamError>,);

fn function(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match interface {
        "wasi:cli/environment" | "wasi:cli/exit" => process(of, interface, name),
        "wasi:cli/stdin" | "wasi:cli/stdout" | "wasi:cli/stderr" => standard(of, interface, name),
        "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => {
            of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<Resource<Terminal>>,)))
        }
        "wasi:io/streams" if name.starts_with("[method]input-stream.") => input(of, interface, name),
        "wasi:io/streams" => output(of, interface, name),
        "wasi:io/error" if name == "[method]error.to-debug-string" => {
            of.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Failure>,)| Ok((String::from("closed"),)))
        }
        "wasi:io/poll" => poll(of, interface, name),
        "wasi:clocks/monotonic-clock" => monotonic(of, interface, name),
        "wasi:clocks/wall-clock" => wall(of, interface, name),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => {
            random(of, interface, name)
        }
        "wasi:filesystem/preopens" if name == "get-directories" => {
            of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Vec::<(Resource<Nothing>, String)>::new(),)))
        }
        _ => nowhere(of, interface, name),
    }
}

/// Ends the call, and says what there is instead.
fn nowhere(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    let instead = match interface.split('/').next().unwrap_or_default() {
        "wasi:sockets" | "wasi:http" => "plugins have no sockets: the import is `http` of familiar:plugin",
        "wasi:filesystem" => "plugins have no files: the imports are `kv` and `search` of familiar:plugin",
        "wasi:clocks" => "plugins have one clock: the import is `clock` of familiar:plugin",
        _ => "plugins have no such thing",
    };
    let what = format!("`{name}` of {interface}");
    of.func_new(name, move |_, _, _, _| Err(Stop::Wasi(what.clone(), instead).into()))
}

fn process(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "get-environment" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Vec::<(String, String)>::new(),))),
        "get-arguments" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),))),
        "initial-cwd" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<String>,))),
        "exit" => {
            of.func_wrap(name, |_: Cx<'_>, (_,): (Result<(), ()>,)| -> Result<()> { Err(Stop::Exit.into()) })
        }
        _ => nowhere(of, interface, name),
    }
}

/// A handle's number is the stream's place in [`Stream`].
fn standard(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "get-stdin" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Resource::<Input>::new_own(0),))),
        "get-stdout" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Resource::<Output>::new_own(0),))),
        "get-stderr" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Resource::<Output>::new_own(1),))),
        _ => nowhere(of, interface, name),
    }
}

/// Standard input is at its end.
fn input(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name.trim_start_matches("[method]input-stream.") {
        "read" | "blocking-read" => of.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        }),
        "skip" | "blocking-skip" => of.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<Input>, u64)| {
            Ok((Err::<u64, _>(StreamError::Closed),))
        }),
        "subscribe" => of.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Input>,)| {
            Ok((Resource::<Pollable>::new_own(READY),))
        }),
        _ => nowhere(of, interface, name),
    }
}

fn output(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name.trim_start_matches("[method]output-stream.") {
        "check-write" => {
            of.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Output>,)| Ok((Ok::<u64, StreamError>(CHUNK),)))
        }
        "write" | "blocking-write-and-flush" => {
            of.func_wrap(name, |mut cx: Cx<'_>, (stream, bytes): (Resource<Output>, Vec<u8>)| {
                let which = if stream.rep() == 1 { Stream::Error } else { Stream::Out };
                cx.data_mut().log.write(which, &bytes);
                Ok::<Written, _>((Ok(()),))
            })
        }
        "write-zeroes" | "blocking-write-zeroes-and-flush" => {
            of.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<Output>, u64)| Ok::<Written, _>((Ok(()),)))
        }
        "flush" | "blocking-flush" => {
            of.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Output>,)| Ok::<Written, _>((Ok(()),)))
        }
        "subscribe" => of.func_wrap(name, |_: Cx<'_>, (_,): (Resource<Output>,)| {
            Ok((Resource::<Pollable>::new_own(READY),))
        }),
        _ => nowhere(of, interface, name),
    }
}

fn poll(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "[method]pollable.ready" => of.func_wrap(name, |mut cx: Cx<'_>, (it,): (Resource<Pollable>,)| {
            let running = cx.data_mut();
            Ok((running.wasi.ready_at(it.rep()) <= running.nanoseconds(),))
        }),
        "[method]pollable.block" => of.func_wrap(name, |mut cx: Cx<'_>, (it,): (Resource<Pollable>,)| {
            let at = cx.data_mut().wasi.ready_at(it.rep());
            Ok(cx.data_mut().sleep_until(at)?)
        }),
        "poll" => of.func_wrap(name, |mut cx: Cx<'_>, (all,): (Vec<Resource<Pollable>>,)| {
            let running = cx.data_mut();
            let times: Vec<u64> = all.iter().map(|it| running.wasi.ready_at(it.rep())).collect();
            // An empty list is against the interface's rules, and would sleep for ever.
            let first = times.iter().copied().min();
            let first = first.ok_or(Stop::Wasi("`poll` of wasi:io/poll".into(), "waited for nothing"))?;
            running.sleep_until(first)?;
            let now = running.nanoseconds();
            let ready = (0..).zip(times).filter(|(_, at)| *at <= now).map(|(place, _)| place);
            Ok((ready.collect::<Vec<u32>>(),))
        }),
        _ => nowhere(of, interface, name),
    }
}

fn monotonic(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "now" => of.func_wrap(name, |mut cx: Cx<'_>, (): ()| Ok((cx.data_mut().nanoseconds(),))),
        "resolution" => of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((1_u64,))),
        "subscribe-instant" => {
            of.func_wrap(name, |mut cx: Cx<'_>, (at,): (u64,)| Ok((cx.data_mut().wasi.timer(at)?,)))
        }
        "subscribe-duration" => of.func_wrap(name, |mut cx: Cx<'_>, (length,): (u64,)| {
            let at = cx.data_mut().nanoseconds().saturating_add(length);
            Ok((cx.data_mut().wasi.timer(at)?,))
        }),
        _ => nowhere(of, interface, name),
    }
}

/// The time, where `clock` is granted; else 1970.
fn wall(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "now" => of.func_wrap(name, |mut cx: Cx<'_>, (): ()| {
            let running = cx.data_mut();
            let (seconds, nanoseconds) = if running.granted.clock { running.now()? } else { (0, 0) };
            Ok((Datetime { seconds: seconds.max(0) as u64, nanoseconds },))
        }),
        "resolution" => {
            of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
        }
        _ => nowhere(of, interface, name),
    }
}

fn random(of: &mut LinkerInstance<'_, Running>, interface: &str, name: &str) -> Result<()> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            of.func_wrap(name, |_: Cx<'_>, (length,): (u64,)| {
                if length > CHUNK {
                    let what = "`get-random-bytes` of wasi:random".into();
                    return Err(Stop::Wasi(what, "at most 64 KiB come at once").into());
                }
                let mut bytes = vec![0; length as usize];
                fill(&mut bytes)?;
                Ok((bytes,))
            })
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            of.func_wrap(name, |_: Cx<'_>, (): ()| Ok((random_number()?,)))
        }
        "insecure-seed" => {
            of.func_wrap(name, |_: Cx<'_>, (): ()| Ok(((random_number()?, random_number()?),)))
        }
        _ => nowhere(of, interface, name),
    }
}

fn random_number() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Random bytes from the kernel.
fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(wasmtime::Error::new)
}

impl State {
    fn timer(&mut self, at: u64) -> Result<Resource<Pollable>, Stop> {
        if self.timers.len() == TIMERS {
            return Err(Stop::Wasi("a timer of wasi:clocks".into(), "a call has at most 10000"));
        }
        self.timers.push(at);
        Ok(Resource::new_own(self.timers.len() as u32 - 1))
    }

    fn ready_at(&self, pollable: u32) -> u64 {
        self.timers.get(pollable as usize).copied().unwrap_or(0)
    }
}

impl Running {
    /// Since the call's start.
    fn nanoseconds(&mut self) -> u64 {
        self.clock().started.elapsed().as_nanos() as u64
    }

    fn sleep_until(&mut self, at: u64) -> Result<(), Stop> {
        loop {
            self.clock().check()?;
            let left = Duration::from_nanos(at.saturating_sub(self.nanoseconds()));
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}
