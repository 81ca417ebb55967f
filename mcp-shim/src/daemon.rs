//! The connection to the daemon that survives the daemon: made on the first
//! call (starting the daemon if need be), made again when it broke. A call that
//! may be repeated is repeated once on a new connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use awsso_proto::{Client, Endpoint, Failure, Reason, client::Identity};
use tonic::{Response, Status};

pub(crate) struct Daemon {
    /// Without one the shim still shakes hands and lists its tools.
    endpoint: Result<Endpoint, Failure>,
    current: Mutex<Option<Client>>,
}

impl Daemon {
    pub(crate) fn new(endpoint: Result<Endpoint, Failure>) -> Self {
        Self {
            endpoint,
            current: Mutex::new(None),
        }
    }

    /// A live connection. Two first calls may each make one; the start lock
    /// keeps that one daemon.
    pub(crate) async fn client(&self, who: &Identity) -> Result<Client, Failure> {
        let live = self.current().clone().filter(|client| !client.is_closed());
        if let Some(client) = live {
            return Ok(client);
        }
        let endpoint = self.endpoint.as_ref().map_err(Clone::clone)?;
        let client = Client::connect_or_start(endpoint, who).await?;
        tracing::info!(
            pid = client.server().pid,
            version = client.server().version,
            "connected to the daemon"
        );
        *self.current() = Some(client.clone());
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
            if matches!(
                failure.reason,
                Reason::DaemonUnreachable | Reason::ShuttingDown
            ) {
                *self.current() = None;
            }
            failure
        })
    }

    fn current(&self) -> MutexGuard<'_, Option<Client>> {
        // The guarded value is replaced whole, so a panic cannot have torn it.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
