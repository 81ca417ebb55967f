//! One daemon per user: the instance lock, the stale socket, the bind. A second
//! daemon fails on the lock, not on the socket. A socket on which a service
//! manager listens is answered instead, and stays when the daemon goes.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use awsso_proto::{Endpoint, Failure, Reason, ipc};

/// How long a new daemon waits for an old one that is on its way out.
const HANDOVER_LIMIT: Duration = Duration::from_secs(15);

/// The right to be the daemon, until dropped.
#[derive(Debug)]
pub struct Instance {
    lock: File,
    socket: PathBuf,
    /// By a service manager, which goes on listening.
    bound: Option<ipc::Bound>,
    owns_socket: bool,
}

impl Instance {
    /// Takes the lock. While another daemon drains, its lock is empty, and it
    /// is waited for. A socket that is bound already comes before the usual one.
    pub fn acquire(endpoint: &Endpoint, bound: Option<ipc::Bound>) -> Result<Self, Failure> {
        ipc::private_dir(&endpoint.state)?;
        let path = endpoint.instance_lock();
        let failed = |error: std::io::Error| {
            Failure::new(Reason::Internal, format!("{}: {error}", path.display()))
        };
        let mut lock = ipc::open_lock(&path).map_err(failed)?;
        match ipc::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                lock.read_to_string(&mut text).map_err(failed)?;
                if !text.trim().is_empty() {
                    return Err(already_running(text.trim()));
                }
                lock = wait_for(lock).ok_or_else(|| already_running("its way up or down"))?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut instance = Self {
            lock,
            socket: bound
                .as_ref()
                .map_or(&*endpoint.socket, ipc::Bound::path)
                .into(),
            owns_socket: bound.is_none(),
            bound,
        };
        instance.write("")?;
        Ok(instance)
    }

    /// Listens on the socket, and tells in the lock where it is.
    pub async fn bind(&mut self) -> Result<ipc::Listener, Failure> {
        let socket = self.socket.clone();
        ipc::check_socket_path(&socket)?;
        if let Some(dir) = ipc::folder_of(&socket) {
            ipc::private_dir(dir)?;
        }
        let failed = |error: std::io::Error| {
            Failure::new(Reason::Internal, format!("{}: {error}", socket.display()))
        };
        let listener = if let Some(bound) = self.bound.take() {
            bound.listen().map_err(failed)?
        } else {
            match ipc::connect(&socket).await {
                // Of another HOME: it is alive, so its socket is not ours to take.
                Ok(_) => return Err(already_running(&socket.display().to_string())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => ipc::remove_stale(&socket, error).map_err(failed)?,
            }
            ipc::listen(&socket).map_err(failed)?
        };
        self.write(&format!("{}\n", socket.display()))?;
        Ok(listener)
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on a new daemon waits for the lock instead of giving up.
    pub fn leave(&mut self) {
        let _ = self.write(""); // the lock itself goes with the process in any case
        if self.owns_socket {
            let _ = ipc::remove(&self.socket); // a newer daemon removes a stale one
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let write = || {
            let mut lock = &self.lock;
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(text.as_bytes())
        };
        write()
            .map_err(|error| Failure::new(Reason::Internal, format!("the instance lock: {error}")))
    }
}

/// Blocks in a thread of its own, because a lock cannot be waited for with a limit.
fn wait_for(lock: File) -> Option<File> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        if ipc::lock(&lock).is_ok() {
            let _ = sender.send(lock); // nobody waits any more: the lock goes again
        }
    });
    receiver.recv_timeout(HANDOVER_LIMIT).ok()
}

fn already_running(place: &str) -> Failure {
    Failure::new(
        Reason::Busy,
        format!("another awssod is already running on {place}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(dir: &Path) -> Endpoint {
        Endpoint {
            socket: dir.join("run/awssod.sock"),
            explicit: false,
            state: dir.join("state"),
        }
    }

    #[tokio::test]
    async fn a_second_daemon_is_told_where_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        let mut first = Instance::acquire(&endpoint, None).unwrap();
        let _listener = first.bind().await.unwrap();
        let failure = Instance::acquire(&endpoint, None).unwrap_err();
        assert_eq!(failure.reason, Reason::Busy);
        assert!(failure.message.contains("awssod.sock"), "{failure}");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        let mut first = Instance::acquire(&endpoint, None).unwrap();
        drop(first.bind().await.unwrap());
        drop(first);
        let mut second = Instance::acquire(&endpoint, None).unwrap();
        let _listener = second.bind().await.unwrap();

        let other_home = Endpoint {
            state: dir.path().join("other"),
            ..endpoint
        };
        let mut third = Instance::acquire(&other_home, None).unwrap();
        assert_eq!(third.bind().await.err().unwrap().reason, Reason::Busy);
    }

    #[tokio::test]
    async fn a_socket_of_a_service_manager_comes_first_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(dir.path());
        let path = dir.path().join("service/awssod.sock");
        ipc::private_dir(path.parent().unwrap()).unwrap();
        let manager = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bound = ipc::Bound::new(manager.try_clone().unwrap().into()).unwrap();

        let mut instance = Instance::acquire(&endpoint, Some(bound)).unwrap();
        let _listener = instance.bind().await.unwrap();
        assert_eq!(endpoint.candidates()[0], path);
        instance.leave();
        assert!(path.exists());
        assert!(!endpoint.socket.exists());
    }

    #[test]
    fn what_is_no_unix_socket_with_a_path_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(ipc::Bound::new(file.into()).is_err());
        let (nameless, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(ipc::Bound::new(nameless.into()).is_err());
    }
}
