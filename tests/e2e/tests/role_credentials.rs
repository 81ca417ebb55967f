//! Role credentials between the portal and those who use them: asked for once,
//! kept while they are good, renewed when AWS no longer takes them.

use std::time::Duration;

use awsso_e2e::{
    World, finish,
    known::{ADMIN, NO_S3, PRODUCTION, READ_ONLY},
    sandbox::{Config, Sandbox},
    within_limit,
};
use futures_util::future::join_all;

const ASKED: &str = "sso.GetRoleCredentials";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_commands_at_once_ask_for_credentials_once() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo $AWS_ACCESS_KEY_ID");
    world
        .sandbox
        .faults()
        .set_latency(Duration::from_millis(200));
    let runs = join_all((0..20).map(|_| aws.run("aws x"))).await;
    let keys: std::collections::BTreeSet<_> = runs.into_iter().map(awsso_e2e::Run::ok).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_kept_until_they_are_about_to_expire() {
    let world = World::logged_in_to(Config {
        credential_lifetime: Duration::from_secs(3),
        ..Config::default()
    })
    .await;
    let aws = world.fake_aws("echo $AWS_ACCESS_KEY_ID");
    let first = aws.run("aws x").await.ok();
    // The daemon's clock is the real one: the keys age while they are used.
    let mut kept = 0;
    let until_renewed = async {
        loop {
            match aws.run("aws x").await.ok() {
                keys if keys == first => kept += 1,
                keys => return keys,
            }
        }
    };
    let next = within_limit("new keys", until_renewed).await;
    assert!(kept > 0, "they did not serve twice");
    assert_ne!(next, first);
    assert_eq!(world.sandbox.count(ASKED), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_is_maybe_another_person_and_gets_keys_of_its_own() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo $AWS_ACCESS_KEY_ID");
    let before = aws.run("aws x").await.ok();
    let forced = world.awsso(&["login", "--no-launch-browser", "--force"]);
    let _ = forced.await.ok();
    assert_ne!(aws.run("aws x").await.ok(), before);
    assert_eq!(world.sandbox.count(ASKED), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_stumbles_is_not_noticed() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("true");
    let run = async |role: &str| {
        let mut exec = aws.awsso(&["exec-command", "--command", "aws x"]);
        exec.args(["--account", PRODUCTION, "--role", role]);
        finish(exec, role.to_owned()).await.code(0)
    };
    let faults = world.sandbox.faults();
    faults.throttle_next(ASKED, 3);
    assert_eq!(run(ADMIN).await.stderr, "");
    faults.fail_next(ASKED, 2, 503);
    assert_eq!(run(READ_ONLY).await.stderr, "");
    faults.reset_next(ASKED, 2);
    assert_eq!(run(NO_S3).await.stderr, "");
    assert_eq!(world.sandbox.count(ASKED), 4 + 3 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aws_that_cannot_be_reached_is_told_in_a_line_and_soon() {
    let mut world = World::logged_in().await;
    let elsewhere = Sandbox::start(Config::default()).await.unwrap();
    let gone = std::mem::replace(&mut world.sandbox, elsewhere);
    let aws = world.fake_aws("true");
    let mut exec = aws.exec("aws x");
    exec.env("AWS_SSO_START_URL", gone.start_url());
    // Nobody listens where the daemon's AWS was.
    gone.stop().await;
    let started = std::time::Instant::now();
    let told = finish(exec, "aws x".into())
        .await
        .code(125)
        .says("AWS cannot be reached")
        .says("hint: check the network");
    assert_eq!(told.stderr.lines().count(), 2, "{told:#?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_aws_no_longer_takes_are_replaced_and_the_command_repeated() {
    let world = World::logged_in().await;
    let who = || world.aws(PRODUCTION, ADMIN, "aws sts get-caller-identity");
    let _ = who().await.ok();
    world.sandbox.revoke_credentials();
    let again = who().await.code(0);
    assert_eq!(again.json()["Account"], PRODUCTION);
    assert_eq!(again.stderr, "");
    assert_eq!(world.sandbox.count(ASKED), 2);
    assert_eq!(world.sandbox.count("sts.GetCallerIdentity"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_aws_has_ended_is_told_as_such_and_runs_nothing() {
    let world = World::logged_in().await;
    let ran = world.dir().join("ran");
    let aws = world.fake_aws(&format!("touch {}", ran.display()));
    world.sandbox.revoke_tokens();
    let _ = aws
        .run("aws x")
        .await
        .code(125)
        .says("hint: run: awsso login");
    assert!(!ran.exists());
    // And what a person does then, helps.
    within_limit("login", world.login()).await;
    let _ = aws.run("aws x").await.ok();
    assert!(ran.exists());
}
