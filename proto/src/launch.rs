//! How a client starts the daemon, so that ten clients at once end with one:
//! start lock → probe again → spawn, detached, stdout piped → read one line,
//! `ready SOCKET` or `error REASON TEXT` → connect. Nothing sleeps or polls, and
//! a start error reaches the person.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{
    Client, Endpoint,
    client::Identity,
    environment,
    error::{Failure, Reason, key},
    ipc,
};

/// A daemon is ready in milliseconds; a stuck one must not hold its client.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Long enough for another client's start to end, in success or not.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// The daemon's one line on stdout.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready { socket: PathBuf },
    Error(Failure),
}

impl Readiness {
    pub fn to_line(&self) -> String {
        match self {
            Self::Ready { socket } => format!("ready {}", socket.display()),
            Self::Error(failure) => format!("error {} {failure}", failure.reason.name()),
        }
    }

    pub fn from_line(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "ready" => Some(Self::Ready {
                socket: rest.into(),
            }),
            "error" => {
                let (reason, text) = rest.split_once(' ')?;
                Some(Self::Error(Failure::new(Reason::from_name(reason)?, text)))
            }
            _ => None,
        }
    }
}

pub(crate) async fn connect_or_start(
    endpoint: &Endpoint,
    who: &Identity,
) -> Result<Client, Failure> {
    if let Some(client) = Client::probe(endpoint, who).await? {
        return Ok(client);
    }
    ipc::private_dir(&endpoint.state)?;
    let lock = take_start_lock(endpoint.start_lock()).await?;
    if let Some(client) = Client::probe(endpoint, who).await? {
        return Ok(client);
    }
    start(endpoint).await?;
    let client = Client::connect(endpoint, who).await;
    drop(lock);
    client
}

async fn take_start_lock(path: PathBuf) -> Result<File, Failure> {
    let shown = path.display().to_string();
    let locked = tokio::task::spawn_blocking(move || {
        let file = ipc::open_lock(&path)?;
        file.lock()?;
        std::io::Result::Ok(file)
    });
    match tokio::time::timeout(LOCK_LIMIT, locked).await {
        Ok(Ok(Ok(file))) => Ok(file),
        Ok(Ok(Err(error))) => Err(cannot_start(format!("{shown}: {error}"))),
        Ok(Err(error)) => Err(cannot_start(error)),
        Err(_) => Err(cannot_start(format!("another client holds {shown}"))),
    }
}

async fn start(endpoint: &Endpoint) -> Result<(), Failure> {
    let program = find_daemon()?;
    let mut command = Command::new(&program);
    command.arg("--detach");
    if endpoint.explicit {
        command.arg("--socket").arg(&endpoint.socket);
    }
    let mut child = command
        .env_clear()
        .envs(environment::listed(environment::FOR_DAEMON))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| cannot_start(format!("{}: {error}", program.display())))?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = stdout.read_line(&mut line);
    match tokio::time::timeout(READY_LIMIT, read).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(cannot_start(error)),
        Err(_) => {
            return Err(cannot_start(format!(
                "not ready after {} s",
                READY_LIMIT.as_secs()
            )));
        }
    }
    match Readiness::from_line(&line) {
        Some(Readiness::Ready { .. }) => Ok(()),
        // It says itself what is wrong; the log has no more than that.
        Some(Readiness::Error(failure)) => Err(cannot_start(failure.message)
            .with(key::HINT, "put that right, then run: awsso daemon start")),
        None => Err(cannot_start(format!(
            "{} ended without a word",
            program.display()
        ))),
    }
}

fn cannot_start(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Reason::DaemonUnreachable,
        format!("the daemon cannot be started: {why}"),
    )
    .with(key::HINT, "run: awsso daemon logs")
}

/// Beside this program, then where `AWSSO_DAEMON` says; never in `PATH`.
fn find_daemon() -> Result<PathBuf, Failure> {
    let name = format!("awssod{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let beside = [
        own.clone(),
        own.and_then(|path| std::fs::canonicalize(path).ok()),
    ]
    .into_iter()
    .flatten()
    .filter_map(|path| path.parent().map(|dir| dir.join(&name)));
    let named = std::env::var_os("AWSSO_DAEMON").map(PathBuf::from);
    beside
        .chain(named)
        .find(|path| is_program(path))
        .ok_or_else(|| {
            Failure::new(
                Reason::DaemonUnreachable,
                format!("{name} is not beside this program"),
            )
            .with(
                key::HINT,
                format!("install {name}, or set AWSSO_DAEMON to its path"),
            )
        })
}

fn is_program(path: &Path) -> bool {
    path.is_absolute() && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readiness_line_reads_back() {
        for readiness in [
            Readiness::Ready {
                socket: "/run/user/7/awsso/a b.sock".into(),
            },
            Readiness::Error(Failure::new(Reason::Busy, "already running, pid 7")),
        ] {
            assert_eq!(Readiness::from_line(&readiness.to_line()), Some(readiness));
        }
        assert_eq!(Readiness::from_line(""), None);
    }
}
