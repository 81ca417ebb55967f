//! A job, followed to its end from daemon to daemon: when one goes away, the next
//! is asked for what was not heard yet.

use std::time::Duration;

use awsso_proto::{
    Client, Failure, Reason,
    v1::{WatchJobRequest, watch_job_response::Event},
};
use tokio::time::{Instant, sleep};

use super::{naming, sink::Sink};
use crate::{context::Context, exit::Stop, progress::Progress};

/// For so long nothing may be heard of a job while daemons come and go.
const WITHOUT_A_DAEMON: Duration = Duration::from_secs(30);

/// Between one try and the next.
const PAUSE: Duration = Duration::from_millis(200);

pub async fn to_its_end(
    context: &Context,
    client: &Client,
    id: &str,
    sink: &mut Sink,
) -> Result<(), Stop> {
    let progress = Progress::new("running");
    progress
        .over(from_daemon_to_daemon(context, client, id, sink, &progress))
        .await?;
    sink.end()
}

async fn from_daemon_to_daemon(
    context: &Context,
    client: &Client,
    id: &str,
    sink: &mut Sink,
    progress: &Progress,
) -> Result<(), Stop> {
    let mut client = Some(client.clone());
    let mut give_up = Instant::now() + WITHOUT_A_DAEMON;
    loop {
        let heard = sink.heard();
        let lost = match listen(context, client.take(), id, sink, progress).await {
            Ok(()) if sink.is_final() => return Ok(()),
            Ok(()) => left(id),
            Err(Stop::Failure(failure)) if is_gone(failure.reason) => failure,
            Err(stop) => return Err(stop),
        };
        if sink.heard() > heard {
            give_up = Instant::now() + WITHOUT_A_DAEMON;
        }
        if Instant::now() > give_up {
            return Err(lost.into());
        }
        progress.say("waiting for the next daemon");
        sleep(PAUSE).await;
    }
}

/// Hears one daemon out.
async fn listen(
    context: &Context,
    client: Option<Client>,
    id: &str,
    sink: &mut Sink,
    progress: &Progress,
) -> Result<(), Stop> {
    let client = match client {
        Some(client) => client,
        None => context.connect().await?,
    };
    let request = WatchJobRequest {
        job_id: id.to_owned(),
        without_output: false,
        from: sink.offsets(),
    };
    let mut events = client.jobs().watch(request).await?.into_inner();
    while let Some(reply) = events.message().await? {
        match reply.event {
            Some(Event::Job(job)) => {
                progress.say(naming::summary(&job));
                sink.job(job, progress)?;
            }
            Some(Event::Output(chunk)) => sink.output(chunk, progress)?,
            None => {}
        }
    }
    Ok(())
}

fn is_gone(reason: Reason) -> bool {
    matches!(reason, Reason::ShuttingDown | Reason::DaemonUnreachable)
}

fn left(id: &str) -> Failure {
    Failure::new(
        Reason::ShuttingDown,
        format!("the daemon left the job {id} before its end"),
    )
}
