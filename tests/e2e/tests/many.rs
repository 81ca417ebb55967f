//! One command in many accounts: which ones, as whom, what is told of them, and
//! that a run outlives the daemon that began it.

use std::{collections::BTreeSet, time::Duration};

use awsso_e2e::{
    Background, FakeAws, Run, World, finish,
    known::{ADMIN, LINUX, LINUX_2, OFFLINE, PRODUCTION, READ_ONLY, STAGING},
    process, within_limit,
};
use serde_json::{Value, json};
use tokio::net::unix::pipe;

use crate::cancel::fifo;

const ALL: [&str; 3] = ["--all-accounts", "--role", READ_ONLY];
const BOTH: [&str; 6] = [
    "--account",
    "production",
    "--account",
    "staging",
    "--role",
    READ_ONLY,
];
const TWO_REGIONS: [&str; 4] = ["--region", "eu-west-1", "--region", "us-east-1"];

fn arguments<'a>(flags: &[&[&'a str]]) -> Vec<&'a str> {
    [
        &["exec-command", "--command", "aws sts get-caller-identity"][..],
        &flags.concat(),
    ]
    .concat()
}

async fn run(aws: &FakeAws<'_>, flags: &[&[&str]]) -> Run {
    finish(aws.awsso(&arguments(flags)), flags.concat().join(" ")).await
}

fn start(aws: &FakeAws<'_>, flags: &[&[&str]]) -> Background {
    Background::start(aws.awsso(&arguments(flags)), &flags.concat().join(" "))
}

