//! A daemon that a service manager starts for its first client:
//! `systemd-socket-activate`, and what the manager is told.

use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

use crate::{Background, Run, World, bin, world::within_limit};

pub struct Supervised {
    pub process: Background,
    notified: UnixDatagram,
}

impl World {
    /// A service with the environment that a system gives it: next to nothing.
    pub async fn supervised(&self, socket: &Path) -> Supervised {
        let dir = socket.parent().expect("a socket is in a folder");
        awsso_proto::ipc::private_dir(dir).expect("a folder for the socket");
        let notify: PathBuf = self.dir().join("notify");
        let _ = std::fs::remove_file(&notify); // of the one before
        let notified = UnixDatagram::bind(&notify).expect("a socket of the test");
        let mut command = self.program("systemd-socket-activate");
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .arg("--listen")
            .arg(socket)
            // Where AWS is; nothing else is the service's business.
            .arg(format!(
                "--setenv=AWS_ENDPOINT_URL={}",
                self.sandbox.base_url()
            ))
            .arg(format!("--setenv=NOTIFY_SOCKET={}", notify.display()))
            .arg(bin("awssod"));
        let process = Background::start(command, "systemd-socket-activate");
        process.says("Listening on").await;
        Supervised { process, notified }
    }
}

impl Supervised {
    /// The next thing that the manager is told.
    pub async fn notified(&self) -> String {
        let mut told = [0; 4096];
        let length = within_limit("a word to the manager", self.notified.recv(&mut told))
            .await
            .expect("it can be heard");
        String::from_utf8_lossy(&told[..length]).into_owned()
    }

    /// Has its daemon stopped, and waits for its end.
    pub async fn stop(self, world: &World) -> Run {
        let stopped = world.awsso(&["daemon", "stop"]).await.ok();
        assert_eq!(stopped, "awssod has stopped\n");
        self.process.end().await.code(0)
    }
}
