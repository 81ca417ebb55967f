//! What an MCP client and the daemon see of each other through the shim.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake_daemon;
mod shim;

use awsso_proto::v1::{ClientKind, LoginFlow, LoginRequest, start_job_request::Work};
use fake_daemon::{Asked, FakeDaemon};
use serde_json::{Value, json};
use shim::{Home, Shim, initialize, text};

fn both() -> (FakeDaemon, Shim, Home) {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let shim = Shim::initialized(&home);
    (daemon, shim, home)
}

fn exec(command: &str) -> Value {
    json!({
        "name": "aws_sso_exec_command",
        "arguments": {"accountId": "production", "roleName": "ReadOnly", "command": command},
    })
}

fn run(shim: &mut Shim, command: &str) -> Value {
    shim.request("tools/call", exec(command))["result"].take()
}

fn asked_login(daemon: &FakeDaemon) -> LoginRequest {
    loop {
        if let Asked::Login(request) = daemon.asked() {
            return request;
        }
    }
}

fn cancelled_job(daemon: &FakeDaemon) -> String {
    loop {
        if let Asked::Cancel(id) = daemon.asked() {
            return id;
        }
    }
}

#[test]
fn a_command_goes_to_the_daemon_with_what_it_needs_and_comes_back_as_text() {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut command = home.command();
    command
        .env("AWS_SSO_START_URL", "https://corp.awsapps.com/start")
        .env("AWS_SSO_REGION", "us-east-1")
        .env("AWS_REGION", "eu-west-1")
        .env("LANG", "C.UTF-8")
        .env("AWS_SECRET_ACCESS_KEY", "wJalr");
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    let result = run(&mut shim, "aws s3 ls");
    assert!(
        text(&result).starts_with("aws s3 ls\n[exit 0 | "),
        "{result}"
    );
    assert!(
        text(&result).ends_with(
            " s | account 111122223333 (production) role ReadOnly region eu-west-1 | outputId out_1]"
        ),
        "{result}"
    );
    assert_eq!(result["isError"], false);
    assert!(result["structuredContent"].is_null());

    let Asked::Hello(hello) = daemon.asked() else {
        panic!("the handshake comes first")
    };
    assert_eq!(hello.kind(), ClientKind::Shim);
    assert_eq!(hello.client_name, "test-client/1.0");
    let request = daemon.started();
    let target = request.target.unwrap();
    assert_eq!(
        (target.account.as_str(), target.role.as_str()),
        ("production", "ReadOnly")
    );
    assert_eq!(target.region, "eu-west-1");
    let session = target.session.unwrap();
    assert_eq!(session.start_url, "https://corp.awsapps.com/start");
    assert_eq!(session.sso_region, "us-east-1");
    let Some(Work::AwsCli(work)) = request.work else {
        panic!("an AWS CLI command")
    };
    assert_eq!(work.environment["LANG"], "C.UTF-8");
    assert!(!work.environment.contains_key("AWS_SECRET_ACCESS_KEY"));
    assert!(work.working_directory.starts_with('/'));
}

#[test]
fn a_shell_command_goes_to_its_instance() {
    let (daemon, mut shim, _home) = both();
    let result = shim.call(
        "aws_sso_ec2_exec_command",
        json!({
            "instanceId": "i-1", "accountId": "1", "roleName": "r",
            "command": "uptime && df -h", "timeoutSeconds": 90,
        }),
    );
    assert!(
        text(&result).starts_with("uptime && df -h\n[exit 0"),
        "{result}"
    );
    let request = daemon.started();
    assert_eq!(request.time_limit.unwrap().seconds, 90);
    let Some(Work::Ssm(work)) = request.work else {
        panic!("an SSM command")
    };
    assert_eq!(work.instance_ids, ["i-1"]);
}

#[test]
fn a_huge_output_is_cut_and_says_where_all_of_it_is() {
    let (_daemon, mut shim, _home) = both();
    let result = run(&mut shim, "aws big");
    let text = text(&result);
    assert!(text.chars().count() < 20_300);
    assert!(
        text.ends_with(
            "| 20,000 of 3,000,000 chars shown | outputId out_1 | file /state/outputs/out_1.stdout]"
        ),
        "{}",
        &text[text.len() - 300..]
    );
}

#[test]
fn a_denied_command_is_an_error_that_names_other_roles() {
    let (_daemon, mut shim, _home) = both();
    let result = run(&mut shim, "aws denied");
    assert_eq!(result["isError"], true);
    assert!(
        text(&result).contains("Other roles in this account: Admin."),
        "{result}"
    );
    assert!(text(&result).contains("[denied, exit 254 | "), "{result}");
}

#[test]
fn a_cancelled_call_cancels_its_job_and_gets_no_answer() {
    let (daemon, mut shim, _home) = both();
    let id = shim.send("tools/call", exec("aws hang"));
    daemon.started();
    shim.notify(
        "notifications/cancelled",
        &json!({"requestId": id, "reason": "enough"}),
    );
    assert_eq!(cancelled_job(&daemon), "job_1");
    let ping = shim.send("ping", json!({}));
    assert_eq!(shim.read()["id"], ping);
}

