//! Run Command when AWS is slow, forgetful or out of reach: nothing is sent
//! twice, and nothing that has not ended is called ended.

use std::time::Duration;

use awsso_e2e::{
    Background, World,
    known::{ADMIN, LINUX, NO_SSM_INVENTORY, OFFLINE, PRODUCTION},
    sandbox::Unstarted,
    within_limit,
};
use awsso_proto::v1::{ClientKind, ListJobsRequest, TaskState};
use serde_json::Value;

const SENT: &str = "ssm.SendCommand";
const POLLED: &str = "ssm.ListCommandInvocations";

fn start(world: &World, role: &str, instance: &str, command: &str, more: &[&str]) -> Background {
    let target = ["ec2-exec-command", "--account", PRODUCTION, "--role", role];
    let work = ["--instance-id", instance, "--command", command];
    world.awsso_in_background(&[&target[..], &work, more].concat())
}

fn on_linux(world: &World, command: &str) -> Background {
    start(world, ADMIN, LINUX, command, &[])
}

async fn polled(world: &World, at_least: u64) {
    within_limit("polls", world.sandbox.reached(POLLED, at_least)).await;
}

async fn newest_task(world: &World) -> Value {
    let mut listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    listed["jobs"][0]["tasks"][0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_not_visible_yet_is_waited_for() {
    let world = World::logged_in().await;
    world
        .sandbox
        .faults()
        .set_visibility_delay(Duration::from_secs(2));
    let listing = on_linux(&world, "hostname");
    let getting = start(&world, NO_SSM_INVENTORY, LINUX, "hostname", &[]);
    let (listing, getting) = tokio::join!(listing.end(), getting.end());
    assert_eq!(listing.ok(), "web-1\n");
    assert_eq!(getting.ok(), "web-1\n");
    assert_eq!(world.sandbox.count(SENT), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_seconds_of_invocation_does_not_exist_are_waited_for() {
    let world = World::logged_in().await;
    world
        .sandbox
        .faults()
        .set_visibility_delay(Duration::from_secs(20));
    let listing = on_linux(&world, "hostname");
    let getting = start(&world, NO_SSM_INVENTORY, LINUX, "exit 3", &[]);
    let (listing, getting) = tokio::join!(listing.end(), getting.end());
    assert_eq!(listing.ok(), "web-1\n");
    let _ = getting.code(3);
    assert_eq!(world.sandbox.count(SENT), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_command_that_was_reset_is_not_known_and_not_sent_again() {
    let world = World::logged_in().await;
    world.sandbox.faults().reset_next(SENT, 1);
    let run = on_linux(&world, "hostname").end().await;
    let _ = run.code(125).says("cannot be known");
    assert_eq!(newest_task(&world).await["state"], "unknown");
    assert_eq!(world.sandbox.count(SENT), 1);
    assert!(world.sandbox.count("ssm.ListCommands") > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_offline_is_waited_for_until_the_person_cancels() {
    let world = World::logged_in().await;
    let run = start(&world, ADMIN, OFFLINE, "hostname", &[]);
    // Pending at first, Delayed from then on.
    polled(&world, 4).await;
    assert_eq!(newest_task(&world).await["state"], "running");
    run.interrupt();
    let _ = run.end().await.code(130);
    assert_eq!(newest_task(&world).await["state"], "cancelled");
    assert_eq!(world.sandbox.count("ssm.CancelCommand"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_in_aws_and_its_last_word_counts() {
    let world = World::logged_in().await;
    let run = on_linux(&world, "sleep 600");
    polled(&world, 2).await;
    run.interrupt();
    let _ = run.end().await.code(130).says("Cancelling");
    assert_eq!(newest_task(&world).await["state"], "cancelled");
    assert_eq!(world.sandbox.count("ssm.CancelCommand"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_is_the_agents_and_is_told_as_such() {
    let world = World::logged_in().await;
    let run = start(
        &world,
        ADMIN,
        LINUX,
        "echo begun; sleep 600",
        &["--timeout", "20"],
    );
    polled(&world, 1).await;
    world.sandbox.advance(Duration::from_secs(10));
    let seen = world.sandbox.count(POLLED);
    polled(&world, seen + 2).await;
    assert_eq!(
        newest_task(&world).await["state"],
        "running",
        "after 10 of 20 s"
    );
    world.sandbox.advance(Duration::from_secs(11));
    let _ = run.end().await.code(125).says("ran out of time");
    assert_eq!(newest_task(&world).await["state"], "timed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_send_command_is_looked_up_and_never_sent_again() {
    let world = World::logged_in().await;
    world.sandbox.faults().lose_answer_next(SENT);
    let run = on_linux(&world, "hostname").end().await.code(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("web-1\n", ""));
    assert_eq!(world.sandbox.count(SENT), 1);
    assert!(world.sandbox.count("ssm.ListCommands") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_refused_for_its_rate_is_sent_once_more() {
    let world = World::logged_in().await;
    world.sandbox.faults().throttle_next(SENT, 2);
    assert_eq!(on_linux(&world, "hostname").end().await.ok(), "web-1\n");
    assert_eq!(world.sandbox.count(SENT), 3);
    assert_eq!(world.sandbox.count("throttled.ssm.SendCommand"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_fail_do_not_end_the_run() {
    let world = World::logged_in().await;
    let faults = world.sandbox.faults();
    faults.throttle_next(POLLED, 1);
    faults.fail_next(POLLED, 1, 500);
    faults.reset_next(POLLED, 1);
    faults.garbage_next(POLLED, 1);
    faults.throttle_next("ssm.GetCommandInvocation", 1);
    faults.fail_next("ssm.GetCommandInvocation", 1, 503);
    let run = on_linux(&world, "echo out; exit 4").end().await.code(4);
    assert_eq!(run.stdout, "out\n");
    assert_eq!(run.stderr, "failed to run commands: exit status 4");
    assert_eq!(world.sandbox.count(SENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_never_starts_the_command_says_why_and_has_no_exit_code() {
    let world = World::logged_in().await;
    let person = world.connect(ClientKind::Cli).await;
    for (unstarted, state, detail) in [
        (
            Unstarted::Undeliverable,
            TaskState::Undeliverable,
            "Undeliverable",
        ),
        (Unstarted::AccessDenied, TaskState::Denied, "AccessDenied"),
        (
            Unstarted::InvalidPlatform,
            TaskState::Failed,
            "InvalidPlatform",
        ),
    ] {
        world.sandbox.faults().set_unstarted(Some(unstarted));
        let run = on_linux(&world, "hostname").end().await.code(125);
        assert_eq!(run.stdout, "");
        let listed = person.jobs().list(ListJobsRequest {}).await.unwrap();
        let task = &listed.get_ref().jobs[0].tasks[0];
        assert_eq!((task.state(), task.exit_code), (state, None), "{task:?}");
        assert_eq!(task.detail, detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_end_during_a_run_are_replaced() {
    let world = World::logged_in().await;
    let run = on_linux(&world, "sleep 60; echo done");
    polled(&world, 1).await;
    world.sandbox.revoke_credentials();
    let renewed = world.sandbox.reached("sso.GetRoleCredentials", 2);
    within_limit("new keys", renewed).await;
    world.sandbox.advance(Duration::from_secs(61));
    assert_eq!(run.end().await.ok(), "done\n");
    assert_eq!(world.sandbox.count(SENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_the_client_that_started_it() {
    let world = World::logged_in().await;
    let run = on_linux(&world, "sleep 60; echo done");
    polled(&world, 1).await;
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    let id = listed["jobs"][0]["id"].as_str().unwrap().to_owned();
    run.kill().await;
    let watching = world.awsso_in_background(&["jobs", "watch", &id]);
    world.sandbox.advance(Duration::from_secs(61));
    assert_eq!(watching.end().await.ok(), "done\n");
    assert_eq!(world.awsso(&["jobs", "output", &id]).await.ok(), "done\n");
    assert_eq!(world.sandbox.count("ssm.CancelCommand"), 0);
}
