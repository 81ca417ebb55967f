//! A job as far as one call has seen it: its tasks and what is held of their
//! outputs. Pure.

use std::{fmt::Write as _, time::Duration};

use awsso_proto::{
    Failure,
    v1::{
        Job, OutputChunk, OutputOffset, OutputStream, Task, TaskState, watch_job_response::Event,
    },
};

use crate::output::Head;

/// A job, as far as it was watched.
pub(crate) struct Run {
    pub job: Job,
    /// One for each task.
    pub printed: Vec<Printed>,
    /// How long the call has watched it.
    pub watched: Duration,
}

/// What is held of a task's output.
#[derive(Debug)]
pub(crate) struct Printed {
    pub stdout: Head,
    pub stderr: Head,
    /// What is shown instead of stdout, or why it is not.
    pub reshaped: Option<Result<String, Failure>>,
}

impl Printed {
    pub(crate) fn new(max_chars: usize) -> Self {
        Self {
            stdout: Head::new(max_chars),
            stderr: Head::new(max_chars),
            reshaped: None,
        }
    }
}

impl Run {
    pub(crate) fn new(job: Job, max_chars: usize) -> Self {
        let printed = job.tasks.iter().map(|_| Printed::new(max_chars)).collect();
        Self {
            job,
            printed,
            watched: Duration::ZERO,
        }
    }

    /// The only task, and what it printed.
    pub(crate) fn only(&self) -> Option<(&Task, &Printed)> {
        match (self.job.tasks.as_slice(), self.printed.as_slice()) {
            ([task], [printed]) => Some((task, printed)),
            _ => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.job.state().is_final()
    }

    pub(crate) fn see(&mut self, event: Event) {
        match event {
            Event::Job(job) => self.job = job,
            Event::Output(chunk) => self.print(&chunk),
        }
    }

    fn print(&mut self, chunk: &OutputChunk) {
        let task = usize::try_from(chunk.task).unwrap_or(usize::MAX);
        let Some(printed) = self.printed.get_mut(task) else {
            return;
        };
        match chunk.stream() {
            OutputStream::Stdout => printed.stdout.push(chunk.offset, &chunk.data),
            OutputStream::Stderr => printed.stderr.push(chunk.offset, &chunk.data),
            OutputStream::Unspecified => {}
        }
    }

    /// What has been seen of every output.
    pub(crate) fn offsets(&self) -> Vec<OutputOffset> {
        let mut offsets = Vec::new();
        for (task, printed) in (0..).zip(&self.printed) {
            for (stream, head) in [
                (OutputStream::Stdout, &printed.stdout),
                (OutputStream::Stderr, &printed.stderr),
            ] {
                offsets.push(OutputOffset {
                    task,
                    stream: stream.into(),
                    offset: head.next(),
                });
            }
        }
        offsets
    }

    /// The job in a few words, for whoever waits.
    pub(crate) fn summary(&self) -> String {
        let count = |wanted: fn(TaskState) -> bool| {
            let states = self.job.tasks.iter().map(Task::state);
            states.filter(|state| wanted(*state)).count()
        };
        let all = self.job.tasks.len();
        let succeeded = count(|state| state == TaskState::Succeeded);
        if self.is_over() {
            return format!("{succeeded} of {all} succeeded");
        }
        let done = count(TaskState::is_final);
        let mut summary = format!("{done} of {all} done");
        if done > succeeded {
            let _ = write!(summary, ", {} failed", done - succeeded);
        }
        summary
    }

    /// What there is to tell while the job runs: its last line, or how far it is.
    pub(crate) fn note(&self, event: &Event) -> Option<String> {
        match event {
            Event::Output(chunk) => {
                let text = String::from_utf8_lossy(&chunk.data);
                let mut lines = text.lines().rev();
                let last = lines.find(|line| !line.trim().is_empty());
                last.map(str::to_owned)
            }
            Event::Job(_) if self.job.tasks.len() > 1 => Some(self.summary()),
            Event::Job(_) => None,
        }
    }
}
