//! Lines for whoever develops the plugin; `familiar plugin call` shows them. There is a limit on each
//! call's. Needs `[wants.log]`: without the grant the call ends here.
//!
//! ```no_run
//! use familiar_sdk::log;
//!
//! log::info(format!("{} files", 3));
//! ```

pub use crate::bindings::familiar::plugin::log::Level;
use crate::bindings::familiar::plugin::log::write;

pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}
