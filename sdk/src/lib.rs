//! What a plugin for Familiar is written with: tools are plain functions, and each module here is one
//! grant that the owner may give.
//!
//! ```
//! use familiar_sdk::{tool, Error, Result};
//!
//! /// Divides one number by another.
//! #[tool]
//! fn divide(
//!     /// What is divided
//!     dividend: f64,
//!     /// By what; not 0
//!     divisor: f64,
//! ) -> Result<String> {
//!     if divisor == 0.0 {
//!         return Err(Error::invalid("nothing can be divided by 0: give another divisor"));
//!     }
//!     Ok((dividend / divisor).to_string())
//! }
//!
//! familiar_sdk::plugin!(divide);
//! # fn main() {}
//! ```
//!
//! The doc comments are what the model reads. Parameters are the arguments: any type with serde's
//! `Deserialize` and [`JsonSchema`](schemars::JsonSchema), `Option` for what may be left out, with
//! `#[serde(...)]` and `#[schemars(...)]` before them where needed. A type of your own takes all arguments
//! at once as [`Args`]. A parameter `&`[`Context`] is not an argument. What may be returned: [`Output`],
//! `String`, `&str`, [`Json`], or a `Result` of one of them.
//!
//! Every call runs in an instance of its own: statics are as they were at the start. A panic ends
//! the call and is told to the owner; the daemon does not mind. On other targets than WebAssembly the
//! functions of the grants panic, so tests run on plain functions, and `familiar plugin test` runs the rest.

#[doc(hidden)]
pub mod bindings;
mod error;
mod output;
mod plugin;
mod schema;

pub mod ask_user;
pub mod clock;
pub mod generate;
pub mod http;
pub mod kv;
pub mod log;
pub mod notify;
pub mod progress;
pub mod search;

pub use error::{Error, Result};
pub use familiar_sdk_macros::tool;
pub use output::{IntoResult, Json, Output, Source};
pub use plugin::{Args, Context, Plugin};
pub use {schemars, serde, serde_json};

/// Makes a plugin of its tools; once in a crate, with the names (or paths) of all `#[tool]` functions.
///
/// It defines `PLUGIN`, a [`Plugin`], by which tests call tools as the daemon does.
#[macro_export]
macro_rules! plugin {
    ($($tool:path),+ $(,)?) => {
        /// The tools of this plugin.
        pub static PLUGIN: $crate::Plugin = {
            const TOOLS: &[$crate::__private::Entry] = &[$($crate::__private::entry!($tool)),+];
            $crate::Plugin::new(TOOLS)
        };

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            struct Exported;
            impl $crate::__private::Exported for Exported {
                const PLUGIN: &'static $crate::Plugin = &PLUGIN;
            }
            type Adapter = $crate::__private::Adapter<Exported>;
            $crate::__private::bindings::export_described!(Adapter with_types_in $crate::__private::bindings);
        };
    };
}

/// What the macros write down; no author needs it.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::plugin::{Entry, Tool};
    pub use familiar_sdk_macros::entry;
    pub use schemars;
    pub use serde;
    pub use wit_bindgen::rt;

    use crate::bindings::exports::familiar::plugin as exports;
    use crate::{Context, Error, Output, Plugin};
    use std::marker::PhantomData;
    use std::time::Duration;

    /// Which plugin an instance runs.
    pub trait Exported {
        const PLUGIN: &'static Plugin;
    }

    /// The exports of the world, by way of a [`Plugin`].
    pub struct Adapter<P>(PhantomData<P>);

    impl<P: Exported> exports::describe::Guest for Adapter<P> {
        fn tools() -> String {
            P::PLUGIN.describe()
        }
    }

    impl<P: Exported> exports::tools::Guest for Adapter<P> {
        fn call(
            tool: String,
            arguments: String,
            context: exports::tools::Context,
        ) -> Result<exports::tools::Output, exports::tools::ToolError> {
            let exports::tools::Context { session, language, deadline_ms } = context;
            let context = Context { session, language, deadline: Duration::from_millis(deadline_ms) };
            match P::PLUGIN.call(&tool, &arguments, &context) {
                Ok(output) => Ok(output.into()),
                Err(error) => Err(error.into()),
            }
        }
    }

    impl From<Output> for exports::tools::Output {
        fn from(Output { text, data, sources }: Output) -> Self {
            let source = |crate::Source { path, start, end }| exports::tools::Source { path, start, end };
            Self { text, data, sources: sources.into_iter().map(source).collect() }
        }
    }

    impl From<Error> for exports::tools::ToolError {
        fn from(error: Error) -> Self {
            match error {
                Error::InvalidArguments(words) => Self::InvalidArguments(words),
                Error::NotFound(words) => Self::NotFound(words),
                Error::Denied(words) => Self::Denied(words),
                Error::Unavailable(words) => Self::Unavailable(words),
                Error::Failed(words) => Self::Failed(words),
            }
        }
    }
}
