//! A login as clients of either era have it: shown by the client, by a browser, or
//! as text.

use awsso_proto::v1::{LoginFlow, LoginRequest};
use serde_json::{Value, json};

use crate::{
    daemon::both,
    fake_daemon::{Asked, FakeDaemon},
    shim::{Home, Shim, initialize, text},
};

fn asked_login(daemon: &FakeDaemon) -> LoginRequest {
    loop {
        if let Asked::Login(request) = daemon.asked() {
            return request;
        }
    }
}

/// A call of a client of the stateless era that can show links.
fn params(tool: &str, arguments: &Value) -> Value {
    json!({
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}},
            "io.modelcontextprotocol/clientInfo": {"name": "test-client", "version": "1.0"},
        },
    })
}

/// The same call, made again after a question.
fn in_round(mut params: Value, again: Option<(&str, Value)>) -> Value {
    if let Some((state, responses)) = again {
        params["requestState"] = state.into();
        params["inputResponses"] = responses;
    }
    params
}

fn call(shim: &mut Shim, tool: &str, arguments: &Value, again: Option<(&str, Value)>) -> Value {
    let params = in_round(params(tool, arguments), again);
    shim.request("tools/call", params)["result"].take()
}

fn chose(action: &str) -> Value {
    json!({"sso": {"action": action}})
}

/// A shim of the stateless era, and the state that its question left.
fn asked(tool: &str) -> (FakeDaemon, Shim, Home, String) {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut shim = home.start();
    let question = call(&mut shim, tool, &json!({}), None);
    assert_eq!(question["resultType"], "input_required", "{question}");
    let request = &question["inputRequests"]["sso"];
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["mode"], "url");
    assert_eq!(request["params"]["url"], "https://device.sso.example/");
    let message = request["params"]["message"].as_str().unwrap();
    assert!(message.contains("ABCD-EFGH"), "{message}");
    let state = question["requestState"].as_str().unwrap().to_owned();
    (daemon, shim, home, state)
}

#[test]
fn a_client_that_shows_the_link_is_logged_in_when_its_person_is_done() {
    let (daemon, mut shim, _home, state) = asked("aws_sso_login");
    let soon = json!({"waitSeconds": 0});
    let again = call(
        &mut shim,
        "aws_sso_login",
        &soon,
        Some((&state, chose("accept"))),
    );
    assert_eq!(again["resultType"], "input_required", "{again}");
    assert!(again["inputRequests"].is_null(), "asked once: {again}");
    let state = again["requestState"].as_str().unwrap().to_owned();
    daemon.log_in();
    let done = call(
        &mut shim,
        "aws_sso_login",
        &json!({}),
        Some((&state, json!({}))),
    );
    assert_eq!(done["structuredContent"]["state"], "logged_in", "{done}");
    assert_eq!(done["structuredContent"]["browserOpened"], false);
}

#[test]
fn the_login_of_one_call_finishes_all_that_wait_for_it() {
    let (daemon, mut shim, _home, state) = asked("aws_sso_ls_accounts");
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let params = params("aws_sso_ls_accounts", &json!({}));
            let again = Some((state.as_str(), chose("accept")));
            shim.send("tools/call", in_round(params, again))
        })
        .collect();
    let patient = params("aws_sso_status", &json!({"waitSeconds": 50}));
    let watching = shim.send("tools/call", patient);
    daemon.log_in();
    let mut answered: Vec<_> = (0..=waiting.len())
        .map(|_| {
            let answer = shim.read();
            assert_eq!(answer["result"]["isError"], false, "{answer}");
            answer["id"].as_u64().unwrap()
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, [waiting, vec![watching]].concat());
}

#[test]
fn a_link_that_the_client_shows_opens_no_browser_unless_the_client_cannot() {
    let home = Home::new();
    let _daemon = FakeDaemon::listen(&home.path("d.sock"));
    let seen = home.path("seen");
    let mut shim = Shim::new(with_browser(&home));
    let question = call(&mut shim, "aws_sso_login", &json!({}), None);
    let state = question["requestState"].as_str().unwrap().to_owned();
    let soon = json!({"waitSeconds": 0});
    let accepted = Some((state.as_str(), chose("accept")));
    call(&mut shim, "aws_sso_login", &soon, accepted);
    let declined = Some((state.as_str(), chose("decline")));
    call(&mut shim, "aws_sso_login", &soon, declined);
    assert!(!seen.exists(), "a browser was opened");
    let cancelled = Some((state.as_str(), chose("cancel")));
    let pending = call(&mut shim, "aws_sso_login", &soon, cancelled);
    assert_eq!(pending["structuredContent"]["browserOpened"], true);
    assert!(seen.exists());
}

#[test]
fn a_client_is_not_asked_to_call_again_for_ever() {
    let (_daemon, mut shim, _home, mut state) = asked("aws_sso_login");
    let soon = json!({"waitSeconds": 0});
    for round in 1.. {
        let answer = call(
            &mut shim,
            "aws_sso_login",
            &soon,
            Some((&state, chose("accept"))),
        );
        if answer["resultType"] == "complete" {
            assert_eq!(answer["structuredContent"]["state"], "pending");
            assert_eq!(round, 8);
            break;
        }
        state = answer["requestState"].as_str().unwrap().to_owned();
    }
}

