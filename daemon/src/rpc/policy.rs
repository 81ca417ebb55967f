//! `awsso.v1.Policy`: what would be decided, and why.

use awsso_proto::{
    Failure, Reason,
    v1::{
        ActionClass, ClientKind, Effect, ExplainRequest, ExplainResponse, explain_request,
        policy_server::Policy as Service, start_job_request::Work,
    },
};
use tonic::{Request, Response, Status};

use super::Services;
use crate::{
    jobs::Target,
    policy::{self, Action, Place, Principal, Rules, Seen},
};

#[tonic::async_trait]
impl Service for Services {
    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let (caller, files) = self.admit(&request)?;
        let request = request.into_inner();
        let principal = match caller {
            Principal::Agent => Principal::Agent,
            Principal::Person => request.asked_by().into(),
        };
        let nothing = || Failure::new(Reason::InvalidArgument, "there is no work to explain");
        let work = match request.work.ok_or_else(nothing)? {
            explain_request::Work::AwsCli(work) => Work::AwsCli(work),
            explain_request::Work::Ssm(work) => Work::Ssm(work),
        };
        let rules = &files.settings.policy.rules;
        let action = policy::action_of(&work, rules, &self.config.environment)?;
        let target = self.target(&files, principal, request.target).await?;
        let decision = match policy::admit(principal, &files) {
            Ok(()) => {
                let seen = self.seen(principal, &action, &[&target], rules).await?;
                let seen = seen.first().and_then(Option::as_ref);
                policy::decide(principal, &action, &place(&target, seen), rules)
            }
            Err(failure) => policy::Decision::mistake(failure.message),
        };
        Ok(Response::new(ExplainResponse {
            effect: Effect::from(decision.effect).into(),
            class: ActionClass::from(action.class).into(),
            operations: action.operation_names(),
            decided_by: decision.by.to_string(),
            why: decision.why,
            region: action.region.unwrap_or(target.region),
            session: target.session.name().to_owned(),
            account_id: target.role.account,
            account_name: target.account_name,
            role_name: target.role.name,
            asked_by: match principal {
                Principal::Person => ClientKind::Cli.into(),
                Principal::Agent => ClientKind::Shim.into(),
            },
        }))
    }
}

impl Services {
    /// For each target what rules ask about the instances that the action names.
    pub(super) async fn seen(
        &self,
        principal: Principal,
        action: &Action,
        targets: &[&Target],
        rules: &Rules,
    ) -> Result<Vec<Option<Seen>>, Failure> {
        let asks = |target: &&&Target| {
            policy::turns_on_tags(principal, action, &place(target, None), rules)
        };
        let asked: Vec<&Target> = targets.iter().filter(asks).copied().collect();
        let mut seen = self.instance_tags.of(action, &asked).await?.into_iter();
        let seen = targets
            .iter()
            .map(|target| if asks(&target) { seen.next() } else { None });
        Ok(seen.collect())
    }
}

/// A target as rules see it, with what was found out about the instances there.
pub fn place<'a>(target: &'a Target, instances: Option<&'a Seen>) -> Place<'a> {
    Place {
        session: target.session.name(),
        account: &target.role.account,
        account_name: &target.account_name,
        role: &target.role.name,
        region: &target.region,
        instances,
    }
}
