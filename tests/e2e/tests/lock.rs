//! `awsso lock`: every secret leaves the memory, agents and programs get nothing,
//! and a person's next command brings the login back without a new one.

mod absence;

use awsso_e2e::{
    Desktop, World, bin,
    known::{ADMIN, PRODUCTION},
    process::signal,
};
use awsso_proto::{
    Failure, Reason,
    v1::{ClientKind, GetSessionRequest, LockRequest, LoginRequest, UnlockRequest},
};
use serde_json::{Value, json};

const ASKED: &str = "ssooidc.StartDeviceAuthorization";
const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

async fn keys(world: &World) -> awsso_e2e::Run {
    world
        .awsso(&[&["credential-process"], &TARGET[..]].concat())
        .await
}

/// What of the daemon's memory is kept out of the swap.
async fn pinned_kib(world: &World) -> u64 {
    let pid = world.daemon_pid().await.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

async fn session(world: &World) -> Value {
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    status["sessions"][0].clone()
}

/// Nothing is held, and it is said how that changes.
async fn is_locked(world: &World) {
    const WHY: &str = "awsso is locked (to open it: awsso unlock)";
    let says_so = |status: &Value| status["sessions"][0]["why"] == WHY;
    world.status("a locked session", says_so).await;
    let session = session(world).await;
    assert_eq!(session["state"], "login_required", "{session}");
    assert_eq!(session["credentials"], 0);
    assert_eq!(session["accessTokenExpiresAt"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_empties_the_memory_and_a_persons_next_command_opens_it() {
    let world = World::new().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;
    let _ = keys(&world).await.ok();
    assert!(pinned_kib(&world).await > 0, "the key of the store");
    let locked = world.awsso(&["lock", "--json"]).await.code(0).json();
    assert_eq!(locked, json!({"locked": true, "changed": true, "lost": []}));
    is_locked(&world).await;
    let again = world.awsso(&["lock"]).await.ok();
    assert_eq!(again, "It is locked already. To open it: awsso unlock\n");

    // A program that asks by itself is no person.
    let _ = keys(&world)
        .await
        .code(3)
        .says("a person opens it: awsso unlock");
    let prompt = world.awsso(&["status", "--prompt"]).await.ok();
    assert!(prompt.contains("login_required"), "{prompt}");
    is_locked(&world).await;

    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    assert_eq!(session(&world).await["state"], "active");
    let _ = keys(&world).await.ok();
    let _ = world.awsso(&["lock"]).await.ok();
    assert_eq!(world.awsso(&["unlock"]).await.ok(), "Unlocked\n");
    assert_eq!(world.awsso(&["unlock"]).await.ok(), "It is not locked\n");
    let is_whole = |status: &Value| {
        let session = &status["sessions"][0];
        session["state"] == "active" && session["refreshable"] == true
    };
    world.status("the whole login", is_whole).await;
    assert_eq!(world.sandbox.count(ASKED), 1, "nobody logged in again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_neither_locks_nor_opens() {
    let world = World::logged_in().await;
    let agent = world.connect(ClientKind::Shim).await;
    let refused = |status: tonic::Status| Failure::from(status);
    let lock = agent.daemon().lock(LockRequest {}).await.unwrap_err();
    assert_eq!(refused(lock).reason, Reason::DeniedByPolicy);
    let _ = world.awsso(&["lock"]).await.ok();
    let open = agent.daemon().unlock(UnlockRequest {}).await.unwrap_err();
    assert_eq!(refused(open).reason, Reason::DeniedByPolicy);
    let login = agent.session().login(LoginRequest::default()).await;
    let login = refused(login.map(|_| ()).unwrap_err());
    assert_eq!(login.reason, Reason::DeniedByPolicy);
    assert_eq!(
        login.message,
        "awsso is locked, and only a person opens it: awsso unlock"
    );
    let seen = agent.session().get(GetSessionRequest::default()).await;
    assert!(seen.is_ok(), "it may look");
    is_locked(&world).await;
    assert_eq!(world.sandbox.count(ASKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_locks_and_the_endpoint_of_a_running_program_is_closed() {
    let world = World::logged_in().await;
    let mut serve = world.program(bin("awsso"));
    let program = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; exec sleep 600";
    serve
        .args(["exec", "--serve"])
        .args(TARGET)
        .args(["--", "sh", "-c", program]);
    let serve = awsso_e2e::Background::start(serve, "exec --serve");
    let url = |text: &str| Some(text.trim().strip_prefix("http://")?.to_owned());
    let address = serve.finds("the endpoint", url).await;
    let address = address.trim_end_matches('/').to_owned();
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());

    signal(world.daemon_pid().await.unwrap(), "USR1");
    serve.says("awsso is locked").await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    is_locked(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_in_memory_only_is_gone_with_the_lock_and_that_is_said() {
    let world = World::new().await;
    world.configure("store = 'memory'\n");
    world.login().await;
    let _ = world
        .awsso(&["lock"])
        .await
        .code(0)
        .says("Logins that were kept in memory only are gone: 127.0.0.1");
    let _ = world.awsso(&["unlock"]).await.ok();
    assert_eq!(session(&world).await["why"], "nobody has logged in yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_gives_up_a_login_that_waits_and_a_logout_reaches_what_was_locked() {
    let world = World::waiting().await;
    let waits = world.awsso_in_background(&["login", "--no-launch-browser"]);
    waits
        .says(&world.sandbox.device_code_requested().await)
        .await;
    let _ = world.awsso(&["lock"]).await.ok();
    let _ = waits
        .end()
        .await
        .code(1)
        .says("given up by a logout or a lock");
    is_locked(&world).await;

    let world = World::logged_in().await;
    let _ = world.awsso(&["lock"]).await.ok();
    let out = world.awsso(&["logout"]).await.ok();
    assert!(out.starts_with("Logged out of "), "{out}");
    assert_eq!(world.sandbox.count("sso.Logout"), 1, "AWS was told");
    assert_eq!(session(&world).await["why"], "logged out");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_there_is_nothing_to_lock() {
    let world = World::new().await;
    assert_eq!(world.awsso(&["lock"]).await.ok(), "awssod is not running\n");
    assert!(!world.socket().exists());
}
