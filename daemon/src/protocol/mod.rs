//! The only wire types. `frames` is what broker and workers say to each other over a socketpair
//! (postcard, length-delimited), `plugins` the part of it that is about plugins; `http` is the JSON that clients rely on. Data only: nothing here
//! opens, reads or writes.

pub mod approvals;
pub mod frames;
pub mod http;
pub mod learn;
pub mod packages;
pub mod plugins;
pub mod sharing;
