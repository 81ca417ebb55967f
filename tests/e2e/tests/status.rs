//! What a person is told of a session: once, while it changes, in a shell's
//! prompt, and on the desktop before it ends.

use std::time::Duration;

use awsso_e2e::{Background, Desktop, World, known, sandbox::Config};
use serde_json::{Value, json};

/// A quarter of its life before the end a person is warned, a little later than
/// that in some daemons, and a token is usable up to 5 s before its end.
const ENOUGH_TO_WARN: Duration = Duration::from_secs(30);

/// The only session of `status --json`.
async fn session(world: &World) -> Value {
    let mut status = world.awsso(&["status", "--json"]).await.code(0).json();
    status["sessions"][0].take()
}

fn is(state: &str) -> impl Fn(&Value) -> bool {
    move |status| status["sessions"][0]["state"] == state
}

fn watch(world: &World) -> Background {
    world.awsso_in_background(&["status", "--watch", "--json"])
}

/// What the prompt says, when it says something: under load it rather says
/// nothing than late.
async fn prompt(world: &World) -> String {
    loop {
        let line = world.awsso(&["status", "--prompt"]).await.ok();
        if !line.is_empty() {
            return line;
        }
    }
}

/// A world whose logins cannot be renewed a while after they were made, long
/// before they end.
async fn with_an_end(token_lifetime: Duration) -> World {
    World::with(Config {
        auto_approve: Some(Duration::ZERO),
        interval: Duration::from_secs(1),
        registration_lifetime: token_lifetime / 2,
        token_lifetime,
        ..Config::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_sees_a_login_come_go_on_and_succeed() {
    let world = World::waiting().await;
    let watch = watch(&world);
    let now = watch.document("the present", |_| true).await;
    assert!(is("login_required")(&now), "{now:#}");

    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let code = world.sandbox.device_code_requested().await;
    let pending = watch.document("the login", is("login_pending")).await;
    let shown = |status: &Value| status["sessions"][0]["pendingLogin"]["userCode"] == *code;
    let asked = watch.document("the code", shown).await;
    let prompt = &asked["sessions"][0]["pendingLogin"];
    let link = format!("{}/device?user_code={code}", world.sandbox.base_url());
    assert_eq!(prompt["verificationUriComplete"], link);
    assert_eq!(prompt["flow"], "device");
    assert!(prompt["expiresAt"].is_string(), "{prompt}");
    assert_eq!(pending["sessions"][0]["why"], Value::Null);

    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
    let done = watch.document("its success", is("active")).await;
    assert_eq!(done["sessions"][0]["pendingLogin"], Value::Null);

    watch.interrupt();
    let told = watch.end().await.stdout;
    let mut states: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["sessions"][0]["state"].take())
        .collect();
    states.dedup();
    assert_eq!(states, ["login_required", "login_pending", "active"]);
    let mut lines: Vec<&str> = told.lines().collect();
    let all = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), all, "told twice: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_goes_on_with_the_next_daemon() {
    let world = World::waiting().await;
    let watch = watch(&world);
    let _login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    let code = world.sandbox.device_code_requested().await;
    let first = watch.document("the login", is("login_pending")).await["daemon"]["pid"].clone();
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let of_the_next = |status: &Value| {
        let prompt = &status["sessions"][0]["pendingLogin"];
        status["daemon"]["pid"] != first && prompt["userCode"] == *code
    };
    watch
        .document("the login in the next daemon", of_the_next)
        .await;
    assert!(world.sandbox.approve());
    watch.document("its success", is("active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_why_only_a_person_helps() {
    let world = World::waiting().await;
    let why = async |reason: &str| {
        let session = session(&world).await;
        assert_eq!(session["state"], "login_required", "{session:#}");
        assert_eq!(session["why"], reason);
        let told = world.awsso(&["status"]).await.code(0);
        let _ = told.says(&format!(": {reason}\n"));
    };
    why("nobody has logged in yet").await;

    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    assert!(world.sandbox.deny());
    let _ = login.end().await.code(1);
    why("the login was denied").await;

    world.sandbox.set_auto_approve(Some(Duration::ZERO));
    world.login().await;
    assert_eq!(session(&world).await["why"], Value::Null);
    world.sandbox.revoke_tokens();
    let _ = world.awsso(&["ls-accounts"]).await.code(3);
    let ended = session(&world).await["lastError"].clone();
    why(ended.as_str().unwrap()).await;

    world.login().await;
    let _ = world.awsso(&["logout"]).await.ok();
    why("logged out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_counts_the_credentials_in_memory_and_the_renewals_of_this_daemon() {
    let world = World::logged_in().await;
    let counts = async |wanted: Value| {
        let session = session(&world).await;
        let counts = json!([session["credentials"], session["renewals"]]);
        assert_eq!(counts, wanted, "{session:#}");
    };
    counts(json!([0, 0])).await;
    for (role, held) in [(known::ADMIN, 1), (known::ADMIN, 1), (known::READ_ONLY, 2)] {
        let target = ["--account", known::PRODUCTION, "--role", role];
        let args = [&["credential-process"], &target[..]].concat();
        let _ = world.awsso(&args).await.ok();
        counts(json!([held, 0])).await;
    }
    world.sandbox.expire_tokens();
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    counts(json!([2, 1])).await;
    let _ = world.awsso(&["logout"]).await.ok();
    counts(json!([0, 1])).await;
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    counts(json!([0, 0])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_names_the_session_and_its_state_and_starts_no_daemon() {
    let world = World::waiting().await;
    let nothing = world.awsso(&["status", "--prompt"]).await.code(0);
    assert_eq!((nothing.stdout, nothing.stderr), Default::default());
    assert_eq!(world.daemon_pid().await, None);

    let session = session(&world).await;
    let name = session["name"].as_str().unwrap();
    assert_eq!(prompt(&world).await, format!("{name} login_required\n"));
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    assert_eq!(prompt(&world).await, format!("{name} login_pending\n"));
    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
    assert_eq!(prompt(&world).await, format!("{name} active\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_renewed_is_told_of_once_before_it_ends_with_the_time_left() {
    let world = with_an_end(ENOUGH_TO_WARN).await;
    world.configure("notify = true\n");
    let desktop = Desktop::start(&world).await;
    let notifications = desktop.notifications().await;
    world.login().await;
    let expiring = world.status("an end", is("expiring")).await;
    let name = expiring["sessions"][0]["name"].as_str().unwrap();
    let line = prompt(&world).await;
    let left = line.strip_prefix(&format!("{name} expiring "));
    let left = left.and_then(|left| left.strip_suffix("s\n")?.parse().ok());
    assert!((1..=30).contains(&left.unwrap_or(0)), "{line:?}");

    let told = notifications.say(name).await;
    assert_eq!(told.app, "awsso");
    assert_eq!(
        told.summary,
        format!("The AWS login to {name} ends in 1 min")
    );
    assert!(told.body.contains(&format!("awsso login {name} --force")));
    let ended = world.status("the end", is("login_required")).await;
    assert_eq!(ended["sessions"][0]["why"], "the login has expired");
    assert_eq!(notifications.all().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_shows_nothing_that_nobody_asked_for() {
    let world = with_an_end(ENOUGH_TO_WARN).await;
    let desktop = Desktop::start(&world).await;
    let notifications = desktop.notifications().await;
    world.login().await;
    world.status("the end", is("login_required")).await;
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    assert!(log.contains("ends soon and cannot be renewed"), "{log}");
    assert!(notifications.all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_at_its_end_is_not_taken_for_the_login_of_another_tool() {
    let world = with_an_end(Duration::from_secs(12)).await;
    world.login().await;
    let watch = watch(&world);
    watch.document("the end", is("login_required")).await;
    watch.interrupt();
    let told = watch.end().await.stdout;
    assert!(!told.contains(r#""takenOver":true"#), "{told}");
}
