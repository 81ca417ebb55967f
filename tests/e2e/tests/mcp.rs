//! The shim as a model client has it: login, status and accounts, in both eras
//! of the protocol, beside others, and across a daemon that comes and goes.

use awsso_e2e::{
    World,
    known::{ADMIN, PRODUCTION},
    sandbox::Config,
};
use futures_util::future::join_all;
use serde_json::json;

/// Nobody approves a login unless the test does.
async fn world() -> World {
    World::with(Config {
        interval: std::time::Duration::from_secs(1),
        ..Config::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_answers_at_once_and_status_waits_for_its_end() {
    let world = world().await;
    let mut shim = world.legacy_shim().await;
    let pending = shim
        .call("aws_sso_login", json!({"launchBrowser": false}))
        .await;
    let code = world.sandbox.device_code_requested().await;
    let facts = pending.facts();
    assert_eq!(facts["state"], "pending");
    assert_eq!(facts["browserOpened"], false);
    assert_eq!(facts["userCode"], code.as_str());
    let link = facts["verificationUriComplete"].as_str().unwrap();
    assert!(link.starts_with(world.sandbox.base_url()), "{link}");
    assert!(pending.ok().contains(link) && pending.ok().contains(&code));

    let status = shim.call("aws_sso_status", json!({})).await;
    let session = &status.facts()["sessions"][0];
    assert_eq!(session["state"], "login_pending");
    assert_eq!(session["pendingLogin"]["userCode"], code.as_str());

    assert!(world.sandbox.approve());
    let status = shim
        .call("aws_sso_status", json!({"waitSeconds": 40}))
        .await;
    let session = &status.facts()["sessions"][0];
    assert_eq!(session["state"], "active");
    assert_eq!(session["refreshable"], true);
    assert!(status.ok().contains(": active"), "{status:?}");
    let again = shim.call("aws_sso_login", json!({})).await;
    assert_eq!(again.facts()["state"], "logged_in");
    assert_eq!(world.sandbox.count("ssooidc.StartDeviceAuthorization"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_login_every_tool_that_needs_one_says_so() {
    let world = world().await;
    let mut shim = world.modern_shim();
    let status = shim.call("aws_sso_status", json!({"waitSeconds": 5})).await;
    assert_eq!(status.facts()["sessions"][0]["state"], "login_required");
    assert!(status.ok().contains("call aws_sso_login"), "{status:?}");
    let target = json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "aws s3 ls"});
    for (tool, arguments) in [
        ("aws_sso_ls_accounts", json!({})),
        ("aws_sso_exec_command", target),
    ] {
        let refused = shim.call(tool, arguments).await;
        let text = refused.error();
        assert!(text.starts_with("LOGIN_REQUIRED: "), "{text}");
        assert!(text.contains("Call aws_sso_login"), "{text}");
    }
    assert_eq!(world.sandbox.count("ssooidc.StartDeviceAuthorization"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_shims_share_one_login() {
    let world = world().await;
    let mut shims = join_all((0..10).map(|_| world.legacy_shim())).await;
    let login = json!({"launchBrowser": false});
    let pending = join_all(
        shims
            .iter_mut()
            .map(|shim| shim.call("aws_sso_login", login.clone())),
    );
    let code = world.sandbox.device_code_requested();
    let (pending, code) = tokio::join!(pending, code);
    for answer in &pending {
        assert_eq!(answer.facts()["userCode"], code.as_str(), "{answer:?}");
    }
    let wait = json!({"waitSeconds": 40});
    let waiting = join_all(
        shims
            .iter_mut()
            .map(|shim| shim.call("aws_sso_status", wait.clone())),
    );
    assert!(world.sandbox.approve());
    for answer in waiting.await {
        assert_eq!(
            answer.facts()["sessions"][0]["state"],
            "active",
            "{answer:?}"
        );
    }
    assert_eq!(world.sandbox.count("ssooidc.StartDeviceAuthorization"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_and_filtered_by_any_part() {
    let world = World::logged_in().await;
    let mut shim = world.modern_shim();
    let all = shim.call("aws_sso_ls_accounts", json!({})).await;
    let facts = all.facts();
    assert_eq!(facts["accounts"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&facts["complete"], &facts["remaining"]),
        (&json!(true), &json!(0))
    );
    for part in ["PRODUC", "11112222", "aws+production@", "nos3"] {
        let found = shim
            .call("aws_sso_ls_accounts", json!({"filter": part}))
            .await;
        assert_eq!(
            found.facts()["accounts"],
            json!([{
                "accountId": PRODUCTION,
                "accountName": "production",
                "emailAddress": "aws+production@example.com",
                "roles": ["AdministratorAccess", "NoS3", "NoSSMInventory", "ReadOnly"],
            }]),
            "{part}"
        );
        assert!(found.ok().contains(PRODUCTION) && found.ok().contains("NoSSMInventory"));
    }
    let none = shim
        .call("aws_sso_ls_accounts", json!({"filter": "nobody"}))
        .await;
    assert_eq!(none.facts()["accounts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_in_pages_that_give_every_account_once() {
    let world = World::with(Config {
        accounts: 300,
        auto_approve: Some(std::time::Duration::ZERO),
        interval: std::time::Duration::from_secs(1),
        ..Config::default()
    })
    .await;
    world.login().await;
    let mut shim = world.legacy_shim().await;
    let mut seen = std::collections::BTreeSet::new();
    let mut arguments = json!({});
    loop {
        let page = shim.call("aws_sso_ls_accounts", arguments).await;
        assert!(page.ok().len() < 30_000);
        for account in page.facts()["accounts"].as_array().unwrap() {
            assert!(seen.insert(account["accountId"].to_string()), "{account}");
        }
        if page.facts()["nextCursor"].is_null() {
            break;
        }
        arguments = json!({"cursor": page.facts()["nextCursor"]});
    }
    assert_eq!(seen.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_replaced_between_two_calls_is_not_noticed() {
    let world = World::logged_in().await;
    let mut shim = world.legacy_shim().await;
    let pid = async |shim: &mut awsso_e2e::Shim| {
        let status = shim.call("aws_sso_status", json!({})).await;
        assert_eq!(
            status.facts()["sessions"][0]["state"],
            "active",
            "{status:?}"
        );
        status.facts()["daemon"]["pid"].as_u64().unwrap()
    };
    let first = pid(&mut shim).await;
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let second = pid(&mut shim).await;
    assert_ne!(first, second);
    awsso_e2e::process::signal(u32::try_from(second).unwrap(), "KILL");
    world.daemon_is_gone().await;
    let listed = shim.call("aws_sso_ls_accounts", json!({})).await;
    assert_eq!(listed.facts()["accounts"].as_array().unwrap().len(), 3);
    assert_ne!(pid(&mut shim).await, second);
}
