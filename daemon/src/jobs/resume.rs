//! What an earlier daemon left: jobs that ended can be looked at, runs in AWS are
//! followed to their end, and of what died with that daemon is said that nobody
//! knows.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::v1::{JobKind, TaskState, instant};
use tracing::{info, warn};

use super::{
    Job, Jobs, Target, forget_oldest,
    job::say_gone,
    journal::{Record, Sending, TargetForm, records},
    output::Output,
    ssm,
};

const LOST: &str =
    "the daemon that ran it was ended; whether the command was carried out is not known";
const NOT_BEGUN: &str = "the daemon was ended before it began";

/// A command that may have been sent, and the tasks that it was for.
pub(super) struct Unsure {
    pub target: Target,
    pub comment: String,
    pub at: SystemTime,
    /// By instance.
    pub tasks: BTreeMap<String, usize>,
    pub whole: Option<ssm::Destination>,
}

/// Takes over every job that is on record.
pub(super) async fn all(jobs: Jobs) {
    let (dir, looking) = (jobs.0.journal.clone(), jobs.clone());
    let found = tokio::task::spawn_blocking(move || {
        looking.remove_old_files();
        records(&dir)
    });
    let found = found.await.unwrap_or_else(|error| {
        warn!(%error, "the jobs of the daemon before this one are lost");
        Vec::new()
    });
    for record in found.into_iter().rev() {
        let sendings = record.sendings.clone();
        let job = Arc::new(take(&jobs, record));
        {
            let mut all = jobs.lock();
            all.push_back(Arc::clone(&job));
            forget_oldest(&mut all);
        }
        if !job.is_final() {
            go_on(&jobs, &job, &sendings);
        }
    }
    jobs.0.complete.send_replace(true);
}

fn take(jobs: &Jobs, record: Record) -> Job {
    let Record {
        mut job,
        begun,
        journal,
        ..
    } = record;
    let targets: Vec<Option<Target>> = begun
        .target_of
        .iter()
        .map(|position| target(jobs, begun.targets.get(usize::try_from(*position).ok()?)?))
        .collect();
    let limit = jobs.0.parts.config.files().unwrap_or_default();
    let limit = limit.settings.limits.output_bytes;
    let outputs = job.tasks.iter_mut().map(|task| {
        let output = Output::new(&jobs.0.outputs, task.output_id.clone(), limit);
        output.found(task.truncated);
        if output.stored() < task.stdout_bytes + task.stderr_bytes {
            output.discard();
            say_gone(task);
        }
        output
    });
    let outputs: Vec<_> = outputs.collect();
    let mut state = job;
    state.state = super::job::job_state(&state.tasks).into();
    if state.state().is_final() {
        let ends = state.tasks.iter().filter_map(|task| task.ended_at.as_ref());
        let last = ends.max_by_key(|at| (at.seconds, at.nanos));
        state.ended_at = last.copied().or(state.started_at);
        journal.close();
    }
    let limit = Duration::from_secs(begun.limit);
    jobs.job(state, outputs, targets, limit, journal)
}

fn target(jobs: &Jobs, form: &TargetForm) -> Option<Target> {
    let role = form.role();
    (!role.account.is_empty()).then(|| Target {
        session: jobs.0.parts.sessions.get(&form.session()),
        role,
        account_name: form.account_name.clone(),
        region: form.region.clone(),
    })
}

fn go_on(jobs: &Jobs, job: &Arc<Job>, sendings: &[Sending]) {
    let state = job.snapshot();
    let mut sent: BTreeMap<String, (Target, ssm::Sent)> = BTreeMap::new();
    let mut unsure: Vec<Unsure> = Vec::new();
    for (index, task) in state.tasks.iter().enumerate() {
        if task.state().is_final() {
            continue;
        }
        let Some(target) = job.targets.get(index).cloned().flatten() else {
            job.end(index, TaskState::Unknown, LOST);
            continue;
        };
        let attempt = sendings.iter().rev().find(|sending| {
            let tasks = sending.tasks.iter();
            tasks
                .clone()
                .any(|task| usize::try_from(*task) == Ok(index))
        });
        let instance = task.instance_id.clone();
        match (state.kind(), task.aws_command_id.as_str(), attempt) {
            (JobKind::Ssm, "", Some(attempt)) => {
                let known = unsure.iter_mut().find(|it| it.comment == attempt.comment);
                if let Some(known) = known {
                    known.tasks.insert(instance, index);
                } else {
                    let at = attempt.at.as_ref().and_then(instant);
                    unsure.push(Unsure {
                        target,
                        comment: attempt.comment.clone(),
                        at: at.unwrap_or(SystemTime::UNIX_EPOCH),
                        tasks: BTreeMap::from([(instance, index)]),
                        whole: attempt.whole.clone(),
                    });
                }
            }
            (JobKind::Ssm, id, _) if !id.is_empty() => {
                let (_, command) = sent.entry(id.to_owned()).or_insert_with(|| {
                    let command = ssm::Sent {
                        command_id: id.to_owned(),
                        tasks: BTreeMap::new(),
                        whole: attempt.and_then(|attempt| attempt.whole.clone()),
                    };
                    (target, command)
                });
                command.tasks.insert(instance, index);
            }
            _ if task.state() == TaskState::Queued => {
                job.end(index, TaskState::Cancelled, NOT_BEGUN);
            }
            _ => job.end(index, TaskState::Unknown, LOST),
        }
    }
    if job.is_final() {
        return;
    }
    info!(job = %job.id, commands = sent.len(), unsure = unsure.len(), "followed again");
    let sent = sent.into_values().collect();
    let follow = ssm::go_on(jobs.clone(), Arc::clone(job), sent, unsure);
    jobs.spawn(job, follow);
}
