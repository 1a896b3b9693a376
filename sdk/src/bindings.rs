//! The world of `wit/plugin.wit` in Rust, generated at build time. Everything that follows from the
//! component model's ABI is here, and only here.

#![allow(unsafe_code, unused_qualifications, missing_docs)]

wit_bindgen::generate!({
    path: "wit",
    world: "described",
    pub_export_macro: true,
    export_macro_name: "export_described",
    default_bindings_module: "familiar_sdk::__private::bindings",
});
