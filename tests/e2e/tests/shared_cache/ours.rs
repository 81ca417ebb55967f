//! Our login, used by others.

use std::{fs, os::unix::fs::PermissionsExt as _};

use awsso_e2e::{World, known};
use serde_json::{Value, json};

use super::{ASKED, REGISTERED, TOKENS, session, token, world_of_corp};

/// The AWS CLI and boto3 get keys for this profile.
async fn others_are_served(world: &World, profile: &str) {
    let identity = world.aws_cli_identity(profile).await.code(0).json();
    assert_eq!(identity["Account"], known::PRODUCTION);
    let identity = world.botocore("identity", &json!([profile])).await;
    assert_eq!(identity, known::PRODUCTION);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_our_login_the_aws_cli_and_boto3_need_none() {
    let world = world_of_corp().await;
    world.login().await;
    others_are_served(&world, "corp").await;
    assert_eq!(world.sandbox.count(ASKED), 1);
    assert_eq!(world.sandbox.count(REGISTERED), 1, "ours alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_profile_is_served_under_its_own_spelling_of_the_start_url() {
    let world = World::new().await;
    let url = world.sandbox.start_url();
    let spellings = [
        ("plain", url.clone()),
        ("slash", format!("{url}/")),
        ("console", format!("{url}/#/")),
    ];
    let profiles = spellings
        .iter()
        .map(|(name, url)| world.legacy_profile(name, url));
    world.aws_config(&profiles.collect::<String>());
    world.login().await;
    for (profile, url) in &spellings {
        others_are_served(&world, profile).await;
        let file = world.cache_file(url).await;
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(file["startUrl"], *url);
    }
    assert_eq!(fs::read_dir(world.aws_cache()).unwrap().count(), 3);
    assert_eq!(world.sandbox.count(ASKED), 1);
    assert_eq!(world.sandbox.count(REGISTERED), 1, "ours alone");
    let _ = world.awsso(&["logout"]).await.ok();
    assert_eq!(fs::read_dir(world.aws_cache()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_holds_the_access_token_and_nothing_that_could_renew_it() {
    let world = world_of_corp().await;
    world.login().await;
    let file = world.cache_file("corp").await;
    let text = fs::read_to_string(&file).unwrap();
    let fields: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let mut names: Vec<_> = fields.keys().collect();
    names.sort();
    assert_eq!(names, ["accessToken", "expiresAt", "region", "startUrl"]);
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let secrets = world.sandbox.issued_secrets();
    let held: Vec<_> = secrets.iter().filter(|s| text.contains(*s)).collect();
    assert_eq!(held, [fields["accessToken"].as_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_follows_every_renewal_and_goes_with_the_logout() {
    let world = world_of_corp().await;
    world.login().await;
    let file = world.cache_file("corp").await;
    let mut last = token(&file);
    for _ in 0..2 {
        world.sandbox.expire_tokens();
        let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
        let renewed = token(&file);
        assert_ne!(renewed, last);
        last = renewed;
        others_are_served(&world, "corp").await;
    }
    assert_eq!(world.sandbox.count(TOKENS), 3, "a login and two renewals");
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_eq!(session(&world, "corp").await["state"], "active");
    assert_eq!(token(&file), last);
    let _ = world.awsso(&["logout"]).await.ok();
    assert_eq!(fs::read_dir(world.aws_cache()).unwrap().count(), 0);
    let refused = world.aws_cli_identity("corp").await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_aws_has_ended_is_not_left_for_others() {
    let world = world_of_corp().await;
    world.login().await;
    world.sandbox.revoke_tokens();
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.code(3);
    assert_eq!(fs::read_dir(world.aws_cache()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_sharing_shares_nothing_in_either_direction() {
    let world = world_of_corp().await;
    world.configure("share_with_aws_cli = false\n");
    world.login().await;
    assert!(!world.aws_cache().exists());
    let _ = world.awsso(&["logout"]).await.ok();

    world.log_in_elsewhere("corp").await;
    let file = world.cache_file("corp").await;
    let theirs = fs::read(&file).unwrap();
    let status = session(&world, "corp").await;
    assert_eq!(status["state"], "login_required", "{status}");
    world.login().await;
    let _ = world.awsso(&["logout"]).await.ok();
    assert_eq!(fs::read(&file).unwrap(), theirs);
}
