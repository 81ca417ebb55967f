//! `awsso.v1.Daemon`: the handshake, the daemon's own state, its end.

use awsso_proto::{
    Failure, PROTOCOL, Reason,
    error::key,
    v1::{
        DiagnoseRequest, DiagnoseResponse, HelloRequest, HelloResponse, LockRequest, LockResponse,
        LoginFlow, ShutdownRequest, ShutdownResponse, StoreKind, UnlockRequest, UnlockResponse,
        WatchRequest, WatchResponse, daemon_server::Daemon,
    },
};
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

use super::{STREAM_QUEUE, Services, Stream, connection::Caller};
use crate::{policy, session::Session};

/// How often a watched daemon looks for a change; nothing runs unwatched.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

#[tonic::async_trait]
impl Daemon for Services {
    async fn hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloResponse>, Status> {
        let caller = Caller::of(&request);
        let hello = request.into_inner();
        Ok(Response::new(self.welcome.meet(&caller, &hello)))
    }

    type WatchStream = Stream<WatchResponse>;

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(STREAM_QUEUE);
        let services = self.clone();
        self.tracker.spawn(async move {
            let mut look = tokio::time::interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = None;
            loop {
                let stopping = tokio::select! {
                    _ = look.tick() => false,
                    () = services.stop.cancelled() => true,
                    () = sender.closed() => return,
                };
                let now = services.state(stopping);
                if last.as_ref() != Some(&now) {
                    if sender.send(Ok(now)).await.is_err() {
                        return;
                    }
                    last = Some(now);
                }
                if stopping {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        let caller = Caller::of(&request);
        let ShutdownRequest {
            force,
            for_protocol,
        } = request.into_inner();
        // An assistant's client is updated, too, and by this nobody loses anything.
        let hands_over = for_protocol > PROTOCOL && !force;
        if !hands_over {
            policy::person_only(caller.principal(), "stop the daemon")?;
        }
        if !force {
            self.nothing_is_lost(hands_over).await?;
        }
        info!(
            name = caller.name(),
            pid = caller.pid(),
            for_protocol,
            "asked to stop"
        );
        self.stop.cancel();
        Ok(Response::new(ShutdownResponse {}))
    }

    async fn diagnose(
        &self,
        request: Request<DiagnoseRequest>,
    ) -> Result<Response<DiagnoseResponse>, Status> {
        // Not admitted as others are: a broken configuration is what it tells.
        policy::person_only(Caller::of(&request).principal(), "diagnose the daemon")?;
        let reference = request.into_inner().session.unwrap_or_default();
        Ok(Response::new(self.diagnosis(&reference).await))
    }

    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        // Also with a broken configuration. An agent could keep people from their work.
        policy::person_only(Caller::of(&request).principal(), "lock awsso")?;
        let lost = self.lock.close().await;
        Ok(Response::new(LockResponse {
            changed: lost.is_some(),
            lost: lost.unwrap_or_default(),
        }))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        policy::person_only(Caller::of(&request).principal(), "unlock awsso")?;
        let changed = self.lock.open();
        Ok(Response::new(UnlockResponse { changed }))
    }
}

impl Services {
    /// Whether this daemon may end. A person who ends it knows that a login in
    /// memory goes; who only came with a newer client does not.
    async fn nothing_is_lost(&self, hands_over: bool) -> Result<(), Failure> {
        let busy = |lost: String| Failure::new(Reason::Busy, format!("{lost} would be lost"));
        let running = self.jobs.would_be_lost();
        if running > 0 {
            let hint = "wait for them (awsso jobs list), or add --force";
            return Err(busy(format!("{running} running job(s)")).with(key::HINT, hint));
        }
        if !hands_over {
            return Ok(());
        }
        let sessions = self.sessions.all();
        let mut logins = sessions.iter().map(Session::flow_in_progress);
        if logins.any(|flow| flow == Some(LoginFlow::Browser)) {
            return Err(busy("a login that waits for the browser".into()));
        }
        let held = sessions.iter().filter(|session| session.holds_token());
        let held = held.count();
        if held > 0 && self.sessions.store().await.kind() == StoreKind::Memory {
            return Err(busy(format!("{held} login(s), kept in memory only,")));
        }
        Ok(())
    }

    fn state(&self, stopping: bool) -> WatchResponse {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let active = self
            .sessions
            .all()
            .iter()
            .filter(|session| session.holds_token())
            .count();
        WatchResponse {
            running_jobs: count(self.jobs.running()),
            active_sessions: count(active),
            stopping,
        }
    }
}
