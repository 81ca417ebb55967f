//! `aws_sso_exec_command`: one AWS CLI command with one role, and what it printed.

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure,
    v1::{AwsCliWork, StartJobRequest, Target, start_job_request::Work},
};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{answer, arguments, call::Call, job};

pub(super) const NAME: &str = "aws_sso_exec_command";

/// The most characters that one answer may hold, and how many it holds unasked.
pub(super) const MOST_CHARS: usize = 100_000;
const USUAL_CHARS: usize = 20_000;

const DESCRIPTION: &str = "\
Runs one AWS CLI command in an AWS account with a role of the signed-in person, and returns what it \
prints. The command starts with `aws` and runs without a shell: no pipes, redirections or variables; use \
--query, --output and --max-items instead. Quote as in a POSIX shell. Temporary credentials are supplied; \
never add --profile. Prefer a read-only role for reading. Ask the person before a command that changes or \
deletes something. The last line tells the exit code and, when the output was cut, where all of it is \
stored.";

pub(super) fn tool() -> Tool {
    let mut properties = target_arguments();
    properties["command"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The AWS CLI command line, for example: aws s3 ls",
    });
    let schema = arguments::schema(properties, &["accountId", "roleName", "command"]);
    Tool::new(NAME, DESCRIPTION, Arc::new(schema))
        .with_title("Run an AWS CLI command")
        .with_annotations(command_annotations())
        .with_meta(super::long_answers(super::always_loaded()))
}

/// A command may do whatever its role may.
pub(super) fn command_annotations() -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(false)
        .destructive(true)
        .idempotent(false)
        .open_world(true)
}

/// Where a command runs and how much of it is shown, for both command tools.
pub(super) fn target_arguments() -> Value {
    json!({
        "accountId": {
            "type": "string",
            "minLength": 1,
            "description": "The account: its 12-digit id, or its name, from aws_sso_ls_accounts.",
        },
        "roleName": {
            "type": "string",
            "minLength": 1,
            "description": "The role (permission set) in that account, from aws_sso_ls_accounts.",
        },
        "region": {
            "type": "string",
            "minLength": 1,
            "description": "AWS region, for example eu-west-1. Leave out for the configured one.",
        },
        "session": super::session_argument(),
        "timeoutSeconds": {
            "type": "integer",
            "minimum": 1,
            "maximum": 86_400,
            "description": "Stop the command after this many seconds.",
        },
        "maxChars": {
            "type": "integer",
            "minimum": 100,
            "maximum": MOST_CHARS,
            "description": "Show at most this many characters of output; 20,000 if left out.",
        },
    })
}

/// The arguments that both command tools have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandArgs {
    account_id: String,
    role_name: String,
    pub command: String,
    region: Option<String>,
    session: Option<String>,
    timeout_seconds: Option<u64>,
    max_chars: Option<usize>,
}

impl CommandArgs {
    /// Runs the work on the command's target and lays out what came of it.
    pub(crate) async fn run(self, call: &Call<'_>, work: Work) -> Result<CallToolResult, Failure> {
        let max_chars = self.max_chars.unwrap_or(USUAL_CHARS).min(MOST_CHARS);
        let time_limit = self
            .timeout_seconds
            .and_then(|seconds| Duration::from_secs(seconds).try_into().ok());
        let request = StartJobRequest {
            target: Some(Target {
                session: Some(call.context().session(self.session)),
                account: self.account_id,
                role: self.role_name,
                region: call.context().region(self.region),
            }),
            work: Some(work),
            time_limit,
            ..StartJobRequest::default()
        };
        let run = job::run(call, request, max_chars).await?;
        Ok(answer::run(&run, max_chars))
    }
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let command: CommandArgs = arguments::read(schema, arguments)?;
    let work = Work::AwsCli(AwsCliWork {
        command: command.command.clone(),
        working_directory: call.context().working_directory.clone(),
        environment: call.context().environment.clone(),
    });
    command.run(call, work).await
}
