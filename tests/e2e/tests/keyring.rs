//! A login at rest: sealed with the keyring's key, and what becomes of it where
//! the keyring is locked, gone, stuck, or holds something else.

use std::path::PathBuf;

use awsso_e2e::{Desktop, World, finish, known, process::signal};
use serde_json::{Value, json};

const ASKED: &str = "ssooidc.StartDeviceAuthorization";
/// Nothing but the store brings a login back.
const UNSHARED: &str = "share_with_aws_cli = false\n";

/// Waits until the daemon knows where it keeps logins.
async fn store(world: &World) -> Value {
    let known = |status: &Value| status["store"].is_object();
    world.status("a store", known).await["store"].take()
}

/// In a file although a keyring is wanted, because of this.
fn in_place_of_the_keyring(why: &str) -> Value {
    json!({"kind": "file", "wanted": "keyring", "why": why})
}

/// Waits for a session with all that its login brought: another tool's view of
/// it could not be renewed.
async fn whole_login(world: &World) {
    let whole = |status: &Value| {
        let session = &status["sessions"][0];
        session["state"] == "active" && session["refreshable"] == true
    };
    world.status("the whole login", whole).await;
}

/// Waits until only a person helps; why.
async fn login_is_out_of_reach(world: &World) -> String {
    let wanted = |status: &Value| {
        let session = &status["sessions"][0];
        session["state"] == "login_required" && session["why"] != "nobody has logged in yet"
    };
    let status = world.status("a reason", wanted).await;
    status["sessions"][0]["why"].as_str().unwrap().to_owned()
}

fn folder(world: &World) -> PathBuf {
    world.state().join("sessions")
}

/// Where the key lies that seals the only login; `None` when none is kept.
fn key_place(world: &World) -> Option<String> {
    let entries = std::fs::read_dir(folder(world)).ok()?;
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|end| end == "sealed"))?;
    let sealed = std::fs::read(path).unwrap();
    let header = sealed.split(|byte| *byte == b'\n').next().unwrap();
    let header: Value = serde_json::from_slice(header).unwrap();
    Some(header["key"].as_str().unwrap().to_owned())
}

async fn log_in_anew(world: &World) {
    let args = ["login", "--no-launch-browser", "--force"];
    let _ = world.awsso(&args).await.ok();
}

async fn restart(world: &World) {
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
}

/// AWS answers for the session, anew.
async fn ask_aws(world: &World) {
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    let target = ["--account", known::PRODUCTION, "--role", known::ADMIN];
    let args = [&["credential-process"], &target[..]].concat();
    let _ = world.awsso(&args).await.ok();
}

