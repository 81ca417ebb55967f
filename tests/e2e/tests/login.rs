//! Logging in: alone, together, in vain, through faults and through restarts.

use std::time::{Duration, Instant};

use awsso_e2e::{Background, World, process::signal, sandbox::Config};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ASKED: &str = "ssooidc.StartDeviceAuthorization";
const POLLED: &str = "ssooidc.CreateToken";

/// A sandbox where a login waits for its person.
async fn waiting_world() -> World {
    World::with(Config {
        interval: Duration::from_secs(1),
        ..Config::default()
    })
    .await
}

/// A login, and the code that its person is asked for.
async fn login_asked(world: &World) -> (Background, String) {
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let code = world.sandbox.device_code_requested().await;
    login.says(&code).await;
    (login, code)
}

/// The only session of `status --json`.
async fn session(world: &World) -> Value {
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    let sessions = status["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{status}");
    sessions[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shows_link_and_code_on_stderr_and_its_success_on_stdout() {
    let world = waiting_world().await;
    let (login, code) = login_asked(&world).await;
    assert!(world.sandbox.approve());
    let page = format!("{}/device", world.sandbox.base_url());
    let run = login
        .end()
        .await
        .code(0)
        .says(&format!("{page}?user_code={code}"))
        .says(&format!("or open {page} and enter the code\n\n  {code}\n"));
    assert!(run.stdout.starts_with("Logged in to 127.0.0.1:"), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    assert!(!run.stderr.contains("Logged in"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_is_already_valid_and_a_forced_one_asks_anew() {
    let world = World::new().await;
    let first = world
        .awsso(&["login", "--no-launch-browser", "--json"])
        .await;
    let first = first.code(0).json();
    assert_eq!(first["state"], "active");
    assert_eq!(first["pendingLogin"], Value::Null);

    let second = world.awsso(&["login", "--no-launch-browser"]).await.code(0);
    assert!(
        second.stdout.starts_with("Already logged in to "),
        "{second:?}"
    );
    assert_eq!(second.stderr, "");
    assert_eq!(world.sandbox.count(ASKED), 1);

    let forced = world
        .awsso(&["login", "--no-launch-browser", "--force"])
        .await;
    assert!(forced.code(0).stdout.starts_with("Logged in to "));
    assert_eq!(world.sandbox.count(ASKED), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_logins_at_once_are_one_login_that_all_ten_see() {
    let world = waiting_world().await;
    let logins: Vec<_> = (0..10)
        .map(|_| world.awsso_in_background(&["login", "--no-launch-browser"]))
        .collect();
    let code = world.sandbox.device_code_requested().await;
    join_all(logins.iter().map(|login| login.says(&code))).await;
    assert!(world.sandbox.approve());
    let runs = join_all(logins.into_iter().map(Background::end)).await;
    let mut joined = 0;
    for run in runs {
        let run = run.code(0);
        assert!(run.stdout.starts_with("Logged in to "), "{run:?}");
        joined += usize::from(run.stderr.contains("Another client started this login"));
    }
    assert_eq!(joined, 9);
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_on_when_its_client_is_killed() {
    let world = waiting_world().await;
    let (login, _) = login_asked(&world).await;
    login.kill().await;
    assert!(world.sandbox.approve());
    world.somebody_is_logged_in().await;
    assert_eq!(session(&world).await["state"], "active");
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_login_fails_in_words_and_the_status_remembers() {
    let world = waiting_world().await;
    let (login, _) = login_asked(&world).await;
    assert!(world.sandbox.deny());
    let run = login.end().await.code(1).says("the login was denied");
    assert_eq!(run.stdout, "");
    let session = session(&world).await;
    assert_eq!(session["state"], "login_required");
    assert_eq!(session["lastError"], "the login was denied");
    assert_eq!(session["pendingLogin"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_confirms_ends_with_its_code() {
    let world = World::with(Config {
        interval: Duration::from_secs(1),
        device_code_lifetime: Duration::from_secs(1),
        ..Config::default()
    })
    .await;
    let login = world.awsso(&["login", "--no-launch-browser"]).await;
    let _ = login.code(1).says("nobody confirmed the code in time");
    let session = session(&world).await;
    assert_eq!(session["state"], "login_required");
    assert_eq!(session["lastError"], "nobody confirmed the code in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_aws_calls_expired_ends_the_login() {
    let world = waiting_world().await;
    let (login, _) = login_asked(&world).await;
    world.sandbox.advance(Duration::from_mins(11));
    let _ = login
        .end()
        .await
        .code(1)
        .says("nobody confirmed the code in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_told_to_slow_down_does() {
    // Asked for on the wire in whole seconds, and then enforced: the second poll is too early.
    let world = World::with(Config {
        interval: Duration::from_millis(1_900),
        ..Config::default()
    })
    .await;
    let (login, _) = login_asked(&world).await;
    world.sandbox.reached(POLLED, 2).await;
    let told = Instant::now();
    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
    assert_eq!(world.sandbox.count(POLLED), 3);
    assert!(
        told.elapsed() > Duration::from_millis(5_500),
        "{:?}",
        told.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_aws_ends_a_login() {
    let world = World::new().await;
    let faults = world.sandbox.faults();
    faults.fail_next(POLLED, 1, 500);
    faults.reset_next(POLLED, 1);
    faults.garbage_next(POLLED, 1);
    faults.throttle_next(POLLED, 1);
    let login = world.awsso(&["login", "--no-launch-browser"]).await.ok();
    assert!(login.starts_with("Logged in to "), "{login}");
    assert_eq!(world.sandbox.count(ASKED), 1);
    assert_eq!(session(&world).await["lastError"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_stopped_and_a_killed_daemon() {
    let world = waiting_world().await;
    let (login, code) = login_asked(&world).await;
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let _ = login
        .end()
        .await
        .code(4)
        .says("the login goes on when it is back");
    let resumed = session(&world).await;
    assert_eq!(resumed["state"], "login_pending");
    assert_eq!(resumed["pendingLogin"]["userCode"], json!(code));

    signal(world.daemon_pid().await.unwrap(), "KILL");
    world.daemon_is_gone().await;
    assert_eq!(
        session(&world).await["pendingLogin"]["userCode"],
        json!(code)
    );

    assert!(world.sandbox.approve_code(&code));
    world.somebody_is_logged_in().await;
    assert_eq!(session(&world).await["state"], "active");
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_gives_up_the_login_that_waits() {
    let world = waiting_world().await;
    let (login, _) = login_asked(&world).await;
    let out = world.awsso(&["logout"]).await.ok();
    assert!(out.starts_with("Logged out of "), "{out}");
    let _ = login.end().await.code(1).says("given up by a logout");
    assert_eq!(session(&world).await["state"], "login_required");
}
