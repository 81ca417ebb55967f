//! What SSM cuts, fetched whole from where `[ssm]` in `config.toml` has the
//! instances leave it; and what is said when it is not there.

use std::time::Duration;

use awsso_e2e::{
    Background, Run, World, bin,
    known::{ADMIN, LINUX, LINUX_2, NO_S3, PRODUCTION, WINDOWS},
    process::signal,
    within_limit,
};
use serde_json::Value;

/// Three million bytes, no two lines alike.
const LINES: usize = 440_000;
const BUCKET: &str =
    "[ssm]\noutput_bucket = '{account}-artifacts'\noutput_prefix = 'runs/{region}/'\n";
const LOGS: &str = "[ssm]\noutput_log_group = '/runs/{account}'\n";
const SSM_KEEPS: usize = 24_000;

async fn configured(config: &str) -> World {
    let world = World::logged_in().await;
    world.configure(config);
    world
}

fn numbers(last: usize) -> String {
    let numbers: Vec<_> = (1..=last).map(|number| number.to_string()).collect();
    numbers.join("\n") + "\n"
}

fn start(world: &World, role: &str, instances: &[&str], command: &str) -> Background {
    let mut awsso = world.program(bin("awsso"));
    awsso.args(["ec2-exec-command", "--account", PRODUCTION, "--role", role]);
    for instance in instances {
        awsso.args(["--instance-id", instance]);
    }
    awsso.args(["--json", "--command", command]);
    Background::start(awsso, command)
}

async fn seq(world: &World, role: &str) -> Run {
    let run = start(world, role, &[LINUX], &format!("seq {LINES}"));
    run.end().await
}

fn task(run: &Run) -> Value {
    run.json()["tasks"][0].clone()
}

fn stdout(task: &Value) -> &str {
    task["stdout"].as_str().unwrap()
}

/// What the daemon has stored of the newest job's first task.
async fn stored(world: &World, flags: &[&str]) -> String {
    let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
    let job = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    let asked = [&["jobs", "output", &job], flags].concat();
    world.awsso(&asked).await.ok()
}

fn fetches(world: &World) -> (u64, u64, u64) {
    let count = |of: &str| world.sandbox.count(of);
    (
        count("s3.ListObjectsV2"),
        count("s3.GetObject"),
        count("ssm.GetCommandInvocation"),
    )
}

