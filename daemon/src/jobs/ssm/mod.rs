//! A run on instances by SSM Run Command: send, poll, fetch, cancel. What AWS
//! has not decided yet is waited for; what may have been sent is never sent again.

mod follow;
mod instances;
mod result;
mod script;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason,
    v1::{self, TaskState},
};
use futures_util::{StreamExt as _, future::join_all, stream};

use super::{Bounds, Job, Jobs, Planned, Target, aws_error, job::end_of, resume::Unsure};
use crate::limiter::{Fault, Lane, Limiter, Repeat};
use follow::{Following, Sent};
pub use instances::Instance;
use script::Script;

/// Delivery, apart from running (`SendCommand`'s `TimeoutSeconds`), unless asked for another.
const DELIVERY_LIMIT: Duration = Duration::from_mins(10);
/// What AWS takes.
const DELIVERY_LIMITS: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_hours(30 * 24));
/// `executionTimeout` of the documents; outside of it the agent takes an hour.
const RUN_LIMITS: (u64, u64) = (5, 172_800);
/// Instances of one request; a bound, not a goal.
const MAX_INSTANCES: usize = 1_000;
/// Accounts and regions that are looked at together.
const PLACES_AT_ONCE: usize = 16;
/// Commands of one place that are sent together.
const SENDS_AT_ONCE: usize = 4;

/// A command for instances, checked.
#[derive(Debug, Clone)]
pub struct Work {
    script: Script,
    instance_ids: Vec<String>,
    targets: Vec<v1::SsmTarget>,
    limit: Duration,
    delivery: Duration,
    bounds: Bounds,
}

impl Work {
    pub fn new(work: v1::SsmWork, limit: Duration, bounds: Bounds) -> Result<Self, Failure> {
        let invalid = |what: String| Err(Failure::new(Reason::InvalidArgument, what));
        let script = Script::new(&work)?;
        let delivery = match work.delivery_limit.map(Duration::try_from) {
            None => DELIVERY_LIMIT,
            Some(Ok(limit)) if (DELIVERY_LIMITS.0..=DELIVERY_LIMITS.1).contains(&limit) => limit,
            Some(_) => return invalid("AWS tries to deliver for 30 seconds to 30 days".into()),
        };
        let mut instance_ids = work.instance_ids;
        instance_ids.sort();
        instance_ids.dedup();
        if instance_ids.is_empty() == work.targets.is_empty() {
            return invalid("name instances by id or by target, one of the two".into());
        }
        if instance_ids.len() > MAX_INSTANCES {
            return invalid(format!("{MAX_INSTANCES} instances are the most"));
        }
        if let Some(bad) = instance_ids.iter().find(|id| !is_instance_id(id)) {
            return invalid(format!(
                "{bad:?} is not an instance id like i-0a1b2c3d4e5f67890"
            ));
        }
        let good = |target: &v1::SsmTarget| {
            target.key.starts_with("tag:") && target.key.len() > 4 && !target.values.is_empty()
        };
        if let Some(bad) = work.targets.iter().find(|target| !good(target)) {
            return invalid(format!(
                "the target {:?} is not of the form tag:KEY=VALUE",
                bad.key
            ));
        }
        let limit = limit.as_secs().clamp(RUN_LIMITS.0, RUN_LIMITS.1);
        Ok(Self {
            script,
            instance_ids,
            targets: work.targets,
            limit: Duration::from_secs(limit),
            delivery,
            bounds,
        })
    }

    /// How long it may take until it has ended everywhere: to be delivered, then to run.
    pub fn limit(&self) -> Duration {
        self.delivery + self.limit
    }
}

