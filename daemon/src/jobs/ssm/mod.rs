//! A run on instances by SSM Run Command: send, poll, fetch, cancel. What AWS
//! has not decided yet is waited for; what may have been sent is never sent again.

mod follow;
mod instances;
mod invocation;
mod place;
mod result;
mod script;
mod send;
mod whole;
mod work;

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use awsso_proto::{
    Failure, Reason,
    v1::{self, TaskState},
};
use futures_util::{StreamExt as _, future::join_all, stream};

use super::{Job, Jobs, Planned, Target, job::end_of, resume::Unsure};
use follow::Following;
pub use follow::Sent;
pub use instances::Instance;
use place::Ssm;
pub use whole::Destination;
pub use work::Work;

/// Accounts and regions that are looked at together.
const PLACES_AT_ONCE: usize = 16;
/// Commands of one place that are sent together.
const SENDS_AT_ONCE: usize = 4;

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
    sent: Vec<(Target, Sent)>,
    unsure: Vec<Unsure>,
) {
    let (jobs, job) = (&jobs, &job);
    let began = job.snapshot().started_at;
    let began = began.as_ref().and_then(v1::instant);
    let began = began.unwrap_or(SystemTime::UNIX_EPOCH);
    let known = join_all(by_place(sent.into_iter()).into_iter().map(
        |(target, commands)| async move {
            follow(&Ssm::new(jobs, &target), job, commands, began).await;
        },
    ));
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
