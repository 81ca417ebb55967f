//! `awsso exec --serve`: a program whose SDK asks the daemon for credentials
//! whenever it needs fresh ones. The endpoint lives as long as this process
//! holds it, and is opened again where it was when the daemon has restarted.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io::Write as _,
    path::PathBuf,
    pin::pin,
    time::Duration,
};

use awsso_proto::{
    Failure, Reason, ipc,
    v1::{OpenEndpointRequest, OpenEndpointResponse, Secret, Target},
};
use tonic::Streaming;

use super::{command, not_run};
use crate::{
    context::Context,
    exit::{self, Stop},
    os::{self, Handed},
    progress::Progress,
    terminal,
};

/// A daemon that stops may take this long, [`PAUSE`] by `PAUSE`, until another can start.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(500);

/// An endpoint that is open as long as it is held, and where it is.
pub async fn open(context: &Context, target: Target) -> Result<(Held, OpenEndpointResponse), Stop> {
    let opened = Progress::new("asking AWS for credentials")
        .over(Held::open(context, target))
        .await?;
    Ok(opened)
}

pub async fn run(
    context: &Context,
    (mut held, opened): (Held, OpenEndpointResponse),
    line: &[OsString],
) -> Result<u8, Stop> {
    let config = EmptyConfig::write(context, &opened.region)?;
    let (mut command, program) = command(line);
    command.envs(variables(&opened, &config));
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|error| not_run(program, &error))?;
    let pid = child.id();
    // After the start: what is ignored here (nohup) stays ignored there.
    let mut handed = Handed::new()?;
    let mut keeping = pin!(held.keep(context));
    loop {
        tokio::select! {
            status = child.wait() => return Ok(os::exit_code(status?)),
            signal = handed.next() => os::send(pid, signal),
            never = &mut keeping => match never {},
        }
    }
}

fn variables<'a>(
    opened: &'a OpenEndpointResponse,
    config: &'a EmptyConfig,
) -> impl Iterator<Item = (&'static str, &'a OsStr)> {
    let endpoint = opened.endpoint.as_ref();
    let token = endpoint.and_then(|endpoint| endpoint.token.as_ref());
    let token = token.map_or("", Secret::expose);
    let (config, region) = (config.0.as_os_str(), opened.region.as_str());
    let variables: [(_, &OsStr); 6] = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", opened.url.as_ref()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.as_ref()),
        ("AWS_CONFIG_FILE", config),
        ("AWS_SHARED_CREDENTIALS_FILE", config),
        // Version 1 of the AWS CLI knows only the second.
        ("AWS_REGION", region.as_ref()),
        ("AWS_DEFAULT_REGION", region.as_ref()),
    ];
    variables.into_iter().filter(|(_, value)| !value.is_empty())
}

/// The stream that keeps the endpoint open.
pub struct Held {
    stream: Streaming<OpenEndpointResponse>,
    /// How the same endpoint is asked for again.
    again: OpenEndpointRequest,
}

impl Held {
    async fn open(
        context: &Context,
        target: Target,
    ) -> Result<(Self, OpenEndpointResponse), Failure> {
        let request = OpenEndpointRequest {
            target: Some(target.clone()),
            again: None,
        };
        let (stream, opened) = ask(context, request).await?;
        // By its id and role: after a restart, nothing is to be looked up.
        let target = Target {
            account: opened.account_id.clone(),
            role: opened.role_name.clone(),
            region: opened.region.clone(),
            ..target
        };
        let again = OpenEndpointRequest {
            target: Some(target),
            again: opened.endpoint.clone(),
        };
        Ok((Self { stream, again }, opened))
    }

    /// Holds the endpoint, whatever becomes of the daemon, or says once that it is lost.
    async fn keep(&mut self, context: &Context) -> Infallible {
        loop {
            // No other message comes; how the stream ends does not matter.
            while let Ok(Some(_)) = self.stream.message().await {}
            match self.reopen(context).await {
                Ok(stream) => self.stream = stream,
                Err(failure) => {
                    exit::tell(&failure);
                    terminal::say("  the program that runs gets no new credentials");
                    return std::future::pending().await;
                }
            }
        }
    }

    async fn reopen(&self, context: &Context) -> Result<Streaming<OpenEndpointResponse>, Failure> {
        let mut tries = 1;
        loop {
            match ask(context, self.again.clone()).await {
                Ok((stream, _)) => return Ok(stream),
                Err(failure) if tries < TRIES && is_between_daemons(failure.reason) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// One daemon has not ended, or the next one is not there yet. A port that is
/// somebody else's by now is lost for good: the program may have shown him its token.
fn is_between_daemons(reason: Reason) -> bool {
    matches!(reason, Reason::DaemonUnreachable | Reason::ShuttingDown)
}

async fn ask(
    context: &Context,
    request: OpenEndpointRequest,
) -> Result<(Streaming<OpenEndpointResponse>, OpenEndpointResponse), Failure> {
    let client = context.connect().await?;
    let mut stream = client
        .credentials()
        .open_endpoint(request)
        .await?
        .into_inner();
    let opened = stream.message().await?.ok_or_else(|| {
        Failure::new(
            Reason::ShuttingDown,
            "the daemon stopped before it had opened an endpoint",
        )
    })?;
    Ok((stream, opened))
}

/// A config file without credentials: those of a person's own `[default]`
/// would win over the endpoint. Removed at the end.
struct EmptyConfig(PathBuf);

impl EmptyConfig {
    fn write(context: &Context, region: &str) -> Result<Self, Stop> {
        let dir = context.endpoint.state.join("exec");
        ipc::private_dir(&dir)?;
        let path = dir.join(format!("{}.config", std::process::id()));
        let write = || {
            // What an earlier process of this id left behind.
            let _ = std::fs::remove_file(&path);
            let mut file = ipc::private_file()
                .write(true)
                .create_new(true)
                .open(&path)?;
            if region.is_empty() {
                return writeln!(file, "[default]");
            }
            writeln!(file, "[default]\nregion = {region}")
        };
        write().map_err(|error| exit::file_failure(&path.display(), &error))?;
        Ok(Self(path))
    }
}

impl Drop for EmptyConfig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it holds nothing of value
    }
}
