//! Keeps this process small with glibc's allocator: what is freed goes back to the kernel instead of
//! waiting in the heap. Touches nothing but the allocator's own settings; elsewhere it does nothing.
#![allow(unsafe_code)]

/// Blocks of this many bytes or more are mapped on their own and unmapped when freed. Left to itself
/// glibc raises the limit to the largest block it has seen, and large texts then stay in the heap.
#[cfg(target_env = "gnu")]
const MAPPED: libc::c_int = 128 << 10;

/// To be called once, early: later calls change nothing.
pub fn stay_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets numbers of the allocator, under its own lock; any value is valid.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives free memory back to the kernel. Takes some milliseconds: for quiet moments.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim touches free memory only, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
