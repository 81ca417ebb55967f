//! `exec --serve`: an SDK asks the daemon itself, again and again, and nobody
//! else can.

use std::path::PathBuf;

use awsso_e2e::{
    Background, World, bin,
    known::{ADMIN, PRODUCTION},
    within_limit,
};
use awsso_proto::v1::{
    ClientKind, LoopbackEndpoint, OpenEndpointRequest, OpenEndpointResponse, Target,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use tonic::{Status, Streaming};

mod endpoint;
mod program;
mod restart;

const ASKED: &str = "sso.GetRoleCredentials";

/// `awsso exec --serve` as the administrator of production.
fn serve(world: &World, line: &[&str]) -> Command {
    let mut command = world.program(bin("awsso"));
    command
        .args(["exec", "--serve", "--account", PRODUCTION, "--role", ADMIN])
        .arg("--")
        .args(line);
    command
}

fn python() -> String {
    std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

async fn open(
    world: &World,
    kind: ClientKind,
    again: Option<LoopbackEndpoint>,
) -> Result<(Streaming<OpenEndpointResponse>, OpenEndpointResponse), Status> {
    let target = Target {
        account: PRODUCTION.to_owned(),
        role: ADMIN.to_owned(),
        ..Target::default()
    };
    let request = OpenEndpointRequest {
        target: Some(target),
        again,
    };
    let client = world.connect(kind).await;
    let mut stream = client
        .credentials()
        .open_endpoint(request)
        .await?
        .into_inner();
    let opened = stream.message().await?.unwrap();
    Ok((stream, opened))
}

/// A program's endpoint, as its environment has it.
#[derive(Debug)]
struct Known {
    host: String,
    token: String,
}

impl Known {
    fn new(url: &str, token: &str) -> Self {
        let host = url
            .strip_prefix("http://")
            .and_then(|h| h.strip_suffix('/'));
        Self {
            host: host.unwrap().to_owned(),
            token: token.to_owned(),
        }
    }

    fn of(opened: &OpenEndpointResponse) -> Self {
        let token = opened.endpoint.as_ref().unwrap().token.as_ref().unwrap();
        Self::new(&opened.url, token.expose())
    }

    async fn get(&self) -> (u16, Value) {
        let (host, token) = (&self.host, &self.token);
        let headers = format!("Host: {host}\r\nAuthorization: {token}\r\n");
        self.ask("GET /", &headers).await
    }

    async fn ask(&self, line: &str, headers: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within_limit(line, stream.read_to_string(&mut answer))
            .await
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("cache-control: no-store"), "{head}");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Waits until nobody listens there.
    async fn is_closed(&self) {
        let closed = async { while TcpStream::connect(&self.host).await.is_ok() {} };
        within_limit("the end of the endpoint", closed).await;
    }
}

/// A program that shows its endpoint and runs until it is let go.
struct Waiting {
    run: Background,
    known: Known,
    config: PathBuf,
    gate: PathBuf,
}

impl Waiting {
    async fn start(world: &World, then: &str) -> Self {
        let gate = world.dir().join("gate");
        let made = std::process::Command::new("mkfifo").arg(&gate).status();
        assert!(made.unwrap().success());
        let script = format!(
            "echo \"{{\\\"url\\\": \\\"$AWS_CONTAINER_CREDENTIALS_FULL_URI\\\", \
             \\\"token\\\": \\\"$AWS_CONTAINER_AUTHORIZATION_TOKEN\\\", \
             \\\"config\\\": \\\"$AWS_CONFIG_FILE\\\", \\\"pid\\\": $PPID}}\"\n\
             read line < {}\n{then}",
            gate.display()
        );
        let run = Background::start(serve(world, &["sh", "-c", &script]), "exec --serve");
        let shown = run.document("its environment", |_| true).await;
        let text = |name: &str| shown[name].as_str().unwrap();
        Self {
            known: Known::new(text("url"), text("token")),
            config: text("config").into(),
            run,
            gate,
        }
    }

    async fn end(self) -> awsso_e2e::Run {
        let gate = self.gate;
        let opened = tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n"));
        within_limit("the gate", opened).await.unwrap().unwrap();
        self.run.end().await
    }
}
