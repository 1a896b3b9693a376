//! A server of notifications as people have it: `dunst`, on a screen that nobody looks at.

use super::desk::{Bus, Desk};
use super::notify::desk;
use crate::hijack::owner::{asking, ended, waiting};
use crate::serving::works;
use crate::support::{path, wait_for};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

/// An X server with `dunst` on it; both end with this.
struct Screen {
    programs: Vec<Child>,
    environment: [(&'static str, String); 2],
}

impl Screen {
    /// In dunst's menu the first line with `choice` in it is chosen.
    fn on(bus: &Bus, folder: &Path, choice: &str) -> Screen {
        let (menu, config) = (folder.join("menu"), folder.join("dunstrc"));
        std::fs::write(&menu, format!("#!/bin/sh\nexec grep -m1 '{choice}'\n")).unwrap();
        std::fs::set_permissions(&menu, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(&config, format!("[global]\ndmenu = {}\n", path(&menu))).unwrap();
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-nolisten", "tcp"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().unwrap();
        let mut display = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut display).unwrap();
        let display = ("DISPLAY", format!(":{}", display.trim()));
        let environment = [display, ("DBUS_SESSION_BUS_ADDRESS", bus.address.clone())];
        let mut dunst = Command::new("dunst");
        dunst.args(["-config", path(&config)]).envs(environment.clone());
        let dunst = dunst.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let screen = Screen { programs: vec![dunst, server], environment };
        wait_for("dunst", || screen.displayed());
        screen
    }

    fn told(&self, arguments: &[&str]) -> Option<String> {
        let output =
            Command::new("dunstctl").args(arguments).envs(self.environment.clone()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// How many notifications there are.
    fn displayed(&self) -> Option<u32> {
        self.told(&["count", "displayed"])?.trim().parse().ok()
    }

    fn until(&self, displayed: u32) {
        wait_for("dunst's notifications", || self.displayed().filter(|found| *found == displayed));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // It may have ended by itself.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

#[test]
fn dunst_shows_what_waits_and_its_menu_decides() {
    if !works(&["dunst", "--version"]) || !works(&["sh", "-c", "command -v Xvfb"]) {
        eprintln!("SKIPPED: dunst or Xvfb is not installed");
        return;
    }
    let (desk, hits) = desk();
    let screen = Screen::on(&desk.bus, desk.home.dir.path(), "Allow once");
    let child = asking(&desk.home);
    screen.until(1);
    screen.told(&["close-all"]).unwrap();
    screen.until(0);
    deny(&desk);
    assert!(ended(child).0.status.success());
    let child = asking(&desk.home);
    screen.until(1);
    screen.told(&["context"]).unwrap();
    assert!(ended(child).0.status.success());
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    screen.until(0);
    // Decided elsewhere.
    let child = asking(&desk.home);
    screen.until(1);
    deny(&desk);
    screen.until(0);
    assert!(ended(child).0.status.success());
    assert_eq!(hits.load(Ordering::SeqCst), 1);
}

fn deny(desk: &Desk) {
    desk.home.ok(&["approvals", "deny", waiting(&desk.home)["id"].as_str().unwrap()]);
}
