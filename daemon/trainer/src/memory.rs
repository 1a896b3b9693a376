//! How the process keeps memory that is freed: activations of the same sizes come and go hundreds of times
//! a step, and getting each one's pages from the system anew took a third of the time.
#![allow(unsafe_code)]

/// Makes the allocator keep what is freed for the next allocation, in the whole process and for good: for a
/// process that does nothing but train. Only glibc is asked; elsewhere it does nothing.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The most that glibc takes; larger ones are mapped and unmapped by themselves.
        const LARGEST: libc::c_int = 32 << 20;
        // SAFETY: these set numbers of the allocator under its own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        }
    }
}
