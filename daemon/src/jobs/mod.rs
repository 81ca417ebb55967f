//! Jobs: work that outlives the client that asked for it and, where AWS carries
//! it out, the daemon. One task per account, region or instance, an explicit end
//! state for each, output and journal on disk.

mod aws_cli;
mod aws_error;
mod job;
mod journal;
mod output;
pub mod query;
mod resume;
mod room;
mod schedule;
mod shown;
mod ssm;
mod words;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use awsso_proto::{
    Failure, Reason,
    v1::{self, JobKind, TaskState, timestamp},
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
    policy::{Audit, Redactor},
    session::{Session, Sessions},
};
pub use aws_cli::words as aws_cli_words;
pub use job::Job;
use journal::{Begun, Journal, TargetForm};
use output::Output;
pub use shown::Shown;
pub use words::split;

/// Ended jobs that can still be looked at; their outputs go with them.
const KEEP_ENDED: usize = 200;
/// Jobs that have not ended; more are refused.
const MAX_RUNNING: usize = 1_000;
/// 5,000 accounts in two regions; more is a slip of the pen.
const MAX_TASKS: usize = 10_000;
/// Outputs and journals are kept this long.
const KEEP_FILES: Duration = Duration::from_hours(168);
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

impl Target {
    /// The same keys, towards the same endpoint.
    fn is_same_place(&self, other: &Self) -> bool {
        self.role == other.role
            && self.region == other.region
            && self.session.name() == other.session.name()
    }
}

/// One piece of work: whom it is done as, or why it is not done.
#[derive(Debug, Clone)]
pub struct Planned {
    pub target: Result<Target, Box<v1::Task>>,
    /// Of an SSM run.
    pub instance: String,
}

impl Planned {
    pub fn new(target: Target) -> Self {
        Self {
            target: Ok(target),
            instance: String::new(),
        }
    }

    /// The task as it begins.
    pub fn task(&self) -> v1::Task {
        match &self.target {
            Ok(target) => v1::Task {
                account_id: target.role.account.clone(),
                account_name: target.account_name.clone(),
                role_name: target.role.name.clone(),
                region: target.region.clone(),
                instance_id: self.instance.clone(),
                state: TaskState::Queued.into(),
                ..v1::Task::default()
            },
            Err(task) => (**task).clone(),
        }
    }
}

/// How many tasks run at the same time, and how many may fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub time: Option<Duration>,
    /// 0: as many as the configuration says.
    pub parallel: usize,
    pub max_errors: Option<usize>,
}

/// What jobs need from the rest of the daemon.
#[derive(Debug)]
pub struct Parts {
    pub config: Arc<Config>,
    pub aws: Aws,
    pub clock: Clock,
    pub sessions: Sessions,
    pub accounts: Accounts,
    pub broker: Broker,
    pub limiters: Limiters,
    pub audit: Audit,
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
    journal: PathBuf,
    /// AWS CLI runs at the same time.
    slots: Semaphore,
    /// Newest first.
    jobs: Mutex<VecDeque<Arc<Job>>>,
    /// The jobs of earlier daemons are among them.
    complete: watch::Sender<bool>,
}

impl Jobs {
    pub fn new(parts: Parts) -> Self {
        let state = &parts.config.endpoint.state;
        let limits = parts.config.files().unwrap_or_default().settings.limits;
        let jobs = Self(Arc::new(Inner {
            outputs: state.join("outputs"),
            journal: state.join("journal"),
            slots: Semaphore::new(limits.parallel_runs.max(1)),
            jobs: Mutex::default(),
            complete: watch::Sender::new(false),
            parts,
        }));
        jobs.0.parts.tracker.spawn(resume::all(jobs.clone()));
        jobs
    }

    /// Runs one AWS CLI command, as one or as many. Whatever can be wrong with
    /// the request or the login is said here; what AWS says comes with the job.
    pub async fn start_aws_cli(
        &self,
        planned: Vec<Planned>,
        work: v1::AwsCliWork,
        bounds: Bounds,
        asked_by: v1::ClientKind,
    ) -> Result<Arc<Job>, Failure> {
        let environment: &Environment = &self.0.parts.config.environment;
        let command = aws_cli::Command::new(work, environment)?;
        // Who waits for one command hears at once why it cannot be run.
        if let [only] = &planned[..]
            && let Ok(target) = &only.target
        {
            self.credentials(target).await?;
        }
        let limit = self.time_limit(bounds.time)?;
        self.complete().await;
        let job = self.add(JobKind::AwsCli, &planned, limit, asked_by)?;
        let run = aws_cli::run(self.clone(), Arc::clone(&job), command, bounds);
        self.spawn(&job, run);
        Ok(job)
    }

