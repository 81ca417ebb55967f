//! One run, from the request to the exit code: what `exec-command`,
//! `ec2-exec-command` and `jobs watch` share. Output of one task goes out byte
//! for byte as it comes; output of several is kept until they have ended.

use std::pin::pin;

use awsso_proto::{
    Client, Failure,
    ipc::Interrupts,
    v1::{CancelJobRequest, Job, StartJobRequest},
};

use crate::{
    args::{PlacesArgs, RunArgs, RunFormat},
    context::Context,
    exit::{self, Stop},
    pick,
    progress::Progress,
    render::{self, jobs::Detached},
    terminal,
};

mod ended;
mod follow;
mod groups;
mod naming;
mod sink;

pub use ended::Ended;
pub use sink::Printed;
use sink::Sink;

/// What is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What the tasks print.
    Text,
    /// One document, at the end.
    Json,
    /// One line for each task, as soon as it has ended.
    Lines,
}

/// Does what `command` was asked for: `request` lacks only its targets.
pub async fn order(
    context: &Context,
    command: &str,
    places: PlacesArgs,
    args: &RunArgs,
    mut request: StartJobRequest,
) -> Result<u8, Stop> {
    request.parallel = places.parallel.unwrap_or_default();
    request.max_errors = places.max_errors;
    request.dry_run = args.dry_run;
    match places.one() {
        Some(target) => request.target = Some(pick::target(context, command, target).await?.target),
        None => request.selection = Some(context.selection(command, places)?),
    }
    let form = match args.output {
        Some(RunFormat::Jsonl) => Form::Lines,
        Some(RunFormat::Json) => Form::Json,
        None | Some(RunFormat::Text) if context.json => Form::Json,
        None | Some(RunFormat::Text) => Form::Text,
    };
    let client = context.connect().await?;
    let mut interrupts = Interrupts::new()?;
    let job = begin(&client, request, &mut interrupts).await?;
    if args.dry_run {
        render::plan::print(&job, form == Form::Json)?;
        return Ok(exit::OK);
    }
    if args.detach {
        match form {
            Form::Text => terminal::line(&job.id)?,
            Form::Json | Form::Lines => terminal::json(&Detached { job_id: &job.id })?,
        }
        return Ok(exit::OK);
    }
    let mut sink = Sink::new(form);
    let cancelled = follow_or_cancel(context, &client, &job.id, &mut sink, &mut interrupts).await?;
    let ended = Ended::new(sink, cancelled);
    ended.print()?;
    Ok(ended.exit_code())
}

/// Follows a job that someone started. Ctrl-C leaves it alone.
pub async fn watch(
    context: &Context,
    client: &Client,
    id: &str,
    form: Form,
) -> Result<Ended, Stop> {
    let mut sink = Sink::new(form);
    follow::to_its_end(context, client, id, &mut sink).await?;
    Ok(Ended::new(sink, false))
}

async fn begin(
    client: &Client,
    request: StartJobRequest,
    interrupts: &mut Interrupts,
) -> Result<Job, Stop> {
    let progress = Progress::new("starting");
    let mut jobs = client.jobs();
    tokio::select! {
        reply = progress.over(jobs.start(request)) => Ok(reply?.into_inner().job.unwrap_or_default()),
        _ = interrupts.next() => Err(Stop::Interrupted),
    }
}

/// Whether a person cancelled it: the first Ctrl-C cancels the job, a second one
/// leaves it.
async fn follow_or_cancel(
    context: &Context,
    client: &Client,
    id: &str,
    sink: &mut Sink,
    interrupts: &mut Interrupts,
) -> Result<bool, Stop> {
    let mut work = pin!(follow::to_its_end(context, client, id, sink));
    tokio::select! {
        ended = &mut work => return ended.map(|()| false),
        _ = interrupts.next() => {}
    }
    terminal::say("Cancelling (Ctrl-C again: leave it to the daemon)");
    let cancel = async {
        if let Err(failure) = cancel(context, id).await {
            exit::tell(&failure);
        }
    };
    tokio::select! {
        ((), ended) = async { tokio::join!(cancel, work) } => ended.map(|()| true),
        _ = interrupts.next() => {
            terminal::say(format_args!("To see how it ends: awsso jobs watch {id}"));
            Err(Stop::Interrupted)
        }
    }
}

/// The daemon that runs it now need not be the one that began it.
async fn cancel(context: &Context, id: &str) -> Result<(), Failure> {
    let job_id = id.to_owned();
    let client = context.connect().await?;
    client.jobs().cancel(CancelJobRequest { job_id }).await?;
    Ok(())
}
