//! A shim that serves HTTP, and requests byte for byte as anybody may send them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::shim::Home;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) port: u16,
    pub(crate) token: String,
}

impl Served {
    pub(crate) fn start(home: &Home) -> Self {
        Self::with(home, &[])
    }

    pub(crate) fn with(home: &Home, args: &[&str]) -> Self {
        let mut child = command(home, 0).args(args).spawn().unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        BufReader::new(stderr).read_line(&mut line).unwrap();
        let port = line.split("localhost:").nth(1).unwrap();
        let port = port.split('/').next().unwrap().parse().unwrap();
        let token = std::fs::read_to_string(home.path("state/awsso/mcp-http.token"));
        Self {
            child,
            port,
            token: token.unwrap_or_default().trim().to_owned(),
        }
    }

    /// A request that is answered well: the beginning of a session.
    pub(crate) fn request(&self) -> Request {
        Request {
            line: "POST /mcp HTTP/1.1".to_owned(),
            headers: vec![
                ("Host".into(), format!("localhost:{}", self.port)),
                ("Authorization".into(), format!("Bearer {}", self.token)),
                ("Content-Type".into(), "application/json".into()),
                (
                    "Accept".into(),
                    "application/json, text/event-stream".into(),
                ),
                ("Connection".into(), "close".into()),
            ],
            body: json!({
                "jsonrpc": "2.0", "id": 1, "method": "initialize",
                "params": crate::shim::initialize("2025-11-25"),
            })
            .to_string()
            .into_bytes(),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends it and reads to the end of the connection.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        let mut stream = self.connect();
        // Whoever refuses need not read all of it.
        let _ = stream.write_all(&request.bytes());
        Answer::read(&mut stream)
    }

    /// Begins a session of the older protocols; its id.
    pub(crate) fn begin(&self) -> String {
        let answer = self.send(&self.request());
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.header("mcp-session-id").unwrap().to_owned()
    }

    pub(crate) fn in_session(&self, session: &str, message: &Value) -> Request {
        self.request()
            .with("Mcp-Session-Id", session)
            .body(message.to_string())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(home: &Home, port: u16) -> Command {
    let mut command = home.command();
    command
        .env("TRANSPORT_MODE", "http")
        .env("PORT", port.to_string())
        .stdin(Stdio::null());
    command
}

#[derive(Clone)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// One more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// This header in place of the usual one.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        let framed =
            |(name, _): &(String, String)| name == "Content-Length" || name == "Transfer-Encoding";
        if !self.headers.iter().any(framed) {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that refuses closes at once; what it said before that is here.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_default(),
            text,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The JSON-RPC message of the answer.
    pub(crate) fn message(&self) -> Value {
        let lines = self
            .text
            .lines()
            .map(|line| line.trim_start_matches("data: "));
        let mut messages = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let message = messages.find(|message| message["jsonrpc"] == "2.0");
        message.unwrap_or_else(|| panic!("no message in {}", self.text))
    }
}
