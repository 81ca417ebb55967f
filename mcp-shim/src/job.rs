//! One command from start to end, as far as one call may wait for it. A job
//! that takes longer goes on in the daemon; a call that is cancelled takes its
//! job with it.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason,
    v1::{
        CancelJobRequest, Job, OutputStream, StartJobRequest, Task, WatchJobRequest,
        watch_job_response::Event,
    },
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{call::Call, output::Head};

/// Saying goodbye to a job must not hold up the end of the shim.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// A job with one task, as far as it was watched.
pub(crate) struct Run {
    pub job: Job,
    pub stdout: Head,
    pub stderr: Head,
    /// How long the call has watched it.
    pub watched: Duration,
}

impl Run {
    fn new(job: Job, max_chars: usize) -> Self {
        Self {
            job,
            stdout: Head::new(max_chars),
            stderr: Head::new(max_chars),
            watched: Duration::ZERO,
        }
    }

    /// Our jobs run on one account, or one instance.
    pub(crate) fn task(&self) -> Option<&Task> {
        self.job.tasks.first()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.job.state().is_final()
    }

    fn see(&mut self, event: Event) {
        match event {
            Event::Job(job) => self.job = job,
            Event::Output(chunk) => match chunk.stream() {
                OutputStream::Stdout => self.stdout.push(chunk.offset, &chunk.data),
                OutputStream::Stderr => self.stderr.push(chunk.offset, &chunk.data),
                OutputStream::Unspecified => {}
            },
        }
    }
}

/// Starts the job and watches it until it ends or the call must answer.
pub(crate) async fn run(
    call: &Call<'_>,
    request: StartJobRequest,
    max_chars: usize,
) -> Result<Run, Failure> {
    let turn = tokio::select! {
        turn = timeout_at(call.deadline, call.shim.commands.acquire()) => turn,
        () = call.cancelled().cancelled() => return Err(cancelled()),
    };
    let Ok(_turn) = turn else {
        return Err(Failure::new(
            Reason::Busy,
            "too many commands are running; this one has not been started",
        ));
    };
    let started = Instant::now();
    // Not given up on cancellation: a job whose id is not known cannot be cancelled.
    let mut run = Run::new(start(call, request).await?, max_chars);
    let watched = tokio::select! {
        watched = timeout_at(call.deadline, watch(call, &mut run)) => watched,
        () = call.cancelled().cancelled() => {
            cancel(call, &run.job.id).await;
            return Err(cancelled());
        }
    };
    if let Ok(ended) = watched {
        ended?;
    }
    run.watched = started.elapsed();
    tracing::info!(job = run.job.id, state = run.job.state().word(), "watched");
    Ok(run)
}

/// Starting twice would run the command twice: a lost answer is said, not repeated.
async fn start(call: &Call<'_>, request: StartJobRequest) -> Result<Job, Failure> {
    let client = call.client().await?;
    let started = client.jobs().start(request).await;
    let started = call.shim.daemon.judge(started).map_err(|failure| {
        if failure.reason != Reason::DaemonUnreachable {
            return failure;
        }
        Failure::new(
            Reason::DaemonUnreachable,
            "the daemon went away while the command was being started, so it may or may not have run; \
             look at what it would have changed before running it again",
        )
    })?;
    started.job.ok_or_else(|| {
        Failure::new(
            Reason::Internal,
            "the daemon started a job and did not say which",
        )
    })
}

/// Ends with the job. A stream that breaks is taken up again once: the job may
/// have outlived the daemon that watched it.
async fn watch(call: &Call<'_>, run: &mut Run) -> Result<(), Failure> {
    let mut taken_up_again = false;
    loop {
        match watch_once(call, run).await {
            Err(failure) if failure.reason == Reason::DaemonUnreachable && !taken_up_again => {
                taken_up_again = true;
            }
            ended => return ended,
        }
    }
}

async fn watch_once(call: &Call<'_>, run: &mut Run) -> Result<(), Failure> {
    let request = WatchJobRequest {
        job_id: run.job.id.clone(),
        without_output: false,
        ..WatchJobRequest::default()
    };
    let mut events = call
        .ask(|client| {
            let request = request.clone();
            async move { client.jobs().watch(request).await }
        })
        .await?;
    while let Some(response) = events.message().await? {
        if let Some(event) = response.event {
            run.see(event);
        }
    }
    if run.is_over() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::DaemonUnreachable,
        "the daemon stopped before the command ended",
    ))
}

async fn cancel(call: &Call<'_>, job_id: &str) {
    let request = CancelJobRequest {
        job_id: job_id.to_owned(),
    };
    let cancel = call.ask(|client| {
        let request = request.clone();
        async move { client.jobs().cancel(request).await }
    });
    match timeout(CANCEL_LIMIT, cancel).await {
        Ok(Ok(_)) => tracing::info!(job = job_id, "cancelled with its call"),
        Ok(Err(failure)) => tracing::warn!(job = job_id, %failure, "cannot be cancelled"),
        Err(_) => tracing::warn!(job = job_id, "the daemon does not confirm the cancellation"),
    }
}

/// Nobody reads this: the protocol drops the answer to a cancelled call.
fn cancelled() -> Failure {
    Failure::new(Reason::Internal, "cancelled")
}
