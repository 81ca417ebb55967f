//! Rules about the tags of instances: AWS is asked for the tags, and what it does
//! not tell restricts.

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, LINUX, LINUX_2, PRODUCTION, STAGING, WINDOWS},
};
use serde_json::{Value, json};

const LOOKED: &str = "ec2.DescribeInstances";
const NOWHERE: &str = "i-0fffffffffffffff1";

/// A world with this rule, and a shim whose AWS CLI does nothing.
async fn ruled(rule: &str) -> (World, Shim) {
    let world = World::logged_in().await;
    world.configure(rule);
    let mut command = world.program(bin("awsso-mcp"));
    command.env("PATH", world.path_with_aws("exit 0"));
    let shim = Shim::legacy(command).await;
    (world, shim)
}

fn rule(preset: &str, tag: &str, effect: &str) -> String {
    format!(
        "[policy]\npreset = '{preset}'\n[[policy.rule]]\ninstance_tag = '{tag}'\neffect = '{effect}'\n"
    )
}

fn stop(account: &str, ids: &[&str]) -> Value {
    let command = format!("aws ec2 stop-instances --instance-ids {}", ids.join(" "));
    json!({"accountId": account, "roleName": ADMIN, "command": command})
}

fn shell(ids: &[&str]) -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "hostname", "instanceIds": ids})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_about_a_tag_decides_by_the_tags_of_the_instances_that_are_named() {
    let (world, mut shim) = ruled(&rule("open", "Environment=prod*", "deny")).await;
    let staging = world.sandbox.organization().account(STAGING).unwrap();
    let staging = staging.instances[0].id.clone();
    for call in [
        stop(PRODUCTION, &[LINUX]),
        stop(PRODUCTION, &[WINDOWS, LINUX]),
    ] {
        let denied = shim.call("aws_sso_exec_command", call).await;
        assert!(
            denied.error().contains("by rule 1 (line 3 of config.toml)"),
            "{denied:?}"
        );
    }
    let denied = shim.call("aws_sso_ec2_exec_command", shell(&[LINUX])).await;
    assert!(denied.error().contains("is denied in "), "{denied:?}");
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 0);
    let allowed = shim
        .call("aws_sso_exec_command", stop(STAGING, &[&staging]))
        .await;
    let _ = allowed.ok();
    // Of several accounts each knows its own.
    let both = json!({
        "accounts": [PRODUCTION, STAGING], "roleName": ADMIN,
        "command": format!("aws ec2 stop-instances --instance-ids {staging}"),
    });
    let _ = shim.call("aws_sso_exec_command", both).await.ok();
    // What names no instance is not asked about.
    let looked = world.sandbox.count(LOOKED);
    let list =
        json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "aws ec2 describe-vpcs"});
    let _ = shim.call("aws_sso_exec_command", list).await.ok();
    assert_eq!(world.sandbox.count(LOOKED), looked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_allows_it_allows_where_every_instance_has_the_tag() {
    let (world, mut shim) = ruled(&rule("guarded", "Role=web", "allow")).await;
    let answer = shim
        .call("aws_sso_ec2_exec_command", shell(&[LINUX, LINUX_2]))
        .await;
    let _ = answer.ok();
    // From memory the second time.
    let answer = shim
        .call("aws_sso_ec2_exec_command", shell(&[LINUX_2]))
        .await;
    let _ = answer.ok();
    assert_eq!(world.sandbox.count(LOOKED), 1);
    for ids in [&[WINDOWS][..], &[LINUX, WINDOWS], &[LINUX, NOWHERE]] {
        let answer = shim.call("aws_sso_ec2_exec_command", shell(ids)).await;
        assert!(
            answer.error().starts_with("APPROVAL_REQUIRED"),
            "{ids:?}: {answer:?}"
        );
    }
    let tagged = |tag: &str| json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "hostname", "targets": [tag]});
    let looked = world.sandbox.count(LOOKED);
    let _ = shim
        .call("aws_sso_ec2_exec_command", tagged("tag:Role=web"))
        .await
        .ok();
    let other = shim
        .call("aws_sso_ec2_exec_command", tagged("tag:Role=win"))
        .await;
    assert!(other.error().starts_with("APPROVAL_REQUIRED"), "{other:?}");
    assert_eq!(
        world.sandbox.count(LOOKED),
        looked,
        "the selection says the tag itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_cannot_be_looked_up_restrict_and_the_answer_says_so() {
    let (world, mut shim) = ruled(&rule("open", "Environment=test", "deny")).await;
    let answer = shim
        .call("aws_sso_exec_command", stop(PRODUCTION, &[NOWHERE]))
        .await;
    let text = answer.error();
    let says = format!(
        "the tags of {NOWHERE} are not known (EC2 does not know them there), so only what restricts counts"
    );
    assert!(
        text.starts_with("DENIED_BY_POLICY") && text.contains(&says),
        "{text}"
    );

    // A failure is not kept.
    world.sandbox.faults().fail_next(LOOKED, 4, 500);
    for refused in [true, false] {
        let answer = shim
            .call("aws_sso_exec_command", stop(PRODUCTION, &[WINDOWS]))
            .await;
        if refused {
            assert!(
                answer.error().contains("AWS cannot be reached"),
                "{answer:?}"
            );
        } else {
            let _ = answer.ok();
        }
    }

    world.sandbox.faults().deny("ec2:DescribeInstances");
    let answer = shim
        .call("aws_sso_exec_command", stop(PRODUCTION, &[LINUX]))
        .await;
    let text = answer.error();
    assert!(
        text.starts_with("DENIED_BY_POLICY")
            && text.contains("not known (AWS says UnauthorizedOperation"),
        "{text}"
    );
    world.configure(&rule("open", "Environment=test", "ask"));
    let answer = shim
        .call("aws_sso_exec_command", stop(PRODUCTION, &[LINUX]))
        .await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED"),
        "{answer:?}"
    );
    world.configure(&rule("guarded", "Environment=production", "allow"));
    let answer = shim
        .call("aws_sso_exec_command", stop(PRODUCTION, &[LINUX]))
        .await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_ask_how_a_rule_about_tags_would_decide() {
    let (world, _shim) = ruled(&rule("open", "Role=web", "deny")).await;
    let explain = async |command: &str, more: &[&str]| {
        let target = ["--account", PRODUCTION, "--role", ADMIN, "--json"];
        let run = world
            .awsso(&[&["policy", "test", command], &target[..], more].concat())
            .await;
        let told = run.code(0).json();
        (
            told["effect"].as_str().unwrap().to_owned(),
            told["why"].as_str().unwrap().to_owned(),
        )
    };
    let (effect, why) = explain("hostname", &["--instance-id", LINUX]).await;
    assert!(
        effect == "deny" && !why.contains("not known"),
        "{effect} {why}"
    );
    assert_eq!(
        explain("hostname", &["--instance-id", WINDOWS]).await.0,
        "allow"
    );
    let (effect, why) = explain(
        &format!("aws ec2 stop-instances --instance-ids {NOWHERE}"),
        &[],
    )
    .await;
    assert!(
        effect == "deny" && why.contains(&format!("the tags of {NOWHERE} are not known")),
        "{effect} {why}"
    );
}
