//! Processes and files as the system sees them.

use std::{
    fs::File,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{World, world::within_limit};

/// Ends a test of something that only root can try: one that returned instead
/// would say that all is well.
#[track_caller]
pub fn must_be_possible(what: &str, is_possible: bool) {
    assert!(
        is_possible,
        "{what} is not possible here: run the tests as root, or in a container as its root"
    );
}

/// Becoming another user is what a test needs.
#[track_caller]
pub fn must_be_root() {
    must_be_possible("to become another user", awsso_proto::ipc::own_uid() == 0);
}

/// Sends a signal by its short name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill {pid}");
}

/// Writes a program for `sh`.
pub fn script(path: &Path, body: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).expect("a file of the test");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

impl World {
    /// A `PATH` whose `aws` is this shell script and nothing else of AWS's.
    pub fn path_with_aws(&self, body: &str) -> String {
        let dir = self.dir().join("bin");
        std::fs::create_dir_all(&dir).expect("a folder");
        script(&dir.join("aws"), body);
        format!("{}:/usr/bin:/bin", dir.display())
    }

    /// Waits until no daemon holds the instance lock.
    pub async fn daemon_is_gone(&self) {
        let path: PathBuf = self.endpoint().instance_lock();
        let locked = tokio::task::spawn_blocking(move || File::open(path)?.lock_shared());
        within_limit("the daemon's end", locked)
            .await
            .expect("a thread")
            .expect("the lock can be taken");
    }
}
