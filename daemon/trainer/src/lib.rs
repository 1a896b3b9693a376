//! The trainer's arithmetic: LoRA adapters trained on the very GGUF file that is served. The base
//! weights stay quantized in the mapped file; forward and backward are written by hand. It reads the
//! model and what it is given; it never opens a socket, starts a process, or changes the model.
//!
//! Everything is laid out for one micro-kernel: see [`acts`].

pub mod acts;
pub mod adapter;
pub mod attention;
mod block;
pub mod dense;
pub mod gate;
pub mod head;
mod kept;
pub mod kernel;
mod lanes;
pub mod lora;
pub mod math;
pub mod measure;
pub mod memory;
pub mod model;
pub mod norm;
pub mod optim;
pub mod pack;
pub mod random;
pub mod recipe;
pub mod rope;
pub mod run;
pub mod session;
pub mod shape;
mod split;
pub mod synth;
pub mod weight;

#[cfg(test)]
extern crate self as familiar_trainer;
