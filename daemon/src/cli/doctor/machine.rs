//! The processor and the graphics card: what the machine has against what this build uses.

use super::Check;

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
    let device = ["/dev/nvidiactl", "/dev/kfd"].into_iter().find(|path| std::path::Path::new(path).exists());
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
}