fn lines(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

async fn jobs(world: &World) -> Vec<Value> {
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    listed["jobs"].as_array().unwrap().clone()
}

/// Answers at once in one region, and in the other when a line comes.
fn waits_in_us_east_1(world: &World) -> String {
    let go = fifo(world, "go");
    format!(
        "if [ $AWS_REGION = us-east-1 ]; then read line < {}; fi; echo $AWS_REGION $line",
        go.display()
    )
}

/// Sends that line, once somebody waits for it.
async fn go_on(world: &World) {
    let go = world.dir().join("go");
    let sent = tokio::task::spawn_blocking(|| std::fs::write(go, "too\n"));
    within_limit("a line for the script", sent)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_answers_for_itself() {
    let world = World::logged_in().await;
    let all = world
        .awsso(&arguments(&[&ALL, &["--output", "jsonl"]]))
        .await
        .code(0)
        .says("3 of 3 succeeded");
    let lines = lines(&all);
    assert_eq!(lines.len(), 3);
    for line in lines {
        let who: Value = serde_json::from_str(line["stdout"].as_str().unwrap()).unwrap();
        assert_eq!(who["Account"], line["accountId"]);
        assert_eq!(line["state"], "succeeded");
        assert_eq!(line["exitCode"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_accounts_are_asked_and_equal_answers_are_told_once() {
    let world = World::of_accounts(60).await;
    let aws = world.fake_aws("echo same; echo key $AWS_ACCESS_KEY_ID >> keys");
    let told = run(&aws, &[&ALL]).await.code(0);
    let (heading, printed) = told.stdout.split_once('\n').unwrap();
    assert!(
        heading.starts_with(&format!(
            "== 60 accounts (succeeded, exit 0): production ({PRODUCTION}), staging ({STAGING}), "
        )),
        "{heading}"
    );
    assert_eq!(printed, "same\n");
    assert_eq!(told.stderr, "60 of 60 succeeded\n");
    let keys = std::fs::read_to_string(world.home().join("keys")).unwrap();
    let (all, apart): (Vec<_>, BTreeSet<_>) = (keys.lines().collect(), keys.lines().collect());
    assert_eq!(
        (all.len(), apart.len()),
        (60, 60),
        "each had its own keys, once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_means_every_account_that_it_matches() {
    let world = World::of_accounts(60).await;
    let aws = world.fake_aws("true");
    let flags: &[&[&str]] = &[
        &["--account", "payments*", "--account", PRODUCTION],
        &["--role", READ_ONLY, "--json"],
    ];
    let job = run(&aws, flags).await.code(0).json();
    let tasks = job["tasks"].as_array().unwrap();
    let organization = world.sandbox.organization();
    let named = organization.accounts().iter().filter(|account| {
        account.name.to_lowercase().starts_with("payments") || account.id == PRODUCTION
    });
    let named: BTreeSet<_> = named.map(|account| account.id.as_str()).collect();
    let meant: BTreeSet<_> = tasks
        .iter()
        .filter_map(|task| task["accountId"].as_str())
        .collect();
    assert_eq!(meant, named);
    assert_eq!(tasks.len(), named.len());
    let nobody: &[&[&str]] = &[&["--account", "nobody-*", "--role", READ_ONLY]];
    let _ = run(&aws, nobody)
        .await
        .code(125)
        .says("no account's name matches");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_that_means_one_account_is_a_run_like_any_other() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo out; echo err >&2; exit 42");
    let flags: &[&[&str]] = &[&["--account", "prod*", "--role", READ_ONLY]];
    let one = run(&aws, flags).await.code(42);
    assert_eq!(
        (one.stdout.as_str(), one.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_each_account_the_first_role_that_is_there_is_used() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("true");
    let preferred: &[&[&str]] = &[&[
        "--all-accounts",
        "--role",
        "PowerUserAccess",
        "--role",
        READ_ONLY,
        "--json",
    ]];
    let job = run(&aws, preferred).await.code(0).json();
    let roles = job["tasks"].as_array().unwrap().iter();
    let roles: Vec<_> = roles.map(|task| &task["roleName"]).collect();
    assert_eq!(roles, [READ_ONLY, READ_ONLY, "PowerUserAccess"]);
    let only: &[&[&str]] = &[&["--all-accounts", "--role", "PowerUserAccess"]];
    let some = run(&aws, only).await.code(6);
    let _ = some.says("1 of 3 succeeded").says(&format!(
        "staging ({STAGING}), eu-west-1: denied: you have no role PowerUserAccess here; \
         other roles in this account: AdministratorAccess, ReadOnly"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_some_or_none_succeed() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("[ $AWS_REGION = us-east-1 ] || exit 3");
    let _ = run(&aws, &[&BOTH, &TWO_REGIONS])
        .await
        .code(6)
        .says("2 of 4 succeeded")
        .says(&format!(
            "production ({PRODUCTION}), ReadOnly, eu-west-1: failed, exit 3"
        ));
    let _ = run(&aws, &[&BOTH, &TWO_REGIONS[..2]])
        .await
        .code(1)
        .says("0 of 2 succeeded");
    let all = run(&aws, &[&BOTH, &TWO_REGIONS[2..]]).await.code(0);
    assert_eq!(all.stderr, "2 of 2 succeeded\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_too_many_failures_no_more_are_begun() {
    let world = World::of_accounts(60).await;
    let aws = world.fake_aws("echo begun >> begun; exit 1");
    let flags = ["--parallel", "1", "--max-errors", "2"];
    let _ = run(&aws, &[&ALL, &flags])
        .await
        .code(1)
        .says("57 cancelled: not begun: too many others had failed");
    let begun = std::fs::read_to_string(world.home().join("begun")).unwrap();
    assert_eq!(begun.lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_plan_and_starts_nothing() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo begun >> begun");
    let plan = ["--all-accounts", "--role", "PowerUserAccess", "--dry-run"];
    let shown = run(&aws, &[&plan]).await.code(0);
    let shown = shown.says("1 would run, 2 would not; nothing was started");
    let lines: Vec<_> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{shown:#?}");
    assert!(lines[1].ends_with("denied: you have no role PowerUserAccess here"));
    assert!(
        lines[3].ends_with("development  PowerUserAccess  eu-west-1"),
        "{}",
        lines[3]
    );
    let document = run(&aws, &[&plan, &["--json"]]).await.code(0).json();
    assert_eq!(
        document["tasks"][2],
        json!({"accountId": "777788889999", "accountName": "development",
            "roleName": "PowerUserAccess", "region": "eu-west-1", "instanceId": null,
            "state": "queued", "detail": "", "otherRoles": []})
    );
    let one = ["--account", PRODUCTION, "--role", READ_ONLY, "--dry-run"];
    let _ = run(&aws, &[&one]).await.code(0).says("1 would run");
    assert!(!world.home().join("begun").exists());
    assert_eq!(jobs(&world).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_run_is_left_to_the_daemon() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(&waits_in_us_east_1(&world));
    let detached = run(&aws, &[&BOTH[2..], &TWO_REGIONS, &["--detach"]])
        .await
        .ok();
    let id = detached.trim_end();
    let watching = world.awsso_in_background(&["jobs", "watch", id]);
    go_on(&world).await;
    let watched = watching.end().await.code(0).says("2 of 2 succeeded");
    assert_eq!(
        watched.stdout,
        format!(
            "== staging ({STAGING}), eu-west-1 (succeeded, exit 0)\neu-west-1\n\
             == staging ({STAGING}), us-east-1 (succeeded, exit 0)\nus-east-1 too\n"
        )
    );
    let one = [
        "--account",
        STAGING,
        "--role",
        READ_ONLY,
        "--detach",
        "--json",
    ];
    let document = run(&aws, &[&one]).await.code(0).json();
    assert_eq!(document, json!({"jobId": jobs(&world).await[0]["id"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_tells_of_a_task_as_soon_as_it_has_ended() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(&waits_in_us_east_1(&world));
    let running = start(&aws, &[&BOTH[2..], &TWO_REGIONS, &["--output", "jsonl"]]);
    let first = running.document("a line", |_| true).await;
    assert_eq!(first["region"], "eu-west-1");
    assert_eq!(first["stdout"], "eu-west-1\n");
    assert_eq!(first["accountName"], "staging");
    assert_eq!(jobs(&world).await[0]["state"], "running");
    go_on(&world).await;
    let ended = running.end().await.code(0);
    let lines = lines(&ended);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["stdout"], "us-east-1 too\n");
    assert_eq!(lines[1]["jobId"], first["jobId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_one_line_counts_the_tasks_while_they_run() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(&waits_in_us_east_1(&world));
    let command = aws.awsso(&arguments(&[&BOTH[2..], &TWO_REGIONS]));
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let line = format!("stty rows 20 cols 100; exec {}", words.join(" "));
    let path = world.dir().join("bin");
    let mut script = world.program("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("PATH", format!("{}:/usr/bin:/bin", path.display()))
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    let running = Background::start(script, "a run on a terminal");
    running.prints("1 of 2 done, 0 failed, 1 running").await;
    go_on(&world).await;
    let _ = running.end().await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_what_still_runs_and_the_rest() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(&waits_in_us_east_1(&world));
    let flags = [
        "--region",
        "us-east-1",
        "--parallel",
        "1",
        "--output",
        "jsonl",
    ];
    let first = ["--region", "eu-west-1"];
    let running = start(&aws, &[&BOTH, &first, &flags]);
    let _ = running.document("the first line", |_| true).await;
    running.interrupt();
    let ended = running.end().await.code(130).says("Cancelling");
    let states: Vec<_> = lines(&ended)
        .iter()
        .map(|line| line["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["succeeded", "cancelled", "cancelled", "cancelled"]);
    assert_eq!(jobs(&world).await[0]["state"], "partial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_aws_is_followed_across_a_restart_of_the_daemon() {
    let world = World::logged_in().await;
    let later = Duration::from_mins(5);
    world.sandbox.faults().set_pickup_delay(later);
    let detached = world
        .awsso(&[
            "ec2-exec-command",
            "--account",
            PRODUCTION,
            "--role",
            ADMIN,
            "--instance-id",
            LINUX,
            "--instance-id",
            LINUX_2,
            "--command",
            "hostname",
            "--detach",
        ])
        .await
        .ok();
    let id = detached.trim_end();
    let watching = world.awsso_in_background(&["jobs", "watch", id]);
    world.sandbox.reached("ssm.ListCommandInvocations", 1).await;
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let polled = world.sandbox.count("ssm.ListCommandInvocations");
    world
        .sandbox
        .reached("ssm.ListCommandInvocations", polled + 1)
        .await;
    world.sandbox.advance(later);
    let watched = watching.end().await.code(0).says("2 of 2 succeeded");
    assert_eq!(
        watched.stdout,
        format!("== {LINUX} (succeeded, exit 0)\nweb-1\n== {LINUX_2} (succeeded, exit 0)\nweb-2\n")
    );
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_at_the_next_daemon_and_tells_nothing_twice() {
    let world = World::logged_in().await;
    let running = world.awsso_in_background(&[
        "ec2-exec-command",
        "--account",
        PRODUCTION,
        "--role",
        ADMIN,
        "--instance-id",
        LINUX,
        "--instance-id",
        OFFLINE,
        "--command",
        "hostname",
        "--output",
        "jsonl",
    ]);
    let first = running.document("the first line", |_| true).await;
    assert_eq!(first["instanceId"], LINUX);
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    // Longer than AWS tries to deliver it.
    world.sandbox.advance(Duration::from_mins(11));
    let ended = running.end().await.code(6).says("1 of 2 succeeded");
    let told = lines(&ended);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], first);
    assert_eq!(told[1]["instanceId"], OFFLINE);
    assert_eq!(told[1]["state"], "undeliverable");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_that_died_with_its_daemon_is_said_that_nobody_knows() {
    let world = World::logged_in().await;
    let go = fifo(&world, "go");
    let aws = world.fake_aws(&format!("echo ready; read line < {}", go.display()));
    let running = aws.start("aws x");
    running.prints("ready").await;
    process::signal(world.daemon_pid().await.unwrap(), "KILL");
    let ended = running.end().await.code(125);
    let ended = ended.says("what became of the command cannot be known");
    assert_eq!(ended.stdout, "ready\n", "nothing is printed twice");
    assert_eq!(jobs(&world).await[0]["state"], "unknown");
    // What may be left of it ends.
    drop(pipe::OpenOptions::new().open_sender(&go));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_looked_for_in_every_account_and_nothing_is_left_out_in_silence() {
    let world = World::logged_in().await;
    let organization = world.sandbox.organization();
    let in_staging = &organization.account(STAGING).unwrap().instances[0].id;
    let nowhere = "i-0123456789abcdef0";
    let run = world
        .awsso(&[
            "ec2-exec-command",
            "--all-accounts",
            "--role",
            "NoS3",
            "--role",
            ADMIN,
            "--instance-id",
            LINUX,
            "--instance-id",
            in_staging,
            "--instance-id",
            nowhere,
            "--command",
            "hostname",
        ])
        .await
        .code(6)
        .says("2 of 3 succeeded")
        .says(&format!(
            "{nowhere}: undeliverable: SSM manages it in no account"
        ));
    assert!(
        run.stdout.starts_with(&format!(
            "== {LINUX}, production ({PRODUCTION}), NoS3 (succeeded, exit 0)\nweb-1\n\
             == {in_staging}, staging ({STAGING}), {ADMIN} (succeeded, exit 0)\napp-1\n"
        )),
        "{run:#?}"
    );
    let only_there = ["--all-accounts", "--role", "NoS3", "--instance-id", LINUX];
    let more = ["--command", "hostname"];
    let args = [&["ec2-exec-command"][..], &only_there, &more].concat();
    let _ = world.awsso(&args).await.code(6).says(&format!(
        "staging ({STAGING}), eu-west-1: denied: you have no role NoS3 here"
    ));
}
