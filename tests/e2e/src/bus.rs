//! A D-Bus of a test's own. It starts nothing by itself, so what is not there stays
//! away. Dropped: it is killed.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

use crate::{World, world::within_limit};

pub(crate) struct Bus {
    _daemon: Child,
    pub address: String,
}

impl Bus {
    /// Of this name, in the world's runtime folder.
    pub async fn start(world: &World, name: &str) -> Self {
        let config = world.dir().join(format!("{name}.conf"));
        let socket = world.runtime().join(name);
        let text = CONFIG.replace("SOCKET", &socket.display().to_string());
        std::fs::write(&config, text).expect("a file of the test");
        let mut daemon = world
            .program("dbus-daemon")
            .args(["--nofork", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon runs: tests/check installs it");
        let stdout = daemon.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = within_limit("dbus-daemon", lines.next_line()).await;
        let address = address.expect("UTF-8").expect("dbus-daemon starts");
        Self {
            _daemon: daemon,
            address,
        }
    }
}

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;
