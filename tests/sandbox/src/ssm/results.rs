//! Reading what became of a command: `GetCommandInvocation`, `ListCommandInvocations`, `ListCommands`.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};

use super::commands::{Command, Invocation};
use super::schedule::Phase;
use super::{Desk, bad_token, check_command_id, page_size, validation};
use crate::answer::Refusal;
use crate::{clock, paging};

/// What `GetCommandInvocation` keeps of each stream.
const STDOUT_KEPT: usize = 24_000;
const STDERR_KEPT: usize = 8_000;
/// What `ListCommandInvocations` keeps of both together.
const OUTPUT_KEPT: usize = 2_500;
const ERROR_MARK: &str = "\n----------ERROR-------\n";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetCommandInvocation {
    command_id: String,
    instance_id: String,
    plugin_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListCommandInvocations {
    command_id: Option<String>,
    instance_id: Option<String>,
    #[serde(default)]
    details: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListCommands {
    command_id: Option<String>,
    instance_id: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
}

/// Lower case on the wire, alone among its kind.
#[derive(Deserialize)]
struct Filter {
    key: String,
    value: String,
}

impl Desk<'_> {
    pub(super) fn get_command_invocation(
        &self,
        request: &GetCommandInvocation,
    ) -> Result<Value, Refusal> {
        check_command_id(&request.command_id)?;
        let now = self.cloud.now();
        let command = self.cloud.commands.find(&self.place, &request.command_id);
        let command = command.filter(|command| command.visible <= now);
        let invocation = command.as_ref().and_then(|command| {
            command
                .invocations
                .iter()
                .find(|invocation| invocation.instance_id == request.instance_id)
        });
        let (Some(command), Some(invocation)) = (&command, invocation) else {
            return Err(Refusal::bad("InvocationDoesNotExist", ""));
        };
        if request
            .plugin_name
            .as_deref()
            .is_some_and(|name| name != invocation.plugin)
        {
            return Err(Refusal::bad("InvalidPluginName", ""));
        }
        let phase = invocation.phase(now);
        let (code, stdout, stderr) = invocation.result(now);
        let started = invocation.timeline.starts.filter(|&starts| starts <= now);
        let ended = started
            .filter(|_| matches!(phase, Phase::Done(_)))
            .map(|_| invocation.ended());
        let time = |at: Option<SystemTime>| at.map(clock::rfc3339).unwrap_or_default();
        let elapsed = started.zip(ended).map(|(from, to)| {
            format!(
                "PT{:.3}S",
                to.duration_since(from).unwrap_or_default().as_secs_f64()
            )
        });
        Ok(json!({
            "CommandId": command.id,
            "InstanceId": invocation.instance_id,
            "Comment": command.comment,
            "DocumentName": command.document,
            "DocumentVersion": command.document_version,
            "PluginName": invocation.plugin,
            "ResponseCode": code,
            "ExecutionStartDateTime": time(started),
            "ExecutionElapsedTime": elapsed.unwrap_or_default(),
            "ExecutionEndDateTime": time(ended),
            "Status": phase.status(),
            "StatusDetails": phase.details(),
            "StandardOutputContent": head(&stdout, STDOUT_KEPT),
            "StandardOutputUrl": output_url(command, invocation, self, "stdout"),
            "StandardErrorContent": head(&stderr, STDERR_KEPT),
            "StandardErrorUrl": output_url(command, invocation, self, "stderr"),
            "CloudWatchOutputConfig": command.log_config(),
        }))
    }

    pub(super) fn list_command_invocations(
        &self,
        request: &ListCommandInvocations,
    ) -> Result<Value, Refusal> {
        let now = self.cloud.now();
        let commands = self.chosen(request.command_id.as_deref())?;
        let mut found = Vec::new();
        for command in commands.iter().filter(|command| command.visible <= now) {
            for invocation in &command.invocations {
                let wanted = request
                    .instance_id
                    .as_ref()
                    .is_none_or(|id| *id == invocation.instance_id);
                if wanted && meets(&request.filters, command, invocation.phase(now).status())? {
                    found.push((command, invocation));
                }
            }
        }
        let size = page_size(request.max_results, 1, 50, 50)?;
        let list = format!(
            "invocations/{:?}/{:?}",
            request.command_id, request.instance_id
        );
        let page = paging::page(found, &list, request.next_token.as_deref(), size)
            .map_err(|_| bad_token())?;
        let list: Vec<_> = page
            .items
            .iter()
            .map(|(command, invocation)| describe(self, command, invocation, request.details, now))
            .collect();
        Ok(with_token(json!({ "CommandInvocations": list }), page.next))
    }

    pub(super) fn list_commands(&self, request: &ListCommands) -> Result<Value, Refusal> {
        let now = self.cloud.now();
        let mut found = Vec::new();
        for command in self.chosen(request.command_id.as_deref())? {
            let wanted = request.instance_id.as_ref().is_none_or(|id| {
                command
                    .invocations
                    .iter()
                    .any(|invocation| invocation.instance_id == *id)
            });
            if wanted && meets(&request.filters, &command, command.status(now).0)? {
                found.push(command.describe(now));
            }
        }
        let size = page_size(request.max_results, 1, 50, 50)?;
        let list = format!(
            "commands/{:?}/{:?}",
            request.command_id, request.instance_id
        );
        let page = paging::page(found, &list, request.next_token.as_deref(), size)
            .map_err(|_| bad_token())?;
        Ok(with_token(json!({ "Commands": page.items }), page.next))
    }

    fn chosen(&self, command_id: Option<&str>) -> Result<Vec<Command>, Refusal> {
        match command_id {
            None => Ok(self.cloud.commands.all(&self.place)),
            Some(id) => {
                check_command_id(id)?;
                // An unknown id is an empty list, not an error.
                Ok(self
                    .cloud
                    .commands
                    .find(&self.place, id)
                    .into_iter()
                    .collect())
            }
        }
    }
}

fn describe(
    desk: &Desk<'_>,
    command: &Command,
    invocation: &Invocation,
    details: bool,
    now: SystemTime,
) -> Value {
    let phase = invocation.phase(now);
    let (code, stdout, stderr) = invocation.result(now);
    let joined = if stderr.is_empty() {
        stdout
    } else {
        format!("{stdout}{ERROR_MARK}{stderr}")
    };
    let mut plugin = json!({
        "Name": invocation.plugin,
        "Status": phase.status(),
        "StatusDetails": phase.details(),
        "ResponseCode": code,
        "Output": head(&joined, OUTPUT_KEPT),
        "StandardOutputUrl": output_url(command, invocation, desk, "stdout"),
        "StandardErrorUrl": output_url(command, invocation, desk, "stderr"),
        "OutputS3Region": desk.place.region,
        "OutputS3BucketName": command.output_bucket,
        "OutputS3KeyPrefix": command.output_prefix,
    });
    if let Some(starts) = invocation.timeline.starts.filter(|&starts| starts <= now) {
        plugin["ResponseStartDateTime"] = clock::epoch_seconds(starts).into();
        if matches!(phase, Phase::Done(_)) {
            plugin["ResponseFinishDateTime"] = clock::epoch_seconds(invocation.ended()).into();
        }
    }
    json!({
        "CommandId": command.id,
        "InstanceId": invocation.instance_id,
        "InstanceName": invocation.instance_name,
        "Comment": command.comment,
        "DocumentName": command.document,
        "DocumentVersion": command.document_version,
        "RequestedDateTime": clock::epoch_seconds(command.sent),
        "Status": phase.status(),
        "StatusDetails": phase.details(),
        "StandardOutputUrl": output_url(command, invocation, desk, "stdout"),
        "StandardErrorUrl": output_url(command, invocation, desk, "stderr"),
        "CommandPlugins": if details { vec![plugin] } else { vec![] },
        "ServiceRole": "",
        "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
        "CloudWatchOutputConfig": command.log_config(),
    })
}

fn meets(filters: &[Filter], command: &Command, status: &str) -> Result<bool, Refusal> {
    for filter in filters {
        let time = || {
            humantime::parse_rfc3339_weak(&filter.value).map_err(|_| {
                Refusal::bad("InvalidFilterKey", format!("{} is no time", filter.value))
            })
        };
        let met = match filter.key.as_str() {
            "InvokedAfter" => command.sent >= time()?,
            "InvokedBefore" => command.sent < time()?,
            "Status" => status == filter.value,
            "DocumentName" => command.document == filter.value,
            other => {
                return Err(validation(&format!(
                    "Value '{other}' at 'filters' failed to satisfy constraint: Member must satisfy enum value set: \
                     [InvokedAfter, InvokedBefore, Status, ExecutionStage, DocumentName]"
                )));
            }
        };
        if !met {
            return Ok(false);
        }
    }
    Ok(true)
}

fn output_url(command: &Command, invocation: &Invocation, desk: &Desk<'_>, stream: &str) -> String {
    if command.output_bucket.is_empty() {
        return String::new();
    }
    format!(
        "https://s3.{}.amazonaws.com/{}/{}",
        desk.place.region,
        command.output_bucket,
        command.key(invocation, stream)
    )
}

fn with_token(mut value: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        value["NextToken"] = next.into();
    }
    value
}

/// The first `kept` characters.
fn head(text: &str, kept: usize) -> &str {
    text.char_indices()
        .nth(kept)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_by_characters_and_not_by_bytes() {
        assert_eq!(head("üüü", 2), "üü");
        assert_eq!(head("ü", 2), "ü");
    }
}
