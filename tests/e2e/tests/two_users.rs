//! Two users of one place: the same start URL under two names.

use std::fs;

use awsso_e2e::{Run, World, known};
use serde_json::Value;

const REGISTERED: &str = "ssooidc.RegisterClient";
const NAMES: [&str; 2] = ["alice", "bob"];

/// Both in the AWS config, with a profile each.
fn in_the_aws_config(world: &World) {
    world.aws_config(&NAMES.map(|name| world.sso_session(name)).concat());
}

/// Both in `config.toml`, and nowhere else.
fn in_config_toml(world: &World) {
    let (url, region) = (world.sandbox.start_url(), world.sandbox.region());
    let session = |name| format!("[session.{name}]\nstart_url = '{url}'\nregion = '{region}'\n");
    world.configure(&NAMES.map(session).concat());
}

async fn session(world: &World, name: &str) -> Value {
    let status = world.awsso_unnamed(&[], &["status", "--json"]).await;
    let status = status.code(0).json();
    let sessions = status["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{status:#}");
    let session = sessions.iter().find(|session| session["name"] == name);
    session.unwrap_or_else(|| panic!("{status:#}")).clone()
}

async fn login(world: &World, name: &str) -> String {
    let args = ["login", "--no-launch-browser", name];
    world.awsso_unnamed(&[], &args).await.ok()
}

async fn accounts(world: &World, name: &str) -> Run {
    let args = ["ls-accounts", "--refresh", "--session", name];
    world.awsso_unnamed(&[], &args).await
}

async fn each_has_a_login_of_their_own(world: &World) {
    let said = login(world, "alice").await;
    assert!(said.starts_with("Logged in to alice"), "{said}");
    let bob = session(world, "bob").await;
    assert_eq!(bob["state"], "login_required", "{bob}");
    let _ = accounts(world, "bob").await.code(3);
    let said = login(world, "bob").await;
    assert!(said.starts_with("Logged in to bob"), "{said}");
    assert_eq!(world.sandbox.count(REGISTERED), 2);
    for name in NAMES {
        let session = session(world, name).await;
        assert_eq!(session["state"], "active", "{session}");
        assert_eq!(session["takenOver"], false, "{session}");
        let _ = accounts(world, name).await.ok();
    }
}

async fn the_logout_of_one_leaves_the_other(world: &World) {
    let out = world.awsso_unnamed(&[], &["logout", "alice"]).await.ok();
    assert!(out.starts_with("Logged out of alice"), "{out}");
    assert_eq!(world.sandbox.count("sso.Logout"), 1);
    for restart in [false, true] {
        if restart {
            let _ = world.awsso(&["daemon", "restart"]).await.ok();
        }
        assert_eq!(session(world, "alice").await["state"], "login_required");
        assert_eq!(session(world, "bob").await["state"], "active");
        let _ = accounts(world, "alice").await.code(3);
        let _ = accounts(world, "bob").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_in_the_aws_config_do_not_share_a_login() {
    let world = World::new().await;
    in_the_aws_config(&world);
    each_has_a_login_of_their_own(&world).await;

    let [alice, bob] = [
        world.cache_file("alice").await,
        world.cache_file("bob").await,
    ];
    let read = |file| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap();
    assert_ne!(read(&alice)["accessToken"], read(&bob)["accessToken"]);
    assert_eq!(fs::read_dir(world.aws_cache()).unwrap().count(), 2);
    the_logout_of_one_leaves_the_other(&world).await;
    assert!(!alice.exists());
    assert!(bob.exists());
    let _ = world.aws_cli_identity("bob").await.ok();
    let refused = world.aws_cli_identity("alice").await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_in_config_toml_do_not_share_a_login() {
    let world = World::new().await;
    in_config_toml(&world);
    each_has_a_login_of_their_own(&world).await;
    the_logout_of_one_leaves_the_other(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_a_profile_select_the_user() {
    let world = World::new().await;
    in_the_aws_config(&world);
    let _ = login(&world, "bob").await;
    let keys = async |vars: &[(&str, &str)], more: &[&str]| {
        let target = ["env", "--account", known::PRODUCTION, "--role"];
        let args = [&target[..], &[known::READ_ONLY], more].concat();
        world.awsso_unnamed(vars, &args).await
    };
    let _ = keys(&[], &["--session", "bob"]).await.ok();
    let _ = keys(&[("AWSSO_SESSION", "bob")], &[]).await.ok();
    let _ = keys(&[("AWS_PROFILE", "bob")], &[]).await.ok();
    let _ = keys(&[], &["--session", "alice"]).await.code(3);
    let _ = keys(&[("AWSSO_SESSION", "alice")], &[]).await.code(3);
    let _ = keys(&[("AWS_PROFILE", "alice")], &[]).await.code(3);
    // The nearest word counts.
    let far = [("AWSSO_SESSION", "alice"), ("AWS_PROFILE", "alice")];
    let _ = keys(&far, &["--session", "bob"]).await.ok();
    let near = [("AWSSO_SESSION", "bob"), ("AWS_PROFILE", "alice")];
    let _ = keys(&near, &[]).await.ok();
    let _ = keys(&[], &[]).await.code(2).says("alice, bob");
    let out = world
        .awsso_unnamed(&[("AWS_PROFILE", "alice")], &["logout", "bob"])
        .await;
    assert!(out.ok().starts_with("Logged out of bob"));
}