/// It ended well, with what SSM keeps of it and a word about the rest.
fn assert_cut(run: Run, why: &str) {
    let run = run.code(0).says("the output is not whole").says(why);
    let task = task(&run);
    assert_eq!(
        (&task["state"], &task["exitCode"]),
        (&"succeeded".into(), &0.into())
    );
    assert_eq!(task["truncated"], true);
    assert_eq!(stdout(&task), &numbers(LINES)[..SSM_KEEPS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_megabytes_come_from_the_bucket_byte_for_byte() {
    let world = configured(BUCKET).await;
    let run = seq(&world, ADMIN).await.code(0);
    let task = task(&run);
    assert_eq!(
        (task["truncated"].as_bool(), &*run.stderr),
        (Some(false), "")
    );
    assert!(numbers(LINES).len() > 2_900_000);
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
    assert_eq!(fetches(&world), (1, 1, 1));
    let parts = std::fs::read_dir(world.state().join("outputs")).unwrap();
    assert_eq!(parts.count(), 1, "one file, and nothing beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_megabytes_come_from_the_log_group_line_for_line() {
    let world = configured(LOGS).await;
    let run = seq(&world, ADMIN).await.code(0);
    assert_eq!(task(&run)["truncated"], false);
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
    assert!(
        world.sandbox.count("logs.GetLogEvents") >= 3,
        "a page is a megabyte"
    );
    assert_eq!(fetches(&world), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ssm_does_not_cut_is_not_fetched() {
    let world = configured(BUCKET).await;
    for command in ["hostname", "echo out; echo err 1>&2", "yes 23999"] {
        let run = start(&world, ADMIN, &[LINUX], command).end().await;
        assert_eq!(task(&run)["truncated"], false, "{command}");
    }
    let (lists, gets, _) = fetches(&world);
    assert_eq!((lists, gets), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_that_was_cut_is_fetched_and_the_code_stays() {
    let world = configured(BUCKET).await;
    let command = "seq 20000; seq 3000 1>&2; exit 3";
    let run = start(&world, ADMIN, &[LINUX], command).end().await.code(3);
    assert_eq!(task(&run)["truncated"], false);
    assert_eq!(stored(&world, &[]).await, numbers(20_000));
    let stderr = numbers(3000) + "failed to run commands: exit status 3";
    assert_eq!(stored(&world, &["--stderr"]).await, stderr);
    assert_eq!(fetches(&world), (1, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_every_platform_leave_theirs() {
    let world = configured(BUCKET).await;
    let instances = [LINUX, LINUX_2, WINDOWS];
    let run = start(&world, ADMIN, &instances, "yes 100001")
        .end()
        .await
        .code(0);
    let run = run.json();
    for task in run["tasks"].as_array().unwrap() {
        assert_eq!(task["truncated"], false, "{task}");
    }
    assert_eq!(fetches(&world), (3, 3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_may_not_write_leaves_what_ssm_keeps_and_a_word_about_it() {
    for (config, why) in [
        (
            BUCKET,
            "has not come to s3://111122223333-artifacts/runs/eu-west-1",
        ),
        (LOGS, "has not come to the log group /runs/111122223333"),
    ] {
        let world = configured(config).await;
        world.sandbox.faults().set_instances_may_write(false);
        assert_cut(seq(&world, ADMIN).await, why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_read_keeps_what_ssm_gives_and_is_told() {
    let world = configured(BUCKET).await;
    let why = "NoS3 may not read s3://111122223333-artifacts/runs/eu-west-1";
    assert_cut(seq(&world, NO_S3).await, why);
    world.configure(LOGS);
    world.sandbox.faults().deny("logs:GetLogEvents");
    let why = "AdministratorAccess may not read the log group /runs/111122223333";
    assert_cut(seq(&world, ADMIN).await, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told() {
    let world = configured("[ssm]\noutput_bucket = 'no-such-bucket'\n").await;
    assert_cut(seq(&world, ADMIN).await, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_without_listing_suffices() {
    let world = configured(BUCKET).await;
    world.sandbox.faults().deny("s3:ListBucket");
    let run = seq(&world, ADMIN).await.code(0);
    assert_eq!(task(&run)["truncated"], false);
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_sees_only_previews_gets_both_streams_apart() {
    for config in [BUCKET, LOGS] {
        let world = configured(config).await;
        world.sandbox.faults().deny("ssm:GetCommandInvocation");
        let command = "seq 20000; echo err 1>&2";
        let run = start(&world, ADMIN, &[LINUX], command).end().await.code(0);
        let task = task(&run);
        assert_eq!(task["truncated"], false);
        assert_eq!(stdout(&task), numbers(20_000));
        assert_eq!(task["stderr"], "err\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bucket_fails_the_log_group_has_it() {
    let world = configured(&format!("{BUCKET}output_log_group = 'runs'\n")).await;
    let run = seq(&world, NO_S3).await.code(0);
    assert_eq!(task(&run)["truncated"], false);
    assert_eq!(run.stderr, "");
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_followed_there() {
    let world = configured(BUCKET).await;
    world.sandbox.faults().set_bucket_region("us-east-1");
    let run = seq(&world, ADMIN).await.code(0);
    assert_eq!(task(&run)["truncated"], false);
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
    // The first list was sent to the wrong region.
    assert_eq!(fetches(&world), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_or_log_group_in_trouble_is_asked_again() {
    for (config, service) in [(BUCKET, "s3"), (LOGS, "logs")] {
        let world = configured(config).await;
        let faults = world.sandbox.faults();
        faults.throttle_next(service, 2);
        faults.fail_next(service, 1, 500);
        faults.reset_next(service, 1);
        let run = seq(&world, ADMIN).await.code(0);
        assert_eq!(task(&run)["truncated"], false, "{service}");
        assert!(
            stored(&world, &[]).await == numbers(LINES),
            "not what was printed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_an_output_may_hold_ends_there() {
    let world = configured(&format!("{BUCKET}[limits]\noutput_bytes = 1000000\n")).await;
    let run = seq(&world, ADMIN).await.code(0);
    let run = run.says("the output is not whole");
    assert_eq!(task(&run)["truncated"], true);
    assert!(
        stored(&world, &[]).await == numbers(LINES)[..1_000_000],
        "not the beginning of what was printed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_upload_is_waited_for() {
    for config in [BUCKET, LOGS] {
        let world = configured(config).await;
        let faults = world.sandbox.faults();
        faults.set_upload_delay(Duration::from_secs(4));
        let run = start(&world, ADMIN, &[LINUX], "seq 20000").end().await;
        let task = task(&run.code(0));
        assert_eq!(task["truncated"], false);
        assert_eq!(stdout(&task), numbers(20_000));
        assert!(world.sandbox.count("s3.GetObject") <= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_output_holds_up_nobody_else() {
    let world = configured(BUCKET).await;
    let faults = world.sandbox.faults();
    faults.set_upload_delay(Duration::from_mins(10));
    // Windows knows no such program, and says so in a few words.
    let run = start(&world, ADMIN, &[LINUX, WINDOWS], "seq 20000");
    world.sandbox.reached("s3.ListObjectsV2", 4).await;
    let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
    let tasks = &jobs["jobs"][0]["tasks"];
    let states = [&tasks[0]["state"], &tasks[1]["state"]];
    assert_eq!(states, ["running", "failed"]);
    drop(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_waiting_for_an_output() {
    let world = configured(BUCKET).await;
    world
        .sandbox
        .faults()
        .set_upload_delay(Duration::from_mins(10));
    let run = start(&world, ADMIN, &[LINUX], &format!("seq {LINES}"));
    world.sandbox.reached("s3.ListObjectsV2", 1).await;
    run.interrupt();
    let run = run.end().await;
    let run = run.says("cancelled before its whole output was fetched");
    let task = task(&run);
    assert_eq!(task["state"], "succeeded");
    assert_eq!(task["truncated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_leaves_the_whole_output_to_the_next_one() {
    let world = configured(BUCKET).await;
    world
        .sandbox
        .faults()
        .set_upload_delay(Duration::from_secs(3));
    let daemon = world.daemon_pid().await.unwrap();
    let run = start(&world, ADMIN, &[LINUX], &format!("seq {LINES}"));
    world.sandbox.reached("s3.ListObjectsV2", 1).await;
    signal(daemon, "KILL");
    world.daemon_is_gone().await;
    // What the command was sent with counts, not what is configured by now.
    world.configure("");
    let jobs = within_limit("the next daemon", world.awsso(&["jobs", "list", "--json"])).await;
    let jobs = jobs.json();
    let job = jobs["jobs"][0]["id"].as_str().unwrap();
    let _ = world.awsso(&["jobs", "watch", job]).await.code(0);
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 1);
    assert!(
        stored(&world, &[]).await == numbers(LINES),
        "not what was printed"
    );
    drop(run);
    let jobs = world.awsso(&["jobs", "list", "--json"]).await.json();
    assert_eq!(jobs["jobs"][0]["tasks"][0]["truncated"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_it_what_ssm_cuts_is_lost_and_that_is_told() {
    let world = World::logged_in().await;
    let run = seq(&world, ADMIN)
        .await
        .code(0)
        .says("the output is not whole");
    assert_eq!(task(&run)["truncated"], true);
    assert!(!run.stderr.contains("cut at"), "{run:#?}");
    assert_eq!(fetches(&world), (0, 0, 1));
}
