//! The world of `sdk/wit`, as wasmtime's generator writes it down in Rust.

wasmtime::component::bindgen!({
    path: "sdk/wit",
    world: "plugin",
    imports: { default: trappable },
});
