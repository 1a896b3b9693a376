//! End-to-end tests: the real binary, a real model, real files, in a folder of their own.

mod engine;
mod eval;
mod hostile;
mod kills;
mod learn;
mod live;
mod rooms;
mod serving;
mod support;
mod worker;
