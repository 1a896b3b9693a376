//! The C library's allocator, kept from hoarding: the daemon idles most of its life, and what it freed
//! is the owner's to use. One of the few files with `unsafe`: two calls into the C library, without
//! pointers.
#![allow(unsafe_code)]

/// Keeps one heap for all threads, and gives large blocks back when they are freed. To be called once,
/// before there is a second thread.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers, touches only the allocator's own settings, and no other
    // thread runs yet that could allocate meanwhile.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
    }
}

/// Gives free memory back to the system. Takes milliseconds: for the end of long work.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes an integer, is thread-safe, and releases only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_can_be_used_after_it_was_given_back() {
        super::settle();
        let kept = vec![7u8; 1 << 20];
        drop(vec![1u8; 8 << 20]);
        super::give_back();
        assert!(kept.iter().all(|byte| *byte == 7));
    }
}
