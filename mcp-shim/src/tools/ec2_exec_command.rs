//! `aws_sso_ec2_exec_command`: one shell command on one instance, over SSM.

use std::sync::Arc;

use awsso_proto::{
    Failure,
    v1::{SsmWork, start_job_request::Work},
};
use rmcp::model::{CallToolResult, JsonObject, MetaObject, Tool};
use serde::Deserialize;
use serde_json::json;

use super::exec_command::{CommandArgs, command_annotations, target_arguments};
use crate::{arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_ec2_exec_command";

const DESCRIPTION: &str = "\
Runs a shell command as root on an EC2 instance through AWS Systems Manager (SSM), without SSH, and \
returns what it prints. Pipes and redirections work: the instance's shell runs it. The instance needs a \
running SSM agent, and the role needs ssm:SendCommand and ssm:GetCommandInvocation. Ask the person before a \
command that changes something. The last line tells the exit code, or the state such as timed_out, \
undeliverable or denied.";

pub(super) fn tool() -> Tool {
    let mut properties = target_arguments();
    properties["instanceId"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The instance, for example i-0a69e80761897dcce.",
    });
    properties["command"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The shell command, for example: uptime && df -h",
    });
    let required = ["instanceId", "accountId", "roleName", "command"];
    let schema = arguments::schema(properties, &required);
    Tool::new(NAME, DESCRIPTION, Arc::new(schema))
        .with_title("Run a shell command on an EC2 instance")
        .with_annotations(command_annotations())
        .with_meta(super::long_answers(MetaObject::new()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    instance_id: String,
    #[serde(flatten)]
    command: CommandArgs,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let work = Work::Ssm(SsmWork {
        command: args.command.command.clone(),
        instance_ids: vec![args.instance_id],
        targets: Vec::new(),
        ..SsmWork::default()
    });
    args.command.run(call, work).await
}
