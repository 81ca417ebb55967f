//! What an MCP client sees of the shim when there is no daemon.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    process::{Child, Command, Output},
};

use crate::shim::{Home, Shim, initialize, text};
use serde_json::{Value, json};

const TOOLS: [&str; 9] = [
    "aws_sso_login",
    "aws_sso_status",
    "aws_sso_ls_accounts",
    "aws_sso_read_command",
    "aws_sso_exec_command",
    "aws_sso_ec2_exec_command",
    "aws_sso_job",
    "aws_sso_output",
    "aws_sso_logout",
];

/// What every request of the stateless era carries.
fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test-client", "version": "1.0"},
    });
    params
}

/// Gives a shim this input, closes stdin and waits for the end.
fn piped(home: &Home, input: &str) -> Output {
    let mut child = home.command().spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn tool_names(listed: &Value) -> Vec<&str> {
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}

#[test]
fn every_older_protocol_is_served_without_a_daemon() {
    let home = Home::new();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut shim = home.start();
        let answer = shim.request("initialize", initialize(version));
        assert_eq!(answer["result"]["protocolVersion"], version);
        assert_eq!(answer["result"]["serverInfo"]["name"], "aws-sso");
        assert_eq!(answer["result"]["serverInfo"]["title"], "AWS SSO");
        assert!(answer["result"]["instructions"].is_string());
        shim.notify("notifications/initialized", &json!({}));
        assert_eq!(tool_names(&shim.request("tools/list", json!({}))), TOOLS);
        assert_eq!(shim.request("ping", json!({}))["result"], json!({}));
        assert_eq!(shim.end(), Some(0));
    }
}

#[test]
fn the_stateless_protocol_is_served_without_a_daemon() {
    let home = Home::new();
    let mut shim = home.start();
    let discovered = shim.request("server/discover", modern(json!({})));
    let versions = discovered["result"]["supportedVersions"]
        .as_array()
        .unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let listed = shim.request("tools/list", modern(json!({})));
    assert_eq!(tool_names(&listed), TOOLS);
    assert_eq!(listed["result"]["resultType"], "complete");
    assert_eq!(listed["result"]["ttlMs"], 3_600_000);
    assert_eq!(listed["result"]["cacheScope"], "public");
    let call = modern(json!({"name": "aws_sso_status", "arguments": {}}));
    let called = shim.request("tools/call", call);
    assert_eq!(called["result"]["isError"], true);
    assert_eq!(shim.end(), Some(0));
}

#[test]
fn tools_carry_their_annotations_and_what_clients_ask_for() {
    let home = Home::new();
    let listed = Shim::initialized(&home).request("tools/list", json!({}));
    let tool = |name: &str| {
        let tools = listed["result"]["tools"].as_array().unwrap();
        tools.iter().find(|tool| tool["name"] == name).unwrap()
    };
    let exec = tool("aws_sso_exec_command");
    assert_eq!(exec["annotations"]["destructiveHint"], true);
    assert_eq!(exec["_meta"]["anthropic/maxResultSizeChars"], 100_000);
    assert_eq!(exec["_meta"]["anthropic/alwaysLoad"], true);
    assert_eq!(exec["inputSchema"]["additionalProperties"], false);
    assert!(exec["outputSchema"].is_null());
    let read = tool("aws_sso_read_command");
    assert_eq!(read["annotations"]["readOnlyHint"], true);
    assert_eq!(read["annotations"]["destructiveHint"], false);
    assert_eq!(read["annotations"]["openWorldHint"], true);
    assert_eq!(read["inputSchema"], exec["inputSchema"]);
    assert_eq!(read["_meta"], exec["_meta"]);
    let status = tool("aws_sso_status");
    assert_eq!(status["annotations"]["readOnlyHint"], true);
    assert_eq!(status["outputSchema"]["type"], "object");
}

#[test]
fn an_unknown_tool_is_a_protocol_error() {
    let home = Home::new();
    let answer = Shim::initialized(&home).request(
        "tools/call",
        json!({"name": "aws_sso_everything", "arguments": {}}),
    );
    assert_eq!(answer["error"]["code"], -32602);
}

#[test]
fn bad_arguments_are_a_tool_error_that_says_what_is_wrong() {
    let home = Home::new();
    let mut shim = Shim::initialized(&home);
    let result = shim.call(
        "aws_sso_exec_command",
        json!({"accountId": 111_122_223_333_u64}),
    );
    assert_eq!(result["isError"], true);
    assert!(text(&result).starts_with("INVALID_ARGUMENT: accountId must be a string\n"));
    let result = shim.call("aws_sso_exec_command", json!({"command": "aws s3 ls"}));
    assert!(text(&result).starts_with("DAEMON_UNREACHABLE: "));
    let result = shim.call("aws_sso_exec_command", json!({"accountId": "1"}));
    assert!(text(&result).starts_with("INVALID_ARGUMENT: missing: command (or args)\n"));
    let result = shim.call("aws_sso_status", json!({"wait": 1}));
    assert!(text(&result).starts_with("INVALID_ARGUMENT: unknown argument wait"));
}

