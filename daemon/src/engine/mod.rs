//! The engine: the model that answers. The broker's side is [`Engine`], a handle that loads the model
//! on demand in a jailed worker and gives its memory back when nobody asks, and [`models`], the files.
//! The worker's side is [`run`]. The broker never loads a model in its own process.

pub mod adapters;
mod batch;
mod format;
pub mod grammar;
mod handle;
mod llama;
pub mod models;
mod quotes;
mod serve;
mod template;
mod text;

pub use adapters::{AdapterError, Adapters};
pub use handle::{Engine, EngineError, Generation, Held, Output};
pub use models::{Models, ModelsError};
pub use serve::run;
