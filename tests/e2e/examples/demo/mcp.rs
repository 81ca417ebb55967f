//! The smallest MCP client: JSON-RPC lines over a child's stdin and stdout, one request at a time.

use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::stage::LIMIT;

const PROTOCOL: &str = "2025-11-25";

pub struct Client {
    /// What `initialize` said.
    pub server: Value,
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    last_id: u64,
}

impl Client {
    /// Starts a server and shakes hands.
    pub async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("awsso-mcp")?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut client = Self {
            server: Value::Null,
            child,
            stdin,
            answers: BufReader::new(stdout).lines(),
            last_id: 0,
        };
        let hello = json!({
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "awsso-demo", "version": env!("CARGO_PKG_VERSION")},
        });
        client.server = client.request("initialize", hello).await?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        client.send(&ready).await?;
        Ok(client)
    }

    /// Asks, and waits for the result.
    pub async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await?;
        let mut answer = timeout(LIMIT, self.answer(id))
            .await
            .with_context(|| format!("{method}: no answer after {LIMIT:?}"))??;
        if !answer["error"].is_null() {
            bail!("{method}: {}", answer["error"]);
        }
        Ok(answer["result"].take())
    }

    /// Closes its stdin, which ends a server.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        let status = timeout(LIMIT, child.wait())
            .await
            .context("awsso-mcp does not end with its stdin")??;
        ensure!(status.success(), "awsso-mcp: {status}");
        Ok(())
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let text = format!("{message}\n");
        self.stdin.write_all(text.as_bytes()).await?;
        Ok(self.stdin.flush().await?)
    }

    /// The answer to a request; notifications on the way are not for us.
    async fn answer(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let line = self.answers.next_line().await?;
            let line = line.context("awsso-mcp has ended")?;
            let message: Value = serde_json::from_str(&line).context("awsso-mcp: not JSON")?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }
}
