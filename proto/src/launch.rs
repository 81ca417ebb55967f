//! How a client starts the daemon, so that ten clients at once end with one:
//! start lock → probe again → spawn, detached, stdout piped → read one line,
//! `ready SOCKET` or `error REASON TEXT` → connect. Nothing sleeps or polls, and
//! a start error reaches the person. A daemon that is too old is asked, under the
//! same lock, to make room for the next one.

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
    Client, Endpoint, PROTOCOL,
    client::{self, Identity},
    environment,
    error::{Failure, Reason, key},
    ipc,
    v1::ShutdownRequest,
};

/// A daemon is ready in milliseconds; a stuck one must not hold its client.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Long enough for another client's start, or a daemon's end, in success or not.
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
    if let Some(client) = Client::connect_any_protocol(endpoint, who).await?
        && !client.is_outdated()
    {
        return client.of_our_protocol();
    }
    ipc::private_dir(&endpoint.state)?;
    let _no_other_start = locked(endpoint.start_lock(), ipc::lock, "another client").await?;
    if let Some(client) = Client::connect_any_protocol(endpoint, who).await? {
        if !client.is_outdated() {
            return client.of_our_protocol();
        }
        hand_over(endpoint, &client).await?;
        // Where a service manager listens, this starts the next one.
        let next = Client::probe(endpoint, who).await;
        if let Some(client) = next.map_err(of_another_version)? {
            return Ok(client);
        }
    }
    start(endpoint).await?;
    let client = Client::connect(endpoint, who).await;
    client.map_err(of_another_version)
}

/// A daemon that has just been started is no better for being started again.
fn of_another_version(failure: Failure) -> Failure {
    if failure.reason == Reason::ProtocolMismatch {
        let hint = "install awsso, awssod and awsso-mcp of one version";
        return failure.with(key::HINT, hint);
    }
    failure
}

/// Asks a daemon to end for the sake of a newer one, and waits until it has. It
/// refuses when something would be lost, and is left alone then.
async fn hand_over(endpoint: &Endpoint, client: &Client) -> Result<(), Failure> {
    let request = ShutdownRequest {
        for_protocol: PROTOCOL,
        ..ShutdownRequest::default()
    };
    if let Err(status) = client.daemon().shutdown(request).await {
        let failure = Failure::from(status);
        match failure.reason {
            // It is on its way out.
            Reason::ShuttingDown | Reason::DaemonUnreachable => {}
            Reason::Busy => {
                let mut refused = client::mismatch(client.server());
                refused.message = format!("{refused}, and cannot replace it: {failure}");
                let hint = "wait for that to end, or to lose it: awsso daemon restart --force";
                return Err(refused.with(key::HINT, hint));
            }
            _ => return Err(failure),
        }
    }
    // It lets go of this one last.
    locked(endpoint.instance_lock(), ipc::lock_shared, "the daemon").await?;
    Ok(())
}

/// Takes a lock that somebody may hold for a while.
async fn locked(
    path: PathBuf,
    lock: fn(&File) -> std::io::Result<()>,
    holder: &str,
) -> Result<File, Failure> {
    let shown = path.display().to_string();
    let locked = tokio::task::spawn_blocking(move || {
        let file = ipc::open_lock(&path)?;
        lock(&file)?;
        std::io::Result::Ok(file)
    });
    match tokio::time::timeout(LOCK_LIMIT, locked).await {
        Ok(Ok(Ok(file))) => Ok(file),
        Ok(Ok(Err(error))) => Err(cannot_start(format!("{shown}: {error}"))),
        Ok(Err(error)) => Err(cannot_start(error)),
        Err(_) => Err(cannot_start(format!("{holder} holds {shown}"))),
    }
}

async fn start(endpoint: &Endpoint) -> Result<(), Failure> {
    let program = find_daemon()?;
    let mut command = Command::new(&program);
    command.arg("--detach");
    if endpoint.explicit {
        command.arg("--socket").arg(&endpoint.socket);
    }
    command
        .env_clear()
        .envs(environment::listed(environment::FOR_DAEMON))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = ipc::spawn_daemon(&mut command)
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
pub fn find_daemon() -> Result<PathBuf, Failure> {
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
