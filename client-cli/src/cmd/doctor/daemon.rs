//! Whether there is a daemon, one of this version, and what it says.

use std::time::Duration;

use awsso_proto::{
    Client, Failure, PROTOCOL, VERSION,
    v1::{DiagnoseRequest, DiagnoseResponse},
};
use tokio::time::timeout;

use super::{Check, Finding};
use crate::context::{self, Context};

/// A daemon starts in milliseconds.
const START_LIMIT: Duration = Duration::from_secs(5);
/// It asks AWS and the keyring, and waits three seconds for them.
const ANSWER_LIMIT: Duration = Duration::from_millis(4_500);

/// The daemon's answer, if it can give one, and how it stands itself.
pub async fn ask(context: &Context) -> (Vec<Check>, Option<DiagnoseResponse>) {
    let client = match timeout(START_LIMIT, connect(context)).await {
        Ok(Ok(client)) => client,
        Ok(Err(failure)) => return (vec![unreachable(&failure)], None),
        Err(_) => {
            let summary = format!("no daemon answers in {} s", START_LIMIT.as_secs());
            let cure = "awsso daemon logs; then end awssod, and run: awsso daemon start";
            return (vec![Check::fail(Finding::DaemonStuck, summary, cure)], None);
        }
    };
    let server = client.server();
    let told = format!(
        "awssod {} runs, pid {}, on {}",
        server.version,
        server.pid,
        client.socket().display()
    );
    let restart = "awsso daemon restart";
    if server.protocol != PROTOCOL {
        let summary = format!(
            "{told}; it speaks protocol {}, this awsso {PROTOCOL}",
            server.protocol
        );
        let check = Check::fail(Finding::DaemonOtherProtocol, summary, restart);
        return (vec![check], None);
    }
    let own = if server.version == VERSION {
        Check::ok(Finding::DaemonRuns, told)
    } else {
        let summary = format!("{told}; this is awsso {VERSION}");
        Check::warn(Finding::DaemonOtherVersion, summary, restart)
    };
    let request = DiagnoseRequest {
        session: Some(context.session.clone()),
    };
    let mut daemon = client.daemon();
    match timeout(ANSWER_LIMIT, daemon.diagnose(request)).await {
        Ok(Ok(answer)) => (vec![own], Some(answer.into_inner())),
        Ok(Err(status)) => {
            let failure = Failure::from(status);
            let summary = format!("it cannot say how it stands: {failure}");
            let check = Check::warn(Finding::DaemonCannotSay, summary, restart);
            (vec![own, check], None)
        }
        Err(_) => {
            let summary = format!("it does not answer in {} s", ANSWER_LIMIT.as_secs());
            let check = Check::fail(Finding::DaemonSlow, summary, restart);
            (vec![own, check], None)
        }
    }
}

/// Whatever runs is looked at; where nothing does, one is started.
async fn connect(context: &Context) -> Result<Client, Failure> {
    match Client::connect_any_protocol(&context.endpoint, &context::identity()).await? {
        Some(client) => Ok(client),
        None => context.connect().await,
    }
}

fn unreachable(failure: &Failure) -> Check {
    let cure = failure.hint().unwrap_or("awsso daemon logs");
    Check::fail(Finding::DaemonUnreachable, failure.message.clone(), cure)
}
