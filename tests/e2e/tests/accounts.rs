//! `ls-accounts`: every account once, however AWS pages, stumbles or slows down.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use awsso_e2e::{
    World,
    known::{PRODUCTION, STAGING},
};
use serde_json::Value;

mod terminal;

const LIST: &str = "sso.ListAccounts";
const ROLES: &str = "sso.ListAccountRoles";

async fn list(world: &World, more: &[&str]) -> Vec<Value> {
    let args = [&["ls-accounts", "--json"], more].concat();
    let listed = world.awsso(&args).await.code(0).json();
    listed["accounts"].as_array().unwrap().clone()
}

/// Every account of the sandbox, with all its roles, once.
fn assert_complete(world: &World, listed: &[Value]) {
    let accounts = world.sandbox.organization().accounts();
    assert_eq!(listed.len(), accounts.len());
    let ids: BTreeSet<_> = listed.iter().map(|a| a["accountId"].as_str()).collect();
    assert_eq!(ids.len(), accounts.len());
    for account in accounts {
        let found = listed.iter().find(|a| a["accountId"] == account.id);
        let found = found.unwrap_or_else(|| panic!("{} is missing", account.id));
        assert_eq!(found["accountName"], account.name);
        assert_eq!(found["emailAddress"], account.email);
        assert_eq!(found["rolesError"], Value::Null, "{found}");
        let mut roles = account.roles.clone();
        roles.sort();
        assert_eq!(found["roles"], Value::from(roles), "{}", account.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_size_give_every_account_and_role_once() {
    let world = World::of_accounts(60).await;
    for size in 2..=7 {
        world.sandbox.faults().set_page_size(size);
        world.sandbox.reset_counts();
        let listed = list(&world, &["--refresh"]).await;
        assert_complete(&world, &listed);
        let pages = 60_u64.div_ceil(size as u64);
        assert_eq!(world.sandbox.count(LIST), pages, "pages of {size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_asked_for_together_but_not_all_at_once() {
    let world = World::of_accounts(60).await;
    world
        .sandbox
        .faults()
        .set_latency(Duration::from_millis(20));
    assert_complete(&world, &list(&world, &[]).await);
    let at_once = world.sandbox.count("inflight.max.sso");
    assert!((2..=24).contains(&at_once), "{at_once} at once");
    assert_eq!(world.sandbox.count(ROLES), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_list_asks_aws_nothing_and_a_refresh_asks_it_all() {
    let world = World::of_accounts(3).await;
    let first = list(&world, &[]).await;
    assert_eq!(
        (world.sandbox.count(LIST), world.sandbox.count(ROLES)),
        (1, 3)
    );
    assert_eq!(list(&world, &[]).await, first);
    assert_eq!(
        (world.sandbox.count(LIST), world.sandbox.count(ROLES)),
        (1, 3)
    );
    assert_eq!(list(&world, &["--refresh"]).await, first);
    assert_eq!(
        (world.sandbox.count(LIST), world.sandbox.count(ROLES)),
        (2, 6)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_list_that_fails_is_that_accounts_error_and_nobody_elses() {
    let world = World::of_accounts(12).await;
    // A 403 is an answer: asking again would not help.
    world.sandbox.faults().fail_next(ROLES, 1, 403);
    let listed = list(&world, &[]).await;
    assert_eq!(listed.len(), 12);
    let (failed, fine): (Vec<_>, Vec<_>) = listed.iter().partition(|a| a["rolesError"].is_string());
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["roles"], Value::Array(Vec::new()));
    assert!(
        fine.iter()
            .all(|a| !a["roles"].as_array().unwrap().is_empty())
    );
    assert_complete(&world, &list(&world, &["--refresh"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_throttles_or_stumbles_is_only_slower() {
    let world = World::of_accounts(40).await;
    let faults = world.sandbox.faults();
    faults.throttle_next(LIST, 2);
    faults.throttle_next(ROLES, 3);
    faults.fail_next(ROLES, 3, 503);
    faults.fail_next(LIST, 2, 500);
    faults.reset_next(ROLES, 3);
    assert_complete(&world, &list(&world, &[]).await);
    assert_eq!(
        world.sandbox.count("throttled.sso.ListAccounts")
            + world.sandbox.count("throttled.sso.ListAccountRoles"),
        5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_accounts_take_far_less_than_one_after_the_other() {
    let world = World::of_accounts(1_000).await;
    // So slow that the time of this machine hardly counts.
    let latency = Duration::from_millis(100);
    world.sandbox.faults().set_latency(latency);
    let started = Instant::now();
    let listed = list(&world, &[]).await;
    let took = started.elapsed();
    assert_complete(&world, &listed);
    let calls = world.sandbox.count(LIST) + world.sandbox.count(ROLES);
    assert_eq!(calls, 1_010);
    let in_turn = latency * 1_010;
    println!("{calls} calls: {took:?}, {in_turn:?} in turn");
    assert!(took < in_turn / 3, "{took:?}, {in_turn:?} in turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_aws_has_ended_needs_a_login() {
    let world = World::of_accounts(3).await;
    assert_complete(&world, &list(&world, &[]).await);
    world.sandbox.revoke_tokens();
    let _ = world
        .awsso(&["ls-accounts", "--refresh"])
        .await
        .code(3)
        .says("hint: run: awsso login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_daemon_knows_the_accounts_until_a_logout() {
    let world = World::of_accounts(3).await;
    assert_complete(&world, &list(&world, &[]).await);
    let asked = world.sandbox.count(LIST);
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_complete(&world, &list(&world, &[]).await);
    assert_eq!(world.sandbox.count(LIST), asked, "from the disk");
    let kept = std::fs::read_dir(world.state().join("index")).unwrap();
    assert_eq!(kept.count(), 1);

    let _ = world.awsso(&["logout"]).await.ok();
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let _ = world.awsso(&["ls-accounts"]).await.code(3);
    let kept = std::fs::read_dir(world.state().join("index")).unwrap();
    assert_eq!(kept.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_of_those_that_a_word_means() {
    let world = World::of_accounts(9).await;
    world.configure(&format!("[aliases]\nlive = \"{PRODUCTION}\"\n"));
    let all = list(&world, &[]).await;
    let of = |names: &[&str]| -> Vec<_> {
        let is_meant = |account: &&Value| names.contains(&account["accountName"].as_str().unwrap());
        all.iter().filter(is_meant).cloned().collect()
    };
    for (word, names) in [
        (PRODUCTION, &["production"][..]),
        ("live", &["production"]),
        ("STAGING", &["staging"]),
        ("aws+staging@example.com", &["staging"]),
        ("se*", &["search 0007"]),
    ] {
        assert_eq!(list(&world, &[word]).await, of(names), "{word}");
    }
    let _ = world
        .awsso(&["ls-accounts", "nowhere"])
        .await
        .code(1)
        .says("nowhere");
    let _ = world.awsso(&["ls-accounts", "1234"]).await.code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_which_accounts_are_new_and_which_are_gone() {
    let world = World::of_accounts(3).await;
    assert_complete(&world, &list(&world, &[]).await);
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let mut kept = std::fs::read_dir(world.state().join("index")).unwrap();
    let kept = kept.next().unwrap().unwrap().path();
    // As if staging had been another account then.
    let then = std::fs::read_to_string(&kept).unwrap();
    let then = then
        .replace(STAGING, "999900001111")
        .replace("staging", "closed");
    std::fs::write(kept, then).unwrap();

    let told = world.awsso(&["ls-accounts", "--refresh"]).await.code(0);
    let told: Vec<_> = told.stderr.lines().map(without_age).collect();
    assert_eq!(
        told,
        [
            format!("new since … ago: staging ({STAGING})"),
            "gone since … ago: closed (999900001111)".to_owned(),
        ]
    );
    let quiet = world.awsso(&["ls-accounts", "--json"]).await.code(0);
    assert_eq!(quiet.stderr, "");
    assert_complete(&world, &list(&world, &["--refresh"]).await);
    let quiet = world.awsso(&["ls-accounts"]).await.code(0);
    assert_eq!(quiet.stderr, "");
}

fn without_age(line: &str) -> String {
    let (before, rest) = line.split_once(" since ").unwrap();
    let (_, after) = rest.split_once(" ago: ").unwrap();
    format!("{before} since … ago: {after}")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_is_answered_before_the_roles_of_all_are_known() {
    let world = World::of_accounts(60).await;
    world
        .sandbox
        .faults()
        .set_latency(Duration::from_millis(400));
    let listed = list(&world, &[PRODUCTION]).await;
    assert_eq!(listed.len(), 1);
    assert_ne!(listed[0]["roles"], Value::from(Vec::<String>::new()));
    let asked = world.sandbox.count(ROLES);
    assert!(asked < 60, "the roles of {asked} accounts were waited for");
}
