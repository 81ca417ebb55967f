//! Roles that are assumed with another role's credentials: named in
//! `config.toml` or by a profile of the AWS config.

use std::time::Duration;

use awsso_e2e::{
    World,
    known::{ADMIN, LINUX, PRODUCTION, STAGING},
};
use serde_json::json;

const ASSUMED: &str = "sts.AssumeRole";
const WHO: &str = "aws sts get-caller-identity";

/// `[role.NAME]`: one of staging's, assumed from production.
fn role(name: &str, role: &str, more: &str) -> String {
    format!(
        "[role.{name}]\nsource = 'Production/{ADMIN}'\n\
         role_arn = 'arn:aws:iam::{STAGING}:role/{role}'\n{more}\n"
    )
}

async fn run(world: &World, role: &str, command: &str) -> awsso_e2e::Run {
    let args = ["exec-command", "--role", role, "--command", command];
    world.awsso(&args).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_the_configuration_is_assumed_once_and_by_its_name_alone() {
    let world = World::logged_in().await;
    let name = world.sandbox.organization().account(PRODUCTION).unwrap();
    world.configure(&role("deploy", ADMIN, "").replace("Production", &name.name));
    let who = run(&world, "deploy", WHO).await.code(0).json();
    assert_eq!(who["Account"], STAGING);
    let arn = who["Arn"].as_str().unwrap();
    assert!(
        arn.contains(&format!("assumed-role/{ADMIN}/awsso")),
        "{arn}"
    );
    // From memory the next time, and for a program that runs here.
    let here = world.awsso(&["env", "--role", "deploy", "--json"]).await;
    assert!(here.ok().contains("AWS_SESSION_TOKEN"));
    assert_eq!(world.sandbox.count(ASSUMED), 1);
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 1);
    // It is a role of that account, and of no other.
    let elsewhere = ["env", "--account", PRODUCTION, "--role", "deploy"];
    let _ = world.awsso(&elsewhere).await.code(5).says("no role deploy");
    let staging = world
        .sandbox
        .organization()
        .account(STAGING)
        .unwrap()
        .name
        .clone();
    for there in [STAGING, &staging] {
        let there = ["env", "--account", there, "--role", "deploy", "--json"];
        let _ = world.awsso(&there).await.ok();
    }
    let elsewhere = ["env", "--account", &name.name, "--role", "deploy"];
    let _ = world.awsso(&elsewhere).await.code(5).says("no role deploy");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_accounts_it_is_one_where_its_arn_says() {
    let world = World::logged_in().await;
    world.configure(&role("deploy", ADMIN, "").replace("Production", PRODUCTION));
    let line = [
        "exec-command",
        "--account",
        PRODUCTION,
        "--account",
        STAGING,
        "--role",
        "deploy",
        "--role",
        "ReadOnly",
        "--command",
        WHO,
        "--json",
    ];
    let job = world.awsso(&line).await.code(0).json();
    let tasks = job["tasks"].as_array().unwrap();
    let arn = |account: &str| {
        let task = tasks
            .iter()
            .find(|task| task["accountId"] == account)
            .unwrap();
        task["stdout"].as_str().unwrap().to_owned()
    };
    assert!(arn(PRODUCTION).contains("ReadOnly"), "{job}");
    assert!(
        arn(STAGING).contains(&format!("assumed-role/{ADMIN}/awsso")),
        "{job}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_policy_takes_rights_away() {
    let world = World::logged_in().await;
    let policy = "[[role.look.policy.Statement]]\nEffect = 'Allow'\nAction = 'ec2:Describe*'\nResource = '*'\n";
    let wide = role("all", ADMIN, "").replace("Production", PRODUCTION);
    let narrow = role("look", ADMIN, policy).replace("Production", PRODUCTION);
    world.configure(&format!("{wide}{narrow}"));
    let _ = run(&world, "all", "aws s3api list-buckets").await.ok();
    let _ = run(&world, "look", "aws ec2 describe-instances").await.ok();
    let denied = run(&world, "look", "aws s3api list-buckets").await;
    assert_ne!(denied.code, Some(0), "{denied:#?}");
    assert!(denied.stderr.contains("AccessDenied"), "{denied:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_go_on_to_a_role_whose_session_aws_itself_keeps_narrow() {
    let world = World::logged_in().await;
    world.configure(
        "[policy]\npreset = 'open'\nagent_session_role = 'AgentAccess'\n\
         [[policy.agent_session_policy.Statement]]\nEffect = 'Allow'\nAction = 'ec2:Describe*'\nResource = '*'\n",
    );
    let mut shim = world.legacy_shim().await;
    let call =
        |command: &str| json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": command});
    let who = shim.call("aws_sso_exec_command", call(WHO)).await;
    let who = who.ok();
    assert!(
        who.contains(&format!(
            "arn:aws:sts::{PRODUCTION}:assumed-role/AgentAccess/awsso"
        )),
        "{who}"
    );
    assert!(who.contains("role AgentAccess "), "{who}");
    let _ = shim
        .call("aws_sso_exec_command", call("aws ec2 describe-instances"))
        .await
        .ok();
    for (tool, work) in [
        ("aws_sso_exec_command", call("aws s3api list-buckets")),
        (
            "aws_sso_exec_command",
            json!({"accounts": [PRODUCTION, STAGING], "roleName": ADMIN, "command": "aws s3api list-buckets"}),
        ),
        (
            "aws_sso_ec2_exec_command",
            json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "id", "instanceId": LINUX}),
        ),
    ] {
        let denied = shim.call(tool, work).await;
        assert!(
            denied.error().contains("no session policy allows"),
            "{tool}: {denied:?}"
        );
    }
    // A person has the role that is named.
    let target = ["exec-command", "--account", PRODUCTION, "--role", ADMIN];
    let person = [&target[..], &["--command", "aws s3api list-buckets"]].concat();
    let _ = world.awsso(&person).await.ok();

    world.configure("[policy]\npreset = 'open'\nagent_session_policy = '{\"Statement\": []}'\n");
    let refused = shim.call("aws_sso_exec_command", call(WHO)).await;
    let text = refused.error();
    assert!(
        text.starts_with("DENIED_BY_POLICY")
            && text.contains("line 3: agent_session_policy needs agent_session_role"),
        "{text}"
    );
    let _ = world.awsso(&person).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_with_a_source_profile_is_assumed() {
    let world = World::logged_in().await;
    world.write(
        ".aws/config",
        &format!(
            "[profile base]\nsso_start_url = {}\nsso_region = {}\nsso_account_id = {PRODUCTION}\n\
             sso_role_name = {ADMIN}\n[profile vendor]\nsource_profile = base\nexternal_id = vendor-{STAGING}\n\
             role_session_name = night-shift\nrole_arn = arn:aws:iam::{STAGING}:role/Vendor\nregion = eu-west-3\n",
            world.sandbox.start_url(),
            world.sandbox.region()
        ),
    );
    let vars = [("AWS_PROFILE", "vendor")];
    let who = world.awsso_unnamed(&vars, &["exec-command", "--command", WHO]);
    let who = who.await.code(0).json();
    let arn = who["Arn"].as_str().unwrap();
    assert!(arn.contains("assumed-role/Vendor/night-shift"), "{arn}");
    let env = world.awsso_unnamed(&vars, &["env", "--json"]).await;
    assert_eq!(env.code(0).json()["AWS_REGION"], "eu-west-3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_assumed_is_told_with_what_to_look_at() {
    let world = World::logged_in().await;
    let broken = [
        role("no-id", "Vendor", "").replace("Production", PRODUCTION),
        role("circle", ADMIN, "").replace(&format!("Production/{ADMIN}"), "circle"),
        role("lost", ADMIN, "").replace(&format!("Production/{ADMIN}"), "nowhere"),
    ];
    world.configure(&broken.concat());
    let _ = world
        .awsso(&["env", "--role", "no-id"])
        .await
        .code(5)
        .says("not authorized to perform: sts:AssumeRole")
        .says("trust policy");
    for (role, text) in [("circle", "more than 4"), ("lost", "\"nowhere\"")] {
        let run = world.awsso(&["env", "--role", role]).await;
        let _ = run.code(2).says("cannot be assumed").says(text);
    }
    // Who names a role and no account means one of the configuration.
    let _ = world
        .awsso(&["env", "--role", ADMIN])
        .await
        .code(2)
        .says("no account is named");
    let line = "[role.x]\nsource = 'a/b'\nrole_arn = 'arn:aws:iam::1:role/x'\n";
    world.configure(line);
    let _ = world
        .awsso(&["env", "--role", "x"])
        .await
        .code(2)
        .says("is not the ARN of a role");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_aws_took_back_are_replaced_on_the_way() {
    let world = World::logged_in().await;
    let source = role("deploy", ADMIN, "").replace("Production", PRODUCTION);
    world.configure(&source);
    let first = [
        "exec-command",
        "--account",
        PRODUCTION,
        "--role",
        ADMIN,
        "--command",
        WHO,
    ];
    let _ = world.awsso(&first).await.ok();
    world.sandbox.revoke_credentials();
    world.sandbox.faults().set_latency(Duration::from_millis(5));
    let who = run(&world, "deploy", WHO).await.code(0).json();
    assert_eq!(who["Account"], STAGING);
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 2);
}
