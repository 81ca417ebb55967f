//! `awsso jobs list|watch|cancel|output`.

use awsso_proto::{
    Client,
    v1::{CancelJobRequest, Job, ListJobsRequest, OutputStream, ReadOutputRequest},
};
use serde::Serialize;

use crate::{
    args::{JobsCommand, ListArgs},
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::{
        self,
        jobs::{JobView, JobsView, OutputView},
    },
    run::{self, Output, Printed},
    terminal,
};

/// Well under the largest message.
const PIECE: u32 = 1 << 20;

pub async fn run(context: &Context, command: JobsCommand) -> Result<u8, Stop> {
    let client = context.connect().await?;
    match command {
        JobsCommand::List(args) => list(context, &client, &args).await,
        JobsCommand::Watch { id } => watch(context, &client, &id).await,
        JobsCommand::Cancel { id } => cancel(context, &client, id).await,
        JobsCommand::Output { id } => output(context, &client, id).await,
    }
}

async fn list(context: &Context, client: &Client, args: &ListArgs) -> Result<u8, Stop> {
    let jobs = all(client).await?;
    render::print_list(
        context.format(args),
        &JobsView::new(&jobs),
        || render::jobs::table(&jobs, context::now()),
        || render::jobs::csv(&jobs),
    )?;
    Ok(exit::OK)
}

async fn watch(context: &Context, client: &Client, id: &str) -> Result<u8, Stop> {
    let output = if context.json {
        Output::Kept
    } else {
        Output::ByKind
    };
    let ended = run::watch(client, id, output).await?;
    ended.print(context.json)?;
    Ok(ended.outcome())
}

async fn cancel(context: &Context, client: &Client, job_id: String) -> Result<u8, Stop> {
    let request = CancelJobRequest { job_id };
    let mut jobs = client.jobs();
    let reply = Progress::new("cancelling")
        .over(jobs.cancel(request))
        .await?;
    let job = reply.into_inner().job.unwrap_or_default();
    if context.json {
        terminal::json(&JobView::from(&job))?;
    } else {
        terminal::line(format_args!("{}: {}", job.id, job.state().word()))?;
    }
    Ok(exit::OK)
}

#[derive(Serialize)]
struct OutputsView<'a> {
    outputs: Vec<OutputView<'a>>,
}

async fn output(context: &Context, client: &Client, id: String) -> Result<u8, Stop> {
    let ids = match all(client).await?.into_iter().find(|job| job.id == id) {
        Some(job) => job.tasks.into_iter().map(|task| task.output_id).collect(),
        None => vec![id],
    };
    let mut outputs = Vec::with_capacity(ids.len());
    for id in &ids {
        let printed = read(client, id).await?;
        if context.json {
            outputs.push(OutputView::new(id, &printed));
        } else {
            printed.print()?;
        }
    }
    if context.json {
        terminal::json(&OutputsView { outputs })?;
    }
    Ok(exit::OK)
}

async fn all(client: &Client) -> Result<Vec<Job>, Stop> {
    let reply = client.jobs().list(ListJobsRequest {}).await?;
    Ok(reply.into_inner().jobs)
}

async fn read(client: &Client, id: &str) -> Result<Printed, Stop> {
    Ok(Printed {
        stdout: read_stream(client, id, OutputStream::Stdout).await?,
        stderr: read_stream(client, id, OutputStream::Stderr).await?,
    })
}

async fn read_stream(client: &Client, id: &str, stream: OutputStream) -> Result<Vec<u8>, Stop> {
    let mut whole = Vec::new();
    loop {
        let request = ReadOutputRequest {
            output_id: id.to_owned(),
            stream: stream.into(),
            offset: u64::try_from(whole.len()).expect("memory is smaller than u64"),
            max_bytes: PIECE,
        };
        let piece = client.jobs().read_output(request).await?.into_inner().data;
        if piece.is_empty() {
            return Ok(whole);
        }
        whole.extend(piece);
    }
}