#[test]
fn a_client_that_goes_away_takes_its_job_with_it() {
    let (daemon, mut shim, _home) = both();
    shim.send("tools/call", exec("aws hang"));
    daemon.started();
    assert_eq!(shim.end(), Some(0));
    assert_eq!(cancelled_job(&daemon), "job_1");
}

#[test]
fn a_call_after_the_daemon_was_restarted_goes_through() {
    let (daemon, mut shim, _home) = both();
    run(&mut shim, "aws s3 ls");
    daemon.hang_up();
    assert_eq!(run(&mut shim, "aws s3 ls")["isError"], false);
    daemon.hang_up();
    assert_eq!(shim.call("aws_sso_status", json!({}))["isError"], false);
}

#[test]
fn a_command_that_outlives_its_daemon_is_watched_to_its_end() {
    let (daemon, mut shim, _home) = both();
    let id = shim.send("tools/call", exec("aws hang"));
    daemon.watched();
    daemon.hang_up();
    daemon.finish("job_1");
    let answer = shim.answer(id);
    assert!(
        text(&answer["result"]).starts_with("working\n[exit 0"),
        "{answer}"
    );
    assert!(daemon.is_idle(), "the command was started once");
}

#[test]
fn commands_beyond_the_limit_wait_for_their_turn() {
    let (daemon, mut shim, _home) = both();
    let ids: Vec<_> = (0..17)
        .map(|_| shim.send("tools/call", exec("aws hang")))
        .collect();
    for _ in 0..16 {
        daemon.started();
    }
    // The shim has read all calls by now, and has had its chance to start one more.
    shim.request("ping", json!({}));
    shim.call("aws_sso_status", json!({}));
    assert!(daemon.is_idle(), "a seventeenth command was started");
    daemon.finish("job_1");
    daemon.started();
    for job in 2..=17 {
        daemon.finish(&format!("job_{job}"));
    }
    let mut answered: Vec<_> = ids
        .iter()
        .map(|_| shim.read()["id"].as_u64().unwrap())
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
}

#[test]
fn a_login_is_shown_at_once_and_waited_for_by_the_status() {
    let (daemon, mut shim, _home) = both();
    let login = shim.call("aws_sso_login", json!({}));
    assert_eq!(login["isError"], false);
    let facts = &login["structuredContent"];
    assert_eq!(facts["state"], "pending");
    assert_eq!(facts["userCode"], "ABCD-EFGH");
    assert_eq!(
        facts["verificationUriComplete"],
        "https://device.sso.example/?c=ABCD-EFGH"
    );
    assert_eq!(facts["browserOpened"], false);
    assert!(text(&login).contains("https://device.sso.example/?c=ABCD-EFGH"));

    let waiting = shim.send(
        "tools/call",
        json!({"name": "aws_sso_status", "arguments": {"waitSeconds": 50}}),
    );
    shim.request("ping", json!({}));
    daemon.log_in();
    let status = shim.answer(waiting);
    let facts = &status["result"]["structuredContent"];
    assert_eq!(facts["sessions"][0]["state"], "active");
    let login = shim.call("aws_sso_login", json!({}));
    assert_eq!(login["structuredContent"]["state"], "logged_in");
}

#[test]
fn a_browser_is_opened_where_there_is_a_display() {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let bin = home.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let seen = home.path("seen");
    let script = format!("#!/bin/sh\necho noise\necho \"$1\" > {}\n", seen.display());
    std::fs::write(bin.join("xdg-open"), script).unwrap();
    let chmod = std::process::Command::new("chmod")
        .arg("+x")
        .arg(bin.join("xdg-open"))
        .status();
    assert!(chmod.unwrap().success());
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut command = home.command();
    command.env("DISPLAY", ":9").env("PATH", path);
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    let login = shim.call("aws_sso_login", json!({}));
    assert_eq!(login["structuredContent"]["browserOpened"], true, "{login}");
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        "https://device.sso.example/?c=ABCD-EFGH\n"
    );
    assert_eq!(asked_login(&daemon).flow(), LoginFlow::Unspecified);
}

#[test]
fn without_a_browser_a_code_is_asked_for_by_name() {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut command = home.command();
    command.env("BROWSER", "true");
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    let login = shim.call("aws_sso_login", json!({"launchBrowser": false}));
    assert_eq!(login["structuredContent"]["browserOpened"], false);
    let request = asked_login(&daemon);
    assert_eq!(request.flow(), LoginFlow::Device);
    assert!(!request.can_open_browser);
}

#[test]
fn accounts_are_listed_with_the_last_word_on_their_roles() {
    let (daemon, mut shim, _home) = both();
    let refused = shim.call("aws_sso_ls_accounts", json!({}));
    assert_eq!(
        text(&refused),
        "LOGIN_REQUIRED: nobody is logged in\nCall aws_sso_login (session corp), then call this again."
    );
    daemon.log_in();
    let listed = shim.call("aws_sso_ls_accounts", json!({"filter": "PROD"}));
    assert_eq!(
        listed["structuredContent"]["accounts"],
        json!([{
            "accountId": "111122223333",
            "accountName": "production",
            "emailAddress": "prod@corp.example",
            "roles": ["ReadOnly"],
        }])
    );
}
