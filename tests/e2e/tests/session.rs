//! A session after its login: renewed, refused, forgotten, ended.

use std::time::Duration;

use awsso_e2e::{World, known, process::signal, sandbox::Config};
use serde_json::Value;

const ASKED: &str = "ssooidc.StartDeviceAuthorization";
const TOKENS: &str = "ssooidc.CreateToken";
const REGISTERED: &str = "ssooidc.RegisterClient";

async fn session(world: &World) -> Value {
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    status["sessions"][0].clone()
}

/// Asks AWS something that needs the token.
async fn ask_aws(world: &World) -> awsso_e2e::Run {
    world.awsso(&["ls-accounts", "--refresh", "--json"]).await
}

async fn credentials(world: &World) -> awsso_e2e::Run {
    let target = ["--account", known::PRODUCTION, "--role", known::ADMIN];
    world
        .awsso(&[&["credential-process"], &target[..]].concat())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_the_daemon() {
    let world = World::logged_in().await;
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_eq!(session(&world).await["state"], "active");
    signal(world.daemon_pid().await.unwrap(), "KILL");
    world.daemon_is_gone().await;
    assert_eq!(session(&world).await["state"], "active");
    let _ = ask_aws(&world).await.ok();
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_has_read_its_logins_before_it_is_ready() {
    let world = World::logged_in().await;
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["sessions"][0]["state"], "active", "{status:#}");
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    let (_, second) = log.split_once(" stopped").unwrap();
    let (before, _) = second.split_once(" ready ").unwrap();
    assert!(before.contains("to=\"active\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_its_end_without_anybody_asking() {
    let world = World::with(Config {
        auto_approve: Some(Duration::ZERO),
        interval: Duration::from_secs(1),
        token_lifetime: Duration::from_secs(8),
        ..Config::default()
    })
    .await;
    world.login().await;
    let first = session(&world).await["accessTokenExpiresAt"].clone();
    let polls = world.sandbox.count(TOKENS);
    world.sandbox.reached(TOKENS, polls + 1).await;
    // Joins the renewal, whose answer is on its way.
    let _ = ask_aws(&world).await.ok();
    assert_eq!(world.sandbox.count(TOKENS), polls + 1);
    let renewed = session(&world).await;
    assert_eq!(renewed["state"], "active");
    assert_eq!(renewed["refreshable"], true);
    assert!(
        renewed["accessTokenExpiresAt"].as_str() > first.as_str(),
        "{renewed}"
    );
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_aws_has_let_expire_is_renewed_and_the_call_repeated_each_time() {
    let world = World::logged_in().await;
    let polls = world.sandbox.count(TOKENS);
    for renewals in 1..=2 {
        world.sandbox.expire_tokens();
        let _ = ask_aws(&world).await.ok();
        assert_eq!(world.sandbox.count(TOKENS), polls + renewals);
    }
    assert_eq!(session(&world).await["state"], "active");
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_refresh_token_is_the_one_that_a_restart_finds() {
    let world = World::logged_in().await;
    world.sandbox.expire_tokens();
    let _ = ask_aws(&world).await.ok();
    signal(world.daemon_pid().await.unwrap(), "KILL");
    world.daemon_is_gone().await;
    world.sandbox.expire_tokens();
    let _ = ask_aws(&world).await.ok();
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_for_now_is_no_logout() {
    let world = World::logged_in().await;
    let faults = world.sandbox.faults();
    let stumbles: [&dyn Fn(); 3] = [
        &|| faults.fail_next(TOKENS, 1, 503),
        &|| faults.garbage_next(TOKENS, 1),
        &|| faults.throttle_next(TOKENS, 1),
    ];
    for stumble in stumbles {
        world.sandbox.expire_tokens();
        stumble();
        let _ = ask_aws(&world)
            .await
            .code(1)
            .says("could not be renewed yet");
        assert_ne!(session(&world).await["state"], "login_required");
        let _ = ask_aws(&world).await.ok();
    }
    let session = session(&world).await;
    assert_eq!(
        (&session["state"], &session["lastError"]),
        (&"active".into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_aws_has_ended_needs_a_person() {
    let world = World::logged_in().await;
    world.sandbox.revoke_tokens();
    let run = ask_aws(&world)
        .await
        .code(3)
        .says("has ended")
        .says("run: awsso login");
    assert_eq!(run.stdout, "");
    let ended = session(&world).await;
    assert_eq!(ended["state"], "login_required");
    assert!(ended["lastError"].is_string(), "{ended}");
    assert_eq!(ended["accessTokenExpiresAt"], Value::Null);
    let _ = credentials(&world).await.code(3);
    let run = world
        .aws(
            known::PRODUCTION,
            known::ADMIN,
            "aws sts get-caller-identity",
        )
        .await;
    let _ = run.code(125).says("run: awsso login");

    world.login().await;
    assert_eq!(session(&world).await["lastError"], Value::Null);
    let _ = ask_aws(&world).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_aws_has_forgotten_is_registered_anew_once() {
    let world = World::logged_in().await;
    assert_eq!(world.sandbox.count(REGISTERED), 1);
    let _ = world
        .awsso(&["login", "--no-launch-browser", "--force"])
        .await
        .ok();
    assert_eq!(
        world.sandbox.count(REGISTERED),
        1,
        "a registration is used again"
    );
    world.sandbox.forget_clients();
    let _ = world
        .awsso(&["login", "--no-launch-browser", "--force"])
        .await
        .ok();
    assert_eq!(world.sandbox.count(REGISTERED), 2);
    assert_eq!(world.sandbox.count(ASKED), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_tells_aws_and_leaves_nothing_to_use() {
    let world = World::logged_in().await;
    let _ = credentials(&world).await.ok();
    let loaded = world.sandbox.count("sso.GetRoleCredentials");

    let out = world.awsso(&["logout"]).await.ok();
    assert!(out.starts_with("Logged out of "), "{out}");
    assert_eq!(world.sandbox.count("sso.Logout"), 1);
    let _ = credentials(&world).await.code(3).says("not logged in");
    let _ = world
        .awsso(&["ls-accounts"])
        .await
        .code(3)
        .says("not logged in");
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), loaded);

    let again = world.awsso(&["logout"]).await.ok();
    assert_eq!(again, "Nobody was logged in\n");
    assert_eq!(world.sandbox.count("sso.Logout"), 1);

    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_eq!(session(&world).await["state"], "login_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_does_not_need_aws() {
    let world = World::logged_in().await;
    world.sandbox.faults().fail_next("sso.Logout", 100, 500);
    let _ = world.awsso(&["logout", "--all"]).await.ok();
    let _ = credentials(&world).await.code(3);
}
