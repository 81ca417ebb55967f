//! Jobs: work that outlives the client that asked for it. One task per account
//! or instance, an explicit end state for each, output on disk.

mod aws_cli;
mod aws_error;
mod output;
mod schedule;
mod ssm;
mod words;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason,
    v1::{self, JobKind, JobState, OutputStream, TaskState, timestamp},
};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    accounts::Accounts,
    aws::Aws,
    clock::Clock,
    config::{Config, Environment},
    credentials::{Broker, Role, RoleCredentials},
    limiter::Limiters,
    session::Session,
};
use output::Output;

/// Ended jobs that can still be looked at; their outputs go with them.
const KEEP_ENDED: usize = 200;
/// Jobs that have not ended; more are refused.
const MAX_RUNNING: usize = 1_000;
/// Outputs of an earlier daemon are kept this long.
const KEEP_OUTPUTS: Duration = Duration::from_hours(168);
/// No role's credentials live longer than twelve hours; a run of a week is a mistake.
const LONGEST_RUN: Duration = Duration::from_hours(7 * 24);
/// The other roles of a denied command are worth a short wait.
const OTHER_ROLES_LIMIT: Duration = Duration::from_secs(3);

/// Whom the work is done as.
#[derive(Debug, Clone)]
pub struct Target {
    pub session: Session,
    pub role: Role,
    pub account_name: String,
    pub region: String,
}

/// What jobs need from the rest of the daemon.
#[derive(Debug)]
pub struct Parts {
    pub config: Arc<Config>,
    pub aws: Aws,
    pub clock: Clock,
    pub accounts: Accounts,
    pub broker: Broker,
    pub limiters: Limiters,
    pub tracker: TaskTracker,
    pub stop: CancellationToken,
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    outputs: PathBuf,
    /// AWS CLI runs at the same time.
    slots: Semaphore,
    /// Newest first.
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

/// A job, shared by the task that does it and those who watch it.
#[derive(Debug)]
pub struct Job {
    pub id: String,
    pub outputs: Vec<Arc<Output>>,
    cancel: CancellationToken,
    clock: Clock,
    state: watch::Sender<Arc<v1::Job>>,
    /// Bumped when output was written.
    printed: watch::Sender<u64>,
}

impl Jobs {
    pub fn new(parts: Parts) -> Self {
        let outputs = parts.config.endpoint.state.join("outputs");
        let limits = parts.config.files().unwrap_or_default().settings.limits;
        let jobs = Self(Arc::new(Inner {
            outputs,
            slots: Semaphore::new(limits.parallel_runs.max(1)),
            jobs: Mutex::default(),
            parts,
        }));
        jobs.remove_old_outputs();
        jobs
    }

    /// Runs one AWS CLI command. Whatever can be wrong with the request or the
    /// login is said here; what AWS says comes with the job.
    pub async fn start_aws_cli(
        &self,
        target: Target,
        work: v1::AwsCliWork,
        time_limit: Option<Duration>,
    ) -> Result<Arc<Job>, Failure> {
        let environment: &Environment = &self.0.parts.config.environment;
        let command = aws_cli::Command::new(work, environment, &target.region)?;
        let credentials = self.credentials(&target).await?;
        let limit = self.time_limit(time_limit)?;
        let job = self.add(JobKind::AwsCli, &target, &[String::new()])?;
        let run = aws_cli::run(
            self.clone(),
            Arc::clone(&job),
            target,
            command,
            credentials,
            limit,
        );
        self.0.parts.tracker.spawn(run);
        Ok(job)
    }

    /// Runs a shell command on instances by SSM Run Command.
    pub async fn start_ssm(
        &self,
        target: Target,
        work: v1::SsmWork,
        time_limit: Option<Duration>,
    ) -> Result<Arc<Job>, Failure> {
        let work = ssm::Work::new(work, self.time_limit(time_limit)?)?;
        self.credentials(&target).await?;
        let instances = ssm::select(self, &target, &work).await?;
        let ids: Vec<String> = instances
            .iter()
            .map(|instance| instance.id.clone())
            .collect();
        let job = self.add(JobKind::Ssm, &target, &ids)?;
        let run = ssm::run(self.clone(), Arc::clone(&job), target, work, instances);
        self.0.parts.tracker.spawn(run);
        Ok(job)
    }

    pub fn find(&self, id: &str) -> Result<Arc<Job>, Failure> {
        self.lock()
            .iter()
            .find(|job| job.id == id)
            .cloned()
            .ok_or_else(|| {
                Failure::new(
                    Reason::NotFound,
                    format!("there is no job {id:?}; ended jobs are kept for a while only"),
                )
            })
    }

