//! `awsso.v1.Approvals`: what waits for a person, and the person's answers.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{
        ApprovalPlace, DecideApprovalRequest, DecideApprovalResponse, JobKind,
        WatchApprovalsRequest, WatchApprovalsResponse, approvals_server::Approvals as Service,
        start_job_request::Work,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream, connection::Caller};
use crate::{
    jobs::{self, Planned, Target},
    policy::{Action, Asked, By, Principal},
};

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
                    let waiting = watcher.waiting();
                    let message = WatchApprovalsResponse { waiting };
                    if sender.send(Ok(message)).await.is_err() || !watcher.changed().await {
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

impl Services {
    /// A person knows accounts by their names.
    pub(super) async fn name_accounts(&self, planned: &mut [Planned]) {
        for target in planned.iter_mut().filter_map(|it| it.target.as_mut().ok()) {
            let id = &target.role.account;
            if let Ok(account) = self.accounts.find(&target.session, id).await {
                let account = self.with_its_name(&target.session, account).await;
                target.account_name = account.name;
            }
        }
    }
}

/// What a person is shown of a request, and approves.
pub(super) fn asked(
    work: &Work,
    action: &Action,
    planned: &[Planned],
    limit: Option<Duration>,
) -> Asked {
    let targets = planned.iter().filter_map(|it| it.target.as_ref().ok());
    let place = |target: &Target, instance: &str| ApprovalPlace {
        account_id: target.role.account.clone(),
        account_name: target.account_name.clone(),
        role_name: target.role.name.clone(),
        region: target.region.clone(),
        instance_id: instance.to_owned(),
    };
    let mut detail = Vec::new();
    let (kind, argv, places) = match work {
        Work::AwsCli(work) => {
            if !work.working_directory.is_empty() {
                detail.push(format!("in {}", work.working_directory));
            }
            let words = jobs::aws_cli_words(&work.command);
            let argv = words.unwrap_or_else(|_| vec![work.command.clone()]);
            let places = targets.map(|target| place(target, "")).collect();
            (JobKind::AwsCli, argv, places)
        }
        Work::Ssm(work) => {
            for target in &work.targets {
                detail.push(format!(
                    "on every instance with {}={}",
                    target.key,
                    target.values.join(",")
                ));
            }
            if !work.shell.is_empty() {
                detail.push(format!("by {}", work.shell));
            }
            if work.strict {
                detail.push("ends at the first error".to_owned());
            }
            if !work.working_directory.is_empty() {
                detail.push(format!("in {}", work.working_directory));
            }
            let places = match &work.instance_ids[..] {
                [] => targets.map(|target| place(target, "")).collect(),
                ids => targets
                    .flat_map(|target| ids.iter().map(|id| place(target, id)))
                    .collect(),
            };
            (JobKind::Ssm, vec![work.command.clone()], places)
        }
    };
    if let Some(limit) = limit {
        detail.push(format!("for {} s at most", limit.as_secs()));
    }
    Asked {
        kind,
        argv,
        detail: detail.join(", "),
        class: action.class.word().to_owned(),
        places,
    }
}