#[test]
fn a_login_that_another_tool_needs_happens_inside_its_call() {
    let (daemon, mut shim, _home, state) = asked("aws_sso_ls_accounts");
    daemon.log_in();
    let listed = call(
        &mut shim,
        "aws_sso_ls_accounts",
        &json!({}),
        Some((&state, chose("accept"))),
    );
    assert!(text(&listed).contains("production"), "{listed}");
    let (_daemon, mut shim, _home, state) = asked("aws_sso_ls_accounts");
    let declined = call(
        &mut shim,
        "aws_sso_ls_accounts",
        &json!({}),
        Some((&state, chose("decline"))),
    );
    assert_eq!(declined["isError"], true);
    assert!(
        text(&declined).starts_with("LOGIN_REQUIRED: "),
        "{declined}"
    );
}

#[test]
fn who_declines_is_left_alone_and_who_cancels_gets_the_text() {
    let (_daemon, mut shim, _home, state) = asked("aws_sso_login");
    let declined = call(
        &mut shim,
        "aws_sso_login",
        &json!({}),
        Some((&state, chose("decline"))),
    );
    let facts = &declined["structuredContent"];
    assert_eq!(facts["state"], "declined");
    assert!(facts["verificationUri"].is_null(), "{declined}");
    let cancelled = call(
        &mut shim,
        "aws_sso_login",
        &json!({}),
        Some((&state, chose("cancel"))),
    );
    let facts = &cancelled["structuredContent"];
    assert_eq!(facts["state"], "pending");
    assert_eq!(facts["userCode"], "ABCD-EFGH");
    assert!(
        text(&cancelled).contains("there is no display here"),
        "{cancelled}"
    );
}

#[test]
fn a_person_who_names_a_way_gets_that_one() {
    let home = Home::new();
    let _daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut shim = home.start();
    for launch in [true, false] {
        let arguments = json!({"launchBrowser": launch});
        let login = call(&mut shim, "aws_sso_login", &arguments, None);
        assert_eq!(login["resultType"], "complete", "{login}");
        assert_eq!(login["structuredContent"]["state"], "pending");
    }
}

/// A shim whose client of an older version shows links.
fn older(version: &str) -> (FakeDaemon, Shim, Home) {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut shim = home.start();
    let mut hello = initialize(version);
    hello["capabilities"] = json!({"elicitation": {"form": {}, "url": {}}});
    shim.request("initialize", hello);
    shim.notify("notifications/initialized", &json!({}));
    (daemon, shim, home)
}

#[test]
fn an_older_client_is_asked_inside_its_call_and_told_the_end() {
    let (daemon, mut shim, _home) = older("2025-11-25");
    let login = shim.send(
        "tools/call",
        json!({"name": "aws_sso_login", "arguments": {}}),
    );
    let question = shim.read();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert_eq!(question["params"]["url"], "https://device.sso.example/");
    shim.reply(&question, json!({"action": "accept"}));
    shim.request("ping", json!({}));
    daemon.log_in();
    let told = shim.read();
    assert_eq!(told["method"], "notifications/elicitation/complete");
    let id = &question["params"]["elicitationId"];
    assert_eq!(&told["params"]["elicitationId"], id);
    let done = shim.answer(login)["result"].take();
    assert_eq!(done["structuredContent"]["state"], "logged_in", "{done}");
}

#[test]
fn an_older_client_whose_person_is_faster_than_its_answer_is_not_waited_for() {
    let (daemon, mut shim, _home) = older("2025-06-18");
    let login = shim.send(
        "tools/call",
        json!({"name": "aws_sso_login", "arguments": {}}),
    );
    assert_eq!(shim.read()["method"], "elicitation/create");
    daemon.log_in();
    let done = shim.answer(login)["result"].take();
    assert_eq!(done["structuredContent"]["state"], "logged_in", "{done}");
}

#[test]
fn an_older_client_whose_person_does_not_answer_gets_no_browser() {
    let home = Home::new();
    let _daemon = FakeDaemon::listen(&home.path("d.sock"));
    let mut shim = Shim::new(with_browser(&home));
    let mut hello = initialize("2025-11-25");
    hello["capabilities"] = json!({"elicitation": {"url": {}}});
    shim.request("initialize", hello);
    shim.notify("notifications/initialized", &json!({}));
    let pending = shim.call("aws_sso_login", json!({"waitSeconds": 1}));
    assert_eq!(
        pending["structuredContent"]["state"], "pending",
        "{pending}"
    );
    assert!(text(&pending).contains("was shown the link"), "{pending}");
    assert!(!home.path("seen").exists(), "a browser was opened");
}

#[test]
fn an_older_client_that_cannot_ask_gets_the_text() {
    let (_daemon, mut shim, _home) = older("2025-11-25");
    let login = shim.send(
        "tools/call",
        json!({"name": "aws_sso_login", "arguments": {}}),
    );
    let question = shim.read();
    shim.reply(&question, json!({"action": "cancel"}));
    let pending = shim.answer(login)["result"].take();
    assert_eq!(pending["structuredContent"]["state"], "pending");
    assert_eq!(pending["structuredContent"]["userCode"], "ABCD-EFGH");
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

/// A shim with a display, whose browser writes down the link.
fn with_browser(home: &Home) -> std::process::Command {
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
    command
}

#[test]
fn a_browser_is_opened_where_there_is_a_display() {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let seen = home.path("seen");
    let mut shim = Shim::new(with_browser(&home));
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
