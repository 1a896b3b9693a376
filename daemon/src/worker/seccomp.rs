//! The system calls a worker may make: memory, threads of its own, reading what Landlock lets it open,
//! and the two sockets it was born with. No new sockets, no programs, no other processes, no tracing.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// Calls allowed with any arguments.
const ALLOWED: &[libc::c_long] = &[
    // files: which ones is Landlock's to say
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_getcwd,
    // the sockets from the broker
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    // memory
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // threads and time
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_getcpu,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_ppoll,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // signals to itself, so that an abort ends as one
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    // what machine this is
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
];

/// Older names of the calls above, which only some architectures have.
#[cfg(target_arch = "x86_64")]
const ARCH: &[libc::c_long] =
    &[libc::SYS_open, libc::SYS_stat, libc::SYS_access, libc::SYS_readlink, libc::SYS_poll, libc::SYS_dup2];
#[cfg(not(target_arch = "x86_64"))]
const ARCH: &[libc::c_long] = &[];

/// What GPU drivers need besides: Landlock still says which devices.
const GPU: &[libc::c_long] = &[
    libc::SYS_ioctl,
    libc::SYS_eventfd2,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_pipe2,
    libc::SYS_mincore,
];

/// What replacing a file as a whole needs, and waiting for a signal before the loop ends: Landlock
/// still says which files.
const WRITE: &[libc::c_long] = &[
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_rt_sigtimedwait,
];

#[cfg(target_arch = "x86_64")]
const ARCH_WRITE: &[libc::c_long] = &[libc::SYS_rename, libc::SYS_unlink];
#[cfg(not(target_arch = "x86_64"))]
const ARCH_WRITE: &[libc::c_long] = &[];

/// `_IOWR('f', 16, struct pm_scan_arg)` of linux/fs.h, with the 96 bytes of that struct.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// Puts the filters on the calling thread and every thread it will start.
pub fn apply(gpu: bool, write: bool) -> Result<(), String> {
    let filters = build(gpu, write).map_err(|e| e.to_string())?;
    filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter)).map_err(|e| e.to_string())
}

fn build(gpu: bool, write: bool) -> Result<[BpfProgram; 2], seccompiler::Error> {
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(seccompiler::Error::Backend)?;
    // glibc falls back from clone3, whose flags no filter can see, to clone only upon ENOSYS.
    let no_clone3 = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, vec![])]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch,
    );
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let allowed = SeccompFilter::new(rules(gpu, write)?, refuse, SeccompAction::Allow, arch);
    Ok([
        no_clone3.and_then(|f| f.try_into()).map_err(seccompiler::Error::Backend)?,
        allowed.and_then(|f| f.try_into()).map_err(seccompiler::Error::Backend)?,
    ])
}

fn rules(gpu: bool, write: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    let mut groups = vec![ALLOWED, ARCH];
    if gpu {
        groups.push(GPU);
    }
    if write {
        groups.extend([WRITE, ARCH_WRITE]);
    }
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        groups.into_iter().flatten().map(|call| (*call, vec![])).collect();
    // Refused by the first filter with the errno that glibc understands.
    rules.insert(libc::SYS_clone3, vec![]);
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_prctl, vec![when(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?]);
    // Reading limits, not setting them: the new-limit pointer must be null.
    rules.insert(libc::SYS_prlimit64, vec![when(2, SeccompCmpOp::Eq, 0)?]);
    // Which pages of its own memory were written to: only /proc/self/pagemap answers it, which Landlock guards.
    rules.entry(libc::SYS_ioctl).or_insert(vec![compare(
        1,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        PAGEMAP_SCAN,
    )?]);
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?]);
    Ok(rules)
}

fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    compare(argument, SeccompCmpArgLen::Qword, operator, value)
}

fn compare(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::Error> {
    SeccompCondition::new(argument, length, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(seccompiler::Error::Backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_a_socket_or_runs_a_program_is_allowed() {
        for (gpu, write) in [(false, false), (true, false), (false, true)] {
            let rules = rules(gpu, write).unwrap();
            for call in [
                libc::SYS_socket,
                libc::SYS_socketpair,
                libc::SYS_connect,
                libc::SYS_bind,
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_ptrace,
                libc::SYS_kill,
                libc::SYS_process_vm_writev,
                libc::SYS_io_uring_setup,
                libc::SYS_unshare,
                libc::SYS_mount,
                libc::SYS_bpf,
                libc::SYS_keyctl,
            ] {
                assert!(!rules.contains_key(&call), "system call {call}");
            }
        }
    }

    #[test]
    fn no_ioctl_but_the_scan_of_own_pages_is_allowed_without_a_gpu() {
        assert_eq!(rules(false, true).unwrap()[&libc::SYS_ioctl].len(), 1);
        assert_eq!(rules(true, false).unwrap()[&libc::SYS_ioctl].len(), 0);
    }

    #[test]
    fn the_filters_compile() {
        assert!(build(false, false).is_ok() && build(true, true).is_ok());
    }
}