/// EC2 instances and hybrid nodes.
fn is_instance_id(id: &str) -> bool {
    let hex = id.strip_prefix("i-").or_else(|| id.strip_prefix("mi-"));
    hex.is_some_and(|hex| {
        (8..=17).contains(&hex.len())
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// What is needed to talk about one target's SSM.
struct Ssm {
    jobs: Jobs,
    target: Target,
    limiter: Arc<Limiter>,
}

impl Ssm {
    fn new(jobs: &Jobs, target: &Target) -> Self {
        Self {
            limiter: jobs
                .0
                .parts
                .limiters
                .of(&format!("ssm {} {}", target.role.account, target.region)),
            jobs: jobs.clone(),
            target: target.clone(),
        }
    }

    /// Makes a call; when AWS did not accept the keys, and so did nothing, once
    /// more with new ones.
    async fn call<T, E, F>(
        &self,
        name: &'static str,
        repeat: Repeat,
        mut attempt: impl FnMut(aws_sdk_ssm::Client) -> F,
    ) -> Result<T, SsmError>
    where
        F: Future<
            Output = Result<
                T,
                aws_smithy_runtime_api::client::result::SdkError<
                    E,
                    aws_smithy_runtime_api::client::orchestrator::HttpResponse,
                >,
            >,
        >,
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut repeated = false;
        loop {
            let keys = self
                .jobs
                .credentials(&self.target)
                .await
                .map_err(SsmError::Login)?;
            let client = self
                .jobs
                .0
                .parts
                .aws
                .ssm(&self.target.region, keys.credentials.clone())
                .map_err(SsmError::Login)?;
            let result = self
                .limiter
                .call(name, Lane::Person, repeat, || attempt(client.clone()))
                .await;
            match result {
                Err(fault) if !repeated && aws_error::is_bad_credentials(fault.code()) => {
                    repeated = true;
                    self.jobs.reject(&self.target, &keys);
                }
                result => return result.map_err(SsmError::Aws),
            }
        }
    }
}

/// Why a call gave nothing.
#[derive(Debug)]
enum SsmError {
    Login(Failure),
    Aws(Fault),
}

impl SsmError {
    fn is_denied(&self) -> bool {
        matches!(self, Self::Aws(fault) if fault.code().contains("AccessDenied"))
    }

    /// AWS answered, and the answer is no: asking another way may help.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Aws(Fault::Refused { .. }))
    }

    fn code(&self) -> &str {
        match self {
            Self::Login(_) => "",
            Self::Aws(fault) => fault.code(),
        }
    }
}

impl From<SsmError> for Failure {
    fn from(error: SsmError) -> Self {
        match error {
            SsmError::Login(failure) => failure,
            SsmError::Aws(fault) => fault.into(),
        }
    }
}

/// The instances that are meant, with whom the command runs there as.
pub async fn plan(
    jobs: &Jobs,
    asked: &[Planned],
    work: &Work,
) -> Result<Vec<(Planned, Instance)>, Failure> {
    if let [only] = asked
        && let Ok(only) = &only.target
    {
        // Who waits for one account hears at once why nothing can be run there.
        jobs.credentials(only).await?;
        return Ok(planned(only, instances::select(jobs, only, work).await?));
    }
    let found: Vec<_> = stream::iter(asked.to_vec())
        .map(|asked| async move {
            match &asked.target {
                Ok(target) => Ok((target.clone(), instances::select(jobs, target, work).await)),
                Err(_) => Err(asked),
            }
        })
        .buffered(PLACES_AT_ONCE)
        .collect()
        .await;
    let mut plan = Vec::new();
    let mut nothing = None;
    for found in found {
        let (target, instances) = match found {
            Ok(found) => found,
            Err(refused) => {
                plan.push((refused, Instance::default()));
                continue;
            }
        };
        match instances {
            Ok(instances) => {
                // An id is of one account: that the others do not know it says nothing.
                let here = instances.into_iter().filter(|instance| !instance.unknown);
                plan.extend(planned(&target, here.collect()));
            }
            Err(failure) if failure.reason == Reason::NotFound => nothing = Some(failure),
            Err(failure) => plan.push(refusal(&target, &failure)),
        }
    }
    if asked.iter().any(|asked| asked.target.is_ok()) {
        let known: BTreeSet<_> = plan.iter().map(|(_, here)| here.id.clone()).collect();
        let lost = work.instance_ids.iter().filter(|id| !known.contains(*id));
        plan.extend(lost.map(|id| nowhere(id)));
    }
    match nothing {
        Some(failure) if plan.is_empty() => Err(failure),
        _ => Ok(plan),
    }
}

fn planned(target: &Target, instances: Vec<Instance>) -> Vec<(Planned, Instance)> {
    let planned = |instance: Instance| {
        let mut planned = Planned::new(target.clone());
        planned.instance.clone_from(&instance.id);
        (planned, instance)
    };
    instances.into_iter().map(planned).collect()
}

/// An account in which nothing can be looked up is a task that says so.
fn refusal(target: &Target, failure: &Failure) -> (Planned, Instance) {
    let mut planned = Planned::new(target.clone());
    let task = v1::Task {
        state: end_of(failure).into(),
        detail: failure.message.clone(),
        ..planned.task()
    };
    planned.target = Err(Box::new(task));
    (planned, Instance::default())
}

/// An instance that no account knows is a task that says so.
fn nowhere(id: &str) -> (Planned, Instance) {
    let task = v1::Task {
        instance_id: id.to_owned(),
        state: TaskState::Undeliverable.into(),
        detail: "SSM manages it in no account and region that could be asked".to_owned(),
        ..v1::Task::default()
    };
    let planned = Planned {
        target: Err(Box::new(task)),
        instance: id.to_owned(),
    };
    (planned, Instance::default())
}

/// Sends the command, then follows it to the end of every instance.
pub async fn run(jobs: Jobs, job: Arc<Job>, work: Work, instances: Vec<Instance>) {
    let tasks = instances.into_iter().enumerate();
    let places = by_place(tasks.filter_map(|task| Some((job.targets[task.0].clone()?, task))));
    join_all(places.into_iter().map(|(target, tasks)| {
        let (ssm, job, work) = (Ssm::new(&jobs, &target), &job, &work);
        async move {
            let sent = stream::iter(send::groups(tasks))
                .map(|(document, tasks)| send::send(&ssm, job, work, document, tasks))
                .buffer_unordered(SENDS_AT_ONCE)
                .filter_map(std::future::ready)
                .collect()
                .await;
            let now = jobs_now(&ssm);
            follow(&ssm, job, sent, now).await;
        }
    }))
    .await;
}

/// Goes on with what an earlier daemon has sent, or may have sent.
pub(super) async fn go_on(
    jobs: Jobs,
    job: Arc<Job>,
    sent: Vec<(Target, String, BTreeMap<String, usize>)>,
    unsure: Vec<Unsure>,
) {
    let (jobs, job) = (&jobs, &job);
    let began = job.snapshot().started_at;
    let began = began.as_ref().and_then(v1::instant);
    let began = began.unwrap_or(SystemTime::UNIX_EPOCH);
    let commands = sent
        .into_iter()
        .map(|(target, command_id, tasks)| (target, Sent { command_id, tasks }));
    let known = join_all(
        by_place(commands)
            .into_iter()
            .map(|(target, commands)| async move {
                follow(&Ssm::new(jobs, &target), job, commands, began).await;
            }),
    );
    let looked_for = join_all(unsure.into_iter().map(|unsure| async move {
        let ssm = Ssm::new(jobs, &unsure.target);
        if let Some(command) = send::find_again(&ssm, job, unsure).await {
            follow(&ssm, job, vec![command], began).await;
        }
    }));
    futures_util::join!(known, looked_for);
}

/// What is done with the same keys towards the same endpoint, together.
fn by_place<T>(items: impl Iterator<Item = (Target, T)>) -> Vec<(Target, Vec<T>)> {
    let mut places: Vec<(Target, Vec<T>)> = Vec::new();
    for (target, item) in items {
        // Tasks of one place follow each other.
        let mut latest = places.iter_mut().rev();
        match latest.find(|(place, _)| place.is_same_place(&target)) {
            Some((_, items)) => items.push(item),
            None => places.push((target, vec![item])),
        }
    }
    places
}

async fn follow(ssm: &Ssm, job: &Arc<Job>, commands: Vec<Sent>, sent_at: SystemTime) {
    let age = jobs_now(ssm).duration_since(sent_at).unwrap_or_default();
    let mut following = Following::new(ssm, job, commands, age);
    following.until_all_ended().await;
}

fn jobs_now(ssm: &Ssm) -> SystemTime {
    ssm.jobs.0.parts.clock.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(command: &str, ids: &[&str], targets: &[(&str, &[&str])]) -> Result<Work, Failure> {
        let work = v1::SsmWork {
            command: command.into(),
            instance_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            targets: targets
                .iter()
                .map(|(key, values)| v1::SsmTarget {
                    key: (*key).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
            ..v1::SsmWork::default()
        };
        Work::new(work, Duration::from_secs(1), Bounds::default())
    }

    #[test]
    fn a_request_names_instances_or_targets_and_each_rightly() {
        let id = "i-0a1b2c3d4e5f60001";
        assert_eq!(work("uptime", &[id, id], &[]).unwrap().instance_ids, [id]);
        assert!(work("uptime", &["mi-0123456789abcdef0"], &[]).is_ok());
        assert!(work("uptime", &[], &[("tag:Role", &["web"])]).is_ok());
        for bad in [
            work("", &[id], &[]),
            work("a\0", &[id], &[]),
            work("a", &[], &[]),
            work("a", &[id], &[("tag:Role", &["web"])]),
            work("a", &["i-XYZ"], &[]),
            work("a", &["web-1"], &[]),
            work("a", &[], &[("Role", &["web"])]),
            work("a", &[], &[("tag:Role", &[])]),
        ] {
            assert_eq!(bad.unwrap_err().reason, Reason::InvalidArgument);
        }
    }

    #[test]
    fn a_running_limit_is_one_that_the_agent_honours() {
        let limit = |seconds| {
            let work = v1::SsmWork {
                command: "x".into(),
                instance_ids: vec!["i-0a1b2c3d4e5f60001".into()],
                ..v1::SsmWork::default()
            };
            Work::new(work, Duration::from_secs(seconds), Bounds::default())
                .unwrap()
                .limit
                .as_secs()
        };
        assert_eq!((limit(1), limit(60), limit(1_000_000)), (5, 60, 172_800));
    }

    #[test]
    fn a_delivery_limit_is_one_that_aws_takes() {
        let limit = |seconds| {
            let work = v1::SsmWork {
                command: "x".into(),
                instance_ids: vec!["i-0a1b2c3d4e5f60001".into()],
                delivery_limit: Some(prost_types::Duration { seconds, nanos: 0 }),
                ..v1::SsmWork::default()
            };
            let work = Work::new(work, Duration::from_mins(1), Bounds::default());
            work.map(|work| (work.delivery.as_secs(), work.limit().as_secs()))
        };
        assert_eq!(limit(45).unwrap(), (45, 105));
        for bad in [29, -1, 30 * 24 * 3600 + 1] {
            assert_eq!(limit(bad).unwrap_err().reason, Reason::InvalidArgument);
        }
    }
}
