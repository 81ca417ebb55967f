//! `awssod`: arguments → whoever started it → private log → hardening → run → exit code.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use awsso_proto::{Endpoint, Failure, Reason, ipc, launch::Readiness};
use awssod::{
    Vault,
    clock::Clock,
    config::{Config, Environment},
    logs,
    os::{self, Supervisor},
};
use clap::Parser;
use tokio::runtime::{Builder, LocalOptions};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The awsso daemon. Clients start it by themselves; `awsso daemon` controls it.
#[derive(Debug, Parser)]
#[command(name = "awssod", version)]
struct Args {
    /// Listen on this socket instead of the usual one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Leave the terminal and the caller's session once ready
    #[arg(long)]
    detach: bool,
    /// Write the key that the keyring holds, for the daemon that started this
    #[arg(long, value_name = "ACCOUNT", hide = true)]
    ask_keyring: Option<String>,
    /// Answer a question about the output on stdin, for the daemon that started this
    #[arg(long, value_name = "QUESTION", hide = true)]
    answer_query: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(account) = &args.ask_keyring {
        let _ = os::harden(); // no log to tell a warning in
        return os::keyring::answer(account);
    }
    if let Some(question) = &args.answer_query {
        let _ = os::harden(); // no log to tell a warning in
        return awssod::answer_query(question);
    }
    let (supervisor, bound) = if args.detach {
        os::detach();
        (Supervisor::default(), Ok(None)) // a client started us
    } else {
        Supervisor::take()
    };
    match bound.and_then(|bound| start(args, bound, &supervisor)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(reason = failure.reason.name(), %failure, "the daemon ends");
            supervisor.failed(&failure);
            say(&Readiness::Error(failure));
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args, bound: Option<ipc::Bound>, supervisor: &Supervisor) -> Result<(), Failure> {
    os::map_large_blocks();
    let warnings = os::harden();
    let endpoint = Endpoint::from_env(args.socket)?;
    logs::init(&endpoint.logs(), std::env::var("AWSSO_LOG").ok().as_deref())?;
    for warning in warnings {
        warn!(warning, "hardening");
    }
    let config = Config::new(endpoint, Environment::from_process()?);
    // One thread serves faster than two here; disks and keyrings get their own. A local
    // runtime links no scheduler for more.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| Failure::new(Reason::Internal, format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let (stopper, told) = (stop.clone(), supervisor.clone());
        let interrupts = ipc::Interrupts::new();
        let signals = tokio::spawn(async move {
            match interrupts {
                Ok(mut interrupts) => {
                    if let Some(signal) = stopper.run_until_cancelled(interrupts.next()).await {
                        info!(signal, "stopping");
                    }
                }
                Err(error) => {
                    warn!(%error, "no signal is heard");
                    stopper.cancelled().await;
                }
            }
            told.stopping();
            stopper.cancel();
        });
        let (detach, told) = (args.detach, supervisor.clone());
        let ready = Box::new(move |socket: &Path| {
            announce(socket, detach);
            told.ready();
        });
        let keyring = Vault::of_the_system(&config.endpoint.state);
        let result = awssod::run(config, Clock::system(), keyring, bound, ready, stop).await;
        signals.abort();
        result
    })
}

/// The one line that whoever started us waits for.
fn announce(socket: &Path, detach: bool) {
    say(&Readiness::Ready {
        socket: socket.to_owned(),
    });
    if detach && let Err(error) = os::release_stdio() {
        warn!(%error, "the standard streams stay open");
    }
}

fn say(readiness: &Readiness) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}", readiness.to_line()); // nobody listens
    let _ = out.flush(); // nobody listens
}
