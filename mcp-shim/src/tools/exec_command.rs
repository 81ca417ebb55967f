//! `aws_sso_exec_command`: one AWS CLI command in one account or in many, and
//! what it printed.

use std::sync::Arc;

use awsso_proto::{
    Failure, Reason,
    v1::{AwsCliWork, start_job_request::Work},
};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use serde::Deserialize;
use serde_json::json;

use super::{
    command::{self, CommandArgs},
    reshape::{self, Reshape},
};
use crate::{arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_exec_command";

const DESCRIPTION: &str = "\
Runs one AWS CLI command in an AWS account with a role of the signed-in person, and returns what it \
prints. For what only reads use aws_sso_read_command. The command starts with `aws` and runs without a shell: no pipes, redirections or variables; use \
--query, --max-items or filter (jq) instead. Quote as in a POSIX shell, or give args. Temporary credentials are \
supplied; never add --profile. With accounts, roles or regions it runs in all of them at once and answers with \
one table. Ask the person before a command that changes or deletes \
something. What takes longer than waitSeconds goes on: pass its jobId to aws_sso_job. The last line tells the \
exit code and the outputId, with which aws_sso_output reads a cut output on; both ids are kept for days.";

pub(super) fn tool() -> Tool {
    Tool::new(NAME, DESCRIPTION, Arc::new(input()))
        .with_title("Run an AWS CLI command")
        .with_annotations(command::annotations())
        .with_meta(super::long_answers(super::always_loaded()))
}

/// The schema of the arguments.
pub(super) fn input() -> JsonObject {
    let mut properties = command::properties();
    properties["command"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "The AWS CLI command line, for example: aws s3 ls. Needed unless args is given.",
    });
    properties["args"] = command::strings(
        "Instead of command: its words, not quoted, for example [\"s3\", \"ls\", \"s3://my bucket\"].",
    );
    reshape::add_properties(&mut properties);
    arguments::schema(properties, &[])
}

#[derive(Debug, Deserialize)]
pub(super) struct Args {
    command: Option<String>,
    #[serde(rename = "args")]
    words: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) run: CommandArgs,
    #[serde(flatten)]
    reshape: Reshape,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    args.run(call).await
}

impl Args {
    pub(super) async fn run(self, call: &Call<'_>) -> Result<CallToolResult, Failure> {
        let work = Work::AwsCli(AwsCliWork {
            command: command_line(self.command, self.words)?,
            working_directory: call.context().working_directory.clone(),
            environment: call.context().environment.clone(),
        });
        self.run.run(call, work, &self.reshape).await
    }
}

fn command_line(command: Option<String>, args: Option<Vec<String>>) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::new(Reason::InvalidArgument, what);
    match (command, args) {
        (Some(command), None) => Ok(command),
        (None, Some(args)) => Ok(quoted(&args)),
        (None, None) => Err(wrong("missing: command (or args)")),
        (Some(_), Some(_)) => Err(wrong("give command or args, not both")),
    }
}

/// Words as one command line that splits into just these words.
fn quoted(args: &[String]) -> String {
    let mut line = String::from("aws");
    let args = match args {
        [first, rest @ ..] if first == "aws" => rest,
        args => args,
    };
    for arg in args {
        line.push(' ');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,=@%+".contains(c);
        if !arg.is_empty() && arg.chars().all(is_plain) {
            line.push_str(arg);
        } else {
            line.push('\'');
            line.push_str(&arg.replace('\'', r"'\''"));
            line.push('\'');
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_see_more_in_them() {
        let line = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            command_line(None, Some(args)).unwrap()
        };
        assert_eq!(line(&["s3", "ls"]), "aws s3 ls");
        assert_eq!(line(&["aws", "s3", "ls"]), "aws s3 ls");
        assert_eq!(
            line(&[
                "x",
                "a b",
                "it's",
                "$(id)",
                "",
                "*",
                "--query",
                "a[?b=='c']"
            ]),
            r"aws x 'a b' 'it'\''s' '$(id)' '' '*' --query 'a[?b=='\''c'\'']'"
        );
    }

    #[test]
    fn a_command_is_said_once() {
        assert!(command_line(None, None).is_err());
        assert!(command_line(Some("aws".into()), Some(vec![])).is_err());
    }
}
