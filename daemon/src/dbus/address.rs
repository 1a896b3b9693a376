//! Where the session's bus is. Only a unix socket is taken: an address may also name a host to connect to, or a program
//! to run. Pure.

use std::ffi::OsString;
use std::path::Path;

/// What there is of a session's bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// Its address, a unix socket's.
    At(String),
    None,
    /// Another kind of address, which is not used.
    Foreign(String),
}

/// The bus that the environment names, by the D-Bus specification ("Well-known message bus instances").
pub fn session(env: impl Fn(&str) -> Option<OsString>, exists: impl Fn(&Path) -> bool) -> Bus {
    let named = env("DBUS_SESSION_BUS_ADDRESS").map(|named| named.to_string_lossy().into_owned());
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return of(&named);
    }
    match env("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("bus")).filter(|bus| exists(bus)) {
        Some(bus) => Bus::At(format!("unix:path={}", escaped(&bus.to_string_lossy()))),
        None => Bus::None,
    }
}

/// Of several addresses, which are alternatives, the first unix socket.
fn of(named: &str) -> Bus {
    match named.split(';').find(|address| address.starts_with("unix:")) {
        Some(address) => Bus::At(address.to_owned()),
        // As GLib has it for programs that shall not use the bus.
        None if named == "disabled:" => Bus::None,
        None => Bus::Foreign(named.to_owned()),
    }
}

/// A path as an address has it.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: Option<&str>, runtime: Option<&str>) -> Bus {
        let env = |name: &str| match name {
            "DBUS_SESSION_BUS_ADDRESS" => address.map(OsString::from),
            "XDG_RUNTIME_DIR" => runtime.map(OsString::from),
            _ => None,
        };
        session(env, |path| path.starts_with("/run"))
    }

    #[test]
    fn only_a_unix_socket_is_taken() {
        let at = |address: &str| Bus::At(address.into());
        assert_eq!(found(Some("unix:path=/tmp/bus"), None), at("unix:path=/tmp/bus"));
        assert_eq!(found(Some("tcp:host=evil,port=1;unix:abstract=x"), None), at("unix:abstract=x"));
        for foreign in ["tcp:host=evil,port=1", "unixexec:path=/bin/sh", "autolaunch:", "nonsense"] {
            assert_eq!(found(Some(foreign), Some("/run/user/7")), Bus::Foreign(foreign.into()));
        }
        assert_eq!(found(Some("disabled:"), Some("/run/user/7")), Bus::None);
        assert_eq!(found(None, Some("/run/user/7")), at("unix:path=/run/user/7/bus"));
        assert_eq!(found(Some(""), Some("/run/a b")), at("unix:path=/run/a%20b/bus"));
        assert_eq!(found(None, Some("/nowhere")), Bus::None);
        assert_eq!(found(None, None), Bus::None);
    }
}
