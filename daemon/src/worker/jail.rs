//! The jail a worker stands in before it reads anything: rlimits, no new privileges, Landlock (files,
//! network, signals), then seccomp (no sockets, no programs, no other processes). Allow-only: what is
//! not listed here is refused. What the kernel cannot do is reported, and `doctor` shows it.

use super::{priority, seccomp};
use crate::protocol::frames::JailReport;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};
use std::path::PathBuf;

/// What one worker may touch. Everything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jail {
    /// Files and folders that may be read.
    pub read: Vec<PathBuf>,
    /// The one folder below which files may be made, written, renamed and removed.
    pub write: Option<PathBuf>,
    /// Bytes of address space; 0 = no limit.
    pub memory: u64,
    /// Bytes of private memory that may be written, for a worker that reserves address space without
    /// using it; 0 = no limit.
    pub data: u64,
    /// Device files, driver libraries and ioctls for a GPU backend.
    pub gpu: bool,
    /// Behind everything else of this machine: see [`priority`](super::priority).
    pub background: bool,
}

/// What the C library and ggml look at to count cores and memory.
const SYSTEM: [&str; 5] =
    ["/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/null"];
/// What GPU drivers open.
const GPU_READ: [&str; 7] =
    ["/usr/lib", "/usr/share", "/etc/vulkan", "/lib", "/lib64", "/sys/class/drm", "/sys/devices/pci0000:00"];
const GPU_DEVICES: [&str; 5] =
    ["/dev/dri", "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/proc/driver/nvidia"];

/// Enters the jail for good. What the kernel refuses is reported, not fatal: an older kernel still
/// gets the walls that it has.
pub fn enter(jail: &Jail) -> JailReport {
    let mut report = JailReport::default();
    if jail.background {
        report.refused.extend(priority::stand_back());
    }
    limit(jail, &mut report);
    // What it makes is the owner's alone and nothing to run; seccomp keeps it so.
    umask(Mode::from_raw_mode(0o177));
    restrict_files(jail, &mut report);
    match seccomp::apply(jail.gpu, jail.write.is_some()) {
        Ok(()) => report.seccomp = true,
        Err(error) => report.refused.push(format!("no seccomp: {error}")),
    }
    report
}

/// No core dumps (they would hold the owner's text), no file may grow unless it may be written, few
/// descriptors.
fn limit(jail: &Jail, report: &mut JailReport) {
    let mut limits = vec![(Resource::Core, 0)];
    if jail.write.is_none() {
        limits.push((Resource::Fsize, 0));
    }
    if !jail.gpu {
        limits.push((Resource::Nofile, 64));
    }
    if jail.memory > 0 {
        limits.push((Resource::As, jail.memory));
    }
    if jail.data > 0 {
        limits.push((Resource::Data, jail.data));
    }
    for (resource, value) in limits {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        if let Err(error) = setrlimit(resource, limit) {
            report.refused.push(format!("no limit on {resource:?}: {error}"));
        }
    }
}

fn restrict_files(jail: &Jail, report: &mut JailReport) {
    match landlock(jail) {
        Ok(status) => {
            report.no_new_privs = status.no_new_privs;
            report.landlock = status.ruleset != RulesetStatus::NotEnforced;
            if let LandlockStatus::Available { effective_abi, .. } = status.landlock {
                report.landlock_abi = effective_abi as u32;
            }
            if !report.landlock {
                report.refused.push("no Landlock: this kernel lacks it or has it turned off".into());
            }
        }
        Err(error) => report.refused.push(format!("no Landlock: {error}")),
    }
}

/// Handles every right of ABI 6 (files, TCP, abstract sockets, signals); older kernels enforce what
/// they know of it.
fn landlock(jail: &Jail) -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    let abi = ABI::V6;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(&jail.read, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(&jail.write, written()))?;
    if jail.gpu {
        let devices = AccessFs::from_read(abi) | AccessFs::WriteFile | AccessFs::IoctlDev;
        rules = rules
            .add_rules(path_beneath_rules(GPU_READ, AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules(GPU_DEVICES, devices))?;
    }
    rules.restrict_self()
}

/// Plain files, in one folder: no links, pipes, devices or folders of its own, and nothing to run.
fn written() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}
