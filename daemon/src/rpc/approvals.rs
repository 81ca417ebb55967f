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
    policy::{Action, Asked, By, Principal, Relay, Rules},
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
        let (principal, files) = self.admit(&request)?;
        let caller = Caller::of(&request);
        let decision = request.get_ref();
        match principal {
            Principal::Person => {
                self.check_person(&caller)?;
                self.approvals.decide(By::Person, decision)?;
                self.lock.person_is_here();
            }
            Principal::Agent => {
                let relay = self.relay(&caller);
                relay.check(&files.settings.policy.rules, &decision.id)?;
                let asker = caller.asker();
                self.approvals.decide(By::Client(&asker), decision)?;
            }
        }
        Ok(Response::new(DecideApprovalResponse {}))
    }
}

impl Services {
    /// An agent with a shell of its own can say that it is a person.
    fn check_person(&self, caller: &Caller) -> Result<(), Failure> {
        let Some(host) = caller.pid().and_then(|pid| self.agents.behind(pid)) else {
            return Ok(());
        };
        let what = format!(
            "this was started by process {host}, which also runs an agent: an agent cannot approve what it asks for"
        );
        let failure = Failure::new(Reason::DeniedByPolicy, what);
        Err(failure.with(key::HINT, "use a terminal of its own"))
    }

    /// Who would pass on what a client's person answers.
    fn relay(&self, caller: &Caller) -> Relay {
        Relay::of(caller.pid(), caller.can_elicit(), &self.agents)
    }

    /// Tells one that may ask its own person so.
    pub(super) fn relayed(&self, failure: Failure, caller: &Caller, rules: &Rules) -> Failure {
        let id = failure.metadata.get(key::APPROVAL);
        let may = id.is_some_and(|id| self.relay(caller).check(rules, id).is_ok());
        if may {
            failure.with(key::MAY_RELAY, "true")
        } else {
            failure
        }
    }

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
