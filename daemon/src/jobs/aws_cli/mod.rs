//! Runs of the AWS CLI: no shell, a clean environment, no stdin, a process
//! group of its own, a time limit. Both streams go to disk as they come. One
//! command, as one role or as many.

mod child;
mod command;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use awsso_proto::{
    Failure, Reason,
    v1::{OutputStream, TaskState},
};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::info;

use super::{Bounds, Job, Jobs, Target, aws_error::AwsError};
use crate::credentials::RoleCredentials;
use child::{Ended, Run};
pub use command::{Command, words};

/// Runs the command as each of the job's targets.
pub async fn run(jobs: Jobs, job: Arc<Job>, command: Command, bounds: Bounds) {
    let most = jobs.0.parts.config.files().unwrap_or_default();
    let most = most.settings.limits.parallel_runs.max(1);
    let parallel = match bounds.parallel {
        0 => most,
        parallel => parallel.min(most),
    };
    let errors = AtomicUsize::new(0);
    let targets = job.targets.iter().enumerate();
    stream::iter(targets.filter_map(|(task, target)| Some((task, target.as_ref()?))))
        .for_each_concurrent(parallel, |(task, target)| {
            let (jobs, job, command, errors) = (&jobs, &job, &command, &errors);
            async move {
                let enough = |most| errors.load(Ordering::Relaxed) > most;
                if bounds.max_errors.is_some_and(enough) {
                    let why = "not begun: too many others had failed";
                    return job.end(task, TaskState::Cancelled, why);
                }
                run_one(jobs, job, task, target, command).await;
                if matches!(
                    job.task_state(task),
                    TaskState::Failed | TaskState::TimedOut | TaskState::Denied
                ) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await;
}

/// Runs the command to its end, and once more when AWS certainly did nothing
/// because it did not accept the keys.
async fn run_one(jobs: &Jobs, job: &Arc<Job>, task: usize, target: &Target, command: &Command) {
    let stop = &jobs.0.parts.stop;
    let slot = tokio::select! {
        biased;
        () = stop.cancelled() => return job.end(task, TaskState::Cancelled, "the daemon stopped"),
        () = job.cancel.cancelled() => return job.end(task, TaskState::Cancelled, "cancelled before it ran"),
        slot = jobs.0.slots.acquire() => slot,
    };
    let _slot = slot.expect("the semaphore is never closed");
    let credentials = tokio::select! {
        credentials = jobs.credentials(target) => credentials,
        () = stop.cancelled() => return job.end(task, TaskState::Cancelled, "the daemon stopped"),
        () = job.cancel.cancelled() => return job.end(task, TaskState::Cancelled, "cancelled before it ran"),
    };
    let mut credentials = match credentials {
        Ok(credentials) => credentials,
        Err(failure) => return job.fail(task, &failure),
    };
    // From here on nobody can say that it did not run.
    job.update(task, |task| task.state = TaskState::Running.into());
    let deadline = Instant::now() + job.limit;
    let mut repeated = false;
    loop {
        let mut run = Run::new(job, task);
        let ended = match run
            .execute(command, &target.region, &credentials, deadline, stop)
            .await
        {
            Ok(ended) => ended,
            Err(failure) => return job.fail(task, &failure),
        };
        let said = String::from_utf8_lossy(&run.held).into_owned();
        let error = AwsError::find(&said);
        if let (Ended::Exited(code), Some(error)) = (&ended, &error)
            && *code != 0
            && !repeated
            && error.is_bad_credentials()
            && error.is_whole_command(&command.words)
            && job.outputs[task].written(OutputStream::Stdout) == 0
            && let Some(fresh) = fresh_credentials(jobs, target, &credentials).await
        {
            info!(job = %job.id, code = error.code, "AWS refused the keys; once more with new ones");
            credentials = fresh;
            repeated = true;
            continue;
        }
        if let Err(failure) = run.release().await {
            return job.fail(task, &failure);
        }
        let denied = error.is_some_and(|error| error.is_denied());
        return finish(jobs, job, task, target, ended, denied).await;
    }
}

async fn fresh_credentials(
    jobs: &Jobs,
    target: &Target,
    bad: &RoleCredentials,
) -> Option<RoleCredentials> {
    jobs.reject(target, bad);
    let fresh = jobs.credentials(target).await.ok()?;
    (!fresh.is_same(bad)).then_some(fresh)
}

async fn finish(jobs: &Jobs, job: &Job, task: usize, target: &Target, ended: Ended, denied: bool) {
    match ended {
        Ended::Exited(code) => {
            let other_roles = if denied && code != 0 {
                jobs.other_roles(target).await
            } else {
                Vec::new()
            };
            job.update(task, |task| {
                task.exit_code = Some(code);
                task.other_roles = other_roles;
                task.state = if code == 0 {
                    TaskState::Succeeded.into()
                } else {
                    TaskState::Failed.into()
                };
            });
        }
        Ended::TimedOut => job.end(
            task,
            TaskState::TimedOut,
            format!("stopped after its time limit of {} s", job.limit.as_secs()),
        ),
        Ended::Cancelled => job.end(task, TaskState::Cancelled, "cancelled"),
        Ended::Stopped => job.end(task, TaskState::Cancelled, "the daemon stopped"),
    }
}

fn internal(what: &str, error: &io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("{what}: {error}"))
}
