//! The shim's two command tools: what a model reads of a run.

use std::path::Path;

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, LINUX, NO_S3, PRODUCTION, READ_ONLY, WINDOWS},
};
use serde_json::{Value, json};

const TRAILER: &str = "account 111122223333 (production) role AdministratorAccess region eu-west-1";

/// A command that an agent may have run; a script stands for the AWS CLI.
const ANY: &str = "aws sts get-caller-identity";

fn exec(role: &str, command: &str) -> Value {
    json!({"accountId": PRODUCTION, "roleName": role, "command": command})
}

/// A shim whose `aws` is this script.
async fn shim_with_aws(world: &World, script: &str) -> Shim {
    let mut command = world.program(bin("awsso-mcp"));
    command.env("PATH", world.path_with_aws(script));
    Shim::legacy(command).await
}

/// The account's name stands in an answer once the accounts are known.
async fn know_the_accounts(shim: &mut Shim) {
    let _ = shim.call("aws_sso_ls_accounts", json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_aws_cli_answers_as_text_with_a_last_line_on_how_it_went() {
    let world = World::logged_in().await;
    let mut shim = world.modern_shim();
    know_the_accounts(&mut shim).await;
    let command = exec(
        ADMIN,
        "aws sts get-caller-identity --query Account --output text",
    );
    let answer = shim.call("aws_sso_exec_command", command).await;
    let lines: Vec<_> = answer.ok().lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, PRODUCTION), "{answer:?}");
    let last = lines[1];
    assert!(
        last.starts_with("[exit 0 | ") && last.ends_with(']'),
        "{last}"
    );
    assert!(
        last.contains(&format!(" | {TRAILER} | outputId out_")),
        "{last}"
    );
    assert!(answer.facts().is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn stderr_and_a_failure_are_told_apart() {
    let world = World::logged_in().await;
    let mut shim = shim_with_aws(&world, "echo out; echo err >&2; exit 3").await;
    let answer = shim.call("aws_sso_exec_command", exec(ADMIN, ANY)).await;
    let text = answer.error();
    assert!(text.starts_with("out\n[stderr]\nerr\n[exit 3 | "), "{text}");
    let mut shim = shim_with_aws(&world, "true").await;
    let answer = shim.call("aws_sso_exec_command", exec(ADMIN, ANY)).await;
    assert!(
        answer.ok().starts_with("(no output)\n[exit 0 | "),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_command_tells_the_model_which_other_roles_there_are() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.legacy_shim().await;
    let denied = shim
        .call("aws_sso_exec_command", exec(NO_S3, "aws s3 ls"))
        .await;
    let text = denied.error();
    assert!(text.contains("An error occurred (AccessDenied)"), "{text}");
    let others = "Other roles in this account: AdministratorAccess, NoSSMInventory, ReadOnly";
    assert!(text.contains(others), "{text}");

    let no_role = shim
        .call("aws_sso_exec_command", exec("Adminn", "aws s3 ls"))
        .await;
    let text = no_role.error();
    assert!(
        text.starts_with("ACCESS_DENIED: you have no role Adminn"),
        "{text}"
    );
    assert!(
        text.contains("AdministratorAccess, NoS3, NoSSMInventory, ReadOnly"),
        "{text}"
    );

    let mut on_linux = exec(READ_ONLY, "hostname");
    on_linux["instanceId"] = LINUX.into();
    let denied = shim.call("aws_sso_ec2_exec_command", on_linux).await;
    let text = denied.error();
    let others = "Other roles in this account: AdministratorAccess, NoS3, NoSSMInventory";
    assert!(
        text.contains(others) && text.contains("[denied | "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_command_runs_on_linux_and_windows() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.modern_shim();
    know_the_accounts(&mut shim).await;
    for (instance, command, printed) in [
        (
            LINUX,
            "hostname && id",
            "web-1\nuid=0(root) gid=0(root) groups=0(root)\n",
        ),
        (WINDOWS, "hostname", "win-1\r\n"),
    ] {
        let mut arguments = exec(ADMIN, command);
        arguments["instanceId"] = instance.into();
        let answer = shim.call("aws_sso_ec2_exec_command", arguments).await;
        let text = answer.ok();
        let (output, last) = text.split_at(printed.len());
        assert_eq!(output, printed);
        assert!(last.starts_with("[exit 0 | "), "{last}");
        assert!(
            last.contains(&format!("instance {instance} {TRAILER}")),
            "{last}"
        );
    }
    let mut failing = exec(ADMIN, "echo begun; exit 7");
    failing["instanceId"] = LINUX.into();
    let answer = shim.call("aws_sso_ec2_exec_command", failing).await;
    assert!(
        answer.error().starts_with("begun\n[stderr]\n"),
        "{answer:?}"
    );
    assert!(answer.error().contains("\n[exit 7 | "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_a_command_is_refused_and_the_model_told_what_to_do_instead() {
    let world = World::logged_in().await;
    let ran = world.dir().join("ran");
    let mut shim = shim_with_aws(&world, &format!("touch {}", ran.display())).await;
    for command in [
        "aws s3 ls | head",
        "aws s3 ls > x",
        "aws s3 ls; id",
        "aws s3 ls $(id)",
    ] {
        let answer = shim
            .call("aws_sso_exec_command", exec(ADMIN, command))
            .await;
        let text = answer.error();
        assert!(text.starts_with("INVALID_ARGUMENT: "), "{text}");
        assert!(text.contains("--query"), "{text}");
    }
    assert!(!ran.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_output_is_cut_and_the_answer_says_where_all_of_it_is() {
    let world = World::logged_in().await;
    let printed = "0123456789abcdef0123456789abcdef\n".repeat(3_000);
    let file = world.dir().join("printed");
    std::fs::write(&file, &printed).unwrap();
    let mut shim = shim_with_aws(&world, &format!("cat {}", file.display())).await;
    let answer = shim.call("aws_sso_exec_command", exec(ADMIN, ANY)).await;
    let text = answer.ok();
    assert!((15_000..21_000).contains(&text.len()), "{}", text.len());
    let (shown, last) = text.rsplit_once("\n[exit 0 | ").unwrap();
    assert!(printed.starts_with(shown));
    assert!(last.contains("of 99,000 chars shown"), "{last}");
    let part = |name: &str| {
        let part = last.split(" | ").find_map(|part| part.strip_prefix(name));
        part.unwrap_or_else(|| panic!("no {name}in {last}"))
            .trim_end_matches(']')
    };
    let stored = std::fs::read_to_string(Path::new(part("file "))).unwrap();
    assert!(stored == printed);
    let by_id = world
        .awsso(&["jobs", "output", part("outputId ")])
        .await
        .ok();
    assert!(by_id == printed);

    let mut arguments = exec(ADMIN, ANY);
    arguments["maxChars"] = 100.into();
    let answer = shim.call("aws_sso_exec_command", arguments).await;
    assert!(answer.ok().len() < 600, "{answer:?}");
}
