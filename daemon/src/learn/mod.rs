//! Training: LoRA adapters on the very file that is served. A job is a folder with a spec and examples; the
//! side that wants it done is [`Training`], the worker's side is [`run`], and the arithmetic is the crate
//! `familiar-trainer`. This room reads a model and writes below a job's folder; it knows no index, no
//! session and no engine.

pub mod adapters;
pub mod bench;
mod data;
mod examples;
mod folder;
mod handle;
mod make;
mod spec;
mod tokens;
mod work;

pub use familiar_trainer::recipe::Recipe;
pub use folder::{START, released};
pub use handle::{LearnError, Training};
pub use make::{MakeError, make};
pub use spec::{Keep, Long, Precision, Run, Spec};
pub use work::{digest, run};
