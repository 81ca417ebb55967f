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
    /// What the client declares.
    capabilities: Value,
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
        Shim::legacy(self.host()).await
    }

    /// The same, of a client that puts forms before its person.
    pub async fn hosted_shim_with_forms(&self) -> Shim {
        let mut shim = Shim::start(self.host(), Era::Legacy, forms());
        shim.shake_hands().await;
        shim
    }

    pub fn modern_shim(&self) -> Shim {
        Shim::start(self.program(bin("awsso-mcp")), Era::Modern, json!({}))
    }

    /// A hosted shim of the newer era, of a client that puts forms before its person.
    pub fn modern_shim_with_forms(&self) -> Shim {
        Shim::start(self.host(), Era::Modern, forms())
    }

    fn host(&self) -> Command {
        let mut host = self.program("sh");
        host.args(["-c", r#""$0"; exit $?"#]).arg(bin("awsso-mcp"));
        host
    }
}

fn forms() -> Value {
    json!({"elicitation": {"form": {}}})
}

impl Shim {
    /// A shim that has been shaken hands with.
    pub async fn legacy(command: Command) -> Self {
        let mut shim = Self::start(command, Era::Legacy, json!({}));
        shim.shake_hands().await;
        shim
    }

    async fn shake_hands(&mut self) {
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": self.capabilities,
            "clientInfo": {"name": "e2e", "version": "1"},
        });
        let answer = self.request("initialize", hello).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
    }

    fn start(mut command: Command, era: Era, capabilities: Value) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shim starts");
        Self {
            era,
            capabilities,
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: BufReader::new(child.stdout.take().expect("stdout is piped")).lines(),
            last_id: 0,
            _child: child,
        }
    }

    /// The tools as they are listed.
    pub async fn tools(&mut self) -> Vec<Value> {
        let mut listed = self.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].take();
        serde_json::from_value(tools).expect("a list of tools")
    }

    /// Calls a tool; its result, error or not.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        self.call_with(tool, json!({"name": tool, "arguments": arguments}))
            .await
    }

    /// Calls a tool again, with the state of a question and the answer to it.
    pub async fn call_again(
        &mut self,
        tool: &str,
        arguments: Value,
        state: &str,
        answer: Value,
    ) -> Answer {
        let params = json!({
            "name": tool,
            "arguments": arguments,
            "requestState": state,
            "inputResponses": {"approval": answer},
        });
        self.call_with(tool, params).await
    }

    async fn call_with(&mut self, tool: &str, mut params: Value) -> Answer {
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
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
        let id = self.send(method, params).await;
        self.until(method, |it| it["id"] == id && it["method"].is_null())
            .await
    }

    /// Waits for a question to the client's person.
    pub async fn question(&mut self) -> Value {
        self.until("a question", |it| it["method"] == "elicitation/create")
            .await
    }

    /// Answers it.
    pub async fn answer(&mut self, question: &Value, answer: Value) {
        self.write(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}))
            .await;
    }

    /// Waits for the answer to a call that was begun.
    pub async fn answered(&mut self, id: u64) -> Answer {
        let mut answer = self
            .until("an answer", |it| it["id"] == id && it["method"].is_null())
            .await;
        Answer(answer["result"].take())
    }

    async fn until(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = within_limit(wanted, self.stdout.next_line()).await;
            let line = line.expect("UTF-8").expect("the shim goes on");
            let message: Value = serde_json::from_str(&line).expect("a line of JSON");
            if fits(&message) {
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

    /// The client is to ask its person and to call again: the state to come back
    /// with, and what the person is to be shown.
    #[track_caller]
    pub fn question(&self) -> (String, &Value) {
        assert_eq!(self.0["resultType"], "input_required", "{:#}", self.0);
        let state = self.0["requestState"].as_str().expect("a state");
        let question = &self.0["inputRequests"]["approval"];
        assert_eq!(question["method"], "elicitation/create", "{:#}", self.0);
        (state.to_owned(), &question["params"])
    }

    pub fn facts(&self) -> &Value {
        &self.0["structuredContent"]
    }

    fn text(&self) -> &str {
        self.0["content"][0]["text"].as_str().expect("a text")
    }
}
