//! End-to-end tests: the real binary, a real model, real files, in a folder of their own.

mod chat;
mod desktop;
mod engine;
mod eval;
mod hijack;
mod hostile;
mod hostile_guests;
mod kills;
mod learn;
mod learning;
mod live;
mod plugins;
mod rooms;
mod serving;
mod sharing;
mod support;
mod worker;
