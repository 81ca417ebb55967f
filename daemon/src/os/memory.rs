//! Memory that a large piece of work leaves behind.

/// Gives what is free back to the system. glibc keeps it, in case; a daemon that
/// listed thousands of accounts once would stay as large for days.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call of the C library without memory of ours")]
pub fn give_back() {
    // SAFETY: takes no pointer, and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
