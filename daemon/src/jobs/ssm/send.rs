//! `SendCommand`, which has no client token: what may have been sent is looked up
//! by the job's id in its comment, and never sent again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_ssm::types::{CommandFilter, CommandFilterKey};
use awsso_proto::{
    Failure,
    v1::{TaskState, timestamp},
};
use tracing::{info, warn};

use super::{
    Destination, Instance, Sent, Work,
    instances::Document,
    place::{Ssm, SsmError},
};
use crate::{
    jobs::{
        Job,
        journal::{Event, Sending},
        resume::Unsure,
    },
    limiter::{Fault, Repeat},
};

/// `SendCommand` takes this many ids.
const IDS_PER_COMMAND: usize = 50;
/// A lost answer is looked for this often, with growing pauses: Run Command is
/// eventually consistent.
const LOOK_UPS: u32 = 5;
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// Tasks by what they run; `None`: not known, each tried for itself.
pub(super) type Group = Vec<(usize, Instance)>;

/// Instances that can share a command.
pub(super) fn groups(instances: Group) -> Vec<(Option<Document>, Group)> {
    let mut known: BTreeMap<Document, Group> = BTreeMap::new();
    let mut groups = Vec::new();
    for (task, instance) in instances {
        match instance.document {
            Some(document) => known.entry(document).or_default().push((task, instance)),
            None => groups.push((None, vec![(task, instance)])),
        }
    }
    for (document, tasks) in known {
        for chunk in tasks.chunks(IDS_PER_COMMAND) {
            groups.push((Some(document), chunk.to_vec()));
        }
    }
    groups
}

/// Sends to one group. Tasks that cannot be sent to have ended on return.
pub(super) async fn send(
    ssm: &Ssm,
    job: &Arc<Job>,
    work: &Work,
    document: Option<Document>,
    tasks: Group,
) -> Option<Sent> {
    if job.cancel.is_cancelled() {
        for (task, _) in tasks {
            job.end(task, TaskState::Cancelled, "cancelled before it was sent");
        }
        return None;
    }
    if tasks.iter().any(|(_, instance)| instance.unknown) {
        for (task, _) in tasks {
            job.end(
                task,
                TaskState::Undeliverable,
                "SSM does not know this instance",
            );
        }
        return None;
    }
    let mut result = send_as(ssm, job, work, document.unwrap_or(Document::Shell), &tasks).await;
    if document.is_none()
        && let Err(error) = &result
        && error.code() == "UnsupportedPlatformType"
    {
        result = send_as(ssm, job, work, Document::PowerShell, &tasks).await;
    }
    match result {
        Ok((command_id, whole)) => {
            for (task, _) in &tasks {
                job.update(*task, |task| task.aws_command_id.clone_from(&command_id));
            }
            Some(Sent {
                command_id,
                whole,
                tasks: tasks
                    .into_iter()
                    .map(|(task, instance)| (instance.id, task))
                    .collect(),
            })
        }
        Err(error) => {
            refused(ssm, job, &tasks, error).await;
            None
        }
    }
}

async fn send_as(
    ssm: &Ssm,
    job: &Job,
    work: &Work,
    document: Document,
    tasks: &Group,
) -> Result<(String, Option<Destination>), SsmError> {
    let ids: Vec<String> = tasks
        .iter()
        .map(|(_, instance)| instance.id.clone())
        .collect();
    // A group has a comment of its own: a job may have several commands.
    let comment = format!("awsso {} {}", job.id, tasks[0].0);
    let lines = work.script.lines(document);
    let directory = &work.script.directory;
    let files = ssm.jobs.0.parts.config.files().map_err(SsmError::Login)?;
    let whole = Destination::new(&files.settings.ssm, &ssm.target);
    let sent_at = ssm.jobs.0.parts.clock.now();
    // Were this daemon ended now, the next one would look for the command.
    job.journal.write(Event::Sending(Sending {
        tasks: tasks
            .iter()
            .map(|(task, _)| u32::try_from(*task).unwrap_or(u32::MAX))
            .collect(),
        comment: comment.clone(),
        at: Some(timestamp(sent_at)),
        whole: whole.clone(),
    }));
    let bounds = work.bounds;
    let max_errors = bounds.max_errors;
    let result = ssm
        .call("SendCommand", Repeat::OnlyIfNotDone, |client| {
            let sending = client
                .send_command()
                .document_name(document.name())
                .set_instance_ids(Some(ids.clone()))
                .comment(&comment)
                .timeout_seconds(i32::try_from(work.delivery.as_secs()).unwrap_or(i32::MAX))
                // Unless asked for, one instance that fails does not stop the others.
                .max_errors(max_errors.map_or("100%".to_owned(), |most| most.to_string()))
                .set_max_concurrency((bounds.parallel > 0).then(|| bounds.parallel.to_string()))
                .parameters("commands", lines.clone())
                .parameters("executionTimeout", vec![work.limit.as_secs().to_string()]);
            let sending = match &whole {
                Some(whole) => whole.on(sending),
                None => sending,
            };
            if directory.is_empty() {
                sending.send()
            } else {
                sending
                    .parameters("workingDirectory", vec![directory.clone()])
                    .send()
            }
        })
        .await;
    let command_id = match result {
        Ok(output) => output
            .command
            .and_then(|command| command.command_id)
            .ok_or_else(|| unavailable("the answer to SendCommand is incomplete")),
        Err(SsmError::Aws(Fault::Unavailable {
            what,
            maybe_done: true,
        })) => {
            info!(job = %job.id, %what, "the answer to SendCommand was lost; looking for the command");
            look_up(ssm, &comment, sent_at).await
        }
        Err(error) => Err(error),
    };
    Ok((command_id?, whole))
}