    pub fn output(&self, id: &str) -> Result<Arc<Output>, Failure> {
        let jobs = self.lock();
        let mut outputs = jobs.iter().flat_map(|job| &job.outputs);
        outputs
            .find(|output| output.id == id)
            .cloned()
            .ok_or_else(|| {
                Failure::new(
                    Reason::NotFound,
                    format!("there is no output {id:?}; outputs are kept for a while only"),
                )
            })
    }

    /// Newest first.
    pub fn list(&self) -> Vec<v1::Job> {
        self.lock().iter().map(|job| job.snapshot()).collect()
    }

    pub fn running(&self) -> usize {
        self.lock().iter().filter(|job| !job.is_final()).count()
    }

    async fn credentials(&self, target: &Target) -> Result<RoleCredentials, Failure> {
        let broker = &self.0.parts.broker;
        broker.get(&target.session, &target.role).await
    }

    /// AWS refused these keys: the next `credentials` are others.
    fn reject(&self, target: &Target, bad: &RoleCredentials) {
        let broker = &self.0.parts.broker;
        broker.reject(&target.session, &target.role, bad);
    }

    /// The account's roles but this one, for a command that AWS denied.
    async fn other_roles(&self, target: &Target) -> Vec<String> {
        let roles = self
            .0
            .parts
            .accounts
            .roles(&target.session, &target.role.account);
        match tokio::time::timeout(OTHER_ROLES_LIMIT, roles).await {
            Ok(Ok(roles)) => roles
                .into_iter()
                .filter(|role| *role != target.role.name)
                .collect(),
            _ => Vec::new(),
        }
    }

    fn time_limit(&self, asked: Option<Duration>) -> Result<Duration, Failure> {
        match asked {
            Some(limit) if limit < Duration::from_secs(1) => Err(Failure::new(
                Reason::InvalidArgument,
                "the time limit must be one second at least",
            )),
            Some(limit) => Ok(limit.min(LONGEST_RUN)),
            None => Ok(self.0.parts.config.files()?.settings.limits.run_time()),
        }
    }

    fn add(
        &self,
        kind: JobKind,
        target: &Target,
        instances: &[String],
    ) -> Result<Arc<Job>, Failure> {
        awsso_proto::ipc::private_dir(&self.0.outputs)?;
        let limit = self.0.parts.config.files()?.settings.limits.output_bytes;
        let now = self.0.parts.clock.now();
        let outputs: Vec<_> = instances
            .iter()
            .map(|_| Output::new(&self.0.outputs, random_id("out"), limit))
            .collect();
        let tasks = instances
            .iter()
            .zip(&outputs)
            .map(|(instance, output)| v1::Task {
                account_id: target.role.account.clone(),
                account_name: target.account_name.clone(),
                role_name: target.role.name.clone(),
                region: target.region.clone(),
                instance_id: instance.clone(),
                state: TaskState::Queued.into(),
                output_id: output.id.clone(),
                output_path: output.base().display().to_string(),
                ..v1::Task::default()
            })
            .collect();
        let id = random_id("job");
        let state = v1::Job {
            id: id.clone(),
            kind: kind.into(),
            state: JobState::Queued.into(),
            started_at: Some(timestamp(now)),
            tasks,
            ..v1::Job::default()
        };
        let job = Arc::new(Job {
            id,
            outputs,
            cancel: CancellationToken::new(),
            clock: self.0.parts.clock.clone(),
            state: watch::Sender::new(Arc::new(state)),
            printed: watch::Sender::new(0),
        });
        info!(job = %job.id, kind = kind.word(), account = %target.role.account, role = %target.role.name, region = %target.region, tasks = instances.len(), "job");
        let mut jobs = self.lock();
        if jobs.iter().filter(|job| !job.is_final()).count() >= MAX_RUNNING {
            return Err(Failure::new(
                Reason::Busy,
                format!("{MAX_RUNNING} jobs are running; wait for some to end"),
            ));
        }
        jobs.push_front(Arc::clone(&job));
        forget_oldest(&mut jobs);
        Ok(job)
    }

