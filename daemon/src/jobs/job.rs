//! One job: the states of its tasks, what its own state follows from them, and
//! who is told. Every change is in the journal before anybody sees it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason,
    v1::{self, JobState, OutputStream, TaskState, timestamp},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    Shown, Target,
    journal::{Changed, Event, Journal},
    output::Output,
};
use crate::{
    clock::Clock,
    policy::{Audit, Redactor},
};

/// A job, shared by the task that does it and those who watch it.
#[derive(Debug)]
pub struct Job {
    pub id: String,
    pub outputs: Vec<Arc<Output>>,
    /// Whom each task is done as; none where that was decided against.
    pub(super) targets: Vec<Option<Target>>,
    /// How long the work may run.
    pub(super) limit: Duration,
    pub(super) cancel: CancellationToken,
    /// This daemon leaves it to the next one.
    pub(super) suspended: CancellationToken,
    pub(super) clock: Clock,
    pub(super) journal: Journal,
    pub(super) audit: Audit,
    pub(super) state: watch::Sender<State>,
    /// Bumped when output was written.
    pub(super) printed: watch::Sender<u64>,
}

/// A job as it is now. Watchers compare revisions: thousands of tasks are not
/// copied to be compared.
#[derive(Debug)]
pub struct State {
    job: v1::Job,
    revision: u64,
}

impl State {
    pub(super) fn new(job: v1::Job) -> Self {
        Self { job, revision: 0 }
    }

    /// Moves with every change of the job.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn job(&self) -> &v1::Job {
        &self.job
    }

    pub fn is_final(&self) -> bool {
        self.job.state().is_final()
    }
}

impl Job {
    pub fn snapshot(&self) -> v1::Job {
        let mut job = self.state.borrow().job.clone();
        for (task, output) in job.tasks.iter_mut().zip(&self.outputs) {
            sized(task, output);
        }
        job
    }

    pub fn asked_by(&self) -> v1::ClientKind {
        self.state.borrow().job.asked_by()
    }

    /// What a task has printed, seen through this redactor or as it is.
    pub fn shown(&self, task: usize, redactor: Option<Redactor>) -> Shown {
        Shown {
            output: Arc::clone(&self.outputs[task]),
            redactor,
            // The last output is there before the task has ended.
            complete: self.task_state(task).is_final(),
        }
    }

    pub fn is_final(&self) -> bool {
        self.state.borrow().is_final()
    }

    /// The daemon's end would be its end.
    pub fn dies_with_the_daemon(&self) -> bool {
        let state = self.state.borrow();
        !state.is_final() && state.job.kind() != v1::JobKind::Ssm
    }

    /// Asks the job to end; it says how far that went.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// This daemon does no more for it.
    pub fn suspended(&self) -> CancellationToken {
        self.suspended.clone()
    }

    /// The job's states, and a number that moves when output was written.
    pub fn watch(&self) -> (watch::Receiver<State>, watch::Receiver<u64>) {
        (self.state.subscribe(), self.printed.subscribe())
    }

    pub(super) fn task_state(&self, task: usize) -> TaskState {
        self.state.borrow().job.tasks[task].state()
    }

    pub(super) fn printed(&self) {
        self.printed.send_modify(|number| *number += 1);
    }

    /// Changes one task; the job's own state follows from all of them.
    pub(super) fn update(&self, index: usize, change: impl FnOnce(&mut v1::Task)) {
        let now = self.clock.now();
        self.state.send_if_modified(|State { job, revision }| {
            let before = job.tasks[index].clone();
            let mut task = before.clone();
            change(&mut task);
            stamp(&mut task, before.state(), now);
            if task == before {
                return false;
            }
            let mut kept = task.clone();
            sized(&mut kept, &self.outputs[index]);
            self.journal.write(Event::Task(Changed {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                task: Some(kept),
            }));
            job.tasks[index] = task;
            *revision += 1;
            // Of thousands of tasks, most changes leave the job as it is.
            if before.state() != job.tasks[index].state() {
                self.settle(job, now);
            }
            true
        });
    }

    fn settle(&self, job: &mut v1::Job, now: SystemTime) {
        let state = job_state(&job.tasks);
        job.state = state.into();
        if state.is_final() && job.ended_at.is_none() {
            job.ended_at = Some(timestamp(now));
            self.journal.close();
            self.audit.job_ended(job);
            info!(job = %job.id, state = state.word(), "job ended");
        }
    }

    pub(super) fn end(&self, task: usize, state: TaskState, detail: impl Into<String>) {
        self.update(task, |task| {
            task.state = state.into();
            task.detail = detail.into();
        });
    }

    /// A task cannot go on; of a job that is only this task it is the job's problem.
    pub(super) fn fail(&self, task: usize, failure: &Failure) {
        if self.outputs.len() == 1 {
            let problem = v1::Problem {
                reason: failure.reason.name().to_owned(),
                message: failure.message.clone(),
                metadata: failure.metadata.clone(),
            };
            self.journal.write(Event::Problem(problem.clone()));
            self.state.send_modify(|State { job, revision }| {
                job.problem = Some(problem);
                *revision += 1;
            });
        }
        let others: Vec<String> = failure.roles().into_iter().map(str::to_owned).collect();
        self.update(task, |task| {
            task.state = end_of(failure).into();
            task.detail.clone_from(&failure.message);
            task.other_roles = others;
        });
    }

    /// Removes what its tasks printed, and says so. The journal is closed by
    /// then: the next daemon sees that the files are missing.
    pub(super) fn discard(&self) {
        for (task, output) in self.outputs.iter().enumerate() {
            if output.stored() > 0 {
                output.discard();
                self.update(task, say_gone);
            }
        }
    }

    /// Gone for good, with all that it printed.
    pub(super) fn remove(&self) {
        self.journal.remove();
        for output in &self.outputs {
            output.remove();
        }
    }
}

/// How a task ends that could not be done because of this.
pub(super) fn end_of(failure: &Failure) -> TaskState {
    match failure.reason {
        Reason::AccessDenied | Reason::DeniedByPolicy => TaskState::Denied,
        _ => TaskState::Failed,
    }
}

pub(super) fn say_gone(task: &mut v1::Task) {
    if !task.detail.is_empty() {
        task.detail.push_str("; ");
    }
    task.detail.push_str("the output is no longer stored");
}

fn sized(task: &mut v1::Task, output: &Output) {
    task.stdout_bytes = output.written(OutputStream::Stdout);
    task.stderr_bytes = output.written(OutputStream::Stderr);
    task.truncated = output.is_truncated();
}

fn stamp(task: &mut v1::Task, before: TaskState, now: SystemTime) {
    let state = task.state();
    if state == before {
        return;
    }
    // What ends without having run has not been started.
    let ran = matches!(
        state,
        TaskState::Running | TaskState::Succeeded | TaskState::Failed | TaskState::TimedOut
    );
    if task.started_at.is_none() && ran {
        task.started_at = Some(timestamp(now));
    }
    if state.is_final() {
        task.ended_at = Some(timestamp(now));
    }
}

/// A job's state from its tasks'.
pub(super) fn job_state(tasks: &[v1::Task]) -> JobState {
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
}
