//! How a run ends before its time, and that its client's end is not its own.

use awsso_e2e::{World, within_limit};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
};

/// Prints `ready`, then waits with a child of its own. Every process of it holds
/// the writing end of a pipe.
fn waits_for_ever(world: &World) -> (String, pipe::Receiver) {
    let alive = fifo(world, "alive");
    let receiver = pipe::OpenOptions::new().open_receiver(&alive).unwrap();
    let script = format!(
        "exec 9> {}\n(trap '' TERM INT HUP; while :; do sleep 600; done) &\necho ready\nwait",
        alive.display()
    );
    (script, receiver)
}

pub fn fifo(world: &World, name: &str) -> std::path::PathBuf {
    let path = world.dir().join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// The pipe ends when the last process that holds it is gone.
async fn all_are_gone(mut alive: pipe::Receiver) {
    let read = alive.read_u8();
    let end = within_limit("the end of the child and its child", read).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

async fn newest_job(world: &World) -> Value {
    let mut listed = world.awsso(&["jobs", "list", "--json"]).await.json();
    listed["jobs"][0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_the_whole_group_and_says_so() {
    let world = World::logged_in().await;
    let (script, alive) = waits_for_ever(&world);
    let aws = world.fake_aws(&script);
    let mut exec = aws.exec("aws x");
    exec.args(["--timeout", "1"]);
    let ended = awsso_e2e::finish(exec, "aws x --timeout 1".into()).await;
    let ended = ended.code(125).says("ran out of time").says("1 s");
    assert_eq!(ended.stdout, "ready\n");
    all_are_gone(alive).await;
    let job = newest_job(&world).await;
    assert_eq!(job["state"], "failed");
    assert_eq!(job["tasks"][0]["state"], "timed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_run_and_its_processes_are_gone() {
    let world = World::logged_in().await;
    let (script, alive) = waits_for_ever(&world);
    let aws = world.fake_aws(&script);
    let run = aws.start("aws x");
    run.prints("ready").await;
    run.interrupt();
    let _ = run.end().await.code(130).says("Cancelling");
    all_are_gone(alive).await;
    let job = newest_job(&world).await;
    assert_eq!(job["state"], "cancelled");
    assert_eq!(job["tasks"][0]["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_cancel_ends_a_run_of_another_client() {
    let world = World::logged_in().await;
    let (script, alive) = waits_for_ever(&world);
    let aws = world.fake_aws(&script);
    let run = aws.start("aws x");
    run.prints("ready").await;
    let job = newest_job(&world).await;
    assert_eq!(job["state"], "running");
    let _ = world
        .awsso(&["jobs", "cancel", job["id"].as_str().unwrap()])
        .await
        .ok();
    let _ = run.end().await.code(125).says("cancelled");
    all_are_gone(alive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_takes_nothing_with_it() {
    let world = World::logged_in().await;
    let go = fifo(&world, "go");
    let aws = world.fake_aws(&format!(
        "echo ready; read line < {}; echo $line; echo end >&2",
        go.display()
    ));
    let run = aws.start("aws x");
    run.prints("ready").await;
    let job = newest_job(&world).await;
    let id = job["id"].as_str().unwrap();
    run.kill().await;

    let watching = world.awsso_in_background(&["jobs", "watch", id]);
    watching.prints("ready").await;
    let mut sender = pipe::OpenOptions::new().open_sender(&go).unwrap();
    sender.write_all(b"done\n").await.unwrap();
    let watched = watching.end().await.code(0);
    assert_eq!(watched.stdout, "ready\ndone\n");

    let job = newest_job(&world).await;
    assert_eq!(job["id"], id);
    assert_eq!(job["state"], "succeeded");
    assert_eq!(job["tasks"][0]["exitCode"], 0);
    let output = world.awsso(&["jobs", "output", id]).await.code(0);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("ready\ndone\n", "end\n")
    );
}
