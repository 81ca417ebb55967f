//! `awsso jobs output`: what tasks printed, whole or in part, byte for byte.

use awsso_proto::{
    Client, Failure, Reason,
    v1::{Job, OutputStream, QueryOutputRequest, ReadOutputRequest, Task},
};
use serde::Serialize;

use crate::{
    args::OutputArgs,
    context::Context,
    exit::{self, Stop},
    render::jobs::OutputView,
    run::Printed,
    terminal,
};

/// Well under the largest message.
const PIECE: u64 = 1 << 20;

#[derive(Serialize)]
struct OutputsView<'a> {
    outputs: Vec<OutputView<'a>>,
}

pub async fn run(
    context: &Context,
    client: &Client,
    jobs: &[Job],
    args: &OutputArgs,
) -> Result<u8, Stop> {
    let streams = match (args.is_all(), args.stderr) {
        (true, _) => &[OutputStream::Stdout, OutputStream::Stderr][..],
        (false, false) => &[OutputStream::Stdout],
        (false, true) => &[OutputStream::Stderr],
    };
    let ids = chosen(jobs, args)?;
    let mut outputs = Vec::with_capacity(ids.len());
    for id in ids {
        let mut printed = Printed::default();
        for stream in streams {
            let is_stderr = *stream == OutputStream::Stderr;
            let to = |piece: &[u8]| {
                match (context.json, is_stderr, args.is_all()) {
                    (true, false, _) => printed.stdout.extend(piece),
                    (true, true, _) => printed.stderr.extend(piece),
                    (false, true, true) => terminal::foreign_stderr(piece),
                    (false, ..) => terminal::data(piece)?,
                }
                Ok(())
            };
            fetch(client, id, *stream, args, to).await?;
        }
        outputs.push(OutputView::new(id, &printed));
    }
    if context.json {
        terminal::json(&OutputsView { outputs })?;
    }
    Ok(exit::OK)
}

/// The outputs of the tasks that are meant. What no job has, the daemon is asked for.
fn chosen<'a>(jobs: &'a [Job], args: &'a OutputArgs) -> Result<Vec<&'a str>, Stop> {
    let tasks = jobs.iter().flat_map(|job| {
        let tasks = (1..).zip(&job.tasks);
        tasks.map(move |(number, task)| (job, number, task))
    });
    let is_meant =
        |(job, _, task): &(&Job, u32, &Task)| job.id == args.id || task.output_id == args.id;
    if !tasks.clone().any(|it| is_meant(&it)) {
        return Ok(vec![&args.id]);
    }
    let fits = |number: u32, task: &Task| {
        let account = |asked: &String| *asked == task.account_id || *asked == task.account_name;
        args.task.is_none_or(|asked| asked == number)
            && args.account.as_ref().is_none_or(account)
            && args
                .instance
                .as_ref()
                .is_none_or(|asked| *asked == task.instance_id)
    };
    let ids: Vec<_> = tasks
        .filter(is_meant)
        .filter(|(_, number, task)| fits(*number, task))
        .map(|(.., task)| task.output_id.as_str())
        .collect();
    if ids.is_empty() {
        let what = format!("{} has no such task", args.id);
        return Err(Failure::new(Reason::NotFound, what).into());
    }
    Ok(ids)
}

async fn fetch(
    client: &Client,
    id: &str,
    stream: OutputStream,
    args: &OutputArgs,
    mut to: impl FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let most = args.max.unwrap_or(u64::MAX);
    if let Some(query) = args.query() {
        let request = QueryOutputRequest {
            output_id: id.to_owned(),
            stream: stream.into(),
            query: Some(query),
            max_bytes: u32::try_from(most).unwrap_or(u32::MAX),
        };
        let answer = client.jobs().query_output(request).await?.into_inner();
        to(&answer.data)?;
        if answer.truncated {
            let length = answer.data.len();
            terminal::say(format_args!("There is more than these {length} bytes"));
        }
        return Ok(());
    }
    let mut offset = args.offset.unwrap_or(0);
    let mut left = most;
    while left > 0 {
        let request = ReadOutputRequest {
            output_id: id.to_owned(),
            stream: stream.into(),
            offset,
            max_bytes: u32::try_from(left.min(PIECE)).expect("a piece is small"),
        };
        let piece = client.jobs().read_output(request).await?.into_inner().data;
        if piece.is_empty() {
            break;
        }
        to(&piece)?;
        let length = u64::try_from(piece.len()).expect("memory is smaller than u64");
        offset += length;
        left = left.saturating_sub(length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(account: &str, name: &str, instance: &str, output: &str) -> Task {
        Task {
            account_id: account.to_owned(),
            account_name: name.to_owned(),
            instance_id: instance.to_owned(),
            output_id: output.to_owned(),
            ..Task::default()
        }
    }

    #[test]
    fn tasks_are_chosen_by_number_account_or_instance() {
        let jobs = [Job {
            id: "job_1".to_owned(),
            tasks: vec![
                task("111122223333", "Production", "i-1", "out_1"),
                task("111122223333", "Production", "i-2", "out_2"),
                task("444455556666", "Staging", "i-3", "out_3"),
            ],
            ..Job::default()
        }];
        let of = |id: &str, change: fn(&mut OutputArgs)| {
            let mut args = OutputArgs {
                id: id.to_owned(),
                ..OutputArgs::default()
            };
            change(&mut args);
            chosen(&jobs, &args).map(|ids| ids.join(" ")).ok()
        };
        let some = |ids: &str| Some(ids.to_owned());
        assert_eq!(of("job_1", |_| {}), some("out_1 out_2 out_3"));
        assert_eq!(of("job_1", |args| args.task = Some(2)), some("out_2"));
        let production = |args: &mut OutputArgs| args.account = Some("Production".into());
        assert_eq!(of("job_1", production), some("out_1 out_2"));
        let instance = |args: &mut OutputArgs| args.instance = Some("i-3".into());
        assert_eq!(of("job_1", instance), some("out_3"));
        assert_eq!(of("job_1", |args| args.task = Some(4)), None);
        assert_eq!(of("out_2", |_| {}), some("out_2"));
        assert_eq!(of("out_9", |_| {}), some("out_9"));
    }
}
