//! Clients and daemons that are killed in the middle of jobs: no job is lost,
//! none runs twice, and none ends in a state that is not true.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

use awsso_e2e::{
    Background, World, bin,
    known::{ADMIN, LINUX, LINUX_2, PRODUCTION, WINDOWS},
    process::signal,
    within_limit,
};
use serde_json::Value;

const ROUNDS: usize = 10;

/// Some part of a span, another one each time.
fn some(of: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    of.mul_f64(f64::from(u32::try_from(random >> 32).unwrap()) / f64::from(u32::MAX))
}

fn fleet(world: &World, command: &str) -> Background {
    let mut awsso = world.program(bin("awsso"));
    awsso.args(["ec2-exec-command", "--account", PRODUCTION, "--role", ADMIN]);
    for instance in [LINUX, LINUX_2, WINDOWS] {
        awsso.args(["--instance-id", instance]);
    }
    awsso.args(["--command", command]);
    Background::start(awsso, command)
}

async fn jobs(world: &World) -> Vec<Value> {
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    listed["jobs"].as_array().unwrap().clone()
}

/// Every job, once each has ended.
async fn ended(world: &World) -> Vec<Value> {
    for job in jobs(world).await {
        let _ = world
            .awsso(&["jobs", "watch", job["id"].as_str().unwrap()])
            .await;
    }
    let jobs = jobs(world).await;
    assert!(
        jobs.iter().all(|job| job["endedAt"].is_string()),
        "{jobs:#?}"
    );
    jobs
}

fn states(job: &Value) -> Vec<&str> {
    let tasks = job["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["state"].as_str().unwrap())
        .collect()
}

fn of_kind<'a>(jobs: &'a [Value], kind: &str) -> Option<&'a Value> {
    let found: Vec<_> = jobs.iter().filter(|job| job["kind"] == kind).collect();
    assert!(found.len() <= 1, "{found:#?}");
    found.first().copied()
}

/// Two commands (a shell's and a PowerShell's) on three instances.
fn check_fleet(job: Option<&Value>, sent: u64) {
    assert!(sent <= 2, "sent {sent} times");
    let Some(job) = job else {
        assert_eq!(sent, 0, "a job that was sent is lost");
        return;
    };
    let states = states(job);
    let succeeded = states.iter().filter(|state| **state == "succeeded").count();
    match sent {
        0 => assert_eq!(succeeded, 0, "{states:?}"),
        1 => assert!((1..=2).contains(&succeeded), "{states:?}"),
        _ => assert_eq!(succeeded, 3, "{states:?}"),
    }
    // What was not sent says that nothing ran, or that nobody knows.
    let others = ["succeeded", "cancelled", "unknown"];
    assert!(
        states.iter().all(|state| others.contains(state)),
        "{states:?}"
    );
}

fn check_command(job: Option<&Value>, marks: &str) {
    let begun = marks.matches("begin").count();
    assert!(begun <= 1, "it ran {begun} times");
    let Some(job) = job else {
        assert_eq!(begun, 0, "a command that ran is lost");
        return;
    };
    match states(job)[0] {
        "succeeded" => assert!(marks.contains("end"), "{marks}"),
        "cancelled" => assert_eq!(begun, 0, "{marks}"),
        "unknown" => {}
        other => panic!("{other}: {marks}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_client_and_daemon_are_killed_each_job_is_there_and_says_what_became_of_it() {
    for round in 0..ROUNDS {
        let world = World::logged_in().await;
        let marks = world.dir().join("marks");
        let script = format!(
            "echo begin >> {0}; sleep 0.2; echo end >> {0}",
            marks.display()
        );
        let aws = world.fake_aws(&script);
        let daemon = world.daemon_pid().await.unwrap();
        let clients = [fleet(&world, "sleep 1; hostname"), aws.start("aws x")];
        tokio::time::sleep(some(Duration::from_millis(400))).await;
        drop(clients); // SIGKILL
        tokio::time::sleep(some(Duration::from_millis(400))).await;
        signal(daemon, "KILL");
        world.daemon_is_gone().await;
        let jobs = within_limit("the end of every job", ended(&world)).await;
        let marks = std::fs::read_to_string(marks).unwrap_or_default();
        println!("round {round}: {jobs:#?}\n{marks}");
        check_fleet(
            of_kind(&jobs, "ssm"),
            world.sandbox.count("ssm.SendCommand"),
        );
        check_command(of_kind(&jobs, "aws_cli"), &marks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_leaves_a_run_in_aws_to_the_next_one() {
    let world = World::logged_in().await;
    let run = fleet(&world, "sleep 3; hostname");
    world.commands_are_sent(2).await;
    // Nothing would be lost: it need not be forced.
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let ended = run.end().await;
    // The client has found the next daemon, and printed each output once.
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for host in ["web-1", "web-2", "win-1"] {
        assert_eq!(ended.stdout.matches(host).count(), 1, "{ended:#?}");
    }
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 2);
}
