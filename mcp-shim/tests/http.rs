//! The HTTP transport as clients, other users and web pages meet it.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv6Addr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use crate::fake_daemon::{Asked, FakeDaemon};
use crate::served::{Answer, Request, Served, command};
use crate::shim::Home;
use serde_json::{Value, json};

pub(crate) fn both() -> (FakeDaemon, Served, Home) {
    let home = Home::new();
    let daemon = FakeDaemon::listen(&home.path("d.sock"));
    let served = Served::start(&home);
    (daemon, served, home)
}

pub(crate) fn call(id: u64, command: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {
            "name": "aws_sso_exec_command",
            "arguments": {"accountId": "production", "roleName": "ReadOnly", "command": command},
        },
    })
}

/// The same in the stateless era.
pub(crate) fn modern(served: &Served, message: &Value) -> Request {
    let mut message = message.clone();
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test-client", "version": "1.0"},
    });
    let name = message["params"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let request = served
        .request()
        .with("MCP-Protocol-Version", "2026-07-28")
        .with("Mcp-Method", message["method"].as_str().unwrap())
        .body(message.to_string());
    if name.is_empty() {
        request
    } else {
        request.with("Mcp-Name", &name)
    }
}

#[test]
fn both_eras_are_served_on_both_loopback_addresses() {
    let (_daemon, served, _home) = both();
    let session = served.begin();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let accepted = served.send(&served.in_session(&session, &ready));
    assert_eq!(accepted.status, 202);
    let ran = served.send(&served.in_session(&session, &call(2, "aws s3 ls")));
    let text = ran.message()["result"]["content"][0]["text"].take();
    assert!(text.as_str().unwrap().starts_with("aws s3 ls\n[exit 0"));

    let ran = served.send(&modern(&served, &call(2, "aws s3 ls")));
    assert_eq!(ran.message()["result"]["resultType"], "complete");

    let mut v6 = TcpStream::connect((Ipv6Addr::LOCALHOST, served.port)).unwrap();
    let host = format!("[::1]:{}", served.port);
    let request = served.request().set("Host", &host);
    v6.write_all(&request.bytes()).unwrap();
    assert_eq!(Answer::read(&mut v6).status, 200);
}

#[test]
fn health_is_a_constant_that_needs_no_token() {
    let (_daemon, served, _home) = both();
    let health = served.request().without("Authorization").body("");
    for (line, body) in [
        (
            "GET / HTTP/1.1",
            concat!("awsso-mcp ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        ("HEAD / HTTP/1.1", ""),
    ] {
        let answer = served.send(&health.clone().line(line));
        assert_eq!(answer.status, 200);
        assert!(
            answer.text.ends_with(&format!("\r\n\r\n{body}")),
            "{answer:?}"
        );
    }
}

#[test]
fn equal_request_ids_of_two_sessions_get_their_own_answers() {
    let (daemon, served, _home) = both();
    let sessions = [served.begin(), served.begin()];
    let mut hanging = served.connect();
    let slow = served.in_session(&sessions[0], &call(7, "aws hang"));
    hanging.write_all(&slow.bytes()).unwrap();
    daemon.watched();
    let quick = served.send(&served.in_session(&sessions[1], &call(7, "aws quick")));
    let text = |answer: &Answer| {
        let message = answer.message();
        assert_eq!(message["id"], 7);
        message["result"]["content"][0]["text"].to_string()
    };
    assert!(text(&quick).contains("aws quick"));
    daemon.finish("job_1");
    let slow = Answer::read(&mut hanging);
    assert!(text(&slow).contains("working"), "{slow:?}");
}

#[test]
fn a_stateless_client_that_hangs_up_takes_its_job_with_it() {
    let (daemon, served, _home) = both();
    let mut hanging = served.connect();
    let request = modern(&served, &call(1, "aws hang"));
    hanging.write_all(&request.bytes()).unwrap();
    daemon.watched();
    drop(hanging);
    loop {
        if let Asked::Cancel(id) = daemon.asked() {
            assert_eq!(id, "job_1");
            break;
        }
    }
}

#[test]
fn a_session_too_many_ends_the_one_that_was_silent_for_longest() {
    let home = Home::new();
    let served = Served::start(&home);
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    let status = |session: &str| served.send(&served.in_session(session, &ping)).status;
    let (first, second) = (served.begin(), served.begin());
    for _ in 2..256 {
        served.begin();
    }
    assert_eq!(status(&first), 200);
    let last = served.begin();
    assert_eq!(status(&second), 404);
    assert_eq!((status(&first), status(&last)), (200, 200));
}

#[test]
fn the_token_is_a_private_file_that_stays() {
    let home = Home::new();
    let first = Served::start(&home);
    assert_eq!(first.token.len(), 64);
    let file = home.path("state/awsso/mcp-http.token");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Served::start(&home);
    assert_eq!(first.token, second.token);
    drop(second);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = command(&home, 0).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("mcp-http.token")
    );
}

#[test]
fn without_a_token_only_when_told_so() {
    let home = Home::new();
    let served = Served::with(&home, &["--no-token"]);
    assert!(served.token.is_empty(), "no file was made");
    let open = served.request().without("Authorization");
    assert_eq!(served.send(&open).status, 200);
    let page = open.with("Origin", "https://evil.example");
    assert_eq!(served.send(&page).status, 403);
}

#[test]
fn a_busy_port_is_one_line_and_exit_code_1() {
    let home = Home::new();
    let served = Served::start(&home);
    let second = command(&home, served.port).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    let expected = format!("awsso-mcp: port {} is in use; ", served.port);
    assert!(
        said.starts_with(&expected) && said.lines().count() == 1,
        "{said}"
    );
    assert!(second.stdout.is_empty());
}

#[test]
fn a_signal_ends_the_server_at_once_although_clients_are_connected() {
    let home = Home::new();
    for signal in ["-INT", "-TERM"] {
        let mut served = Served::start(&home);
        let session = served.begin();
        let mut stream = served.connect();
        let listen = served
            .request()
            .line("GET /mcp HTTP/1.1")
            .with("Mcp-Session-Id", &session)
            .body("");
        stream.write_all(&listen.bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        let pid = served.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
        let started = std::time::Instant::now();
        assert_eq!(served.child.wait().unwrap().code(), Some(0));
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
    }
}
