//! `awsso daemon start|stop|restart|status`. Asks, and never kills: a daemon
//! that would lose something says so, and only `--force` overrules it.

use std::{fs::File, path::PathBuf, time::Duration};

use awsso_proto::{
    Client, Failure, Reason,
    error::key,
    ipc,
    v1::{ShutdownRequest, WatchRequest, WatchResponse},
};
use serde::Serialize;

use super::{logs, service};
use crate::{
    args::DaemonCommand,
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::time,
    terminal,
};

/// Longer than the daemon gives its own work to end.
const STOP_LIMIT: Duration = Duration::from_mins(1);

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct DaemonView {
    running: bool,
    version: Option<String>,
    protocol: Option<u32>,
    pid: Option<u32>,
    started_at: Option<String>,
    socket: PathBuf,
    running_jobs: Option<u32>,
    active_sessions: Option<u32>,
}

pub async fn run(context: &Context, command: DaemonCommand) -> Result<u8, Stop> {
    match command {
        DaemonCommand::Start => start(context).await?,
        DaemonCommand::Stop(args) => {
            let stopped = stop(context, "stop", args.force).await?;
            if context.json {
                terminal::json(&DaemonView::of_none(context))?;
            } else if stopped {
                terminal::line("awssod has stopped")?;
            } else {
                terminal::line("awssod is not running")?;
            }
        }
        DaemonCommand::Restart(args) => {
            stop(context, "restart", args.force).await?;
            start(context).await?;
        }
        DaemonCommand::Status => status(context).await?,
        DaemonCommand::Logs { lines, follow } => logs::print(context, lines, follow).await?,
        DaemonCommand::Install(args) => service::install(context, &args).await?,
        DaemonCommand::Uninstall(args) => service::uninstall(context, &args).await?,
    }
    Ok(exit::OK)
}

async fn start(context: &Context) -> Result<(), Stop> {
    let client = Progress::new("starting awssod")
        .over(context.connect())
        .await?;
    if context.json {
        return terminal::json(&DaemonView::of(&client).await?);
    }
    let server = client.server();
    terminal::line(format_args!(
        "awssod {} is running, pid {}, on {}",
        server.version,
        server.pid,
        client.socket().display()
    ))
}

/// Whether there was one to stop. Returns when it has really ended.
pub(super) async fn stop(context: &Context, verb: &str, force: bool) -> Result<bool, Stop> {
    let Some(client) = connect_to_running(context).await? else {
        return Ok(false);
    };
    let work = async {
        // Whoever starts a daemon takes this lock: none comes up in between.
        let _no_start = hold(context.endpoint.start_lock(), File::lock).await?;
        client
            .daemon()
            .shutdown(ShutdownRequest {
                force,
                ..ShutdownRequest::default()
            })
            .await
            .map_err(|status| explain_busy(status.into(), verb))?;
        // The daemon lets go of this one last.
        hold(context.endpoint.instance_lock(), ipc::lock_shared).await?;
        Ok(true)
    };
    Progress::new("waiting for awssod to end").over(work).await
}

fn explain_busy(failure: Failure, verb: &str) -> Failure {
    if failure.reason == Reason::Busy {
        let hint = format!("to lose that: awsso daemon {verb} --force");
        return failure.with(key::HINT, hint);
    }
    failure
}

/// Waits for a lock, as long as a daemon may take to end.
async fn hold(path: PathBuf, lock: fn(&File) -> std::io::Result<()>) -> Result<File, Failure> {
    let shown = path.display().to_string();
    let locked = tokio::task::spawn_blocking(move || {
        let file = ipc::open_lock(&path)?;
        lock(&file)?;
        std::io::Result::Ok(file)
    });
    match tokio::time::timeout(STOP_LIMIT, locked).await {
        Ok(Ok(Ok(file))) => Ok(file),
        Ok(Ok(Err(error))) => Err(exit::file_failure(&shown, &error)),
        Ok(Err(error)) => Err(Failure::new(Reason::Internal, error.to_string())),
        Err(_) => Err(Failure::new(
            Reason::Busy,
            format!("awssod has not ended after {} s", STOP_LIMIT.as_secs()),
        )),
    }
}

async fn status(context: &Context) -> Result<(), Stop> {
    let view = match connect_to_running(context).await {
        Ok(Some(client)) => DaemonView::of(&client).await?,
        Ok(None) => DaemonView::of_none(context),
        Err(failure) => return Err(failure.into()),
    };
    if context.json {
        return terminal::json(&view);
    }
    let told = match &view {
        DaemonView { running: false, .. } => "awssod is not running".to_owned(),
        DaemonView {
            version: Some(version),
            pid: Some(pid),
            started_at,
            running_jobs,
            active_sessions,
            ..
        } => format!(
            "awssod {version} is running, pid {pid}, on {}, since {}\n\
             {} running jobs, {} active sessions",
            view.socket.display(),
            started_at.as_deref().unwrap_or("an unknown time"),
            running_jobs.unwrap_or_default(),
            active_sessions.unwrap_or_default(),
        ),
        _ => "awssod is running".to_owned(),
    };
    terminal::line(told)
}

impl DaemonView {
    async fn of(client: &Client) -> Result<Self, Stop> {
        let first = client.daemon().watch(WatchRequest {}).await?;
        let WatchResponse {
            running_jobs,
            active_sessions,
            ..
        } = first.into_inner().message().await?.unwrap_or_default();
        let server = client.server();
        Ok(Self {
            running: true,
            version: Some(server.version.clone()),
            protocol: Some(server.protocol),
            pid: Some(server.pid),
            started_at: time::wire(server.started_at.as_ref()),
            socket: client.socket().to_owned(),
            running_jobs: Some(running_jobs),
            active_sessions: Some(active_sessions),
        })
    }

    fn of_none(context: &Context) -> Self {
        Self {
            socket: context.endpoint.socket.clone(),
            ..Self::default()
        }
    }
}

/// `None` when nobody listens. A daemon of another protocol can be looked at
/// and stopped, too.
async fn connect_to_running(context: &Context) -> Result<Option<Client>, Failure> {
    // Where a service manager listens, to knock is to start one.
    if !context.endpoint.explicit && context.endpoint.announced().is_none() {
        return Ok(None);
    }
    Client::connect_any_protocol(&context.endpoint, &context::identity()).await
}
