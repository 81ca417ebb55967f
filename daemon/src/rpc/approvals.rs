//! `awsso.v1.Approvals`: what waits for a person, and the person's answers.

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{
        DecideApprovalRequest, DecideApprovalResponse, WatchApprovalsRequest,
        WatchApprovalsResponse, approvals_server::Approvals as Service,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream, connection::Caller};
use crate::policy::{By, Principal};

#[tonic::async_trait]
impl Service for Services {
    type WatchStream = Stream<WatchApprovalsResponse>;

    async fn watch(
        &self,
        request: Request<WatchApprovalsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (principal, _) = self.admit(&request)?;
        // To look is an agent's right too: it waits for an answer given elsewhere.
        let only_looks = request.get_ref().only_look || principal == Principal::Agent;
        let mut watcher = self.approvals.watch(only_looks);
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let told = async {
                loop {
                    let waiting = watcher.list.borrow_and_update().clone();
                    let message = WatchApprovalsResponse { waiting };
                    if sender.send(Ok(message)).await.is_err()
                        || watcher.list.changed().await.is_err()
                    {
                        return;
                    }
                }
            };
            tokio::select! {
                () = told => {}
                () = sender.closed() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn decide(
        &self,
        request: Request<DecideApprovalRequest>,
    ) -> Result<Response<DecideApprovalResponse>, Status> {
        let (principal, _) = self.admit(&request)?;
        let caller = Caller::of(&request);
        let asker = caller.asker();
        let by = match principal {
            Principal::Agent => By::Client(&asker),
            Principal::Person => By::Person,
        };
        let behind = caller.pid().and_then(|pid| self.agents.behind(pid));
        if let (Principal::Person, Some(host)) = (principal, behind) {
            let what = format!(
                "this was started by process {host}, which also runs an agent: an agent cannot approve what it asks for"
            );
            return Err(Failure::new(Reason::DeniedByPolicy, what)
                .with(key::HINT, "use a terminal of its own")
                .into());
        }
        self.approvals.decide(&by, request.get_ref())?;
        Ok(Response::new(DecideApprovalResponse {}))
    }
}
