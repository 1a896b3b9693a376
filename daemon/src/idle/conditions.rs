//! What the kernel says of the machine: who waits for what, where the power comes from, how hot the processor is.
//! Every source may be missing, and what cannot be understood counts as missing; nothing is written, and nothing
//! that is not a regular file is opened.

use crate::{clock, disk};
use std::fs;
use std::path::{Path, PathBuf};

/// No file of /proc/pressure or /sys that is read here is longer than this many bytes.
const LONGEST: usize = 4096;
/// Supplies, zones or sensors that are looked at.
const MOST: usize = 256;
/// Temperatures, in degrees Celsius, that a processor can have; a sensor that says another is broken.
const POSSIBLE: std::ops::RangeInclusive<f32> = 1.0..=150.0;

/// How the machine is now. `None`: it does not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    /// Percent of the last 10 s in which some task waited for a processor, for memory, for a disk.
    pub cpu: Option<f32>,
    pub memory: Option<f32>,
    pub io: Option<f32>,
    /// `None` also where there is no battery: a machine that does not say what feeds it is on mains.
    pub on_battery: Option<bool>,
    /// Degrees Celsius of the hottest part of the processor.
    pub celsius: Option<f32>,
    /// Minutes since local midnight, 0 to 1439.
    pub minute: u16,
}

impl Conditions {
    /// Reads them below `root`, which is `/` but in tests, and the clock. It may take some milliseconds: a laptop's
    /// battery is asked over a slow bus.
    pub fn read(root: &Path) -> Conditions {
        let pressure = root.join("proc/pressure");
        let class = root.join("sys/class");
        Conditions {
            cpu: waiting(&pressure.join("cpu")),
            memory: waiting(&pressure.join("memory")),
            io: waiting(&pressure.join("io")),
            on_battery: on_battery(&class.join("power_supply")),
            celsius: hottest(&class),
            minute: clock::minute_of_day(),
        }
    }

    /// What the machine does not say, and so cannot hinder learning: one sentence each.
    pub fn missing(&self) -> Vec<&'static str> {
        let sources = [
            (self.cpu.is_none(), "the kernel does not say who waits for the processor (/proc/pressure/cpu)"),
            (self.memory.is_none(), "the kernel does not say who waits for memory (/proc/pressure/memory)"),
            (self.io.is_none(), "the kernel does not say who waits for the disk (/proc/pressure/io)"),
            (self.on_battery.is_none(), "nothing says what feeds the machine (/sys/class/power_supply)"),
            (
                self.celsius.is_none(),
                "no sensor says how hot the processor is (/sys/class/thermal, /sys/class/hwmon)",
            ),
        ];
        sources.into_iter().filter(|(missing, _)| *missing).map(|(_, what)| what).collect()
    }
}

/// `avg10` of the line `some`, as in `some avg10=1.25 avg60=0.40 avg300=0.10 total=12345`.
fn waiting(file: &Path) -> Option<f32> {
    let text = text(file)?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent: f32 = some.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Whether a battery feeds the machine.
fn on_battery(folder: &Path) -> Option<bool> {
    let (mut mains, mut battery, mut discharging) = (None, false, false);
    for supply in entries(folder) {
        let says = |name: &str| text(&supply.join(name)).unwrap_or_default();
        // The battery of a mouse or a headset feeds no machine.
        if says("scope") == "Device" {
            continue;
        }
        match says("type").as_str() {
            "Battery" | "UPS" => {
                battery = true;
                discharging |= says("status") == "Discharging";
            }
            kind @ ("Mains" | "USB" | "Wireless") => match says("online").as_str() {
                "" => {}
                // A port without a charger is no mains that failed.
                "0" if kind != "Mains" => {}
                "0" => mains = mains.or(Some(false)),
                _ => mains = Some(true),
            },
            _ => {}
        }
    }
    match mains {
        Some(true) => Some(false),
        // A battery that was unplugged a moment ago may still call itself full.
        Some(false) => Some(battery),
        None => battery.then_some(discharging),
    }
}

/// The hottest sensor of the processor: a thermal zone or, where there is none of it, a chip of hwmon.
fn hottest(class: &Path) -> Option<f32> {
    let zones = entries(&class.join("thermal")).into_iter().filter_map(|zone| {
        text(&zone.join("type"))
            .is_some_and(|kind| is_processor(&kind))
            .then(|| degrees(&zone.join("temp")))?
    });
    let chips = || {
        entries(&class.join("hwmon")).into_iter().filter_map(|chip| {
            let name = text(&chip.join("name"))?;
            is_chip(&name).then(|| degrees(&chip.join("temp1_input")))?
        })
    };
    zones.max_by(f32::total_cmp).or_else(|| chips().max_by(f32::total_cmp))
}

fn is_processor(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind == "x86_pkg_temp" || kind.contains("cpu") || kind.contains("soc")
}

fn is_chip(name: &str) -> bool {
    ["coretemp", "k10temp", "zenpower", "cpu_thermal"].contains(&name)
}

/// From thousandths of a degree.
fn degrees(file: &Path) -> Option<f32> {
    let thousandths: i32 = text(file)?.parse().ok()?;
    let degrees = thousandths as f32 / 1000.0;
    POSSIBLE.contains(&degrees).then_some(degrees)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    found.take(MOST).filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn text(file: &Path) -> Option<String> {
    let bytes = disk::read(file, LONGEST).ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
