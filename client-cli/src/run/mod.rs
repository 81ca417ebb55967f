//! One run, from the request to the exit code: what `exec-command`,
//! `ec2-exec-command` and `jobs watch` share. Output of one task goes out byte
//! for byte as it comes; output of several is kept, and printed task by task.

use std::pin::pin;

use awsso_proto::{
    Client, Failure, Reason,
    v1::{
        CancelJobRequest, Job, JobKind, OutputChunk, OutputStream, StartJobRequest,
        WatchJobRequest, watch_job_response::Event,
    },
};

use crate::{
    exit::{self, Stop},
    os::Interrupts,
    progress::Progress,
    terminal,
};

mod ended;

pub use ended::Ended;

/// What a task printed.
#[derive(Debug, Default)]
pub struct Printed {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Printed {
    /// Data to stdout, the rest to stderr.
    pub fn print(&self) -> Result<(), Stop> {
        terminal::data(&self.stdout)?;
        terminal::foreign_stderr(&self.stderr);
        Ok(())
    }
}

/// What to do with output while the job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// One task: print it as it comes.
    Live,
    /// Keep it until the job has ended.
    Kept,
    /// Live when the kind of the job says that there is one task.
    ByKind,
}

/// Starts a job and follows it to its end. The first Ctrl-C cancels the job,
/// a second one leaves it.
pub async fn start(
    client: &Client,
    request: StartJobRequest,
    output: Output,
) -> Result<Ended, Stop> {
    let mut interrupts = Interrupts::new()?;
    let progress = Progress::new("starting");
    let mut jobs = client.jobs();
    let reply = tokio::select! {
        reply = progress.over(jobs.start(request)) => reply?.into_inner(),
        () = interrupts.next() => return Err(Stop::Interrupted),
    };
    drop(progress);
    let id = reply.job.map(|job| job.id).unwrap_or_default();
    let mut sink = Sink::new(output);
    let (job, cancelled) = follow_or_cancel(client, &id, &mut sink, &mut interrupts).await?;
    Ok(Ended {
        job,
        kept: sink.kept,
        cancelled,
    })
}

/// Follows a job that someone started. Ctrl-C leaves it alone.
pub async fn watch(client: &Client, id: &str, output: Output) -> Result<Ended, Stop> {
    let mut sink = Sink::new(output);
    let job = follow(client, id, &mut sink).await?;
    Ok(Ended {
        job,
        kept: sink.kept,
        cancelled: false,
    })
}

async fn follow_or_cancel(
    client: &Client,
    id: &str,
    sink: &mut Sink,
    interrupts: &mut Interrupts,
) -> Result<(Job, bool), Stop> {
    let mut work = pin!(follow(client, id, sink));
    tokio::select! {
        job = &mut work => return Ok((job?, false)),
        () = interrupts.next() => {}
    }
    terminal::say("Cancelling (Ctrl-C again: leave it to the daemon)");
    let cancel = async {
        let job_id = id.to_owned();
        if let Err(status) = client.jobs().cancel(CancelJobRequest { job_id }).await {
            exit::tell(&status.into());
        }
    };
    tokio::select! {
        ((), job) = async { tokio::join!(cancel, work) } => Ok((job?, true)),
        () = interrupts.next() => {
            terminal::say(format_args!("To see how it ends: awsso jobs watch {id}"));
            Err(Stop::Interrupted)
        }
    }
}

async fn follow(client: &Client, id: &str, sink: &mut Sink) -> Result<Job, Stop> {
    let progress = Progress::new("running");
    let work = async {
        let request = WatchJobRequest {
            job_id: id.to_owned(),
            without_output: false,
        };
        let mut events = client.jobs().watch(request).await?.into_inner();
        let mut last = None;
        while let Some(reply) = events.message().await? {
            match reply.event {
                Some(Event::Job(job)) => {
                    progress.say(ended::summary(&job));
                    sink.decide(&job);
                    last = Some(job);
                }
                Some(Event::Output(chunk)) => sink.take(chunk, &progress)?,
                None => {}
            }
        }
        Ok::<_, Stop>(last)
    };
    progress
        .over(work)
        .await?
        .filter(|job| job.state().is_final())
        .ok_or_else(|| {
            let told = format!("the daemon left the job {id} before its end");
            Failure::new(Reason::ShuttingDown, told).into()
        })
}

struct Sink {
    output: Output,
    kept: Vec<Printed>,
}

impl Sink {
    fn new(output: Output) -> Self {
        let kept = Vec::new();
        Self { output, kept }
    }

    fn decide(&mut self, job: &Job) {
        if self.output == Output::ByKind {
            self.output = match job.kind() {
                JobKind::AwsCli => Output::Live,
                JobKind::Ssm | JobKind::Unspecified => Output::Kept,
            };
        }
    }

    fn take(&mut self, chunk: OutputChunk, progress: &Progress) -> Result<(), Stop> {
        let stderr = chunk.stream() == OutputStream::Stderr;
        if self.output == Output::Live {
            progress.end();
            if stderr {
                terminal::foreign_stderr(&chunk.data);
                return Ok(());
            }
            return terminal::data(&chunk.data);
        }
        let task = usize::try_from(chunk.task).expect("a u32 fits");
        while self.kept.len() <= task {
            self.kept.push(Printed::default());
        }
        let printed = &mut self.kept[task];
        if stderr {
            printed.stderr.extend(chunk.data);
        } else {
            printed.stdout.extend(chunk.data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_output_stays_apart_by_task_and_stream() {
        let mut sink = Sink::new(Output::Kept);
        let progress = Progress::new("");
        for (task, stream, data) in [
            (1, OutputStream::Stdout, "b"),
            (0, OutputStream::Stderr, "x"),
            (1, OutputStream::Stdout, "c"),
        ] {
            let mut chunk = OutputChunk {
                task,
                data: data.into(),
                ..OutputChunk::default()
            };
            chunk.set_stream(stream);
            sink.take(chunk, &progress).unwrap();
        }
        assert_eq!(sink.kept[1].stdout, b"bc");
        assert_eq!(sink.kept[0].stderr, b"x");
    }
}
