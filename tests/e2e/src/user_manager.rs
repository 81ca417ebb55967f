//! A real `systemd --user` of one person, where no systemd is the first process:
//! in a mount namespace that looks booted to it.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::{World, process, world::within_limit};

/// Where systemd looks whether it has booted the system; seen by the manager alone.
const BOOTED: &str = "mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && exec";
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// Dropped: it is killed; `stop` ends its services, too.
pub struct UserManager {
    process: Child,
}

impl UserManager {
    pub async fn start(world: &World) -> Self {
        let allowed = Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .stderr(Stdio::null())
            .status();
        let allowed = allowed.await.is_ok_and(|status| status.success());
        process::must_be_possible("a mount namespace, where systemd is tried,", allowed);
        let systemd = SYSTEMD
            .iter()
            .find(|path| std::fs::exists(path).is_ok_and(|it| it));
        let systemd = systemd.expect("tests/check installs systemd");
        let ready = tokio::net::UnixDatagram::bind(world.dir().join("manager.notify"))
            .expect("a socket of the test");
        let mut command = world.program("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!("{BOOTED} {systemd} --user --log-target=null"))
            .env("NOTIFY_SOCKET", world.dir().join("manager.notify"))
            // What a login without a terminal has.
            .env("PATH", "/usr/bin:/bin")
            .env_remove("AWS_SSO_START_URL")
            .env_remove("AWS_SSO_REGION")
            .env_remove("LANG")
            .stdout(Stdio::null());
        let manager = Self {
            process: command.spawn().expect("unshare starts"),
        };
        within_limit("the start of systemd --user", async {
            let mut told = [0; 4096];
            loop {
                let length = ready.recv(&mut told).await.expect("it can be heard");
                if String::from_utf8_lossy(&told[..length]).contains("READY=1") {
                    break;
                }
            }
        })
        .await;
        manager
    }

    /// As at the end of the person's last login.
    pub async fn stop(mut self) {
        process::signal(self.process.id().expect("it has not ended"), "TERM");
        let _ = within_limit("the end of systemd --user", self.process.wait())
            .await
            .expect("a child can be waited for");
    }
}
