//! A run of the AWS CLI: no shell, a clean environment, no stdin, a process
//! group of its own, a time limit. Both streams go to disk as they come.

mod child;
mod command;

use std::{io, sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{OutputStream, TaskState},
};
use tokio::time::Instant;
use tracing::info;

use super::{Job, Jobs, Target, aws_error::AwsError};
use crate::credentials::RoleCredentials;
use child::{Ended, Run};
pub use command::Command;

/// The one task of the job.
const TASK: usize = 0;

/// Runs the command to its end, and once more when AWS certainly did nothing
/// because it did not accept the keys.
pub async fn run(
    jobs: Jobs,
    job: Arc<Job>,
    target: Target,
    command: Command,
    credentials: RoleCredentials,
    limit: Duration,
) {
    let slot = tokio::select! {
        slot = jobs.0.slots.acquire() => slot,
        () = jobs.0.parts.stop.cancelled() => return job.end(TASK, TaskState::Cancelled, "the daemon stopped"),
        () = job.cancel.cancelled() => return job.end(TASK, TaskState::Cancelled, "cancelled before it ran"),
    };
    let _slot = slot.expect("the semaphore is never closed");
    job.update(TASK, |task| task.state = TaskState::Running.into());
    let deadline = Instant::now() + limit;
    let mut credentials = credentials;
    let mut repeated = false;
    loop {
        let mut run = Run::new(&job);
        let ended = match run
            .execute(&command, &credentials, deadline, &jobs.0.parts.stop)
            .await
        {
            Ok(ended) => ended,
            Err(failure) => return job.fail(TaskState::Failed, &failure),
        };
        let said = String::from_utf8_lossy(&run.held).into_owned();
        let error = AwsError::find(&said);
        if let (Ended::Exited(code), Some(error)) = (&ended, &error)
            && *code != 0
            && !repeated
            && error.is_bad_credentials()
            && error.is_whole_command(&command.words)
            && job.outputs[TASK].written(OutputStream::Stdout) == 0
            && let Some(fresh) = fresh_credentials(&jobs, &target, &credentials).await
        {
            info!(job = %job.id, code = error.code, "AWS refused the keys; once more with new ones");
            credentials = fresh;
            repeated = true;
            continue;
        }
        if let Err(failure) = run.release().await {
            return job.fail(TaskState::Failed, &failure);
        }
        return finish(
            &jobs,
            &job,
            &target,
            ended,
            error.is_some_and(|error| error.is_denied()),
            limit,
        )
        .await;
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

async fn finish(
    jobs: &Jobs,
    job: &Job,
    target: &Target,
    ended: Ended,
    denied: bool,
    limit: Duration,
) {
    match ended {
        Ended::Exited(code) => {
            let other_roles = if denied && code != 0 {
                jobs.other_roles(target).await
            } else {
                Vec::new()
            };
            job.update(TASK, |task| {
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
            TASK,
            TaskState::TimedOut,
            format!("stopped after its time limit of {} s", limit.as_secs()),
        ),
        Ended::Cancelled => job.end(TASK, TaskState::Cancelled, "cancelled"),
        Ended::Stopped => job.end(TASK, TaskState::Cancelled, "the daemon stopped"),
    }
}

fn internal(what: &str, error: &io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("{what}: {error}"))
}