    /// Runs a shell command on instances by SSM Run Command.
    pub async fn start_ssm(
        &self,
        asked: Vec<Planned>,
        work: v1::SsmWork,
        bounds: Bounds,
        asked_by: v1::ClientKind,
    ) -> Result<Arc<Job>, Failure> {
        let limit = self.time_limit(bounds.time)?;
        let work = ssm::Work::new(work, limit, bounds)?;
        let planned = ssm::plan(self, &asked, &work).await?;
        let tasks: Vec<_> = planned.iter().map(|(planned, _)| planned.clone()).collect();
        self.complete().await;
        let job = self.add(JobKind::Ssm, &tasks, work.limit(), asked_by)?;
        let instances = planned.into_iter().map(|(_, instance)| instance).collect();
        let run = ssm::run(self.clone(), Arc::clone(&job), work, instances);
        self.spawn(&job, run);
        Ok(job)
    }

    /// Has the job done by a task of its own.
    fn spawn(&self, job: &Arc<Job>, run: impl Future<Output = ()> + Send + 'static) {
        let (jobs, job) = (self.clone(), Arc::clone(job));
        self.0.parts.tracker.spawn(async move {
            room::make(&jobs, &job).await;
            run.await;
            room::make(&jobs, &job).await;
        });
    }

    /// The job that would be started.
    pub async fn plan_ssm(
        &self,
        asked: Vec<Planned>,
        work: v1::SsmWork,
        bounds: Bounds,
    ) -> Result<v1::Job, Failure> {
        let limit = self.time_limit(bounds.time)?;
        let work = ssm::Work::new(work, limit, bounds)?;
        let planned = ssm::plan(self, &asked, &work).await?;
        Ok(plan(
            JobKind::Ssm,
            planned.iter().map(|(planned, _)| planned.task()),
        ))
    }

    /// The job that would be started.
    pub fn plan_aws_cli(
        &self,
        planned: &[Planned],
        work: v1::AwsCliWork,
    ) -> Result<v1::Job, Failure> {
        aws_cli::Command::new(work, &self.0.parts.config.environment)?;
        Ok(plan(JobKind::AwsCli, planned.iter().map(Planned::task)))
    }

