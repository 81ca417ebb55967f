//! A daemon that restarts below a program that runs.

use std::fs::File;

use awsso_e2e::{World, known::PRODUCTION, process::signal, within_limit};
use awsso_proto::v1::{ClientKind, ShutdownRequest};
use tokio::net::TcpListener;

use super::{Waiting, python};

/// As long as this is locked, no daemon is started.
fn no_start(world: &World) -> File {
    let lock = File::options()
        .write(true)
        .open(world.endpoint().start_lock())
        .unwrap();
    lock.lock().unwrap();
    lock
}

/// Waits until the log tells of so many. To try to connect could take the very port.
async fn endpoints_opened(world: &World, wanted: usize) {
    let opened = async || {
        let log = world.awsso(&["daemon", "logs"]).await.ok();
        log.matches("credential endpoint opened").count()
    };
    let all = async { while opened().await < wanted {} };
    within_limit("the endpoint", all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_daemon_is_not_noticed() {
    let world = World::logged_in().await;
    let script = format!(
        "'{}' -c \"import boto3; print(boto3.client('sts').get_caller_identity()['Account'])\"",
        python()
    );
    let child = Waiting::start(&world, &script).await;
    assert_eq!(child.known.get().await.0, 200);
    let before = world.daemon_pid().await.unwrap();
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_ne!(world.daemon_pid().await.unwrap(), before);
    endpoints_opened(&world, 2).await;
    assert_eq!(child.known.get().await.0, 200);

    // Killed, it has no time to say goodbye. No other can start until the port was seen closed.
    let lock = no_start(&world);
    signal(world.daemon_pid().await.unwrap(), "KILL");
    child.known.is_closed().await;
    lock.unlock().unwrap();
    endpoints_opened(&world, 3).await;
    assert_eq!(child.known.get().await.0, 200);
    let run = child.end().await.code(0);
    assert!(run.stdout.ends_with(&format!("{PRODUCTION}\n")), "{run:#?}");
    assert_eq!(run.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_somebody_else_has_taken_is_told_once_and_the_program_goes_on() {
    let world = World::logged_in().await;
    let child = Waiting::start(&world, "exit 7").await;
    // Nobody can start a daemon while the test takes the port.
    let lock = no_start(&world);
    let person = world.connect(ClientKind::Cli).await;
    person
        .daemon()
        .shutdown(ShutdownRequest {
            force: true,
            ..ShutdownRequest::default()
        })
        .await
        .unwrap();
    drop(person);
    world.daemon_is_gone().await;
    let taken = TcpListener::bind(&child.known.host).await.unwrap();
    lock.unlock().unwrap();
    child.run.says("gets no new credentials").await;
    drop(taken);
    let told = child.end().await.code(7);
    assert_eq!(told.stderr.matches("awsso:").count(), 1, "{told:#?}");
}
