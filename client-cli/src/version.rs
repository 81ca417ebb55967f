//! What other programs say of their version.

use std::{io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// What `PROGRAM --version` prints to stdout.
pub async fn printed(program: &str, limit: Duration) -> io::Result<String> {
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(limit, asked).await??;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
