//! One command from start to end, as far as one call may wait for it. A job
//! that takes longer goes on in the daemon. A call that is cancelled before
//! anybody knows the job's id takes the job with it, and none afterwards.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason,
    v1::{
        CancelJobRequest, Job, OutputStream, ReadOutputRequest, StartJobRequest, WatchJobRequest,
        WatchJobResponse, watch_job_response::Event,
    },
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    call::Call,
    output::{CHAR_BYTES, Head},
    run::{Printed, Run},
};

/// Saying goodbye to a job must not hold up the end of the shim.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// For so long nothing may be heard of a job while daemons come and go.
const WITHOUT_A_DAEMON: Duration = Duration::from_secs(10);

/// Between one try to find the next daemon and the next.
const PAUSE: Duration = Duration::from_millis(200);

/// What the outputs of many tasks may take in memory, all together, and each.
const ALL_OUTPUTS: usize = 8 << 20;
const ONE_OUTPUT: usize = 64 << 10;

/// Of a job that runs its latest output is shown.
const LATEST: u64 = 4_000;

/// Starts the job and watches it until it ends or the call must answer.
pub(crate) async fn run(
    call: &Call<'_>,
    request: StartJobRequest,
    max_chars: usize,
    deadline: Instant,
) -> Result<Run, Failure> {
    // Who does not want to wait for the end still waits for the beginning.
    let patience = deadline.max(call.deadline(None));
    let _turn = tokio::select! {
        turn = call.shim.turns.next(patience) => turn?,
        () = call.cancelled().cancelled() => return Err(cancelled()),
    };
    let started = Instant::now();
    // Not given up on cancellation: a job whose id is not known cannot be cancelled.
    let request = StartJobRequest {
        // Whoever is asked has as long as this call may take; not before the client's own person.
        approval_wait: if call.asks() {
            None
        } else {
            deadline.saturating_duration_since(started).try_into().ok()
        },
        ..request
    };
    let mut run = Run::new(start(call, request).await?, max_chars);
    let with_output = run.job.tasks.len() == 1;
    tokio::select! {
        watched = watch_until(call, &mut run, with_output, deadline) => watched?,
        () = call.cancelled().cancelled() => {
            cancel_quietly(call, &run.job.id).await;
            return Err(cancelled());
        }
    }
    // A tag may have turned out to mean several instances.
    if run.printed.len() != run.job.tasks.len() || !with_output {
        fetch(call, &mut run, max_chars).await?;
    }
    run.watched = started.elapsed();
    tracing::info!(job = run.job.id, state = run.job.state().word(), "watched");
    Ok(run)
}

