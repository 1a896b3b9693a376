use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

/// A machine of these files below its root.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&root, name, text.as_bytes());
    }
    root
}

fn write(root: &TempDir, name: &str, bytes: &[u8]) {
    let file = root.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

fn read(files: &[(&str, &str)]) -> Conditions {
    Conditions::read(machine(files).path())
}

#[test]
fn a_laptop_says_everything() {
    let laptop = read(&[
        ("proc/pressure/cpu", "some avg10=31.25 avg60=2.00 avg300=1.00 total=7\nfull avg10=0.00 total=0\n"),
        ("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"),
        ("proc/pressure/io", "full avg10=9.00\nsome avg10=1.50 avg60=0.00\n"),
        ("sys/class/power_supply/AC/type", "Mains\n"),
        ("sys/class/power_supply/AC/online", "1\n"),
        ("sys/class/power_supply/BAT0/type", "Battery\n"),
        ("sys/class/power_supply/BAT0/status", "Charging\n"),
        ("sys/class/thermal/thermal_zone0/type", "acpitz\n"),
        ("sys/class/thermal/thermal_zone0/temp", "99000\n"),
        ("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n"),
        ("sys/class/thermal/thermal_zone1/temp", "61500\n"),
        ("sys/class/thermal/cooling_device0/type", "Processor\n"),
    ]);
    assert_eq!((laptop.cpu, laptop.memory, laptop.io), (Some(31.25), Some(0.0), Some(1.5)));
    assert_eq!((laptop.on_battery, laptop.celsius), (Some(false), Some(61.5)));
    assert!(laptop.missing().is_empty());
}

#[test]
fn a_machine_that_says_nothing_is_read_all_the_same() {
    let silent = read(&[]);
    assert_eq!(silent, Conditions { minute: silent.minute, ..Conditions::default() });
    assert_eq!(silent.missing().len(), 5);
    assert!(silent.missing()[0].contains("/proc/pressure/cpu"));
}

#[test]
fn what_feeds_the_machine() {
    let mains = |online| [("AC/type", "Mains"), ("AC/online", online)];
    let battery = |status| [("BAT0/type", "Battery"), ("BAT0/status", status)];
    let mouse = [("hid/type", "Battery"), ("hid/scope", "Device"), ("hid/status", "Discharging")];
    let port = |online| [("usb/type", "USB"), ("usb/online", online)];
    type Files<'a> = Vec<(&'a str, &'a str)>;
    let cases: [(Files, Option<bool>); 12] = [
        ([mains("1"), battery("Discharging")].concat(), Some(false)),
        ([mains("0"), battery("Discharging")].concat(), Some(true)),
        ([mains("0"), battery("Full")].concat(), Some(true)),
        (battery("Discharging").to_vec(), Some(true)),
        (battery("Not charging").to_vec(), Some(false)),
        (mains("1").to_vec(), Some(false)),
        (mouse.to_vec(), None),
        ([&mains("1")[..], &mouse].concat(), Some(false)),
        ([port("0"), battery("Full")].concat(), Some(false)),
        ([port("1"), battery("Discharging")].concat(), Some(false)),
        ([mains("0"), port("1")].concat(), Some(false)),
        ([("odd/type", "\u{1b}[31m")].to_vec(), None),
    ];
    for (files, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            write(&root, &format!("sys/class/power_supply/{name}"), text.as_bytes());
        }
        assert_eq!(Conditions::read(root.path()).on_battery, expected, "{files:?}");
    }
}

#[test]
fn the_hottest_part_of_the_processor_counts() {
    let zone = |n: usize, kind: &str, temp: &str| {
        let at = format!("sys/class/thermal/thermal_zone{n}");
        [(format!("{at}/type"), kind.to_owned()), (format!("{at}/temp"), temp.to_owned())]
    };
    let board = [zone(0, "cpu0-thermal", "70000"), zone(1, "soc_thermal", "71000"), zone(2, "gpu", "99000")];
    let root = tempfile::tempdir().unwrap();
    for (name, text) in board.iter().flatten() {
        write(&root, name, text.as_bytes());
    }
    assert_eq!(Conditions::read(root.path()).celsius, Some(71.0));
    // A sensor that is broken, or silent, is none.
    for temp in ["-274000", "0", "999999", "NaN", "", "12 000"] {
        write(&root, "sys/class/thermal/thermal_zone1/temp", temp.as_bytes());
        assert_eq!(Conditions::read(root.path()).celsius, Some(70.0), "{temp}");
    }
    // A processor without a zone has a chip.
    let chip = read(&[
        ("sys/class/thermal/thermal_zone0/type", "acpitz"),
        ("sys/class/thermal/thermal_zone0/temp", "20000"),
        ("sys/class/hwmon/hwmon0/name", "nvme"),
        ("sys/class/hwmon/hwmon0/temp1_input", "80000"),
        ("sys/class/hwmon/hwmon1/name", "k10temp"),
        ("sys/class/hwmon/hwmon1/temp1_input", "48250"),
    ]);
    assert_eq!(chip.celsius, Some(48.25));
}

#[test]
fn hostile_files_are_missing_and_nothing_hangs() {
    let garbage: [&[u8]; 8] = [
        b"",
        b"\xff\xfe\x00",
        b"some",
        b"some avg10=",
        b"some avg10=nan",
        b"some avg10=inf",
        b"some avg10=-1",
        b"some avg10=100.01",
    ];
    for bytes in garbage {
        let root = tempfile::tempdir().unwrap();
        write(&root, "proc/pressure/cpu", bytes);
        assert_eq!(Conditions::read(root.path()).cpu, None, "{bytes:?}");
    }
    let root = tempfile::tempdir().unwrap();
    let huge = [b"some avg10=5 ".as_slice(), &vec![b' '; 1 << 20]].concat();
    write(&root, "proc/pressure/cpu", &huge);
    write(&root, "proc/pressure/memory/a_folder", b"");
    write(&root, "sys/class/thermal/thermal_zone0/type", b"cpu");
    write(&root, "sys/class/power_supply", b"a file where a folder should be");
    // Nobody ever writes into these.
    for name in ["proc/pressure/io", "sys/class/thermal/thermal_zone0/temp"] {
        let fifo = root.path().join(name);
        let path = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
    }
    std::os::unix::fs::symlink("thermal_zone1", root.path().join("sys/class/thermal/thermal_zone1")).unwrap();
    assert_eq!(Conditions::read(root.path()).missing().len(), 5);
}

#[test]
fn this_machine_can_be_read() {
    let here = Conditions::read(Path::new("/"));
    assert!(here.minute < 1440, "{here:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let root = tempfile::tempdir().unwrap();
        for name in ["proc/pressure/io", "sys/class/power_supply/A/type", "sys/class/thermal/z/temp"] {
            write(&root, name, &bytes);
        }
        write(&root, "sys/class/thermal/z/type", b"cpu");
        let read = Conditions::read(root.path());
        prop_assert!(read.io.is_none_or(|io| (0.0..=100.0).contains(&io)));
        prop_assert!(read.celsius.is_none_or(|celsius| POSSIBLE.contains(&celsius)));
    }
}