    fn remove_old_outputs(&self) {
        let now = self.0.parts.clock.now();
        let Ok(entries) = std::fs::read_dir(&self.0.outputs) else {
            return;
        };
        for entry in entries.flatten() {
            let old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEEP_OUTPUTS));
            if old && let Err(error) = std::fs::remove_file(entry.path()) {
                warn!(file = %entry.path().display(), %error, "an old output stays");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(jobs: &mut VecDeque<Arc<Job>>) {
    let mut ended = 0;
    jobs.retain(|job| {
        if !job.is_final() {
            return true;
        }
        ended += 1;
        if ended > KEEP_ENDED {
            for output in &job.outputs {
                output.remove();
            }
        }
        ended <= KEEP_ENDED
    });
}

impl Job {
    pub fn snapshot(&self) -> v1::Job {
        let mut job = (**self.state.borrow()).clone();
        for (task, output) in job.tasks.iter_mut().zip(&self.outputs) {
            task.stdout_bytes = output.written(OutputStream::Stdout);
            task.stderr_bytes = output.written(OutputStream::Stderr);
            task.truncated = output.is_truncated();
        }
        job
    }

    pub fn is_final(&self) -> bool {
        self.state.borrow().state().is_final()
    }

    /// Asks the job to end; it says how far that went.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The job's states, and a number that moves when output was written.
    pub fn watch(&self) -> (watch::Receiver<Arc<v1::Job>>, watch::Receiver<u64>) {
        (self.state.subscribe(), self.printed.subscribe())
    }

    fn printed(&self) {
        self.printed.send_modify(|number| *number += 1);
    }

    /// Changes one task; the job's own state follows from all of them.
    fn update(&self, task: usize, change: impl FnOnce(&mut v1::Task)) {
        let now = self.clock.now();
        self.state.send_modify(|job| {
            let job = Arc::make_mut(job);
            let task = &mut job.tasks[task];
            let before = task.state();
            change(task);
            stamp(task, before, now);
            let state = job_state(&job.tasks);
            if state.is_final() && job.ended_at.is_none() {
                job.ended_at = Some(timestamp(now));
                info!(job = %job.id, state = state.word(), "job ended");
            }
            job.state = state.into();
        });
    }

    fn end(&self, task: usize, state: TaskState, detail: impl Into<String>) {
        self.update(task, |task| {
            task.state = state.into();
            task.detail = detail.into();
        });
    }

    /// The job as a whole cannot go on: tasks that have not ended end like this.
    fn fail(&self, state: TaskState, failure: &Failure) {
        self.state.send_modify(|job| {
            Arc::make_mut(job).problem = Some(v1::Problem {
                reason: failure.reason.name().to_owned(),
                message: failure.message.clone(),
                metadata: failure.metadata.clone(),
            });
        });
        for task in 0..self.outputs.len() {
            if !self.state.borrow().tasks[task].state().is_final() {
                self.end(task, state, failure.message.clone());
            }
        }
    }
}

fn stamp(task: &mut v1::Task, before: TaskState, now: SystemTime) {
    let state = task.state();
    if state == before {
        return;
    }
    if task.started_at.is_none() && state != TaskState::Queued {
        task.started_at = Some(timestamp(now));
    }
    if state.is_final() {
        task.ended_at = Some(timestamp(now));
    }
}

/// A job's state from its tasks'.
fn job_state(tasks: &[v1::Task]) -> JobState {
    let count = |wanted: TaskState| tasks.iter().filter(|task| task.state() == wanted).count();
    if tasks.iter().any(|task| !task.state().is_final()) {
        return if count(TaskState::Queued) == tasks.len() {
            JobState::Queued
        } else {
            JobState::Running
        };
    }
    let succeeded = count(TaskState::Succeeded);
    if succeeded == tasks.len() {
        JobState::Succeeded
    } else if succeeded > 0 {
        JobState::Partial
    } else if count(TaskState::Cancelled) == tasks.len() {
        JobState::Cancelled
    } else if count(TaskState::Unknown) == tasks.len() {
        JobState::Unknown
    } else {
        JobState::Failed
    }
}

/// 128 random bits: an id cannot be guessed.
fn random_id(kind: &str) -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("{kind}_{}", crate::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(tasks: &[TaskState]) -> JobState {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|state| v1::Task {
                state: (*state).into(),
                ..v1::Task::default()
            })
            .collect();
        job_state(&tasks)
    }

    #[test]
    fn a_jobs_state_follows_from_its_tasks() {
        use TaskState::{Cancelled, Failed, Queued, Running, Succeeded, TimedOut, Unknown};
        assert_eq!(state(&[Queued, Queued]), JobState::Queued);
        assert_eq!(state(&[Queued, Succeeded]), JobState::Running);
        assert_eq!(state(&[Running]), JobState::Running);
        assert_eq!(state(&[Succeeded, Succeeded]), JobState::Succeeded);
        assert_eq!(state(&[Succeeded, Failed]), JobState::Partial);
        assert_eq!(state(&[Failed, Cancelled]), JobState::Failed);
        assert_eq!(state(&[TimedOut]), JobState::Failed);
        assert_eq!(state(&[Cancelled, Cancelled]), JobState::Cancelled);
        assert_eq!(state(&[Unknown]), JobState::Unknown);
    }

    #[test]
    fn ids_do_not_repeat() {
        assert_ne!(random_id("job"), random_id("job"));
        assert_eq!(random_id("out").len(), 4 + 32);
    }
}
