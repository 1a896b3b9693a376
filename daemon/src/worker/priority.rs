//! Standing back: the lowest priority for processor and disk, and the first place in line when memory
//! runs out. It changes the calling thread, whose later threads inherit it, and nothing else.
#![allow(unsafe_code)]

/// `ioprio_set(2)`: of a thread, and the class that gets the disk when nobody else wants it.
const IOPRIO_WHO_PROCESS: libc::c_long = 1;
const IOPRIO_IDLE: libc::c_long = 3 << 13;
/// The largest value of `oom_score_adj`: this process is ended before any other.
const FIRST_IN_LINE: &str = "1000";

/// Must be called while the process has one thread and may still write to /proc. What the kernel
/// refuses comes back, one sentence each.
pub fn stand_back() -> Vec<String> {
    let refused = |what: &str, error: std::io::Error| format!("not in the background: {what}: {error}");
    let mut all = Vec::new();
    // SAFETY: plain numbers go in, and 0 means the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } != 0 {
        all.push(refused("nice", std::io::Error::last_os_error()));
    }
    if let Err(error) = schedule(libc::SCHED_IDLE) {
        all.push(refused("SCHED_IDLE", error));
    }
    // SAFETY: `ioprio_set` takes three numbers and touches no memory.
    if unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE) } != 0 {
        all.push(refused("the disk's idle class", std::io::Error::last_os_error()));
    }
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", FIRST_IN_LINE) {
        all.push(refused("oom_score_adj", error));
    }
    all
}

/// Takes the calling thread out of the idle class, for the one that must hear a signal in time on a
/// machine that is busy. Where the kernel refuses, it is only later.
pub fn listen() {
    let _ = schedule(libc::SCHED_OTHER);
}

fn schedule(policy: libc::c_int) -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a value that lives through the call, and 0 means the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &parameters) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
