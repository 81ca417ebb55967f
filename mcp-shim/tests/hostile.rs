//! Hostile HTTP requests in a table, each with its refusal.

use serde_json::json;

use crate::{
    http::{both, call, modern},
    served::{Request, Served},
};

/// What may come: other users of the machine, web pages, DNS rebinding, broken
/// and lying clients. Each with the answer it gets.
#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile(served: &Served) -> Vec<(&'static str, Request, u16)> {
    let good = || served.request();
    let port = served.port;
    let own = format!("http://localhost:{port}");
    let token = format!("Bearer {}", served.token);
    let short = &token[..token.len() - 1];
    let long_line = format!("POST /mcp?{} HTTP/1.1", "x".repeat(70_000));
    let in_query = format!("POST /mcp?token={} HTTP/1.1", served.token);
    let elsewhere = format!("POST http://evil.example:{port}/mcp HTTP/1.1");
    let rebound = format!("evil.example:{port}");
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let big = vec![b' '; (1 << 20) + 1];
    let mut chunked = format!("{:x}\r\n", big.len()).into_bytes();
    chunked.extend(&big);
    chunked.extend(b"\r\n0\r\n\r\n");
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        ("no token", good().without("Authorization"), 401),
        (
            "another token",
            good().set("Authorization", &format!("Bearer {}", "0".repeat(64))),
            401,
        ),
        (
            "a part of the token",
            good().set("Authorization", short),
            401,
        ),
        (
            "more than the token",
            good().set("Authorization", &format!("{token}0")),
            401,
        ),
        ("the token twice", good().with("Authorization", &token), 401),
        (
            "the token without its scheme",
            good().set("Authorization", &served.token),
            401,
        ),
        (
            "the token as a password",
            good().set("Authorization", "Basic OjEyMw=="),
            401,
        ),
        (
            "the token in the link",
            good().without("Authorization").line(&in_query),
            401,
        ),
        (
            "the token in a cookie",
            good()
                .without("Authorization")
                .with("Cookie", &format!("token={}", served.token)),
            401,
        ),
        (
            "a stream without a token",
            good().without("Authorization").line("GET /mcp HTTP/1.1"),
            401,
        ),
        (
            "the end of a session without a token",
            good()
                .without("Authorization")
                .line("DELETE /mcp HTTP/1.1")
                .with("Mcp-Session-Id", "1"),
            401,
        ),
        (
            "a page elsewhere",
            good().with("Origin", "https://evil.example"),
            403,
        ),
        (
            "a page without an origin",
            good().with("Origin", "null"),
            403,
        ),
        ("an empty origin", good().with("Origin", ""), 403),
        (
            "a page of another port",
            good().with("Origin", "http://localhost:5173"),
            403,
        ),
        (
            "a page without a port",
            good().with("Origin", "http://localhost"),
            403,
        ),
        (
            "a page over TLS",
            good().with("Origin", &format!("https://localhost:{port}")),
            403,
        ),
        (
            "an origin that begins like ours",
            good().with("Origin", &format!("{own}.evil.example")),
            403,
        ),
        (
            "an origin with a path",
            good().with("Origin", &format!("{own}/")),
            403,
        ),
        (
            "an origin with a user",
            good().with("Origin", &format!("http://a@localhost:{port}")),
            403,
        ),
        (
            "two origins",
            good()
                .with("Origin", &own)
                .with("Origin", "https://evil.example"),
            403,
        ),
        (
            "a file of this machine",
            good().with("Origin", "file://"),
            403,
        ),
        ("another host", good().set("Host", &rebound), 403),
        (
            "a name that was bound to us",
            good()
                .set("Host", &rebound)
                .with("Origin", &format!("http://{rebound}")),
            403,
        ),
        (
            "another port of ours",
            good().set("Host", "localhost:1"),
            403,
        ),
        (
            "our host without its port",
            good().set("Host", "localhost"),
            403,
        ),
        (
            "all addresses",
            good().set("Host", &format!("0.0.0.0:{port}")),
            403,
        ),
        (
            "another loopback address",
            good().set("Host", &format!("127.0.0.2:{port}")),
            403,
        ),
        (
            "a host with a user",
            good().set("Host", &format!("evil.example@localhost:{port}")),
            403,
        ),
        (
            "a host with a dot",
            good().set("Host", &format!("localhost.:{port}")),
            403,
        ),
        ("no host", good().without("Host"), 400),
        ("two hosts", good().with("Host", &rebound), 400),
        ("a link to another host", good().line(&elsewhere), 403),
        (
            "a rebound health check",
            good().line("GET / HTTP/1.1").set("Host", &rebound),
            403,
        ),
        (
            "a preflight",
            good()
                .without("Authorization")
                .line("OPTIONS /mcp HTTP/1.1")
                .with("Origin", "https://evil.example")
                .with("Access-Control-Request-Method", "POST"),
            403,
        ),
        (
            "a preflight without an origin",
            good().line("OPTIONS /mcp HTTP/1.1"),
            405,
        ),
        ("a file to put", good().line("PUT /mcp HTTP/1.1"), 405),
        ("a trace", good().line("TRACE /mcp HTTP/1.1"), 405),
        (
            "a message to the health check",
            good().line("POST / HTTP/1.1"),
            405,
        ),
        (
            "a place that is not there",
            good().line("POST /mcp/ HTTP/1.1"),
            404,
        ),
        ("a place above", good().line("POST /x/../mcp HTTP/1.1"), 404),
        (
            "a form of a page",
            good().set("Content-Type", "application/x-www-form-urlencoded"),
            415,
        ),
        (
            "a text of a page",
            good().set("Content-Type", "text/plain"),
            415,
        ),
        ("no type", good().without("Content-Type"), 415),
        (
            "a client that takes no stream",
            good().set("Accept", "application/json"),
            406,
        ),
        ("a client that takes nothing", good().without("Accept"), 406),
        ("a long body", good().body(big), 413),
        (
            "a long body in pieces",
            good().with("Transfer-Encoding", "chunked").body(chunked),
            413,
        ),
        ("long headers", good().with("X", &"x".repeat(70_000)), 431),
        ("a long link", good().line(&long_line), 431),
        ("no JSON", good().body("{"), 415),
        ("no UTF-8", good().body([0x22, 0xff, 0x22]), 415),
        ("JSON without an end", good().body(nested), 415),
        ("a batch", good().body(format!("[{list},{list}]")), 415),
        (
            "two lengths",
            good()
                .with("Content-Length", "1")
                .with("Content-Length", "2"),
            400,
        ),
        (
            "a negative length",
            good().with("Content-Length", "-1"),
            400,
        ),
        ("a line break in a header", good().with("X", "a\rb"), 400),
        ("another protocol", good().line("POST /mcp HTTP/3.7"), 400),
        ("no session", good().body(list.to_string()), 400),
        (
            "a session that is not",
            served.in_session("00000000-0000-0000-0000-000000000000", &list),
            404,
        ),
        (
            "a version that is not",
            good()
                .with("MCP-Protocol-Version", "1999-01-01")
                .body(list.to_string()),
            400,
        ),
        (
            "headers that say another method",
            modern(served, &list)
                .without("Mcp-Method")
                .with("Mcp-Method", "ping"),
            400,
        ),
        (
            "a call that hides its tool",
            modern(served, &call(1, "aws x")).without("Mcp-Name"),
            400,
        ),
        (
            "a call that names another tool",
            modern(served, &call(1, "aws x")).set("Mcp-Name", "aws_sso_status"),
            400,
        ),
    ]
}

#[test]
fn every_hostile_request_is_refused_and_reaches_nothing() {
    let (daemon, served, _home) = both();
    let mut wrong = Vec::new();
    for (what, request, status) in hostile(&served) {
        let answer = served.send(&request);
        if answer.status != status {
            wrong.push(format!("{what}: {} instead of {status}", answer.status));
        }
        let text = answer.text.to_lowercase();
        assert!(!text.contains("access-control-"), "{what}: {text}");
        assert!(!text.contains(&served.token), "{what}: {text}");
        assert!(
            !text.contains("/home") && !text.contains(".rs:"),
            "{what}: {text}"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(daemon.is_idle(), "a command was started");
    // It goes on serving.
    served.begin();
}
