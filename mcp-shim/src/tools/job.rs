//! `aws_sso_job`: a job that goes on without the call that began it: how it
//! stands, its end, or the end of it.

use std::sync::Arc;

use awsso_proto::Failure;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::command::{USUAL_CHARS, chars_argument, wait_argument};
use crate::{answer, arguments, call::Call, job};

pub(crate) const NAME: &str = "aws_sso_job";

const DESCRIPTION: &str = "\
Tells of a command that goes on after its call has answered. action get answers at once, wait answers when \
it has ended or after waitSeconds, cancel ends it: the AWS CLI's processes here, the command on the \
instances there. Of a running command the latest output is shown, of an ended one the beginning. jobIds come \
from the last line of a command's answer and are good for days; a job outlives this server.";

/// How long the end of a cancelled job may take to come.
const ENDING: u64 = 10;

pub(super) fn tool() -> Tool {
    let schema = arguments::schema(
        json!({
            "jobId": {"type": "string", "minLength": 1, "description": "The job, for example job_…"},
            "action": {
                "type": "string",
                "enum": ["get", "wait", "cancel"],
                "description": "get if left out.",
            },
            "waitSeconds": wait_argument("With action wait: answer after this many seconds; 45 if left out."),
            "maxChars": chars_argument(),
        }),
        &["jobId"],
    );
    Tool::new(NAME, DESCRIPTION, Arc::new(schema))
        .with_title("Look after a running command")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(true),
        )
        .with_meta(super::long_answers(rmcp::model::MetaObject::new()))
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Get,
    Wait,
    Cancel,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    job_id: String,
    #[serde(default)]
    action: Action,
    wait_seconds: Option<u64>,
    max_chars: Option<usize>,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let deadline = match args.action {
        Action::Get => Instant::now(),
        Action::Wait => call.deadline(args.wait_seconds),
        Action::Cancel => {
            let cancelled = job::cancel(call, &args.job_id).await;
            cancelled.map_err(super::of_a_handle)?;
            call.deadline(args.wait_seconds.or(Some(ENDING)))
        }
    };
    let max_chars = args.max_chars.unwrap_or(USUAL_CHARS);
    let run = job::resume(call, &args.job_id, max_chars, deadline).await;
    Ok(answer::run(&run.map_err(super::of_a_handle)?, max_chars))
}
