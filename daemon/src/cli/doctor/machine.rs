//! The processor and the graphics card: what the machine has against what this build uses. And what the machine says of
//! itself, by which it is known when learning may go on.

use super::Check;
use crate::idle::Conditions;
use std::path::Path;

/// An instruction set that llama.cpp has kernels for: its name, whether this build uses it, whether the processor has it.
type Set = (&'static str, bool, bool);

#[cfg(target_arch = "x86_64")]
fn sets() -> Vec<Set> {
    macro_rules! set {
        ($name:tt) => {
            ($name, cfg!(target_feature = $name), std::arch::is_x86_feature_detected!($name))
        };
    }
    vec![
        set!("avx"),
        set!("avx2"),
        set!("fma"),
        set!("f16c"),
        set!("avxvnni"),
        set!("avx512f"),
        set!("avx512bw"),
        set!("avx512vnni"),
        set!("avx512bf16"),
    ]
}

#[cfg(target_arch = "aarch64")]
fn sets() -> Vec<Set> {
    macro_rules! set {
        ($name:tt) => {
            ($name, cfg!(target_feature = $name), std::arch::is_aarch64_feature_detected!($name))
        };
    }
    vec![set!("neon"), set!("dotprod"), set!("fp16"), set!("i8mm"), set!("sve")]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn sets() -> Vec<Set> {
    Vec::new()
}

pub fn kernels() -> Check {
    kernels_of(&sets())
}

fn kernels_of(sets: &[Set]) -> Check {
    const NAME: &str = "CPU kernels";
    let names = |wanted: fn(&Set) -> bool| -> String {
        let names: Vec<&str> = sets.iter().filter(|set| wanted(set)).map(|set| set.0).collect();
        if names.is_empty() { "the baseline".into() } else { names.join(" ") }
    };
    let built = names(|(_, built, _)| *built);
    if sets.iter().any(|(_, built, has)| *built && !has) {
        let lacking = names(|(_, built, has)| *built && !has);
        let found = format!("built for {built}, but this processor lacks {lacking}: it will crash");
        return Check::fail(NAME, found, "build it on this machine: cargo build --release");
    }
    if sets.iter().any(|(_, built, has)| *has && !built) {
        let unused = names(|(_, built, has)| *has && !built);
        let fix = "RUSTFLAGS='-C target-cpu=native' cargo build --release, without SOURCE_DATE_EPOCH";
        return Check::warn(NAME, format!("built for {built}; the processor also has {unused}"), fix);
    }
    Check::ok(NAME, format!("all that this processor has: {built}"))
}

pub fn gpu(layers: u32) -> Check {
    const NAME: &str = "GPU";
    let built = [("CUDA", cfg!(feature = "cuda")), ("Vulkan", cfg!(feature = "vulkan"))];
    let built: Vec<&str> = built.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect();
    // Cards made for computing; an integrated one gains little and is not worth a warning.
    let device = ["/dev/nvidiactl", "/dev/kfd"].into_iter().find(|path| Path::new(path).exists());
    match (built.as_slice(), device) {
        ([], None) => Check::ok(NAME, "no backend built in; models run on the processor"),
        ([], Some(device)) => Check::warn(
            NAME,
            format!("{device} is there, but no backend is built in"),
            "cargo build --release --features vulkan (or cuda)",
        ),
        (built, _) if layers == 0 => {
            Check::ok(NAME, format!("{} built in, unused: model.gpu_layers is 0", built.join(", ")))
        }
        (built, _) => Check::ok(NAME, format!("{} built in", built.join(", "))),
    }
}

/// What learning cannot wait for, since nothing tells of it.
pub fn quiet() -> Check {
    quiet_of(&Conditions::read(Path::new("/")))
}

fn quiet_of(conditions: &Conditions) -> Check {
    const NAME: &str = "quiet hours";
    let missing = conditions.missing();
    let found = format!("learning does not wait for what nothing tells: {}", missing.join("; "));
    let blind = [conditions.cpu, conditions.memory, conditions.io].iter().any(Option::is_none);
    match (missing.is_empty(), blind) {
        (true, _) => Check::ok(NAME, "the kernel says who waits, what feeds the machine and how hot it is"),
        // A desktop has no battery, and many a virtual machine no sensor.
        (false, false) => Check::ok(NAME, found),
        (false, true) => Check::warn(NAME, found, "a kernel with CONFIG_PSI, booted with psi=1"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn the_build_is_held_against_the_processor() {
        assert_eq!(kernels_of(&[("avx2", true, true), ("avx512f", false, false)]).level, Level::Ok);
        let slow = kernels_of(&[("avx2", true, true), ("avx512f", false, true)]);
        assert_eq!(slow.level, Level::Warn);
        assert!(slow.found.contains("also has avx512f") && slow.fix.unwrap().contains("target-cpu=native"));
        assert_eq!(kernels_of(&[("avx2", true, false)]).level, Level::Fail);
        assert_eq!(kernels_of(&[]).level, Level::Ok);
    }

    #[test]
    fn this_build_runs_on_this_machine() {
        assert_ne!(kernels().level, Level::Fail);
    }

    #[test]
    fn what_nothing_tells_of_is_named() {
        let all = Conditions {
            cpu: Some(0.0),
            memory: Some(0.0),
            io: Some(0.0),
            on_battery: Some(false),
            celsius: Some(40.0),
            minute: 0,
        };
        assert_eq!((quiet_of(&all).level, quiet_of(&all).fix), (Level::Ok, None));
        let desktop = quiet_of(&Conditions { on_battery: None, ..all.clone() });
        assert!(desktop.level == Level::Ok && desktop.found.contains("power_supply"), "{desktop:?}");
        let blind = quiet_of(&Conditions { memory: None, ..all });
        assert!(blind.level == Level::Warn && blind.found.contains("/proc/pressure/memory"), "{blind:?}");
    }
}
