//! End-to-end tests: the real binary, a real model, real files, in a folder of their own.

mod hostile;
mod kills;
mod live;
mod rooms;
mod serving;
mod support;
mod worker;
