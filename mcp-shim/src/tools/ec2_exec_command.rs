//! `aws_sso_ec2_exec_command`: one shell command on one instance or on many,
//! over SSM.

use std::sync::Arc;

use awsso_proto::{
    Failure, Reason,
    v1::{SsmTarget, SsmWork, start_job_request::Work},
};
use rmcp::model::{CallToolResult, JsonObject, MetaObject, Tool};
use serde::Deserialize;
use serde_json::json;

use super::{
    command::{self, CommandArgs},
    reshape::Reshape,
};
use crate::{arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_ec2_exec_command";

const DESCRIPTION: &str = "\
Runs a shell command as root on EC2 instances through AWS Systems Manager (SSM), without SSH, and \
returns what it prints. Pipes and redirections work: the instance's shell runs it. An instance needs a \
running SSM agent, and the role needs ssm:SendCommand and ssm:GetCommandInvocation. Several instances, by id or \
by tag, are one call and one table. Ask the person before a command that changes something. What takes longer \
than waitSeconds goes on: pass its jobId to aws_sso_job. The last line tells the exit code, or the state such as \
timed_out, undeliverable or denied, and the outputId for aws_sso_output.";

pub(super) fn tool() -> Tool {
    let mut properties = command::properties();
    properties["instanceId"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The instance, for example i-0a69e80761897dcce. Needed unless instanceIds or targets is given.",
    });
    properties["instanceIds"] = command::strings("Instead of instanceId: several.");
    properties["targets"] = command::strings(
        "Instead of ids: tags in the form tag:KEY=VALUE[,VALUE], for example [\"tag:Role=web\"]; all must match.",
    );
    properties["command"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The shell command, for example: uptime && df -h",
    });
    properties["shell"] = json!({
        "type": "string",
        "enum": ["bash", "sh"],
        "description": "The shell on Linux and macOS; bash where it is there if left out. Windows runs PowerShell.",
    });
    properties["strict"] = json!({
        "type": "boolean",
        "description": "End at the first command that fails (set -euo pipefail).",
    });
    properties["workingDirectory"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "Where the command runs on the instance.",
    });
    let schema = arguments::schema(properties, &["command"]);
    Tool::new(NAME, DESCRIPTION, Arc::new(schema))
        .with_title("Run a shell command on EC2 instances")
        .with_annotations(command::annotations())
        .with_meta(super::long_answers(MetaObject::new()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    instance_id: Option<String>,
    instance_ids: Option<Vec<String>>,
    targets: Option<Vec<String>>,
    command: String,
    shell: Option<String>,
    #[serde(default)]
    strict: bool,
    working_directory: Option<String>,
    #[serde(flatten)]
    run: CommandArgs,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let given = [
        args.instance_id.is_some(),
        args.instance_ids.is_some(),
        args.targets.is_some(),
    ];
    match given.into_iter().filter(|given| *given).count() {
        0 => return Err(wrong("missing: instanceId (or instanceIds, or targets)")),
        1 => {}
        _ => return Err(wrong("give one of instanceId, instanceIds and targets")),
    }
    let mut instance_ids = args.instance_ids.unwrap_or_default();
    instance_ids.extend(args.instance_id);
    let targets = args.targets.iter().flatten();
    let work = Work::Ssm(SsmWork {
        command: args.command,
        instance_ids,
        targets: targets.map(|text| target(text)).collect::<Result<_, _>>()?,
        shell: args.shell.unwrap_or_default(),
        strict: args.strict,
        working_directory: args.working_directory.unwrap_or_default(),
        delivery_limit: None,
    });
    args.run.run(call, work, &Reshape::default()).await
}

/// `tag:Role=web,db`
fn target(text: &str) -> Result<SsmTarget, Failure> {
    SsmTarget::of_tag(text).ok_or_else(|| {
        wrong(format!(
            "targets must be of the form tag:KEY=VALUE[,VALUE]; this is not: {text}"
        ))
    })
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::new(Reason::InvalidArgument, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_tag_with_values() {
        let web = target("tag:Role=web,db").unwrap();
        assert_eq!((web.key.as_str(), web.values.len()), ("tag:Role", 2));
        for bad in ["Role=web", "tag:=web", "tag:Role", "tag:Role=web,"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
