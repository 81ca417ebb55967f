//! `ec2-exec-command`: one command on one instance or several, and how each ends.

use awsso_e2e::{
    Run, World, finish,
    known::{ADMIN, LINUX, LINUX_2, MAC, NO_SSM_INVENTORY, PRODUCTION, READ_ONLY, WINDOWS},
};

async fn on(world: &World, role: &str, instances: &[&str], more: &[&str]) -> Run {
    let mut awsso = world.program(awsso_e2e::bin("awsso"));
    awsso.args(["ec2-exec-command", "--account", PRODUCTION, "--role", role]);
    for instance in instances {
        awsso.args(["--instance-id", instance]);
    }
    awsso.args(more);
    finish(awsso, format!("{role} {instances:?} {more:?}")).await
}

async fn one(world: &World, role: &str, instance: &str, command: &str) -> Run {
    on(world, role, &[instance], &["--command", command]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_runs_it_in_its_own_shell() {
    let world = World::logged_in().await;
    let (linux, windows, mac) = tokio::join!(
        one(&world, ADMIN, LINUX, "hostname && uname"),
        one(&world, ADMIN, WINDOWS, "Write-Output ready"),
        one(&world, ADMIN, MAC, "hostname && uname"),
    );
    assert_eq!(linux.ok(), "web-1\nLinux\n");
    assert_eq!(windows.ok(), "ready\r\n");
    assert_eq!(mac.ok(), "mac-1\nDarwin\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_look_at_the_instances_can_still_run_on_them() {
    let world = World::logged_in().await;
    let (linux, windows) = tokio::join!(
        one(&world, NO_SSM_INVENTORY, LINUX, "hostname"),
        one(&world, NO_SSM_INVENTORY, WINDOWS, "hostname"),
    );
    assert_eq!(linux.ok(), "web-1\n");
    assert_eq!(windows.ok(), "win-1\r\n");
    // Windows refused the shell's document, and ran the other.
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 3);
    assert!(world.sandbox.count("ssm.GetCommandInvocation") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_send_is_denied_and_told_the_other_roles() {
    let world = World::logged_in().await;
    let denied = one(&world, READ_ONLY, LINUX, "hostname").await;
    let denied = denied
        .code(125)
        .says("AWS denied the command")
        .says("other roles in this account: AdministratorAccess, NoS3, NoSSMInventory");
    assert_eq!(denied.stdout, "");
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    assert_eq!(listed["jobs"][0]["state"], "failed");
    assert_eq!(listed["jobs"][0]["tasks"][0]["state"], "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_stderr_and_the_exit_code_stay_apart() {
    let world = World::logged_in().await;
    let command = "echo out; echo err 1>&2; exit 3";
    let ended = one(&world, ADMIN, LINUX, command).await.code(3);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("out\n", "err\nfailed to run commands: exit status 3")
    );
    let lines = one(&world, ADMIN, LINUX, "echo 'a  b'\necho \"$HOME|c\"").await;
    assert_eq!(
        lines.ok(),
        "a  b\n$HOME|c\n",
        "lines reach the instance as they are"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_cuts_is_told_as_cut() {
    let world = World::logged_in().await;
    let more = ["--json", "--command", "yes 30000"];
    let (cut, whole) = tokio::join!(
        on(&world, ADMIN, &[LINUX], &more),
        on(
            &world,
            ADMIN,
            &[LINUX],
            &["--json", "--command", "yes 23999"]
        ),
    );
    let cut = cut.code(0).says("the output is not whole");
    let task = &cut.json()["tasks"][0];
    assert_eq!(task["truncated"], true);
    assert_eq!(task["stdout"].as_str().unwrap().len(), 24_000);
    let whole = whole.code(0);
    let task = &whole.json()["tasks"][0];
    assert_eq!(task["truncated"], false);
    assert_eq!(task["stdout"].as_str().unwrap().len(), 23_999);
    assert_eq!(whole.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ssm_does_not_know_is_told_before_anything_is_sent() {
    let world = World::logged_in().await;
    let _ = one(&world, ADMIN, "i-0a1b2c3d4e5f69999", "hostname")
        .await
        .code(125)
        .says("SSM does not know i-0a1b2c3d4e5f69999")
        .says("hint: check the id, the account and the region");
    let elsewhere = ["--region", "us-east-1", "--command", "hostname"];
    let _ = on(&world, ADMIN, &[LINUX], &elsewhere)
        .await
        .code(125)
        .says("region us-east-1");
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_instances_all_some_or_none_succeed() {
    let world = World::logged_in().await;
    let all = [LINUX, LINUX_2, WINDOWS];
    let run = async |command: &str| on(&world, ADMIN, &all, &["--command", command]).await;
    let (good, some, none) = tokio::join!(run("hostname"), run("uname"), run("no-such-program"));
    let good = good.code(0).says("3 of 3 succeeded");
    assert_eq!(
        good.stdout,
        format!(
            "== {LINUX} (succeeded, exit 0)\nweb-1\n== {LINUX_2} (succeeded, exit 0)\nweb-2\n\
             == {WINDOWS} (succeeded, exit 0)\nwin-1\r\n"
        )
    );
    let some = some.code(6).says("2 of 3 succeeded");
    assert!(
        some.stdout
            .contains(&format!("== {WINDOWS} (failed, exit 1)")),
        "{some:#?}"
    );
    let none = none.code(1).says("0 of 3 succeeded");
    assert!(
        none.stdout.contains(&format!(
            "== 2 instances (failed, exit 127): {LINUX}, {LINUX_2}\n"
        )),
        "{none:#?}"
    );
    // One command for each kind of shell.
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unknown_instance_does_not_keep_the_others_from_running() {
    let world = World::logged_in().await;
    let unknown = "i-0a1b2c3d4e5f69999";
    let more = ["--json", "--command", "hostname"];
    let job = on(&world, ADMIN, &[LINUX, unknown], &more)
        .await
        .code(6)
        .json();
    assert_eq!(job["state"], "partial");
    let task = |id: &str| {
        let tasks = job["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["instanceId"] == id).unwrap()
    };
    assert_eq!(task(LINUX)["stdout"], "web-1\n");
    assert_eq!(task(unknown)["state"], "undeliverable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_stands_for_every_instance_that_has_it() {
    let world = World::logged_in().await;
    let tagged = [
        "--json",
        "--command",
        "hostname",
        "--targets",
        "tag:Role=web,win",
    ];
    let job = on(&world, ADMIN, &[], &tagged).await.code(0).json();
    let ids: Vec<_> = job["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["instanceId"])
        .collect();
    assert_eq!(ids, [LINUX, LINUX_2, WINDOWS]);
    let none = ["--command", "hostname", "--targets", "tag:Role=nobody"];
    let _ = on(&world, ADMIN, &[], &none)
        .await
        .code(125)
        .says("no instance that SSM manages");
}
