//! `aws_sso_read_command`: what clients may let pass without asking does nothing
//! but read.

use awsso_e2e::known::{PRODUCTION, STAGING};
use serde_json::json;

use crate::policy::{exec, ran, traced};

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_for_reads_reads_and_does_nothing_else_whatever_the_rules_say() {
    let (world, mut shim) = traced().await;
    world.configure("[policy]\npreset = 'open'\nagent_folder = '/tmp'\n[[policy.rule]]\nclass = ['write', 'credentials']\neffect = 'allow'\n");
    let otherwise = "Use aws_sso_exec_command for that";
    for (command, says, next) in [
        (
            "aws ec2 stop-instances --instance-ids i-1",
            "ec2:StopInstances (write) is not known to do nothing but read",
            otherwise,
        ),
        (
            "aws sqs receive-message --queue-url q",
            "sqs:ReceiveMessage (read) is not known",
            otherwise,
        ),
        (
            "aws s3 cp s3://bucket/x /tmp/x",
            "uses files of this machine",
            otherwise,
        ),
        (
            "aws secretsmanager get-secret-value --secret-id x",
            "(credentials) is not known",
            "do not look for a way around",
        ),
        (
            "aws whoami",
            "an agent may not use aws \"whoami\"",
            "do not look for a way around",
        ),
    ] {
        let answer = shim.call("aws_sso_read_command", exec(command)).await;
        let text = answer.error();
        assert!(
            text.starts_with("DENIED_BY_POLICY: ") && text.contains(says) && text.contains(next),
            "{command}: {text}"
        );
    }
    assert_eq!(ran(&world), Vec::<String>::new());
    let _ = shim
        .call("aws_sso_read_command", exec("aws ec2 describe-instances"))
        .await
        .ok();
    let mut many = exec("aws s3 ls");
    many["accounts"] = json!([PRODUCTION, STAGING]);
    many.as_object_mut().unwrap().remove("accountId");
    let _ = shim.call("aws_sso_read_command", many).await.ok();
    assert_eq!(ran(&world), ["ec2 describe-instances", "s3 ls", "s3 ls"]);
    let _ = shim
        .call("aws_sso_exec_command", exec("aws ec2 stop-instances"))
        .await
        .ok();

    // A read that a rule asks about or denies stays so.
    for (effect, begins) in [
        ("ask", "APPROVAL_REQUIRED: ec2:DescribeVpcs"),
        ("deny", "DENIED_BY_POLICY: ec2:DescribeVpcs"),
    ] {
        world.configure(&format!(
            "[[policy.rule]]\naction = 'ec2:*'\neffect = '{effect}'\n"
        ));
        let answer = shim
            .call("aws_sso_read_command", exec("aws ec2 describe-vpcs"))
            .await;
        assert!(answer.error().starts_with(begins), "{answer:?}");
    }
}