/// What an earlier daemon was about to send. Found: it was sent. Not found: who
/// can say that it is not still on its way?
pub(super) async fn find_again(ssm: &Ssm, job: &Arc<Job>, unsure: Unsure) -> Option<Sent> {
    match look_up(ssm, &unsure.comment, unsure.at).await {
        Ok(command_id) => {
            for task in unsure.tasks.values() {
                job.update(*task, |task| task.aws_command_id.clone_from(&command_id));
            }
            Some(Sent {
                command_id,
                tasks: unsure.tasks,
                whole: unsure.whole,
            })
        }
        Err(error) => {
            info!(job = %job.id, ?error, "the command was not found");
            for task in unsure.tasks.into_values() {
                let why = "the daemon was ended while it sent the command, which was not found afterwards";
                job.end(task, TaskState::Unknown, why);
            }
            None
        }
    }
}

fn unavailable(what: &str) -> SsmError {
    SsmError::Aws(Fault::Unavailable {
        what: what.to_owned(),
        maybe_done: true,
    })
}

async fn look_up(
    ssm: &Ssm,
    comment: &str,
    sent_at: std::time::SystemTime,
) -> Result<String, SsmError> {
    // AWS's clock need not be ours.
    let after = humantime::format_rfc3339_seconds(sent_at - Duration::from_mins(5)).to_string();
    let filter = CommandFilter::builder()
        .key(CommandFilterKey::InvokedAfter)
        .value(after)
        .build()
        .expect("a key and a value are there");
    for look in 0..LOOK_UPS {
        tokio::time::sleep(FIRST_LOOK * 2_u32.pow(look)).await;
        let mut token: Option<String> = None;
        loop {
            let page = ssm
                .call("ListCommands", Repeat::Freely, |client| {
                    client
                        .list_commands()
                        .filters(filter.clone())
                        .set_next_token(token.clone())
                        .send()
                })
                .await?;
            let found = page
                .commands()
                .iter()
                .find(|command| command.comment() == Some(comment))
                .and_then(|command| command.command_id());
            if let Some(id) = found {
                return Ok(id.to_owned());
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
    }
    Err(unavailable(
        "AWS did not answer SendCommand, and the command was not found afterwards",
    ))
}

/// Nothing was sent, or nobody knows: each task says so.
async fn refused(ssm: &Ssm, job: &Arc<Job>, tasks: &Group, error: SsmError) {
    let denied = error.is_denied();
    let others = if denied {
        ssm.jobs.other_roles(&ssm.target).await
    } else {
        Vec::new()
    };
    let (state, detail) = match error {
        SsmError::Aws(Fault::Unavailable {
            what,
            maybe_done: true,
        }) => (
            TaskState::Unknown,
            format!("whether the command was sent is not known: {what}"),
        ),
        SsmError::Aws(Fault::Refused { code, message, .. }) if code == "InvalidInstanceId" => (
            TaskState::Undeliverable,
            format!(
                "SSM does not accept the instance (unknown, stopped, without a running agent, or no right to it): {message}"
            ),
        ),
        SsmError::Aws(Fault::Refused { code, message, .. }) if code == "InvalidOutputFolder" => (
            TaskState::Failed,
            format!("AWS does not accept the bucket of [ssm] in config.toml: {message}"),
        ),
        error => (
            if denied {
                TaskState::Denied
            } else {
                TaskState::Failed
            },
            Failure::from(error).message,
        ),
    };
    warn!(job = %job.id, state = state.word(), "not sent");
    for (task, _) in tasks {
        job.update(*task, |task| {
            task.state = state.into();
            task.detail.clone_from(&detail);
            task.other_roles.clone_from(&others);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(n: usize, document: Option<Document>) -> Instance {
        Instance {
            id: format!("i-{n:08x}"),
            document,
            unknown: false,
        }
    }

    #[test]
    fn instances_share_a_command_by_document_and_fifty_at_a_time() {
        let mut instances: Vec<_> = (0..120)
            .map(|n| instance(n, Some(Document::Shell)))
            .collect();
        instances.push(instance(120, Some(Document::PowerShell)));
        instances.push(instance(121, None));
        instances.push(instance(122, None));
        let groups = groups(instances.iter().cloned().enumerate().collect());
        let sizes: Vec<_> = groups
            .iter()
            .map(|(document, tasks)| (*document, tasks.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                (None, 1),
                (None, 1),
                (Some(Document::Shell), 50),
                (Some(Document::Shell), 50),
                (Some(Document::Shell), 20),
                (Some(Document::PowerShell), 1),
            ]
        );
        let tasks: std::collections::BTreeSet<_> = groups
            .iter()
            .flat_map(|(_, tasks)| tasks.iter().map(|(task, _)| *task))
            .collect();
        assert_eq!(tasks.len(), instances.len());
    }
}
