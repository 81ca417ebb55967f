//! `awsso-mcp` as an MCP client drives it: raw JSON-RPC lines over stdio.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{World, bin, world::within_limit};

/// The era of the protocol that the client speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    /// `initialize` first, 2025-06-18.
    Legacy,
    /// What the client is stands in every request, 2026-07-28.
    Modern,
}

/// Dropped: it is killed.
pub struct Shim {
    era: Era,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    last_id: u64,
    _child: Child,
}

impl World {
    pub async fn legacy_shim(&self) -> Shim {
        Shim::legacy(self.program(bin("awsso-mcp"))).await
    }

    /// A shim of a host that is not the test itself: what runs beside the host is a person's.
    pub async fn hosted_shim(&self) -> Shim {
        let mut host = self.program("sh");
        host.args(["-c", r#""$0"; exit $?"#]).arg(bin("awsso-mcp"));
        Shim::legacy(host).await
    }

    pub fn modern_shim(&self) -> Shim {
        Shim::start(self.program(bin("awsso-mcp")), Era::Modern)
    }
}

impl Shim {
    /// A shim that has been shaken hands with.
    pub async fn legacy(command: Command) -> Self {
        let mut shim = Self::start(command, Era::Legacy);
        let answer = shim
            .request(
                "initialize",
                json!({
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": {"name": "e2e", "version": "1"},
                }),
            )
            .await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        shim.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        shim
    }

    fn start(mut command: Command, era: Era) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shim starts");
        Self {
            era,
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: BufReader::new(child.stdout.take().expect("stdout is piped")).lines(),
            last_id: 0,
            _child: child,
        }
    }

    /// Calls a tool; its result, error or not.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let mut params = json!({"name": tool, "arguments": arguments});
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
            });
        }
        let mut answer = self.request("tools/call", params).await;
        assert!(answer["result"].is_object(), "{tool}: {answer:#}");
        Answer(answer["result"].take())
    }

    /// Calls a tool and waits for nothing; the id of the request.
    pub async fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        let params = json!({"name": tool, "arguments": arguments});
        self.send("tools/call", params).await
    }

    /// Takes a call back.
    pub async fn cancel(&mut self, id: u64) {
        self.write(&json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id},
        }))
        .await;
    }

    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        self.write(&request).await;
        self.last_id
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        self.send(method, params).await;
        loop {
            let line = within_limit(method, self.stdout.next_line()).await;
            let line = line.expect("UTF-8").expect("the shim goes on");
            let message: Value = serde_json::from_str(&line).expect("a line of JSON");
            if message["id"] == self.last_id {
                return message;
            }
        }
    }

    async fn write(&mut self, message: &Value) {
        let line = format!("{message}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        written.expect("the shim reads");
    }
}

/// What a tool answered.
#[derive(Debug)]
#[must_use = "check it: .ok() or .error()"]
pub struct Answer(Value);

impl Answer {
    /// The text of an answer that is no error.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_ne!(self.0["isError"], true, "{:#}", self.0);
        self.text()
    }

    /// The text of an error; it is text only.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert_eq!(self.0["isError"], true, "{:#}", self.0);
        assert!(self.0["structuredContent"].is_null(), "{:#}", self.0);
        self.text()
    }

    pub fn facts(&self) -> &Value {
        &self.0["structuredContent"]
    }

    fn text(&self) -> &str {
        self.0["content"][0]["text"].as_str().expect("a text")
    }
}
