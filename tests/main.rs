//! End-to-end tests: the real binary, a real model, real files, in a folder of their own.

mod rooms;
mod support;
mod worker;