    pub async fn find(&self, id: &str) -> Result<Arc<Job>, Failure> {
        self.complete().await;
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

    /// An output for whoever is shown it through this redactor, or as it is.
    pub async fn output(&self, id: &str, redactor: Option<Redactor>) -> Result<Shown, Failure> {
        self.complete().await;
        let jobs = self.lock();
        let found = jobs.iter().find_map(|job| {
            let task = job.outputs.iter().position(|output| output.id == id)?;
            Some((job, task))
        });
        let why = match found {
            Some((job, task)) if job.outputs[task].is_gone() => {
                format!("the output {id} is no longer stored")
            }
            Some((job, task)) => return Ok(job.shown(task, redactor)),
            None => format!("there is no output {id:?}; outputs are kept for a while only"),
        };
        Err(Failure::new(Reason::NotFound, why))
    }

    /// Who asked for the job of this id, or for the one that has this output.
    pub async fn asked_by(&self, id: &str) -> Option<v1::ClientKind> {
        self.complete().await;
        let jobs = self.lock();
        let mut jobs = jobs.iter();
        let job =
            jobs.find(|job| job.id == id || job.outputs.iter().any(|output| output.id == id))?;
        Some(job.asked_by())
    }

    /// Newest first.
    pub async fn list(&self) -> Vec<v1::Job> {
        self.complete().await;
        self.lock().iter().map(|job| job.snapshot()).collect()
    }

    pub fn running(&self) -> usize {
        self.lock().iter().filter(|job| !job.is_final()).count()
    }

    /// Those that an end of this daemon would end.
    pub fn would_be_lost(&self) -> usize {
        let jobs = self.lock();
        jobs.iter().filter(|job| job.dies_with_the_daemon()).count()
    }

    /// A job that began before this would be taken for an earlier daemon's.
    async fn complete(&self) {
        let mut complete = self.0.complete.subscribe();
        let _ = complete.wait_for(|complete| *complete).await; // the sender is ours
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
        planned: &[Planned],
        limit: Duration,
        asked_by: v1::ClientKind,
    ) -> Result<Arc<Job>, Failure> {
        if planned.len() > MAX_TASKS {
            return Err(Failure::new(
                Reason::InvalidArgument,
                format!("{} tasks; {MAX_TASKS} are the most", planned.len()),
            ));
        }
        for dir in [&self.0.outputs, &self.0.journal] {
            awsso_proto::ipc::private_dir(dir)?;
        }
        let now = self.0.parts.clock.now();
        let output_limit = self.0.parts.config.files()?.settings.limits.output_bytes;
        let mut state = plan(kind, planned.iter().map(Planned::task));
        let mut outputs = Vec::with_capacity(planned.len());
        for task in &mut state.tasks {
            let output = Output::new(&self.0.outputs, random_id("out"), output_limit);
            task.output_id.clone_from(&output.id);
            task.output_path = output.base().display().to_string();
            outputs.push(output);
        }
        state.id = random_id("job");
        state.started_at = Some(timestamp(now));
        state.asked_by = asked_by.into();
        if state.state().is_final() {
            state.ended_at = Some(timestamp(now));
        }
        let targets: Vec<_> = planned.iter().map(|it| it.target.clone().ok()).collect();
        let journal = Journal::begin(&self.0.journal, begun(&state, &targets, limit));
        let journal = journal.map_err(|error| {
            Failure::new(
                Reason::Internal,
                format!("the journal of a job cannot be written: {error}"),
            )
        })?;
        let job = Arc::new(self.job(state, outputs, targets, limit, journal));
        info!(job = %job.id, kind = kind.word(), tasks = planned.len(), "job");
        let mut jobs = self.lock();
        if jobs.iter().filter(|job| !job.is_final()).count() >= MAX_RUNNING {
            job.remove();
            return Err(Failure::new(
                Reason::Busy,
                format!("{MAX_RUNNING} jobs are running; wait for some to end"),
            ));
        }
        if job.is_final() {
            self.0.parts.audit.job_ended(job.state.borrow().job());
        }
        jobs.push_front(Arc::clone(&job));
        forget_oldest(&mut jobs);
        Ok(job)
    }

    fn job(
        &self,
        state: v1::Job,
        outputs: Vec<Arc<Output>>,
        targets: Vec<Option<Target>>,
        limit: Duration,
        journal: Journal,
    ) -> Job {
        Job {
            id: state.id.clone(),
            outputs,
            targets,
            limit,
            cancel: CancellationToken::new(),
            suspended: CancellationToken::new(),
            clock: self.0.parts.clock.clone(),
            journal,
            audit: self.0.parts.audit.clone(),
            state: watch::Sender::new(job::State::new(state)),
            printed: watch::Sender::new(0),
        }
    }

    /// What nobody can find any more goes after a while.
    fn remove_old_files(&self) {
        let now = self.0.parts.clock.now();
        for dir in [&self.0.outputs, &self.0.journal] {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let old = entry
                    .metadata()
                    .and_then(|meta| meta.modified())
                    .is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEEP_FILES));
                if old && let Err(error) = std::fs::remove_file(entry.path()) {
                    warn!(file = %entry.path().display(), %error, "an old file stays");
                }
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
            job.remove();
        }
        ended <= KEEP_ENDED
    });
}

fn plan(kind: JobKind, tasks: impl Iterator<Item = v1::Task>) -> v1::Job {
    let tasks: Vec<_> = tasks.collect();
    v1::Job {
        kind: kind.into(),
        state: job::job_state(&tasks).into(),
        tasks,
        ..v1::Job::default()
    }
}

/// Thousands of tasks are done as few.
fn begun(job: &v1::Job, targets: &[Option<Target>], limit: Duration) -> Begun {
    let mut begun = Begun {
        job: Some(job.clone()),
        limit: limit.as_secs(),
        ..Begun::default()
    };
    for target in targets {
        let form = target.as_ref().map_or_else(TargetForm::default, |target| {
            let spec = target.session.spec();
            TargetForm::new(spec, &target.role, &target.account_name, &target.region)
        });
        // Instances of one account follow each other.
        if begun.targets.last() != Some(&form) {
            begun.targets.push(form);
        }
        let position = begun.targets.len() - 1;
        begun
            .target_of
            .push(u32::try_from(position).unwrap_or(u32::MAX));
    }
    begun
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

    #[test]
    fn ids_do_not_repeat() {
        assert_ne!(random_id("job"), random_id("job"));
        assert_eq!(random_id("out").len(), 4 + 32);
    }
}
