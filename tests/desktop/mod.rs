//! The desktop's doors on a real session bus: a `dbus-daemon` of the test's own, the real daemon on it, and clients.

mod bus;
mod desk;
mod dunst;
mod limits;
mod notify;
mod others;
mod search;
mod without;
