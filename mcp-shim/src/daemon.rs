//! The connections to the daemon that survive the daemon, one for each client that
//! stands behind the shim, so that the daemon knows who asks: made on the first
//! call (starting the daemon if need be), made again when it broke. A call that may
//! be repeated is repeated once on a new connection.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use awsso_proto::{Client, Endpoint, Failure, Reason, client::Identity};
use tonic::{Response, Status};

/// Clients behind one shim. On stdio there is one; over HTTP a name is only what a
/// client says of itself.
const CLIENTS: usize = 16;

/// By the client's name, and whether it can ask its person, which the daemon is told
/// once for each connection.
type Who = (String, bool);

pub(crate) struct Daemon {
    /// Without one the shim still shakes hands and lists its tools.
    endpoint: Result<Endpoint, Failure>,
    connections: Mutex<HashMap<Who, Client>>,
}

impl Daemon {
    pub(crate) fn new(endpoint: Result<Endpoint, Failure>) -> Self {
        Self {
            endpoint,
            connections: Mutex::default(),
        }
    }

    /// A live connection. Two first calls may each make one; the start lock
    /// keeps that one daemon.
    pub(crate) async fn client(&self, who: &Identity) -> Result<Client, Failure> {
        let key = (who.name.clone(), who.form_elicitation);
        let known = self.connections().get(&key).cloned();
        if let Some(client) = known.filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let endpoint = self.endpoint.as_ref().map_err(Clone::clone)?;
        let client = Client::connect_or_start(endpoint, who).await?;
        tracing::info!(
            pid = client.server().pid,
            version = client.server().version,
            "connected to the daemon"
        );
        let mut connections = self.connections();
        if connections.len() >= CLIENTS {
            // Whoever comes again gets a new one; a call that runs keeps its own.
            connections.clear();
        }
        connections.insert(key, client.clone());
        Ok(client)
    }

    /// Makes a call that may be made twice.
    pub(crate) async fn call<T, F>(
        &self,
        who: &Identity,
        call: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let first = call(self.client(who).await?).await;
        match self.judge(first) {
            Err(failure) if failure.reason == Reason::DaemonUnreachable => {
                tracing::info!("the daemon went away; calling again on a new connection");
                self.judge(call(self.client(who).await?).await)
            }
            judged => judged,
        }
    }

    /// What a call came to; a connection that proved useless is forgotten.
    pub(crate) fn judge<T>(&self, called: Result<Response<T>, Status>) -> Result<T, Failure> {
        called.map(Response::into_inner).map_err(|status| {
            let failure = Failure::from(status);
            tracing::debug!(reason = failure.reason.name(), "the daemon refused");
            if matches!(
                failure.reason,
                Reason::DaemonUnreachable | Reason::ShuttingDown
            ) {
                self.connections().clear();
            }
            failure
        })
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<Who, Client>> {
        // Each change is one call of the map, so a panic cannot have torn it.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
