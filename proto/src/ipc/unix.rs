//! Unix: a socket file in a private folder, and the peer's credentials.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use interprocess::{
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName as _,
        tokio::Listener as Inner,
        traits::{
            StreamCommon as _,
            tokio::{Listener as _, Stream as _},
        },
    },
    os::unix::uds_local_socket::tokio::Listener as UnixInner,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};

pub(super) use interprocess::local_socket::tokio::Stream;

use super::{Conn, Peer, problem};
use crate::error::{Failure, Reason};

/// `sun_path` of the smallest platform (macOS) with its terminating zero.
const MAX_SOCKET_PATH: usize = 103;

/// A bound socket. Dropping it leaves the file: whoever holds the instance
/// lock removes it.
pub struct Listener(Inner);

/// A socket on which a service manager listens, and will listen again: it is
/// answered, and its file is left alone.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
}

impl Bound {
    /// # Errors
    /// It is no Unix socket, or one without a path.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let listener = UnixListener::from(fd);
        let address = listener.local_addr()?;
        let path = address
            .as_pathname()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the socket has no path"))?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn listen(self) -> io::Result<Listener> {
        UnixInner::try_from(OwnedFd::from(self.listener)).map(|bound| Listener(bound.into()))
    }
}

/// `/run/user/<uid>`, when it is a directory of ours.
pub fn user_runtime_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(format!("/run/user/{}", own_uid()));
    let meta = std::fs::symlink_metadata(&dir).ok()?;
    (meta.is_dir() && meta.uid() == own_uid()).then_some(dir)
}

/// Sockets are files here.
pub fn own_pipe() -> Result<Option<PathBuf>, Failure> {
    Ok(None)
}

/// The folder that a socket's safety rests on.
pub fn folder_of(socket: &Path) -> Option<&Path> {
    socket.parent()
}

/// Makes room where nobody answered, which is how a killed daemon leaves it.
pub fn remove_stale(socket: &Path, _: io::Error) -> io::Result<()> {
    std::fs::remove_file(socket)
}

/// Takes our own socket away, so that nobody finds it any more.
pub fn remove(socket: &Path) -> io::Result<()> {
    std::fs::remove_file(socket)
}

pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Connects to a daemon of the same user. `NotFound` and `ConnectionRefused`
/// mean that no daemon is there; `PermissionDenied` that somebody else's is:
/// a login link of theirs would be phishing.
pub async fn connect(socket: &Path) -> io::Result<Conn> {
    let stream = Stream::connect(socket.to_fs_name::<GenericFilePath>()?).await?;
    let peer = Some(same_user(&stream)?);
    Ok(Conn { stream, peer })
}

/// Who is at the other end, if that is the same user.
fn same_user(stream: &Stream) -> io::Result<Peer> {
    let creds = stream.peer_creds()?;
    match creds.euid() {
        Some(uid) if uid == own_uid() => Ok(Peer {
            pid: creds.pid().and_then(|pid| u32::try_from(pid).ok()),
        }),
        uid => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the other end belongs to another user (uid {uid:?})"),
        )),
    }
}

/// Binds. The caller holds the instance lock and has removed a stale socket.
pub fn listen(socket: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new()
        .name(socket.to_fs_name::<GenericFilePath>()?)
        .reclaim_name(false);
    // Elsewhere the mode cannot be given before bind; the folder protects the socket there.
    #[cfg(target_os = "linux")]
    let options = {
        use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
        options.mode(0o600)
    };
    options.create_tokio().map(Listener)
}

impl Listener {
    /// The next connection of the same user; any other is dropped unheard.
    ///
    /// # Errors
    /// `PermissionDenied` names the uid of a foreign peer; the listener stays usable.
    pub async fn accept(&mut self) -> io::Result<Conn> {
        let stream = self.0.accept().await?;
        let peer = Some(same_user(&stream)?);
        Ok(Conn { stream, peer })
    }
}

/// Creates the folder (and its parents) for us alone, then verifies it: another
/// user may have been there first.
pub fn private_dir(dir: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| problem(dir, &format!("cannot be created: {error}")))?;
    check_private_dir(dir)
}

/// Whether a folder is ours alone.
pub fn check_private_dir(dir: &Path) -> Result<(), Failure> {
    let problem = |what: String| problem(dir, &what);
    let meta = std::fs::symlink_metadata(dir)
        .map_err(|error| problem(format!("cannot be inspected: {error}")))?;
    if meta.file_type().is_symlink() {
        return Err(problem("is a symbolic link; remove it".into()));
    }
    if !meta.is_dir() {
        return Err(problem("is not a folder; remove it".into()));
    }
    if meta.uid() != own_uid() {
        return Err(problem(format!(
            "belongs to uid {}, not to you; remove it or set AWSSO_SOCKET",
            meta.uid()
        )));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(problem(format!(
            "is open to other users (mode {:03o}); run: chmod 700 {}",
            meta.mode() & 0o777,
            dir.display()
        )));
    }
    Ok(())
}

/// Whether group or others may do anything with a file.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.mode() & 0o077 != 0)
}

/// Whether group or others may write a file.
pub fn others_can_write(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.mode() & 0o022 != 0)
}

/// A file of ours, not a link to one, which nobody else can open.
pub fn is_private_file(path: &Path) -> io::Result<bool> {
    let meta = std::fs::symlink_metadata(path)?;
    let for_others = meta.mode() & 0o077;
    Ok(meta.is_file() && meta.uid() == own_uid() && for_others == 0)
}

/// The command that closes a file or a folder to others.
pub fn closing_command(path: &Path) -> String {
    let mode = if path.is_dir() { "700" } else { "600" };
    format!("chmod {mode} {}", path.display())
}

/// The command that leaves a file readable, and writable for its owner alone.
pub fn write_protecting_command(path: &Path) -> String {
    format!("chmod go-w {}", path.display())
}

/// How a file is opened that, if it is made, is for its owner only.
pub fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Waits for a lock that no other process shares.
pub fn lock(file: &File) -> io::Result<()> {
    file.lock()
}

/// Waits for a lock that others may share.
pub fn lock_shared(file: &File) -> io::Result<()> {
    file.lock_shared()
}

pub fn try_lock(file: &File) -> Result<(), TryLockError> {
    file.try_lock()
}

/// Puts the names in a folder on disk.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Starts a daemon that outlives this process; it leaves our session by itself.
pub fn spawn_daemon(command: &mut Command) -> io::Result<Child> {
    command.current_dir("/").spawn()
}

/// Ctrl-C and SIGTERM. From here on they end nothing by themselves.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one, by its name. One that came meanwhile is not lost.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Whether a socket can be bound at this path at all.
pub fn check_socket_path(socket: &Path) -> Result<(), Failure> {
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(Failure::new(
            Reason::InvalidArgument,
            format!(
                "the socket path {} has {length} bytes, the system takes {MAX_SOCKET_PATH}; set AWSSO_SOCKET to a shorter one",
                socket.display()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_private_folder_is_created_with_its_parents_and_accepted_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        private_dir(&dir).unwrap();
        private_dir(&dir).unwrap();
        assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn an_open_folder_a_link_and_a_file_are_refused_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            private_dir(&open)
                .unwrap_err()
                .message
                .contains("chmod 700")
        );

        let link = root.path().join("link");
        symlink(&open, &link).unwrap();
        assert!(
            private_dir(&link)
                .unwrap_err()
                .message
                .contains("symbolic link")
        );

        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(private_dir(&file).is_err());
    }
}
