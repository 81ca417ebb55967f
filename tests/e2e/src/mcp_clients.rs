//! Other people's MCP clients, which `tests/check` installs, and a shim that serves
//! HTTP to them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use crate::{Background, Run, World, bin, finish, world::within_limit};

const PYTHON: &str = include_str!("mcp_clients.py");
const NODE: &str = include_str!("mcp_clients.mjs");
const CONFIG: &str = include_str!("mcp_config.py");

/// A client that is no code of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Python,
    FastMcp,
    TypeScript,
}

impl Client {
    pub const ALL: [Self; 3] = [Self::Python, Self::FastMcp, Self::TypeScript];
}

/// A shim that serves HTTP. Dropped: it is killed.
pub struct HttpShim {
    pub port: u16,
    pub token: String,
    _background: Background,
}

/// Where `tests/check` has put the clients: in the build's own folder.
fn tools() -> PathBuf {
    let own = std::env::current_exe().expect("a path of the test");
    let mut tools = own.ancestors().map(|dir| dir.join("tools/mcp"));
    tools
        .find(|tools| tools.join("installed").is_file())
        .expect("the MCP clients are not installed: run tests/check once")
}

impl World {
    /// A program of a package, run by the Node.js beside it.
    pub async fn node(&self, program: &str, args: &[&str]) -> Run {
        let mut command = self.node_command();
        let shown = format!("{program} {}", args.join(" "));
        command
            .arg(tools().join("node_modules/.bin").join(program))
            .args(args);
        finish(command, shown).await
    }

    fn node_command(&self) -> Command {
        let modules = tools().join("node_modules");
        let mut command = self.program(modules.join("node/bin/node"));
        command
            .current_dir(tools())
            .env("MCP_INSPECTOR_SECRET_STORE", "memory");
        command
    }

    /// A client that logs in, running: it says whom it was asked to show, then
    /// what this command printed.
    pub fn client(&self, client: Client, era: &str, server: &[&str], run: &Value) -> Background {
        let command = self.client_command(client, era, server, run);
        Background::start(command, &format!("{client:?} {era}"))
    }

    /// The same, with a person who answers the forms that it shows like this.
    pub fn client_with_forms(
        &self,
        client: Client,
        era: &str,
        server: &[&str],
        run: &Value,
        answer: &Value,
    ) -> Background {
        let mut command = self.client_command(client, era, server, run);
        command
            .env("ANSWER", answer.to_string())
            .env("PATH", self.path_with_aws("echo \"$@\""));
        Background::start(command, &format!("{client:?} {era} {answer}"))
    }

    fn client_command(&self, client: Client, era: &str, server: &[&str], run: &Value) -> Command {
        let mut command = match client {
            Client::TypeScript => {
                let mut node = self.node_command();
                node.args(["--input-type=module", "--eval", NODE, "--"]);
                node
            }
            Client::Python | Client::FastMcp => {
                let mut python = self.program(tools().join("python/bin/python"));
                let name = if client == Client::FastMcp {
                    "fastmcp"
                } else {
                    "mcp"
                };
                python.args(["-c", PYTHON, name]);
                python
            }
        };
        command
            .arg(era)
            .args(server)
            .env("COMMAND", run.to_string());
        command
    }

    /// Another client's view of settings: for each form, member and file the entry that
    /// stands there and the tools of the server that it starts.
    pub async fn started_from(&self, settings: &[(&str, &str, &Path)]) -> Vec<Value> {
        let mut command = self.program(tools().join("python/bin/python"));
        command
            .args(["-c", CONFIG])
            .env("NODE", tools().join("node_modules/node/bin/node"));
        for (form, servers, file) in settings {
            command.args([form, servers]).arg(file);
        }
        let run = finish(command, "mcp_config.py".to_owned()).await.ok();
        let documents = run.lines().map(serde_json::from_str);
        documents.collect::<Result<_, _>>().expect("JSON")
    }

    pub async fn http_shim(&self, args: &[&str]) -> HttpShim {
        let mut command = self.program(bin("awsso-mcp"));
        command
            .args(args)
            .env("TRANSPORT_MODE", "http")
            .env("PORT", "0");
        self.http_shim_with(command).await
    }

    /// The same, prepared by the test.
    pub async fn http_shim_with(&self, command: Command) -> HttpShim {
        let background = Background::start(command, "awsso-mcp over HTTP");
        let line = background.line("serving http://localhost:").await;
        let port = line.split("localhost:").nth(1).and_then(|rest| {
            let port = rest.split('/').next()?;
            port.parse().ok()
        });
        let token = std::fs::read_to_string(self.state().join("mcp-http.token"));
        HttpShim {
            port: port.expect("a port"),
            token: token.unwrap_or_default().trim().to_owned(),
            _background: background,
        }
    }
}

impl HttpShim {
    pub fn url(&self) -> String {
        format!("http://localhost:{}/mcp", self.port)
    }

    /// Calls a tool with this request id, as a client of the stateless era.
    pub async fn call(&self, id: u64, tool: &str, arguments: Value) -> Value {
        let answer = self.bytes(id, tool, arguments).await;
        let answer = String::from_utf8(answer).expect("UTF-8");
        let lines = answer.lines().map(|line| line.trim_start_matches("data: "));
        let mut messages = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let message = messages.find(|message| message["id"] == id);
        message.unwrap_or_else(|| panic!("no answer to {id} in {answer}"))
    }

    /// The same: every byte that comes back, its head included.
    pub async fn bytes(&self, id: u64, tool: &str, arguments: Value) -> Vec<u8> {
        let body = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "1"},
                },
            },
        })
        .to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            self.token,
            body.len()
        );
        let answer = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        within_limit(tool, answer).await.expect("an answer")
    }
}