#[test]
fn every_tool_says_what_to_do_when_the_daemon_cannot_start() {
    let home = Home::new();
    let mut shim = Shim::initialized(&home);
    for tool in TOOLS {
        let arguments = match tool {
            "aws_sso_read_command" | "aws_sso_exec_command" => {
                json!({"accountId": "1", "roleName": "r", "command": "aws s3 ls"})
            }
            "aws_sso_ec2_exec_command" => {
                json!({"accountId": "1", "roleName": "r", "command": "id", "instanceId": "i-1"})
            }
            "aws_sso_job" => json!({"jobId": "job_1"}),
            "aws_sso_output" => json!({"outputId": "out_1"}),
            "aws_sso_logout" => json!({"confirm": true}),
            _ => json!({}),
        };
        let result = shim.call(tool, arguments);
        assert_eq!(result["isError"], true);
        assert!(result["structuredContent"].is_null());
        let text = text(&result);
        assert!(text.starts_with("DAEMON_UNREACHABLE: "), "{text}");
        assert!(text.contains("awsso daemon start"), "{text}");
    }
    assert_eq!(shim.end(), Some(0));
}

#[test]
fn the_end_of_stdin_ends_the_shim_and_leaves_stdout_clean() {
    let home = Home::new();
    let silent = piped(&home, "");
    assert_eq!(silent.status.code(), Some(0));
    assert_eq!(
        (silent.stdout.as_slice(), silent.stderr.as_slice()),
        (&b""[..], &b""[..])
    );

    let input = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize("2025-06-18")}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ]
    .map(|message| format!("{message}\n"));
    let ended = piped(&home, &(input.concat() + "this is not JSON\n"));
    assert_eq!(ended.status.code(), Some(0));
    let lines = String::from_utf8(ended.stdout).unwrap();
    let ids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take())
        .collect();
    assert_eq!(ids, [json!(1), json!(2)]);
    assert!(ended.stderr.is_empty());
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_signal_ends_the_shim() {
    let home = Home::new();
    for name in ["-INT", "-TERM"] {
        let mut shim = Shim::initialized(&home);
        shim.request("tools/list", json!({}));
        signal(&shim.child, name);
        assert_eq!(shim.child.wait().unwrap().code(), Some(0));
    }
}

/// Node.js gives its children sockets for stdin and stdout.
#[test]
fn a_signal_ends_the_shim_although_its_stdin_is_a_socket() {
    let home = Home::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = home
        .command()
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize("2025-11-25"),
    });
    writeln!(&ours, "{message}").unwrap();
    let mut answer = String::new();
    BufReader::new(&ours).read_line(&mut answer).unwrap();
    assert!(answer.contains("aws-sso"), "{answer}");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_the_command_line_cannot_mean_is_said_in_one_line() {
    let home = Home::new();
    let version = home.command().arg("--version").output().unwrap();
    let expected = format!("awsso-mcp {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), expected);

    let port = home
        .command()
        .env("TRANSPORT_MODE", "http")
        .env("PORT", "abc")
        .output()
        .unwrap();
    assert_eq!(port.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(port.stderr).unwrap(),
        "awsso-mcp: PORT is \"abc\"; it must be a number from 0 to 65535\n"
    );
    let unknown = home.command().arg("--port").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap().lines().count(),
        1
    );
}

#[test]
fn the_log_is_private_and_holds_nothing_that_was_said() {
    let home = Home::new();
    let mut command = home.command();
    command
        .env("DEBUG", "true")
        .env("AWSSO_LOG", "trace,rmcp=trace");
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    shim.call(
        "aws_sso_exec_command",
        json!({"accountId": "1", "roleName": "r", "command": "aws s3 ls s3://secret-name"}),
    );
    let file = home.path(&format!(
        "state/awsso/logs/awsso-mcp-{}.log",
        shim.child.id()
    ));
    shim.end();
    let log = std::fs::read_to_string(&file).unwrap();
    assert!(log.contains("aws_sso_exec_command"), "{log}");
    assert!(!log.contains("secret-name"), "{log}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let folder = file.parent().unwrap().metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_shim_without_a_home_still_shakes_hands() {
    let home = Home::new();
    let mut command = home.command();
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    let mut shim = Shim::new(command);
    shim.request("initialize", initialize("2025-11-25"));
    let result = shim.call("aws_sso_status", json!({}));
    assert!(text(&result).contains("HOME is not set"), "{result}");
}
