//! `#[tool]`: from a plain function to a tool with a name, a description and a JSON Schema. The function stays
//! as it was written, so that tests call it; beside it stands a type, which `familiar_sdk::plugin!` collects. Nothing is read but the function itself.

mod tool;

use proc_macro::TokenStream;

/// Makes a function a tool of the plugin. See `familiar_sdk` for what it may look like.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    tool::expand(options.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// From the path of a `#[tool]` function to its entry in the plugin; `familiar_sdk::plugin!` calls it.
#[doc(hidden)]
#[proc_macro]
pub fn entry(path: TokenStream) -> TokenStream {
    tool::entry(path.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
