//! `ec2-exec-command` as a shell on instances: which shell, where, how strict, on
//! how many; and what it will not send.

use std::time::Duration;

use awsso_e2e::{
    Run, World,
    known::{ADMIN, LINUX, OFFLINE, PRODUCTION, WINDOWS},
    sandbox::Config,
    within_limit,
};
use serde_json::Value;

const SENT: &str = "ssm.SendCommand";
const POLLED: &str = "ssm.ListCommandInvocations";
const ON: [&str; 5] = ["ec2-exec-command", "--account", PRODUCTION, "--role", ADMIN];

/// With more instances; every tenth has no bash, and as many run Windows.
async fn with_fleet(fleet: usize) -> World {
    World::logged_in_to(Config {
        fleet,
        ..Config::default()
    })
    .await
}

async fn run(world: &World, more: &[&str]) -> Run {
    world.awsso(&[&ON[..], more].concat()).await
}

async fn on_linux(world: &World, more: &[&str]) -> Run {
    run(world, &[&["--instance-id", LINUX], more].concat()).await
}

fn tasks(job: &Value) -> &[Value] {
    job["tasks"].as_array().unwrap()
}

fn states(job: &Value) -> Vec<&str> {
    let tasks = tasks(job).iter();
    tasks.map(|task| task["state"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_runs_it_where_there_is_bash_and_sh_elsewhere() {
    let world = with_fleet(10).await;
    let both = ["--json", "--name", "fleet-0001", "--name", "fleet-0010"];
    let shell = ["--command", "echo \"${BASH_VERSION-sh}\""];
    let run = async |more: &[&str]| run(&world, &[&both[..], &shell, more].concat()).await;
    let (any, sh, bash) =
        tokio::join!(run(&[]), run(&["--shell", "sh"]), run(&["--shell", "bash"]));
    let printed = |job: &Value| {
        let printed = tasks(job).iter().map(|task| task["stdout"].clone());
        printed.collect::<Vec<_>>()
    };
    assert_eq!(
        printed(&any.code(0).json()),
        ["5.2.15(1)-release\n", "sh\n"]
    );
    assert_eq!(printed(&sh.code(0).json()), ["sh\n", "sh\n"]);
    let bash = bash.code(6).json();
    assert_eq!(printed(&bash), ["5.2.15(1)-release\n", ""]);
    let without = &tasks(&bash)[1];
    assert_eq!(without["exitCode"], 127);
    let stderr = without["stderr"].as_str().unwrap();
    assert!(stderr.contains("bash: not found"), "{stderr}");
    // One command each: which shell it is, the instance decides.
    assert_eq!(world.sandbox.count(SENT), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_run_ends_at_the_first_failure() {
    let world = World::logged_in().await;
    let text = "echo begun\nfalse | true\necho on";
    let loose = on_linux(&world, &["--command", text]).await;
    assert_eq!(loose.ok(), "begun\non\n");
    let strict = on_linux(&world, &["--strict", "--command", text]).await;
    assert_eq!(strict.code(1).stdout, "begun\n");
    let interpreted = ["--strict", "--command", "#!/bin/sh\necho x"];
    let _ = on_linux(&world, &interpreted).await.code(125).says("#!");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_in_the_directory_that_is_asked_for() {
    let world = World::logged_in().await;
    let at = async |directory: &str| {
        let directory = ["--working-directory", directory, "--command", "pwd"];
        on_linux(&world, &directory).await
    };
    let (there, missing, relative) = tokio::join!(at("/srv"), at("/nowhere"), at("srv"));
    assert_eq!(there.ok(), "/srv\n");
    let _ = missing.code(1).says("/nowhere");
    let _ = relative.code(125).says("not an absolute path");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_windows_the_last_command_decides_too() {
    let world = World::logged_in().await;
    let on_windows = async |command: &str| {
        let on = ["--instance-id", WINDOWS, "--command", command];
        run(&world, &on).await
    };
    let (good, bad) = tokio::join!(
        on_windows("no-such-program\nhostname"),
        on_windows("hostname\nno-such-program"),
    );
    assert_eq!(good.code(0).stdout, "win-1\r\n");
    assert_eq!(bad.code(1).stdout, "win-1\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ssm_would_resolve_on_the_way_is_not_sent() {
    let world = World::logged_in().await;
    let secret = ["--command", "echo {{ssm:/prod/password}}"];
    let _ = on_linux(&world, &secret)
        .await
        .code(125)
        .says("{{ssm:/prod/password}}")
        .says("hint: ");
    assert_eq!(world.sandbox.count(SENT), 0);
    let format = ["--command", "echo '{{.Names}}'"];
    assert_eq!(on_linux(&world, &format).await.ok(), "{{.Names}}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_mean_more_are_told() {
    let world = World::logged_in().await;
    let code = async |code: &str| on_linux(&world, &["--command", &format!("exit {code}")]).await;
    let (reboot, killed) = tokio::join!(code("194"), code("137"));
    let _ = reboot
        .code(194)
        .says("Warning: after \"exit 194\" the SSM agent reboots the instance")
        .says("asks the SSM agent to reboot the instance and run the command again");
    let _ = killed.code(137).says("the process was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_of_every_platform_is_one_call() {
    let world = with_fleet(120).await;
    let tags = ["--json", "--targets", "tag:Role=fleet,web,win,mac"];
    let command = ["--command", "hostname"];
    let job = run(&world, &[&tags[..], &command].concat()).await;
    let job = job.code(0).json();
    assert_eq!(tasks(&job).len(), 124);
    for task in tasks(&job) {
        assert_eq!(task["exitCode"], 0, "{task}");
        assert_ne!(task["stdout"], "", "{task}");
    }
    // 111 with sh and 13 with PowerShell, fifty at a time.
    assert_eq!(world.sandbox.count(SENT), 4);
    // What the lists show is whole.
    assert_eq!(world.sandbox.count("ssm.GetCommandInvocation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_a_job_is_cancelled_and_what_had_ended_stays_so() {
    let world = with_fleet(120).await;
    let work = ["--targets", "tag:Role=fleet", "--command", "work"];
    let run = world.awsso_in_background(&[&ON[..], &work].concat());
    within_limit("polls", world.sandbox.reached(POLLED, 3)).await;
    world.sandbox.advance(Duration::from_secs(15));
    let seen = world.sandbox.count(POLLED);
    // A whole tick of three commands began after that.
    within_limit("polls", world.sandbox.reached(POLLED, seen + 6)).await;
    run.interrupt();
    let _ = run.end().await.code(130);
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    let job = &listed["jobs"][0];
    assert_eq!(job["state"], "partial");
    let states = states(job);
    let count = |word: &str| states.iter().filter(|state| **state == word).count();
    assert_eq!(count("succeeded") + count("cancelled"), 120);
    assert!(
        count("succeeded") >= 55 && count("cancelled") >= 40,
        "{states:?}"
    );
    assert_eq!(world.sandbox.count("ssm.CancelCommand"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_delivered_in_time_is_undeliverable_whatever_it_may_run() {
    let world = World::logged_in().await;
    let late = ["--instance-id", OFFLINE, "--delivery-timeout", "60"];
    let command = ["--timeout", "5", "--command", "hostname"];
    let run = world.awsso_in_background(&[&ON[..], &late, &command].concat());
    within_limit("polls", world.sandbox.reached(POLLED, 2)).await;
    world.sandbox.advance(Duration::from_secs(30));
    let seen = world.sandbox.count(POLLED);
    within_limit("polls", world.sandbox.reached(POLLED, seen + 2)).await;
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    assert_eq!(states(&listed["jobs"][0]), ["running"]);
    world.sandbox.advance(Duration::from_secs(31));
    let _ = run.end().await.code(125).says("could not be delivered");
    let listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    assert_eq!(states(&listed["jobs"][0]), ["undeliverable"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_errors_than_allowed_end_what_has_not_begun() {
    let world = with_fleet(4).await;
    let one = ["--json", "--targets", "tag:Role=fleet", "--parallel", "1"];
    let command = ["--max-errors", "0", "--command", "sleep 1; false"];
    let job = run(&world, &[&one[..], &command].concat()).await;
    let job = job.code(1).json();
    let expected = ["failed", "cancelled", "cancelled", "cancelled"];
    assert_eq!(states(&job), expected);
}
