//! `awsso doctor`: each thing is broken for real, and its line is looked for.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, Instant},
};

use awsso_e2e::{
    Desktop, Diagnosis, OtherDaemon, World, bin, finish,
    process::{script, signal},
};
use awsso_proto::PROTOCOL;
use serde_json::Value;
use tokio::net::TcpListener;

mod lines;
mod machine;
mod mcp;
mod profiles;
mod traps;

/// Of a check: its finding, its status, words of its summary, words of its cure.
type Line = (&'static str, &'static str, &'static str, &'static str);

/// What `awsso doctor` answered.
#[derive(Debug)]
struct Checks(Vec<Value>);

async fn doctor_with(world: &World, vars: &[(&str, &str)]) -> Checks {
    let mut command = world.program(bin("awsso"));
    command
        .args(["doctor", "--json"])
        .envs(vars.iter().copied());
    let run = finish(command, format!("doctor with {vars:?}")).await;
    Checks(run.code(0).json()["checks"].as_array().unwrap().clone())
}

async fn doctor(world: &World) -> Checks {
    doctor_with(world, &[]).await
}

impl Checks {
    #[track_caller]
    fn have(&self, (finding, status, summary, cure): Line) {
        let has = |check: &Value, key: &str, words: &str| {
            check[key].as_str().is_some_and(|text| text.contains(words))
        };
        let fits = |check: &&Value| {
            check["finding"] == finding
                && check["status"] == status
                && has(check, "summary", summary)
                && (cure.is_empty() || has(check, "cure", cure))
        };
        assert!(
            self.0.iter().any(|check| fits(&check)),
            "no {finding} {status} {summary:?} {cure:?} in {:#?}",
            self.0
        );
    }