/// A job that somebody started, watched until it ends or until the deadline.
pub(crate) async fn resume(
    call: &Call<'_>,
    job_id: &str,
    max_chars: usize,
    deadline: Instant,
) -> Result<Run, Failure> {
    let started = Instant::now();
    let job = Job {
        id: job_id.to_owned(),
        ..Job::default()
    };
    let mut run = Run::new(job, max_chars);
    // Its state is told before anything else, however little time there is.
    first_word(call, &mut run).await?;
    tokio::select! {
        watched = watch_until(call, &mut run, false, deadline) => watched?,
        () = call.cancelled().cancelled() => return Err(cancelled()),
    }
    fetch(call, &mut run, max_chars).await?;
    run.watched = started.elapsed();
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

async fn watch_until(
    call: &Call<'_>,
    run: &mut Run,
    with_output: bool,
    deadline: Instant,
) -> Result<(), Failure> {
    match timeout_at(deadline, watch(call, run, with_output)).await {
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

/// Ends with the job. The job outlives the daemon that watched it: the next one
/// is asked for what was not heard yet.
async fn watch(call: &Call<'_>, run: &mut Run, with_output: bool) -> Result<(), Failure> {
    let mut give_up = Instant::now() + WITHOUT_A_DAEMON;
    loop {
        let mut heard = false;
        let lost = match watch_once(call, run, with_output, &mut heard).await {
            Ok(()) if run.is_over() => return Ok(()),
            Ok(()) => Failure::new(
                Reason::DaemonUnreachable,
                format!("the daemon left the job {} before its end", run.job.id),
            ),
            Err(failure) if is_gone(failure.reason) => failure,
            Err(failure) => return Err(failure),
        };
        if heard {
            give_up = Instant::now() + WITHOUT_A_DAEMON;
        }
        if Instant::now() > give_up {
            return Err(lost);
        }
        sleep(PAUSE).await;
    }
}

fn is_gone(reason: Reason) -> bool {
    matches!(reason, Reason::ShuttingDown | Reason::DaemonUnreachable)
}

async fn events_of(
    call: &Call<'_>,
    request: &WatchJobRequest,
) -> Result<tonic::Streaming<WatchJobResponse>, Failure> {
    call.ask(|client| {
        let request = request.clone();
        async move { client.jobs().watch(request).await }
    })
    .await
}

async fn watch_once(
    call: &Call<'_>,
    run: &mut Run,
    with_output: bool,
    heard: &mut bool,
) -> Result<(), Failure> {
    let request = WatchJobRequest {
        job_id: run.job.id.clone(),
        without_output: !with_output,
        from: run.offsets(),
    };
    let mut events = events_of(call, &request).await?;
    while let Some(response) = events.message().await? {
        *heard = true;
        if let Some(event) = response.event {
            call.at_work(|| run.note(&event));
            run.see(event);
        }
    }
    Ok(())
}

/// The job as it is now.
async fn first_word(call: &Call<'_>, run: &mut Run) -> Result<(), Failure> {
    let request = WatchJobRequest {
        job_id: run.job.id.clone(),
        without_output: true,
        ..WatchJobRequest::default()
    };
    let mut events = events_of(call, &request).await?;
    while let Some(response) = events.message().await? {
        if let Some(Event::Job(job)) = response.event {
            run.job = job;
            return Ok(());
        }
    }
    Err(Failure::new(
        Reason::DaemonUnreachable,
        "the daemon stopped before it told the job",
    ))
}

/// Reads what the tasks printed: of those that have ended the beginning, of the
/// others the latest.
async fn fetch(call: &Call<'_>, run: &mut Run, max_chars: usize) -> Result<(), Failure> {
    let tasks = run.job.tasks.len().max(1);
    let most = match tasks {
        1 => max_chars * CHAR_BYTES,
        _ => (ALL_OUTPUTS / 2 / tasks).min(ONE_OUTPUT),
    };
    let mut printed = Vec::with_capacity(tasks);
    for task in &run.job.tasks {
        let mut of_task = Printed::new(0);
        for (stream, bytes, head) in [
            (OutputStream::Stdout, task.stdout_bytes, &mut of_task.stdout),
            (OutputStream::Stderr, task.stderr_bytes, &mut of_task.stderr),
        ] {
            let is_over = task.state().is_final();
            if bytes == 0 && is_over || task.output_id.is_empty() {
                continue;
            }
            let offset = if is_over {
                0
            } else {
                bytes.saturating_sub(LATEST)
            };
            *head = read(call, &task.output_id, stream, offset, most)
                .await?
                .beginning_with_a_line();
        }
        printed.push(of_task);
    }
    run.printed = printed;
    Ok(())
}

/// A piece of a stored output.
pub(crate) async fn read(
    call: &Call<'_>,
    output_id: &str,
    stream: OutputStream,
    offset: u64,
    max_bytes: usize,
) -> Result<Head, Failure> {
    let request = ReadOutputRequest {
        output_id: output_id.to_owned(),
        stream: stream.into(),
        offset,
        max_bytes: u32::try_from(max_bytes).unwrap_or(u32::MAX),
    };
    let piece = call
        .ask(|client| {
            let request = request.clone();
            async move { client.jobs().read_output(request).await }
        })
        .await?;
    Ok(Head::piece(piece.offset, piece.data, piece.total_bytes))
}

/// Asks for the end of a job, which may take a moment to come.
pub(crate) async fn cancel(call: &Call<'_>, job_id: &str) -> Result<(), Failure> {
    let request = CancelJobRequest {
        job_id: job_id.to_owned(),
    };
    call.ask(|client| {
        let request = request.clone();
        async move { client.jobs().cancel(request).await }
    })
    .await
    .map(drop)
}

async fn cancel_quietly(call: &Call<'_>, job_id: &str) {
    match timeout(CANCEL_LIMIT, cancel(call, job_id)).await {
        Ok(Ok(())) => tracing::info!(job = job_id, "cancelled with its call"),
        Ok(Err(failure)) => tracing::warn!(job = job_id, %failure, "cannot be cancelled"),
        Err(_) => tracing::warn!(job = job_id, "the daemon does not confirm the cancellation"),
    }
}

/// Nobody reads this: the protocol drops the answer to a cancelled call.
pub(crate) fn cancelled() -> Failure {
    Failure::new(Reason::Internal, "cancelled")
}
