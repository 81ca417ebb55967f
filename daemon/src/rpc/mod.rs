//! One thin adapter per service: decode → policy → one owner → encode. No rules
//! and no AWS in here.

mod accounts;
mod approvals;
mod connection;
mod credentials;
mod daemon;
mod diagnosis;
mod door;
mod hello;
mod jobs;
mod policy;
mod selection;
mod session;
mod target;

use std::sync::Arc;

use awsso_proto::{
    Failure, Reason,
    v1::{
        SessionRef, accounts_server::AccountsServer, approvals_server::ApprovalsServer,
        credentials_server::CredentialsServer, daemon_server::DaemonServer,
        jobs_server::JobsServer, policy_server::PolicyServer, session_server::SessionServer,
    },
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Status, transport::server::Router};
use tower_layer::{Identity, Stack};

pub use connection::Accepted;
use connection::Caller;
use door::Door;
pub use hello::Welcome;

use crate::{
    accounts::Accounts,
    aws::Aws,
    config::{self, Config, Files},
    credentials::Broker,
    instance_tags::InstanceTags,
    jobs::Jobs,
    limiter::Limiters,
    lock::Lock,
    policy::{Agents, Approvals, Audit, Note, Principal, Redactor, admit, person_only},
    session::{Session, Sessions},
};

/// Messages of one stream that wait for a slow client.
const STREAM_QUEUE: usize = 8;

/// What every server stream is made of.
type Stream<T> = ReceiverStream<Result<T, Status>>;

/// The owners, as the services see them.
#[derive(Debug, Clone)]
pub struct Services {
    pub welcome: Welcome,
    pub config: Arc<Config>,
    pub aws: Aws,
    pub limiters: Limiters,
    pub lock: Lock,
    pub sessions: Sessions,
    pub accounts: Accounts,
    pub broker: Broker,
    pub jobs: Jobs,
    pub instance_tags: InstanceTags,
    pub approvals: Approvals,
    pub agents: Agents,
    pub redactor: Redactor,
    pub audit: Audit,
    pub tracker: TaskTracker,
    /// The daemon stops: streams that only watch end.
    pub stop: CancellationToken,
    /// The drain is over: every stream ends.
    pub closing: CancellationToken,
}

pub fn server(services: Services) -> Router<Stack<Door, Identity>> {
    let door = Door {
        audit: services.audit.clone(),
        redactor: services.redactor.clone(),
        welcome: services.welcome.clone(),
    };
    tonic::transport::Server::builder()
        .layer(door)
        .add_service(DaemonServer::new(services.clone()))
        .add_service(SessionServer::new(services.clone()))
        .add_service(AccountsServer::new(services.clone()))
        .add_service(CredentialsServer::new(services.clone()))
        .add_service(ApprovalsServer::new(services.clone()))
        .add_service(JobsServer::new(services.clone()))
        .add_service(PolicyServer::new(services))
}

impl Services {
    /// The session that a client means.
    fn session(&self, reference: Option<SessionRef>, files: &Files) -> Result<Session, Failure> {
        let reference = reference.unwrap_or_default();
        let resolved = config::resolve(&reference, files, &self.sessions.specs())?;
        Ok(self.sessions.get(&resolved.spec))
    }

    /// Who asks, admitted; and what the configuration says now.
    fn admit<T>(&self, request: &Request<T>) -> Result<(Principal, Files), Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::new(Reason::ShuttingDown, "the daemon is stopping"));
        }
        let files = self.config.files()?;
        let principal = Caller::of(request).principal();
        if principal == Principal::Agent {
            self.audit.admit_agent()?;
        }
        admit(principal, &files)?;
        Self::note(request).decided("allow", "");
        Ok((principal, files))
    }

    /// What only a login gives: a person who asks for it opens what was locked, an
    /// agent does not.
    fn admit_to_logins(&self, principal: Principal) -> Result<(), Failure> {
        match principal {
            // Not LOGIN_REQUIRED: to log in is what it would try next.
            Principal::Agent if self.lock.is_closed() => Err(Failure::new(
                Reason::DeniedByPolicy,
                "awsso is locked, and only a person opens it: awsso unlock",
            )),
            Principal::Agent => Ok(()),
            Principal::Person => {
                self.lock.open();
                Ok(())
            }
        }
    }

    /// What the audit log will say of this request.
    fn note<T>(request: &Request<T>) -> Note {
        let note = request.extensions().get::<Note>();
        note.expect("every request comes through the door").clone()
    }

    /// The same for what only a person may do.
    fn admit_person<T>(&self, request: &Request<T>, what: &str) -> Result<Files, Failure> {
        let (principal, files) = self.admit(request)?;
        person_only(principal, what)?;
        Ok(files)
    }
}
