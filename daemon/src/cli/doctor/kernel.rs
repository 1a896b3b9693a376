//! What the kernel gives: the parts of a worker's jail, and the limits that watching files runs into.

use super::Check;
use crate::protocol::http::IndexStatus;
use landlock::{AccessFs, LandlockStatus, Ruleset, RulesetAttr};
use std::fs;

/// Tried out on a thread that ends at once: a Landlock ruleset holds for the thread that takes it.
pub fn landlock() -> Check {
    let tried = std::thread::spawn(|| {
        let ruleset = Ruleset::default().handle_access(AccessFs::Execute)?.create()?;
        ruleset.restrict_self().map(|status| status.landlock)
    });
    const FIX: &str = "use a kernel of 5.13 or newer with `landlock` in its `lsm=` boot parameter";
    const WITHOUT: &str = "workers are kept from the network by seccomp, but not from other files";
    match tried.join() {
        Ok(Ok(LandlockStatus::Available { effective_abi, kernel_abi })) => {
            Check::ok("landlock", format!("ABI {}", kernel_abi.unwrap_or(effective_abi as i32)))
        }
        Ok(Ok(LandlockStatus::NotEnabled)) => {
            Check::warn("landlock", format!("built into the kernel but not enabled: {WITHOUT}"), FIX)
        }
        Ok(Ok(LandlockStatus::NotImplemented)) => {
            Check::warn("landlock", format!("not in this kernel: {WITHOUT}"), FIX)
        }
        Ok(Err(error)) => Check::warn("landlock", format!("refused ({error}): {WITHOUT}"), FIX),
        Err(_) => Check::warn("landlock", "could not be tried", FIX),
    }
}

pub fn seccomp() -> Check {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    match actions.split_whitespace().any(|action| action == "errno") {
        true => Check::ok("seccomp", format!("actions: {}", actions.trim())),
        false => Check::fail(
            "seccomp",
            "no filters: workers cannot be kept from the network",
            "use a kernel with CONFIG_SECCOMP_FILTER; in a container, mount /proc",
        ),
    }
}

fn limit(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
}

fn raise(name: &str, to: u64) -> String {
    format!(
        "echo 'fs.inotify.{name} = {to}' | sudo tee /etc/sysctl.d/60-familiar-{name}.conf && sudo sysctl --system"
    )
}

const UNKNOWN: &str = "this kernel does not tell (/proc/sys/fs/inotify)";
const POLLED: &str = "folders past the limit are looked at from time to time instead";

/// The limit against the folders below what is indexed, which only a running daemon knows.
pub fn watches(index: Option<&IndexStatus>, percent: u32) -> Check {
    let Some(limit) = limit("max_user_watches") else {
        return Check::warn("inotify watches", UNKNOWN, POLLED);
    };
    watches_of(limit, percent, index.map(|index| (index.watched_dirs, index.polled_dirs)))
}

fn watches_of(limit: u64, percent: u32, dirs: Option<(u64, u64)>) -> Check {
    const NAME: &str = "inotify watches";
    const COMFORTABLE: u64 = 65_536;
    let budget = limit.saturating_mul(percent.into()) / 100;
    match dirs {
        Some((watched, polled @ 1..)) => Check::warn(
            NAME,
            format!(
                "{watched} folders watched and {polled} not, of {limit} allowed ({percent} % for Familiar)"
            ),
            raise("max_user_watches", (watched + polled).saturating_mul(300) / u64::from(percent.max(1))),
        ),
        Some((watched, 0)) => Check::ok(NAME, format!("{watched} folders watched, {budget} allowed")),
        None if limit < COMFORTABLE => Check::warn(
            NAME,
            format!("{limit} allowed, few for a home folder"),
            raise("max_user_watches", 524_288),
        ),
        None => Check::ok(NAME, format!("{budget} folders may be watched")),
    }
}

pub fn queued_events() -> Check {
    match limit("max_queued_events") {
        Some(limit @ ..8192) => Check::warn(
            "inotify queue",
            format!("{limit} events: bursts of changes need a walk over the folders"),
            raise("max_queued_events", 65_536),
        ),
        Some(limit) => Check::ok("inotify queue", format!("{limit} events")),
        None => Check::warn("inotify queue", UNKNOWN, POLLED),
    }
}

pub fn instances() -> Check {
    match limit("max_user_instances") {
        Some(limit @ ..32) => Check::warn(
            "inotify instances",
            format!("{limit}, shared by all programs"),
            raise("max_user_instances", 512),
        ),
        Some(limit) => Check::ok("inotify instances", limit.to_string()),
        None => Check::warn("inotify instances", UNKNOWN, POLLED),
    }
}

pub fn open_files() -> Check {
    use rustix::process::{Resource, getrlimit};
    const ENOUGH: u64 = 1024;
    match getrlimit(Resource::Nofile).current {
        Some(limit @ ..ENOUGH) => Check::warn(
            "open files",
            format!("{limit} at once"),
            format!("ulimit -n {ENOUGH} before `familiar daemon`"),
        ),
        Some(limit) => Check::ok("open files", format!("{limit} at once")),
        None => Check::ok("open files", "no limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn watches_are_held_against_the_folders_there_are() {
        assert_eq!(watches_of(8192, 50, None).level, Level::Warn);
        assert_eq!(watches_of(524_288, 50, None).level, Level::Ok);
        assert_eq!(watches_of(8192, 50, Some((100, 0))).level, Level::Ok);
        let short = watches_of(8192, 50, Some((4096, 904)));
        assert_eq!(short.level, Level::Warn);
        assert!(short.fix.unwrap().contains("max_user_watches = 30000"));
        assert_eq!(watches_of(u64::MAX, 0, Some((u64::MAX / 2, 1))).level, Level::Warn);
    }

    #[test]
    fn trying_landlock_leaves_this_thread_free() {
        landlock();
        assert!(std::process::Command::new("/bin/true").status().unwrap().success());
    }
}