/// A world whose logins only the store brings back.
async fn unshared() -> World {
    let world = World::new().await;
    world.configure(UNSHARED);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyring_holds_one_key_and_no_token_and_the_login_survives_the_daemon() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;

    assert_eq!(
        store(&world).await,
        json!({"kind": "keyring", "wanted": "keyring", "why": null})
    );
    assert_eq!(key_place(&world).unwrap(), "keyring");
    assert!(!folder(&world).join("key").exists());
    let items = desktop.items().await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["label"], "awsso session key");
    assert!(!items[0]["secret"].is_empty());
    let secrets = world.sandbox.issued_secrets();
    assert!(!secrets.is_empty());
    let is_issued = |text: &String| secrets.iter().any(|secret| text.contains(secret));
    assert!(!items[0].values().any(is_issued), "{items:?}");

    restart(&world).await;
    whole_login(&world).await;
    signal(world.daemon_pid().await.unwrap(), "KILL");
    world.daemon_is_gone().await;
    whole_login(&world).await;
    ask_aws(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 1);
    assert_eq!(desktop.items().await, items);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keyring_holds_nothing_up_and_gets_the_login_when_it_is_unlocked() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.start_locked().await;
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    assert_eq!(
        store(&world).await,
        in_place_of_the_keyring("the keyring is locked")
    );
    let _ = world
        .awsso(&["status"])
        .await
        .code(0)
        .says("Logins are kept in a sealed file: the keyring is locked");
    world.login().await;
    assert_eq!(key_place(&world).unwrap(), "file");
    restart(&world).await;
    whole_login(&world).await;
    assert!(desktop.is_locked().await, "nobody was asked");
    assert_eq!(desktop.items().await, []);

    log_in_anew(&world).await;
    desktop.unlock().await;
    let open = |status: &Value| status["store"]["kind"] == "keyring";
    world.status("an open keyring", open).await;
    // The daemon writes it a moment later; each answer gives it one.
    while key_place(&world).unwrap() != "keyring" {
        let _ = world.awsso(&["status"]).await.ok();
    }
    restart(&world).await;
    whole_login(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_behind_a_locked_keyring_is_back_as_soon_as_that_is_unlocked() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;
    desktop.lock().await;
    ask_aws(&world).await;

    restart(&world).await;
    let why = login_is_out_of_reach(&world).await;
    assert_eq!(
        why,
        "the stored login cannot be opened: the keyring is locked"
    );
    let refused = world.awsso(&["ls-accounts", "--refresh"]).await.code(3);
    let _ = refused.says("the keyring is locked");
    desktop.unlock().await;
    whole_login(&world).await;
    ask_aws(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_token_serves_while_the_keyring_is_locked_and_does_not_replace_the_login() {
    let world = World::new().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;
    desktop.lock().await;
    restart(&world).await;
    let serves = |status: &Value| status["sessions"][0]["takenOver"] == true;
    world.status("the shared token", serves).await;
    ask_aws(&world).await;
    assert_eq!(key_place(&world).as_deref(), Some("keyring"));

    desktop.unlock().await;
    whole_login(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_crashes_is_missed_only_by_the_next_daemon() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;
    desktop.kill().await;
    whole_login(&world).await;
    ask_aws(&world).await;
    log_in_anew(&world).await;

    restart(&world).await;
    let gone = "there is no keyring on this machine: no program offers one";
    let why = login_is_out_of_reach(&world).await;
    assert_eq!(why, format!("the stored login cannot be opened: {gone}"));
    assert_eq!(store(&world).await, in_place_of_the_keyring(gone));
    desktop.unlock().await;
    whole_login(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 2);

    desktop.kill().await;
    restart(&world).await;
    login_is_out_of_reach(&world).await;
    world.login().await;
    assert_eq!(key_place(&world).unwrap(), "file");
    restart(&world).await;
    whole_login(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_hangs_holds_up_neither_the_daemon_nor_a_login() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    desktop.stop();
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    let _ = world.awsso(&["status"]).await.ok();
    world.login().await;
    assert_eq!(
        store(&world).await,
        in_place_of_the_keyring("the keyring cannot be used: it does not answer")
    );
    assert_eq!(key_place(&world).unwrap(), "file");
    restart(&world).await;
    // It has just begun to ask the keyring again.
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    world.daemon_is_gone().await;
    whole_login(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 1);

    desktop.cont();
    assert_eq!(desktop.items().await, [], "nothing came of it later");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_keyring_is_the_status_says_what_is_missing() {
    let world = unshared().await;
    world.login().await;
    let no_bus = "there is no keyring on this machine: no D-Bus session can be reached";
    assert_eq!(store(&world).await, in_place_of_the_keyring(no_bus));

    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let _desktop = Desktop::start(&world).await;
    whole_login(&world).await;
    let no_keyring = "there is no keyring on this machine: no program offers one";
    assert_eq!(store(&world).await, in_place_of_the_keyring(no_keyring));
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_wants_a_file_or_nothing_gets_that_and_no_item_in_the_keyring() {
    for kind in ["file", "memory"] {
        let world = World::new().await;
        world.configure(&format!("store = \"{kind}\"\n"));
        let mut desktop = Desktop::start(&world).await;
        desktop.unlock().await;
        world.login().await;
        assert_eq!(
            store(&world).await,
            json!({"kind": kind, "wanted": kind, "why": null})
        );
        whole_login(&world).await;
        assert_eq!(desktop.items().await, []);

        let kept = (kind == "file").then_some("file");
        assert_eq!(key_place(&world).as_deref(), kept);
        assert_eq!(folder(&world).exists(), kept.is_some());
        restart(&world).await;
        if kept.is_none() {
            let _ = world.awsso(&["ls-accounts"]).await.code(3);
            world.login().await;
        }
        whole_login(&world).await;
        let logins = if kept.is_some() { 1 } else { 2 };
        assert_eq!(world.sandbox.count(ASKED), logins, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_under_our_name_stays_as_it_is() {
    let world = unshared().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    let line = format!(
        "printf hunter2 | secret-tool store --label=theirs service awsso username '{}'",
        world.state().display()
    );
    let mut put = world.program("sh");
    put.args(["-c", &line]);
    let _ = finish(put, line).await.ok();
    let theirs = desktop.items().await;
    assert_eq!(theirs.len(), 1, "{theirs:?}");

    world.login().await;
    assert_eq!(
        store(&world).await,
        in_place_of_the_keyring(
            "the keyring cannot be used: it holds something else under awsso's name"
        )
    );
    assert_eq!(key_place(&world).unwrap(), "file");
    restart(&world).await;
    whole_login(&world).await;
    assert_eq!(desktop.items().await, theirs);
    assert_eq!(world.sandbox.count(ASKED), 1);
}
