//! `awsso jobs list|watch|cancel|output`.

mod output;

use awsso_proto::{
    Client,
    v1::{CancelJobRequest, Job, ListJobsRequest},
};

use crate::{
    args::{JobsCommand, ListArgs},
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::{
        self,
        jobs::{JobView, JobsView},
    },
    run::{self, Form},
    terminal,
};

pub async fn run(context: &Context, command: JobsCommand) -> Result<u8, Stop> {
    let client = context.connect().await?;
    match command {
        JobsCommand::List(args) => list(context, &client, &args).await,
        JobsCommand::Watch { id } => watch(context, &client, &id).await,
        JobsCommand::Cancel { id } => cancel(context, &client, id).await,
        JobsCommand::Output(args) => {
            output::run(context, &client, &all(&client).await?, &args).await
        }
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
    let form = if context.json { Form::Json } else { Form::Text };
    let ended = run::watch(context, client, id, form).await?;
    ended.print()?;
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

async fn all(client: &Client) -> Result<Vec<Job>, Stop> {
    let reply = client.jobs().list(ListJobsRequest {}).await?;
    Ok(reply.into_inner().jobs)
}
