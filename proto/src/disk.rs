//! Files written whole or not at all, readable by nobody else unless that is wanted.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::ipc;

/// Creates a file of mode 0600, or opens and empties an existing one.
pub fn create_private(path: &Path) -> io::Result<File> {
    ipc::private_file()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
}

/// A new name survives a power cut only when its folder is on disk.
pub fn sync_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), ipc::sync_folder)
}

/// Replaces `path` by a file with these bytes, ours alone: temp file, fsync, rename.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_as(path, bytes, None)
}

/// The same, for a file that others may read: with these permissions.
pub fn replace_as(path: &Path, bytes: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut temp = path.as_os_str().to_owned();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    temp.push(format!(".{}.{count}.tmp", std::process::id()));
    let temp = Path::new(&temp);
    let written = (|| {
        let mut file = create_private(temp)?;
        file.write_all(bytes)?;
        if let Some(mode) = mode {
            file.set_permissions(mode)?;
        }
        file.sync_all()?;
        fs::rename(temp, path)?;
        sync_name(path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(temp); // best effort: the error that counts is returned
    }
    written
}
