//! The daemon where the desktop has no door for it: it goes on, and says why.

use super::desk::{Desk, NAME};
use crate::support::{Home, runtime, wait_for};
use serde_json::Value as Json;

/// What `doctor` says of the desktop.
fn doctor(home: &Home) -> Json {
    let output = home.run(&["doctor", "--json"]);
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "desktop").unwrap().clone()
}

fn answers(home: &Home) {
    home.write("notes.md", "The spare key is under the pot.\n");
    home.index();
    assert_eq!(home.search("spare key").len(), 1);
}

#[test]
fn a_name_that_is_taken_is_left_to_who_has_it() {
    let runtime = runtime();
    let mut first = None;
    let desk = Desk::prepared("", |_, bus| {
        let other = zbus::connection::Builder::address(bus.address.as_str()).unwrap().name(NAME).unwrap();
        first = Some(runtime.block_on(other.build()).unwrap());
    });
    assert_eq!(desk.state(), "taken");
    assert!(desk.home.log().contains("another program is org.familiar.Agent"), "{}", desk.home.log());
    let told = doctor(&desk.home);
    assert!(told["level"] == "warn" && told["fix"].as_str().unwrap().contains("familiar stop"), "{told}");
    answers(&desk.home);
}

#[test]
fn without_a_bus_the_daemon_says_so_and_serves() {
    for (address, state) in [
        ("disabled:", "no_bus"),
        ("unix:path=/nonexistent/bus", "refused"),
        ("tcp:host=127.0.0.1,port=1", "refused"),
        ("unixexec:path=/bin/false", "refused"),
    ] {
        let desk = Desk::prepared("", |home, _| {
            home.environment = vec![("DBUS_SESSION_BUS_ADDRESS", address.into())];
        });
        assert_eq!(desk.state(), state, "{address}");
        assert!(desk.home.log().contains("no desktop: "), "{}", desk.home.log());
        let level = if state == "no_bus" { "ok" } else { "warn" };
        assert_eq!(doctor(&desk.home)["level"], level, "{address}");
        answers(&desk.home);
    }
}

#[test]
fn the_owner_can_switch_it_off() {
    let desk = Desk::prepared("[desktop]\ndbus = false\n", |_, _| {});
    assert_eq!(desk.state(), "off");
    assert!(doctor(&desk.home)["found"].as_str().unwrap().contains("desktop.dbus"));
    runtime().block_on(async {
        let client = desk.client().await;
        let bus = zbus::fdo::DBusProxy::new(&client.connection).await.unwrap();
        assert!(!bus.name_has_owner(NAME.try_into().unwrap()).await.unwrap());
    });
    answers(&desk.home);
}

#[test]
fn a_bus_that_ends_takes_the_door_and_nothing_else() {
    let mut desk = Desk::new("");
    desk.bus.stop();
    wait_for("the loss", || Some(desk.state()).filter(|state| state == "lost"));
    assert_eq!(doctor(&desk.home)["level"], "warn");
    answers(&desk.home);
}
