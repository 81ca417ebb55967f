//! What may run as a read: work whose client asked for nothing but reading, so
//! that it need not ask its person each time. Stricter than rules and presets, and
//! never looser: what passes here is decided by them as any other work.

use awsso_proto::{Failure, Reason, error::key};

use super::action::{Action, Class};

/// How operations begin that do nothing but read. IAM counts more among the reads:
/// what hides messages from others, runs a model or delivers a report.
const READING: &[&str] = &[
    "AdminGet",
    "AdminList",
    "BatchCheck",
    "BatchDescribe",
    "BatchGet",
    "BatchLookup",
    "BatchRead",
    "Check",
    "Compare",
    "Count",
    "Describe",
    "Discover",
    "Download",
    "Estimate",
    "Filter",
    "Get",
    "Head",
    "Help",
    "Is",
    "List",
    "Lookup",
    "Preview",
    "Query",
    "Read",
    "Resolve",
    "Retrieve",
    "Scan",
    "Search",
    "Select",
    "Show",
    "Simulate",
    "StartQuery",
    "StopQuery",
    "TransactGet",
    "Validate",
    "Verify",
    "View",
    "Wait",
];

impl Action {
    /// Whether it certainly reads and nothing else, and leaves this machine alone.
    pub fn check_reads_only(&self) -> Result<(), Failure> {
        // What no agent may is no read of anybody's.
        self.check_for_agents()?;
        let only_reads = matches!(self.class, Class::Read | Class::List)
            && self
                .operations
                .iter()
                .all(|operation| begins_as_a_read(operation.name()));
        let why = if !only_reads {
            "is not known to do nothing but read"
        } else if self.local_files {
            "uses files of this machine"
        } else {
            return Ok(());
        };
        let message = format!("{} {why}, and only a read was asked for", self.shown());
        Err(Failure::new(Reason::DeniedByPolicy, message).with(key::NOT_A_READ, self.class.word()))
    }
}

/// `ec2:DescribeInstances`: a word ends where the next begins.
fn begins_as_a_read(operation: &str) -> bool {
    let name = operation
        .split_once(':')
        .map_or(operation, |(_, name)| name);
    READING.iter().any(|verb| {
        let rest = name.strip_prefix(verb);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use awsso_proto::v1;

    use super::*;
    use crate::{
        jobs::aws_cli_words,
        policy::{aws_cli, folder::Folder},
    };

    fn check(command: &str) -> Result<(), Failure> {
        let words = aws_cli_words(command).unwrap();
        let folder = Folder::new("/tmp".into()).unwrap();
        aws_cli::action(&words[1..], Some(&folder), Path::new("/tmp")).check_reads_only()
    }

    #[test]
    fn what_the_table_knows_as_a_read_is_one() {
        for command in [
            "aws sts get-caller-identity",
            "aws ec2 describe-instances --instance-ids i-1",
            "aws ec2 wait instance-running --instance-ids i-1",
            "aws s3 ls s3://bucket",
            "aws s3 cp s3://bucket/x -",
            "aws s3api head-object --bucket b --key k",
            "aws s3api get-object --bucket b --key k /dev/stdout",
            "aws logs start-query --log-group-name g --query-string x",
            "aws logs tail /g",
            "aws dynamodb scan --table-name t",
            "aws ssm get-parameter --name x",
            "aws iam simulate-principal-policy --policy-source-arn a",
            "aws ec2 help",
            "aws ec2 run-instances help",
        ] {
            assert_eq!(check(command), Ok(()), "{command}");
        }
    }

    #[test]
    fn whatever_else_it_may_be_is_none() {
        for (command, class) in [
            ("aws ec2 stop-instances --instance-ids i-1", Some("write")),
            ("aws ec2 create-tags --resources i-1", Some("tagging")),
            ("aws iam put-role-policy --role-name r", Some("permissions")),
            (
                "aws lambda invoke --function-name f /dev/stdout",
                Some("write"),
            ),
            ("aws s3 mv s3://a/x s3://b/x", Some("write")),
            ("aws ssm send-command --instance-ids i-1", Some("write")),
            // Reads that bring a secret out.
            (
                "aws secretsmanager get-secret-value --secret-id x",
                Some("credentials"),
            ),
            (
                "aws ssm get-parameter --name x --with-decryption",
                Some("credentials"),
            ),
            ("aws ecr get-login-password", Some("credentials")),
            ("aws s3 presign s3://a/x", Some("credentials")),
            (
                "aws ssm get-parameter --name '{{ssm:x}}'",
                Some("credentials"),
            ),
            // Reads by IAM's word that do something.
            ("aws sqs receive-message --queue-url q", Some("read")),
            (
                "aws sagemaker-runtime invoke-endpoint --endpoint-name e /dev/stdout",
                Some("read"),
            ),
            (
                "aws configservice deliver-config-snapshot --delivery-channel-name d",
                Some("read"),
            ),
            // Files, though they are in the folder of agents.
            ("aws s3 cp s3://bucket/x x", Some("read")),
            ("aws s3api get-object --bucket b --key k x", Some("read")),
            // What agents never may.
            ("aws whoami", None),
            ("aws ec2 describe-everything", None),
            ("aws s3 ls --debug", None),
            ("aws ec2 describe-instances --filters file://x", None),
            (
                "aws sts get-caller-identity --endpoint-url https://evil.example",
                None,
            ),
        ] {
            let failure = check(command).expect_err(command);
            assert_eq!(failure.reason, Reason::DeniedByPolicy, "{command}");
            let not_a_read = failure.metadata.get(key::NOT_A_READ).map(String::as_str);
            assert_eq!(not_a_read, class, "{command}: {failure}");
        }
        let shell = Action::ssm(&v1::SsmWork {
            command: "uptime".into(),
            ..v1::SsmWork::default()
        });
        assert!(shell.check_reads_only().is_err());
    }

    #[test]
    fn an_operation_begins_with_a_whole_word() {
        assert!(
            begins_as_a_read("ec2:GetConsoleOutput")
                && begins_as_a_read("cloudformation:ListStacks")
        );
        assert!(begins_as_a_read("dynamodb:Scan") && begins_as_a_read("x:Get2"));
        assert!(
            !begins_as_a_read("x:Issue")
                && !begins_as_a_read("x:Listen")
                && !begins_as_a_read("x:PutGet")
        );
    }
}