    /// All that is not well.
    fn complaints(&self) -> Vec<&Value> {
        let bad = self.0.iter().filter(|check| check["status"] != "ok");
        bad.collect()
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_sound_machine_nothing_is_wrong_and_no_secret_is_told() {
    let world = World::new().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    world.login().await;
    let checks = doctor(&world).await;
    assert_eq!(checks.complaints(), Vec::<&Value>::new(), "{checks:#?}");
    for line in [
        ("daemon-runs", "ok", "awssod", ""),
        ("socket-private", "ok", "yours alone", ""),
        ("configuration-usable", "ok", "can be used", ""),
        ("session-active", "ok", "is logged in, until 20", ""),
        ("store-keyring", "ok", "a key that the keyring holds", ""),
        ("network-reached", "ok", "AWS answers: http://127.0.0.1", ""),
        ("clock-agrees", "ok", "agree", ""),
        ("throttling-none", "ok", "has not said", ""),
        ("audit-intact", "ok", "as they were written", ""),
        ("files-private", "ok", "for you alone", ""),
        ("environment-clear", "ok", "no AWS variable", ""),
        ("profiles-clear", "ok", "none ambiguous", ""),
        ("aws-cli-usable", "ok", "aws-cli 1.", ""),
        ("plugin-absent", "ok", "start-session", ""),
        ("mcp-none", "ok", "no MCP client starts awsso-mcp", ""),
    ] {
        checks.have(line);
    }
    let fields: Vec<_> = checks.0[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "finding", "status", "summary", "cure"]);

    let run = world
        .awsso(&["doctor"])
        .await
        .code(0)
        .says("Nothing is wrong.");
    assert!(run.stdout.starts_with("ok "), "{run:?}");
    let text = format!("{checks:?}{}", run.stdout);
    for secret in world.sandbox.issued_secrets() {
        assert!(!text.contains(&secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aws_cli_that_is_missing_too_old_or_another_program_is_found() {
    let world = World::new().await;
    let dir = world.dir().join("path");
    std::fs::create_dir(&dir).unwrap();
    let path = dir.display().to_string();
    let mut line = (
        "aws-cli-missing",
        "warn",
        "no AWS CLI is in PATH",
        "install version 2",
    );
    doctor_with(&world, &[("PATH", &path)]).await.have(line);
    for (finding, body, words) in [
        (
            "aws-cli-old",
            "echo aws-cli/2.8.13 Python/3.8",
            "the AWS CLI is 2.8.13: it does not know",
        ),
        (
            "aws-cli-foreign",
            "echo hello",
            "is not the AWS CLI: it says \"hello\"",
        ),
        ("aws-cli-silent", "exit 3", "does not say its version"),
    ] {
        script(&dir.join("aws"), body);
        (line.0, line.2, line.3) = (finding, words, "");
        doctor_with(&world, &[("PATH", &path)]).await.have(line);
    }
    script(&dir.join("session-manager-plugin"), "echo 1.2");
    let there = ("plugin-present", "ok", "it is there", "");
    doctor_with(&world, &[("PATH", &path)]).await.have(there);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_login_stands_is_told() {
    let world = World::waiting().await;
    let none = world.awsso_unnamed(&[], &["doctor", "--json"]).await;
    let none = Checks(none.code(0).json()["checks"].as_array().unwrap().clone());
    none.have((
        "sessions-none",
        "fail",
        "no session is configured",
        "AWS_SSO_START_URL",
    ));
    doctor(&world).await.have((
        "session-login-required",
        "fail",
        "nobody has logged in yet",
        "awsso login 127.0.0.1",
    ));

    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    doctor(&world).await.have((
        "session-login-pending",
        "warn",
        "waits for a person",
        "confirm it in the browser",
    ));
    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
    let _ = world.awsso(&["lock"]).await.ok();
    doctor(&world)
        .await
        .have(("sessions-locked", "warn", "awsso is locked", "awsso unlock"));

    let two = "[session.a]\nstart_url = 'https://a.example/start'\nregion = 'eu-west-1'\n\
               [session.b]\nstart_url = 'https://b.example/start'\nregion = 'eu-west-1'\n";
    let world = World::new().await;
    world.configure(two);
    let both = world.awsso_unnamed(&[], &["doctor", "--json"]).await;
    let both = Checks(both.code(0).json()["checks"].as_array().unwrap().clone());
    both.have((
        "other-session-login-required",
        "warn",
        "not logged in to a",
        "awsso login a",
    ));
    both.have((
        "session-ambiguous",
        "warn",
        "nothing says which one is meant",
        "default_session",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_says_about_time_and_speed_is_told() {
    let world = World::logged_in().await;
    for (finding, seconds, status, words) in [
        (
            "clock-differs",
            -120,
            "warn",
            "this clock is 2 min ahead of that of AWS",
        ),
        (
            "clock-refused",
            3_630,
            "fail",
            "behind that of AWS, which refuses",
        ),
    ] {
        world.sandbox.set_clock_skew_seconds(seconds);
        doctor(&world)
            .await
            .have((finding, status, words, "set the clock"));
    }
    world.sandbox.set_clock_skew_seconds(0);
    world.sandbox.faults().throttle_next("sso.ListAccounts", 1);
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    doctor(&world).await.have((
        "throttling-lately",
        "warn",
        "ago: portal eu-west-1",
        "other tools",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_is_locked_stuck_or_absent_is_a_finding_and_holds_nothing_up() {
    let world = World::new().await;
    doctor(&world).await.have((
        "store-fallback",
        "warn",
        "no D-Bus session can be reached",
        "store = \"file\"",
    ));
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let mut desktop = Desktop::start(&world).await;
    desktop.start_locked().await;
    doctor(&world)
        .await
        .have(("store-fallback", "warn", "the keyring is locked", "unlock"));
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    desktop.stop();
    let asked = Instant::now();
    doctor(&world)
        .await
        .have(("store-fallback", "warn", "does not answer", "unlock or"));
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    desktop.cont();

    for (kind, finding, words) in [
        ("file", "store-file", "in a file beside them"),
        ("memory", "store-memory", "in memory only"),
    ] {
        let world = World::new().await;
        world.configure(&format!("store = '{kind}'\n"));
        doctor(&world).await.have((finding, "ok", words, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aws_that_hangs_and_a_proxy_that_is_gone_are_findings() {
    let world = World::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    doctor_with(&world, &[("AWS_ENDPOINT_URL", &url)])
        .await
        .have((
            "network-unreached",
            "fail",
            "is not reached: no answer in time",
            "[network] proxy",
        ));
    let _ = world.awsso(&["daemon", "stop"]).await.ok();

    let mut command = world.program(bin("awsso"));
    command
        .env_remove("AWS_ENDPOINT_URL")
        .env("HTTPS_PROXY", "http://ann:tiger@127.0.0.1:1")
        .args(["doctor", "--json"]);
    let run = finish(command, "doctor behind a proxy".into())
        .await
        .code(0);
    assert!(!run.stdout.contains("tiger"), "{run:?}");
    Checks(run.json()["checks"].as_array().unwrap().clone()).have((
        "network-unreached",
        "fail",
        "is not reached through a proxy: Connection refused",
        "look at HTTPS_PROXY",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_log_that_was_changed_or_cannot_be_written_is_found() {
    let world = World::logged_in().await;
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let log = world.state().join("audit.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("Session.Login", "Session.Get", 1)).unwrap();
    doctor(&world).await.have((
        "audit-tampered",
        "fail",
        "is not as it was written",
        "awsso audit show",
    ));

    let world = World::new().await;
    awsso_proto::ipc::private_dir(&world.state().join("audit.jsonl")).unwrap();
    set_mode(&world.home().join(".local/state/awsso"), 0o700);
    doctor(&world).await.have((
        "audit-unwritable",
        "fail",
        "cannot be written, so agents are refused",
        "awsso daemon logs",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_daemon_can_start_that_is_said_and_the_rest_is_looked_at() {
    let world = World::new().await;
    let fails = |checks: &Checks, words: &'static str| {
        checks.have(("daemon-unreachable", "fail", words, ""));
        checks.have(("aws-cli-usable", "ok", "aws-cli", ""));
    };
    let alone = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &alone).unwrap();
    let mut lonely = world.program(&alone);
    lonely.args(["doctor", "--json"]);
    let run = finish(lonely, "doctor alone".into()).await.code(0);
    let checks = Checks(run.json()["checks"].as_array().unwrap().clone());
    fails(&checks, "awssod is not beside this program");

    let bundle = [("AWS_CA_BUNDLE", "/nowhere/ca.pem")];
    let checks = doctor_with(&world, &bundle).await;
    fails(&checks, "the CA bundle /nowhere/ca.pem");

    std::fs::create_dir_all(world.state()).unwrap();
    set_mode(&world.state(), 0o755);
    let checks = doctor(&world).await;
    fails(&checks, "is open to other users (mode 755)");
    checks.have((
        "folder-unsafe",
        "fail",
        "is open to other users (mode 755)",
        "chmod 700",
    ));
    set_mode(&world.state(), 0o700);

    let folder = world.socket().parent().unwrap().to_owned();
    let _ = std::fs::remove_dir_all(&folder);
    symlink(world.dir(), &folder).unwrap();
    let checks = doctor(&world).await;
    fails(&checks, "is a symbolic link");
    checks.have((
        "socket-folder-unsafe",
        "fail",
        "is a symbolic link",
        "remove it",
    ));
    std::fs::remove_file(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_left_behind_and_a_daemon_that_hangs_are_found() {
    let world = World::new().await;
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    signal(world.daemon_pid().await.unwrap(), "KILL");
    world.daemon_is_gone().await;
    let checks = doctor(&world).await;
    checks.have((
        "socket-left-behind",
        "warn",
        "was left behind by a daemon that was killed",
        "nothing",
    ));
    checks.have(("daemon-runs", "ok", "runs, pid", ""));

    let pid = world.daemon_pid().await.unwrap();
    signal(pid, "STOP");
    let checks = doctor(&world).await;
    signal(pid, "CONT");
    checks.have((
        "daemon-stuck",
        "fail",
        "no daemon answers in 5 s",
        "awsso daemon logs",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_another_version_is_told_and_not_asked_what_it_cannot_know() {
    let world = World::new().await;
    let old = OtherDaemon::start(&world, "0.0.1", PROTOCOL);
    let checks = doctor(&world).await;
    checks.have((
        "daemon-other-version",
        "warn",
        "awssod 0.0.1 runs",
        "awsso daemon restart",
    ));
    checks.have((
        "daemon-cannot-say",
        "warn",
        "it cannot say how it stands",
        "awsso daemon restart",
    ));
    drop(old);
    std::fs::remove_file(world.socket()).unwrap();
    let other = OtherDaemon::start(&world, "9.0.0", PROTOCOL + 1);
    doctor(&world).await.have((
        "daemon-other-protocol",
        "fail",
        "it speaks protocol",
        "awsso daemon restart",
    ));
    drop(other);
    std::fs::remove_file(world.socket()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_answers_late_or_without_its_keyring_is_told() {
    let world = World::new().await;
    for (diagnosis, line) in [
        (
            Diagnosis::Never,
            (
                "daemon-slow",
                "fail",
                "does not answer in 4 s",
                "awsso daemon restart",
            ),
        ),
        (
            Diagnosis::Empty,
            (
                "store-silent",
                "warn",
                "the keyring does not answer",
                "restart the keyring",
            ),
        ),
    ] {
        let daemon = OtherDaemon::that_diagnoses(&world, diagnosis);
        doctor(&world).await.have(line);
        drop(daemon);
        std::fs::remove_file(world.socket()).unwrap();
    }
}
