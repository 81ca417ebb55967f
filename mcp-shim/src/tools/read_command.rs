//! `aws_sso_read_command`: `aws_sso_exec_command` for what only reads, so that a
//! client may let it pass without asking. Whether it is a read decides the daemon.

use std::sync::Arc;

use awsso_proto::Failure;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};

use super::exec_command::{self, Args};
use crate::{arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_read_command";

const DESCRIPTION: &str = "\
Runs one AWS CLI command that only reads (describe, get, list, s3 ls …), with the arguments and answers of \
aws_sso_exec_command; prefer it for all reading. Refused: whatever is not known to be a read, reads that bring a \
secret out, files of this machine. The command starts with `aws` and runs without a shell: no pipes, redirections \
or variables; use --query, --max-items or filter (jq) instead. Never add --profile. With accounts, roles or regions \
it runs in all of them at once and answers with one table. What takes longer than waitSeconds goes on: pass its \
jobId to aws_sso_job. The last line tells the exit code and the outputId for aws_sso_output.";

pub(super) fn tool() -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(true);
    Tool::new(NAME, DESCRIPTION, Arc::new(exec_command::input()))
        .with_title("Read from AWS with the AWS CLI")
        .with_annotations(annotations)
        .with_meta(super::long_answers(super::always_loaded()))
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let mut args: Args = arguments::read(schema, arguments)?;
    args.run = args.run.only_reading();
    args.run(call).await
}
