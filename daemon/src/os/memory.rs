//! Memory that a large piece of work leaves behind, and memory that is never
//! swapped out.

use std::io;

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

/// Large tables are mapped for themselves, and whole gone when they are outgrown. glibc
/// raises the limit to the largest that was freed: the next one would lie among all else.
/// To be called once, at the start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call of the C library without memory of ours")]
pub fn map_large_blocks() {
    // SAFETY: takes no pointer. Should it fail, only memory is lost.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn map_large_blocks() {}

/// Keeps the pages that hold these bytes out of the swap. For secrets that lie side by
/// side, or live long: whole pages are kept, and `RLIMIT_MEMLOCK` is small.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "a system call that leaves the bytes as they are"
)]
pub fn keep_in_memory(bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the range is that of a live slice; nothing is read, written or moved.
    let kept = unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) };
    if kept == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(windows)]
#[expect(
    unsafe_code,
    reason = "a system call that leaves the bytes as they are"
)]
pub fn keep_in_memory(bytes: &[u8]) -> io::Result<()> {
    use windows_sys::Win32::System::Memory::VirtualLock;
    // SAFETY: the range is that of a live slice; nothing is read, written or moved.
    let kept = unsafe { VirtualLock(bytes.as_ptr().cast(), bytes.len()) };
    if kept == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The opposite, before such pages are given back: what comes to lie there is no secret.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "a system call that leaves the bytes as they are"
)]
pub fn let_swap(bytes: &[u8]) {
    // SAFETY: the range is that of a live slice; nothing is read, written or moved. It fails where nothing was locked.
    unsafe {
        libc::munlock(bytes.as_ptr().cast(), bytes.len());
    }
}

#[cfg(windows)]
#[expect(
    unsafe_code,
    reason = "a system call that leaves the bytes as they are"
)]
pub fn let_swap(bytes: &[u8]) {
    use windows_sys::Win32::System::Memory::VirtualUnlock;
    // SAFETY: the range is that of a live slice; nothing is read, written or moved. It fails where nothing was locked.
    unsafe {
        VirtualUnlock(bytes.as_ptr().cast(), bytes.len());
    }
}
