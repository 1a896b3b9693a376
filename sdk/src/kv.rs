//! Values that outlive a call: the plugin's own, seen by no other, within a quota. Values of any serde
//! type are stored as JSON; `*_bytes` store bytes as they are. Needs `[wants.kv]`.
//!
//! ```no_run
//! use familiar_sdk::{kv, Result};
//!
//! fn visit() -> Result<u32> {
//!     // Another call may do the same at this moment: `update` counts both.
//!     Ok(kv::update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?)
//! }
//! ```

use crate::bindings::familiar::plugin::kv as host;
pub use crate::bindings::familiar::plugin::kv::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The value under a key, if there is one.
///
/// # Errors
/// [`Error::Failed`] too if what is stored is not a `T`.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    host::get(key)?.map(|bytes| decode(key, &bytes)).transpose()
}

pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    host::set(key, &encode(key, value)?)
}

/// Stores a value under a key that is free; false if it is not.
pub fn create<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<bool, Error> {
    host::swap(key, None, &encode(key, value)?)
}

/// Changes a value so that no other call's change is lost: `change` is given what is there, and runs
/// again if it was changed meanwhile. Returns what was stored.
pub fn update<T, F>(key: &str, mut change: F) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
    F: FnMut(Option<T>) -> T,
{
    loop {
        let old = host::get(key)?;
        let value = change(old.as_deref().map(|bytes| decode(key, bytes)).transpose()?);
        if host::swap(key, old.as_deref(), &encode(key, &value)?)? {
            return Ok(value);
        }
    }
}

/// True if there was something to delete.
pub fn delete(key: &str) -> Result<bool, Error> {
    host::delete(key)
}

/// Keys that begin with `prefix` (empty: all), in order.
pub fn keys(prefix: &str) -> Result<Vec<String>, Error> {
    host::keys(prefix)
}

pub fn get_bytes(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

pub fn set_bytes(key: &str, value: &[u8]) -> Result<(), Error> {
    host::set(key, value)
}

/// Sets only if the value still is `old` (`None`: the key is absent); false if it is not.
pub fn swap_bytes(key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, Error> {
    host::swap(key, old, new)
}

fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::Failed(format!("the value for `{key}` is no JSON: {error}")))
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::Failed(format!(
            "what is stored as `{key}` cannot be read ({error}): delete it, or read it as bytes"
        ))
    })
}
