//! Folders and files for this user alone, and locks.
//!
//! A file has the rights of its folder: what lies in one of ours, or in the
//! user's profile, is for the user, the system and its administrators.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::windows::io::AsRawHandle as _,
    path::Path,
};

use windows_sys::Win32::{
    Foundation::ERROR_LOCK_VIOLATION,
    Storage::FileSystem::{LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx},
    System::IO::OVERLAPPED,
};

use super::{
    super::problem,
    security::{Descriptor, READ, WRITE, create_with, own_sid},
};
use crate::error::Failure;

/// Creates the folder (and its parents) for us alone, then verifies it: another
/// user may have been there first.
pub fn private_dir(dir: &Path) -> Result<(), Failure> {
    create(dir).map_err(|error| problem(dir, &format!("cannot be created: {error}")))?;
    check_private_dir(dir)
}

fn create(dir: &Path) -> io::Result<()> {
    // For this user and the system, and so all that will lie in it.
    let sid = own_sid()?;
    let descriptor = Descriptor::parse(&format!("O:{sid}D:P(A;OICI;FA;;;{sid})(A;OICI;FA;;;SY)"))?;
    match create_with(dir, &descriptor) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = dir.parent() else {
                return Err(error);
            };
            create(parent)?;
            create(dir)
        }
        made => made,
    }
}

/// Whether a folder is ours alone.
pub fn check_private_dir(dir: &Path) -> Result<(), Failure> {
    let problem = |what: String| problem(dir, &what);
    let unknown = |error| problem(format!("cannot be inspected: {error}"));
    let meta = std::fs::symlink_metadata(dir).map_err(unknown)?;
    if meta.file_type().is_symlink() {
        return Err(problem("is a link; remove it".into()));
    }
    if !meta.is_dir() {
        return Err(problem("is not a folder; remove it".into()));
    }
    let descriptor = Descriptor::of_file(dir).map_err(unknown)?;
    if descriptor.is_owned_by_another().map_err(unknown)? {
        return Err(problem("belongs to another user; remove it".into()));
    }
    if descriptor.rights_of_others().map_err(unknown)? & (READ | WRITE) != 0 {
        return Err(problem(format!(
            "is open to other users; run: {}",
            closing_command(dir)
        )));
    }
    Ok(())
}

/// Whether anybody else but an administrator may read or write a file.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(Descriptor::of_file(path)?.rights_of_others()? & (READ | WRITE) != 0)
}

/// Whether anybody else but an administrator may write a file.
pub fn others_can_write(path: &Path) -> io::Result<bool> {
    Ok(Descriptor::of_file(path)?.rights_of_others()? & WRITE != 0)
}

/// A file of ours, not a link to one, which nobody else can open.
pub fn is_private_file(path: &Path) -> io::Result<bool> {
    let is_file = std::fs::symlink_metadata(path)?.is_file();
    let descriptor = Descriptor::of_file(path)?;
    Ok(is_file
        && !descriptor.is_owned_by_another()?
        && descriptor.rights_of_others()? & (READ | WRITE) == 0)
}

/// The command that closes a file or a folder to others.
pub fn closing_command(path: &Path) -> String {
    let inherit = if path.is_dir() { "(OI)(CI)" } else { "" };
    format!(
        "icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:{inherit}F\"",
        path.display()
    )
}

/// The command that leaves a file readable, and writable for its owner alone.
pub fn write_protecting_command(path: &Path) -> String {
    format!(
        "icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:F\" \"*S-1-5-32-545:R\"",
        path.display()
    )
}

/// How a file is opened that, if it is made, is for its owner only: as its folder is.
pub fn private_file() -> OpenOptions {
    File::options()
}

/// Waits for a lock that no other process shares.
pub fn lock(file: &File) -> io::Result<()> {
    lock_as(file, LOCKFILE_EXCLUSIVE_LOCK)
}

/// Waits for a lock that others may share.
pub fn lock_shared(file: &File) -> io::Result<()> {
    lock_as(file, 0)
}

pub fn try_lock(file: &File) -> Result<(), TryLockError> {
    lock_as(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY).map_err(|error| {
        if error.raw_os_error() == Some(ERROR_LOCK_VIOLATION.cast_signed()) {
            TryLockError::WouldBlock
        } else {
            TryLockError::Error(error)
        }
    })
}

/// One byte far behind the text: what is locked on Windows nobody else can read,
/// and the text is for those who do not hold the lock.
#[expect(unsafe_code, reason = "a function of the system")]
fn lock_as(file: &File, flags: u32) -> io::Result<()> {
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.OffsetHigh = u32::MAX >> 1;
    // SAFETY: the handle is open, and waits by itself; the place lives until the call returns.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) };
    if locked == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// NTFS writes names to its own journal; a folder cannot be flushed.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::open_lock;

    #[test]
    fn a_private_folder_is_created_with_its_parents_and_accepted_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(r"a\b");
        private_dir(&dir).unwrap();
        private_dir(&dir).unwrap();
    }

    #[test]
    #[ignore = "Wine knows no rights that a file has from its folder; Windows does"]
    fn a_file_in_a_private_folder_is_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("private");
        private_dir(&dir).unwrap();
        let file = dir.join("file");
        std::fs::write(&file, "").unwrap();
        assert!(is_private_file(&file).unwrap());
    }

    #[test]
    fn an_open_folder_and_a_file_are_refused_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        // Everyone may read it.
        let descriptor = Descriptor::parse("D:P(A;OICI;FA;;;OW)(A;OICI;FR;;;WD)").unwrap();
        create_with(&open, &descriptor).unwrap();
        let refused = private_dir(&open).unwrap_err();
        assert!(refused.message.contains("icacls"), "{refused}");

        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(private_dir(&file).is_err());
    }

    #[test]
    fn what_is_in_a_locked_file_can_be_read_and_the_lock_is_held_once() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let held = open_lock(&path).unwrap();
        try_lock(&held).unwrap();
        std::fs::write(&path, "the socket").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the socket");
        let other = open_lock(&path).unwrap();
        assert!(matches!(try_lock(&other), Err(TryLockError::WouldBlock)));
        drop(held);
        lock(&other).unwrap();
    }
}
