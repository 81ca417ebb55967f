//! The login of another tool, used by us.

use std::{fs, time::Duration};

use awsso_e2e::{World, known, sandbox::Config};
use serde_json::json;

use super::{ASKED, TOKENS, session, token, world_of_corp};

/// AWS's tokens live this long.
async fn world_where_tokens_live(token_lifetime: Duration) -> World {
    let world = World::with(Config {
        auto_approve: Some(Duration::ZERO),
        interval: Duration::from_secs(1),
        token_lifetime,
        ..Config::default()
    })
    .await;
    world.aws_config(&world.sso_session("corp"));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_the_aws_cli_is_ours_too() {
    let world = world_of_corp().await;
    world.log_in_elsewhere("corp").await;
    for restart in [false, true] {
        if restart {
            let _ = world.awsso(&["daemon", "restart"]).await.ok();
        }
        let status = session(&world, "corp").await;
        assert_eq!(status["state"], "active", "{status}");
        assert_eq!(status["takenOver"], true, "{status}");
        assert_eq!(status["refreshable"], false, "{status}");
        let accounts = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
        assert!(accounts.contains(known::PRODUCTION), "{accounts}");
        let login = world.awsso(&["login", "--no-launch-browser"]).await.ok();
        assert!(login.starts_with("Already logged in to corp"), "{login}");
    }
    assert_eq!(world.sandbox.count(ASKED), 1, "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_the_aws_cli_that_comes_while_the_daemon_runs_is_found() {
    let world = world_of_corp().await;
    assert_eq!(session(&world, "corp").await["state"], "login_required");
    world.log_in_elsewhere("corp").await;
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    assert_eq!(session(&world, "corp").await["takenOver"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn their_refresh_token_is_theirs_alone() {
    // Within 15 minutes of its end botocore renews a token whenever it is used.
    let world = world_where_tokens_live(Duration::from_mins(10)).await;
    world.log_in_elsewhere("corp").await;
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    world.sandbox.expire_tokens();
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.code(3);
    assert_eq!(world.sandbox.count(TOKENS), 1, "nobody has renewed it");

    world.botocore("renew", &json!(["corp", "corp"])).await;
    let renewals = world.sandbox.count(TOKENS);
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    let status = session(&world, "corp").await;
    assert_eq!(status["takenOver"], true, "{status}");
    world.sandbox.expire_tokens();
    world.botocore("renew", &json!(["corp", "corp"])).await;
    // AWS refuses the one that we hold; the newer one is in the file.
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    assert!(renewals < world.sandbox.count(TOKENS));
    assert_eq!(world.sandbox.count(ASKED), 1, "one login, theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_they_renew_is_followed_before_its_end() {
    let world = world_where_tokens_live(Duration::from_secs(12)).await;
    world.log_in_elsewhere("corp").await;
    let first = session(&world, "corp").await["accessTokenExpiresAt"].clone();
    let watch = world.awsso_in_background(&["status", "--watch", "--json"]);
    watch.prints(first.as_str().unwrap()).await;
    world.botocore("renew", &json!(["corp", "corp"])).await;
    let file = world.cache_file("corp").await;
    let file: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_ne!(file["expiresAt"], first);
    watch.prints(file["expiresAt"].as_str().unwrap()).await;
    watch.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_their_login_leaves_their_file_and_does_not_come_back_to_it() {
    let world = world_of_corp().await;
    world.log_in_elsewhere("corp").await;
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    let file = world.cache_file("corp").await;
    let theirs = fs::read(&file).unwrap();
    let out = world.awsso(&["logout"]).await.ok();
    assert!(out.starts_with("Logged out of corp"), "{out}");
    assert_eq!(world.sandbox.count("sso.Logout"), 1);
    for restart in [false, true] {
        if restart {
            let _ = world.awsso(&["daemon", "restart"]).await.ok();
        }
        let status = session(&world, "corp").await;
        assert_eq!(status["state"], "login_required", "{status}");
        let _ = world.awsso(&["ls-accounts"]).await.code(3);
        assert_eq!(fs::read(&file).unwrap(), theirs);
    }
    world.log_in_elsewhere("corp").await;
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    let status = session(&world, "corp").await;
    assert_eq!(status["takenOver"], true, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_renewals_leave_a_login_that_they_made_after_ours() {
    let world = world_of_corp().await;
    world.login().await;
    world.log_in_elsewhere("corp").await;
    let file = world.cache_file("corp").await;
    let theirs = fs::read(&file).unwrap();
    world.sandbox.expire_tokens();
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    assert_eq!(session(&world, "corp").await["renewals"], 1);
    assert_eq!(fs::read(&file).unwrap(), theirs);
    let _ = world.awsso(&["logout"]).await.ok();
    assert_eq!(fs::read(&file).unwrap(), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_login_leaves_one_of_theirs_that_lasts_longer() {
    let world = world_of_corp().await;
    world.log_in_elsewhere("corp").await;
    let file = world.cache_file("corp").await;
    let lasting = fs::read_to_string(&file).unwrap();
    let mut lasting: serde_json::Value = serde_json::from_str(&lasting).unwrap();
    lasting["expiresAt"] = json!("2100-01-01T00:00:00Z");
    fs::write(&file, lasting.to_string()).unwrap();
    let login = ["login", "--no-launch-browser", "--force"];
    let _ = world.awsso(&login).await.ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), lasting.to_string());
    let status = session(&world, "corp").await;
    assert_eq!(status["takenOver"], false, "{status}");
    let _ = world.aws_cli_identity("corp").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_a_person_asked_for_replaces_an_older_one_of_theirs() {
    let world = world_where_tokens_live(Duration::from_mins(10)).await;
    world.log_in_elsewhere("corp").await;
    let file = world.cache_file("corp").await;
    let theirs = token(&file);
    let login = ["login", "--no-launch-browser", "--force"];
    let _ = world.awsso(&login).await.ok();
    assert_ne!(token(&file), theirs);
    let _ = world.aws_cli_identity("corp").await.ok();
}
