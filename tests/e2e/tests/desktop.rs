//! The harness's desktop is a real one: other programs find it as it is said to be.

use std::pin::pin;

use awsso_e2e::{Desktop, Run, World, finish};

const SECRET: &str = "correct horse battery staple";

async fn store(world: &World) -> Run {
    let line = format!(
        "printf %s '{SECRET}' | secret-tool store --label=probe service awsso username probe"
    );
    let mut command = world.program("sh");
    command.args(["-c", &line]);
    finish(command, line).await
}

async fn lookup(world: &World) -> Run {
    let mut command = world.program("secret-tool");
    command.args(["lookup", "service", "awsso", "username", "probe"]);
    finish(command, "secret-tool lookup".to_owned()).await
}

/// A desktop whose unlocked keyring holds the secret.
async fn desktop_with_secret(world: &World) -> Desktop<'_> {
    let mut desktop = Desktop::start(world).await;
    desktop.unlock().await;
    let _ = store(world).await.ok();
    desktop
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlocked_keyring_keeps_a_secret() {
    let world = World::new().await;
    let desktop = desktop_with_secret(&world).await;
    assert_eq!(lookup(&world).await.ok(), SECRET);
    let items = desktop.items().await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["label"], "probe");
    assert_eq!(items[0]["secret"], SECRET);
    assert_eq!(items[0]["attribute.username"], "probe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keyring_shows_its_items_but_no_secret_until_it_is_unlocked() {
    let world = World::new().await;
    let mut desktop = desktop_with_secret(&world).await;
    desktop.lock().await;
    assert!(desktop.is_locked().await);
    assert_eq!(lookup(&world).await.code(1).stdout, "");
    let _ = store(&world).await.code(1).says("locked collection");
    let items = desktop.items().await;
    assert_eq!(items[0]["label"], "probe");
    assert_eq!(items[0].get("secret"), None);

    desktop.unlock().await;
    assert_eq!(lookup(&world).await.ok(), SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_can_start_locked() {
    let world = World::new().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.start_locked().await;
    let _ = store(&world).await.code(1).says("locked collection");
    desktop.unlock().await;
    let _ = store(&world).await.ok();
    desktop.start_locked().await;
    assert_eq!(lookup(&world).await.code(1).stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_keyring_is_absent_and_comes_back_with_its_secrets() {
    let world = World::new().await;
    let mut desktop = desktop_with_secret(&world).await;
    desktop.kill().await;
    let _ = lookup(&world).await.code(1).says("was not provided");
    desktop.unlock().await;
    assert_eq!(lookup(&world).await.ok(), SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_keyring_answers_only_when_it_goes_on() {
    let world = World::new().await;
    let desktop = desktop_with_secret(&world).await;
    desktop.stop();
    let mut answer = pin!(lookup(&world));
    tokio::select! {
        biased;
        run = &mut answer => panic!("{run:?}"),
        _ = world.awsso(&["daemon", "start"]) => {}
    }
    desktop.cont();
    assert_eq!(answer.await.ok(), SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_remembered() {
    let world = World::new().await;
    let desktop = Desktop::start(&world).await;
    let notifications = desktop.notifications().await;
    let mut command = world.program("notify-send");
    command.args(["--app-name=probe", "Log in again", "The session ends soon"]);
    let _ = finish(command, "notify-send".to_owned()).await.ok();
    let shown = notifications.say("ends soon").await;
    assert_eq!(shown.app, "probe");
    assert_eq!(shown.summary, "Log in again");
    assert_eq!(notifications.all().len(), 1);
}
