//! SIGTERM and SIGINT as an order to stop, for a worker that has something to save: a thread waits for
//! them, says so, and ends the process soon after, whatever the rest of it does.
#![allow(unsafe_code)]

use super::priority;
use std::time::Duration;

/// How long after the signal the process may still live.
pub const GRACE: Duration = Duration::from_millis(150);
/// The exit code of a process that did not end by itself in that time: 128 and the signal's number.
pub const TERMINATED: i32 = 128 + libc::SIGTERM;

/// Keeps both signals from ending the process. Must be called while it has one thread, since later
/// ones inherit it.
pub fn hold() {
    let set = both();
    // SAFETY: `set` is a valid set, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
}

/// Takes the calling thread out of the background, to save what it can before the end comes.
pub fn hurry() {
    priority::listen();
}

/// Calls `stop` upon the first of the signals, and ends the process [`GRACE`] later.
pub fn upon(stop: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        priority::listen();
        let (set, mut signal) = (both(), 0);
        // SAFETY: both pointers are to values that live through the call; `hold` blocked the set.
        while unsafe { libc::sigwait(&set, &mut signal) } != 0 {}
        stop();
        std::thread::sleep(GRACE);
        // SAFETY: it ends the process without running anything else of it, which might wait for a lock.
        unsafe { libc::_exit(TERMINATED) };
    })?;
    Ok(())
}

fn both() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` makes the set valid before anything else reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        set.assume_init()
    }
}
