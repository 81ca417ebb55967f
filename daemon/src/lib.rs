//! The awsso daemon: one per user, owner of the login, the credentials and the
//! jobs. [`run`] is the composition root: every owner is complete when built.

mod accounts;
mod aws;
pub mod clock;
pub mod config;
mod credentials;
mod ec2;
mod instance;
mod instance_tags;
mod jobs;
mod limiter;
mod lock;
pub mod logs;
mod loopback;
pub mod os;
pub mod policy;
mod portal;
mod rpc;
mod session;

use std::{io, path::Path, pin::Pin, sync::Arc, time::Duration};

use awsso_proto::{Failure, Reason, ipc};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};
use zeroize::Zeroizing;

use accounts::{Accounts, Index, Recent};
use aws::Aws;
use clock::Clock;
use config::Config;
use credentials::Broker;
use instance::Instance;
use instance_tags::InstanceTags;
use jobs::Jobs;
pub use jobs::query::answer as answer_query;
use limiter::Limiters;
use lock::Lock;
use policy::{Agents, Approvals, Audit, Redactor};
use rpc::{Services, Welcome};
pub use session::Vault;
use session::{Sessions, Store};

/// Connections that were accepted and wait to be served.
const BACKLOG: usize = 64;
/// A stopping daemon finishes what it can in this time.
const DRAIN: Duration = Duration::from_secs(6);
/// Others may follow.
const TIDY_AFTER: Duration = Duration::from_secs(1);
/// Out of descriptors, for example: not a reason to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Told once, when clients can connect.
pub type Ready = Box<dyn FnOnce(&Path) + Send>;

/// Runs the daemon until `stop`, on a socket of its own or on one that is bound.
pub async fn run(
    config: Config,
    clock: Clock,
    keyring: Vault,
    bound: Option<ipc::Bound>,
    ready: Ready,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let config = Arc::new(config);
    let mut instance = Instance::acquire(&config.endpoint, bound)?;
    let tracker = TaskTracker::new();
    let limits = config.endpoint.state.join("limits.json");
    let limiters = Limiters::remembered(&limits);
    let aws = Aws::new(Arc::clone(&config), &clock)?;
    let redactor = Redactor::new(clock.clone());
    let state = &config.endpoint.state;
    let (audit, writer) = Audit::open(state, clock.clone(), redactor.clone());
    let store = Store::new(
        state.join("sessions"),
        config.files().unwrap_or_default().settings.store,
        keyring,
    );
    let sessions = Sessions::new(session::Parts {
        config: Arc::clone(&config),
        aws: aws.clone(),
        clock: clock.clone(),
        store,
        limiters: limiters.clone(),
        redactor: redactor.clone(),
        tracker: tracker.clone(),
        stop: stop.clone(),
    });
    let index = Index::new(config.endpoint.state.join("index"));
    let recently = state.join("recent.json");
    let recent = Recent::remembered(&recently);
    let accounts = Accounts::new(
        aws.clone(),
        clock.clone(),
        tracker.clone(),
        index,
        recent.clone(),
    );
    let broker = Broker::new(
        aws.clone(),
        clock.clone(),
        accounts.clone(),
        limiters.clone(),
        redactor.clone(),
        tracker.clone(),
    );
    let lock = Lock::new(sessions.clone(), broker.clone(), clock.clone());
    lock.clone()
        .watch(Arc::clone(&config), &tracker, &stop)
        .map_err(|error| Failure::new(Reason::Internal, format!("SIGUSR1: {error}")))?;
    let instance_tags =
        InstanceTags::new(aws.clone(), clock.clone(), broker.clone(), limiters.clone());
    let jobs = Jobs::new(jobs::Parts {
        config: Arc::clone(&config),
        aws: aws.clone(),
        clock: clock.clone(),
        sessions: sessions.clone(),
        accounts: accounts.clone(),
        broker: broker.clone(),
        limiters: limiters.clone(),
        audit: audit.clone(),
        tracker: tracker.clone(),
        stop: stop.clone(),
    });
    let approvals = Approvals::new(clock.clone(), tracker.clone(), stop.clone());
    let agents = Agents::default();
    sessions.restored().await;
    let services = Services {
        welcome: Welcome::new(agents.clone(), clock.now()),
        config,
        aws,
        limiters: limiters.clone(),
        lock,
        sessions,
        accounts,
        broker,
        jobs,
        instance_tags,
        approvals,
        agents,
        redactor,
        audit,
        tracker: tracker.clone(),
        stop: stop.clone(),
        closing: CancellationToken::new(),
    };
    let listener = instance.bind().await?;
    info!(socket = %instance.socket().display(), version = awsso_proto::VERSION, "ready");
    ready(instance.socket());
    let serving = Box::pin(serve(listener, services, &tracker, stop.clone()));
    let served = until_left(serving, &mut instance, &stop).await;
    if let Err(error) = limiters.remember(&limits) {
        warn!(%error, "what AWS's limits are is not remembered");
    }
    if let Err(error) = recent.remember(&recently) {
        warn!(%error, "the roles that were used lately are not remembered");
    }
    writer.finish().await;
    info!("stopped");
    served
}

/// While this one drains, a client can start the next, which waits.
async fn until_left(
    mut serving: Pin<Box<impl Future<Output = Result<(), Failure>>>>,
    instance: &mut Instance,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let early = tokio::select! {
        served = &mut serving => Some(served),
        () = stop.cancelled() => None,
    };
    instance.leave();
    match early {
        Some(served) => served,
        None => serving.await,
    }
}

async fn serve(
    listener: ipc::Listener,
    services: Services,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let (sender, receiver) = tokio::sync::mpsc::channel(BACKLOG);
    let left = Arc::new(Notify::new());
    tracker.spawn(tidy(Arc::clone(&left), stop.clone()));
    tracker.spawn(accept(listener, sender, left, stop.clone()));
    let closing = services.closing.clone();
    let server = rpc::server(services).serve_with_incoming_shutdown(
        ReceiverStream::new(receiver),
        stop.clone().cancelled_owned(),
    );
    tokio::pin!(server);
    let failed = |error: tonic::transport::Error| {
        Failure::new(Reason::Internal, format!("the server failed: {error}"))
    };
    tokio::select! {
        result = &mut server => {
            stop.cancel();
            result.map_err(failed)?;
        }
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await; } => {
            warn!("some calls did not end in time");
            closing.cancel();
        }
    }
    tracker.close();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        warn!(tasks = tracker.len(), "some tasks did not end in time");
    }
    Ok(())
}

/// Hands connections over as they come; a peer that stalls stalls only itself.
async fn accept(
    mut listener: ipc::Listener,
    to: tokio::sync::mpsc::Sender<std::io::Result<rpc::Accepted>>,
    left: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        let conn = tokio::select! {
            () = stop.cancelled() => return,
            conn = listener.accept() => conn,
        };
        match conn {
            Ok(conn) => {
                if to
                    .send(Ok(rpc::Accepted::new(conn, Arc::clone(&left))))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                warn!(%error, "refused");
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What clients made this daemon need goes a moment after one has left.
async fn tidy(left: Arc<Notify>, stop: CancellationToken) {
    let often = async {
        loop {
            left.notified().await;
            tokio::time::sleep(TIDY_AFTER).await;
            os::give_back();
        }
    };
    stop.run_until_cancelled(often).await;
}

/// From the system, zeroed when they go.
fn random_bytes<const N: usize>() -> io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Bytes as a name of a file or a job.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}
