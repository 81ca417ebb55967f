//! `awsso-mcp`: speaks MCP with a model's client, on stdin and stdout or over HTTP
//! on loopback, and forwards every call to the daemon. It owns nothing that
//! outlives it, answers the handshake without a daemon, and writes nothing but
//! JSON-RPC to stdout.

mod answer;
mod arguments;
mod call;
mod context;
mod daemon;
mod elicit;
mod gate;
mod http;
mod job;
mod log;
mod output;
mod prompts;
mod resources;
mod run;
mod server;
mod sessions;
mod stdio;
mod token;
mod tools;
mod turns;

use std::io::Write as _;

use awsso_proto::{Endpoint, Failure, VERSION, ipc::Interrupts};
use tokio::runtime::{Builder, LocalOptions};

use crate::{context::Context, daemon::Daemon, gate::Gate, server::Shim, token::Token};

const HELP: &str = "\
awsso-mcp: the MCP server of awsso, for Claude, Cursor and other MCP clients

It speaks MCP on stdin and stdout; an MCP client starts it, with this program's
absolute path as its `command`. With TRANSPORT_MODE=http it serves
http://localhost:3000/mcp, on this computer only; clients send the bearer token
that stands in mcp-http.token in awsso's state folder.

Options:
  --no-token  HTTP without a token: whoever can reach the port on this computer,
              whichever user, may do all that you may
  --help      print this
  --version   print the version

Environment: AWS_SSO_START_URL, AWS_SSO_REGION, AWSSO_SESSION, AWS_PROFILE, AWS_REGION,
AWSSO_SOCKET, AWSSO_DAEMON, TRANSPORT_MODE=stdio|http, PORT=3000, DEBUG, AWSSO_LOG
";

const USUAL_PORT: u16 = 3000;

fn main() {
    let code = match wanted(std::env::args().skip(1), &var) {
        Ok(Wanted::Print(text)) => i32::from(std::io::stdout().write_all(text.as_bytes()).is_err()),
        Ok(Wanted::Serve(transport)) => match serve(&transport) {
            Ok(()) => 0,
            Err(why) => complain(1, &why),
        },
        Err(line) => complain(2, &line),
    };
    std::process::exit(code)
}

fn serve(transport: &Transport) -> Result<(), String> {
    let endpoint = Endpoint::from_env(None);
    if let Ok(endpoint) = &endpoint {
        log::init(endpoint.logs(), log::level(&var));
    }
    let shim = Shim::new(Daemon::new(endpoint.clone()), Context::from_env());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| error.to_string())?;
    let served = match transport {
        Transport::Stdio => runtime.block_on(stdio::serve(shim)),
        Transport::Http { port, with_token } => {
            runtime.block_on(serve_http(shim, endpoint, *port, *with_token))
        }
    };
    // Where stdin is no pipe, a thread reads it, and nothing can stop it.
    runtime.shutdown_background();
    served
}

async fn serve_http(
    shim: Shim,
    endpoint: Result<Endpoint, Failure>,
    port: u16,
    with_token: bool,
) -> Result<(), String> {
    let endpoint = endpoint.map_err(|failure| failure.to_string())?;
    let signals = Interrupts::new().map_err(|error| format!("no signals: {error}"))?;
    let bound = http::Bound::bind(port).await?;
    let token = with_token.then(|| Token::load_or_create(&endpoint));
    let token = token.transpose()?;
    let how = match token {
        Some(_) => format!("with the token in {}", Token::path(&endpoint).display()),
        None => "without a token, for every user of this computer".to_owned(),
    };
    // Nobody may be listening.
    let _ = writeln!(
        std::io::stderr(),
        "awsso-mcp: serving http://localhost:{}/mcp, {how}",
        bound.port
    );
    let gate = Gate::new(bound.port, token);
    bound.serve(shim, gate, signals).await;
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Serve(Transport),
    Print(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Transport {
    Stdio,
    Http { port: u16, with_token: bool },
}

/// What the command line and the environment ask for, or why that means nothing.
fn wanted(
    args: impl Iterator<Item = String>,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<Wanted, String> {
    let mut with_token = true;
    for arg in args {
        match arg.as_str() {
            "--version" | "-V" => return Ok(Wanted::Print(format!("awsso-mcp {VERSION}\n"))),
            "--help" | "-h" => return Ok(Wanted::Print(HELP.to_owned())),
            "--no-token" => with_token = false,
            other => return Err(format!("unknown argument {other:?}; see --help")),
        }
    }
    let transport = match var("TRANSPORT_MODE").as_deref() {
        None | Some("stdio") if with_token => Transport::Stdio,
        None | Some("stdio") => return Err("--no-token goes with TRANSPORT_MODE=http".to_owned()),
        Some("http") => Transport::Http {
            port: port(var("PORT"))?,
            with_token,
        },
        Some(other) => {
            return Err(format!(
                "TRANSPORT_MODE is {other:?}; it must be stdio or http, or unset"
            ));
        }
    };
    Ok(Wanted::Serve(transport))
}

/// 0 is any port that is free.
fn port(port: Option<String>) -> Result<u16, String> {
    let Some(port) = port else {
        return Ok(USUAL_PORT);
    };
    port.parse()
        .map_err(|_| format!("PORT is {port:?}; it must be a number from 0 to 65535"))
}

fn complain(code: i32, why: &str) -> i32 {
    // Nobody may be listening; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "awsso-mcp: {why}");
    code
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(args: &[&str], vars: &[(&str, &str)]) -> Result<Wanted, String> {
        wanted(args.iter().map(ToString::to_string), &|name| {
            let found = vars.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn stdio_is_served_unless_http_is_asked_for() {
        let stdio = Ok(Wanted::Serve(Transport::Stdio));
        assert_eq!(ask(&[], &[]), stdio);
        assert_eq!(ask(&[], &[("TRANSPORT_MODE", "stdio")]), stdio);
        assert_eq!(ask(&[], &[("PORT", "abc")]), stdio);
        assert!(ask(&[], &[("TRANSPORT_MODE", "sse")]).is_err());
        let http = |port, with_token| {
            let transport = Transport::Http { port, with_token };
            Ok(Wanted::Serve(transport))
        };
        let mode = ("TRANSPORT_MODE", "http");
        assert_eq!(ask(&[], &[mode]), http(3000, true));
        let vars = [mode, ("PORT", "8080")];
        assert_eq!(ask(&["--no-token"], &vars), http(8080, false));
        for port in ["abc", "-1", "65536", "80 "] {
            assert!(ask(&[], &[mode, ("PORT", port)]).is_err(), "{port}");
        }
    }

    #[test]
    fn an_argument_that_means_nothing_is_refused() {
        assert!(ask(&["--port"], &[]).is_err());
        assert!(ask(&["--no-token"], &[]).is_err());
        assert_eq!(
            ask(&["--version"], &[("TRANSPORT_MODE", "http")]),
            Ok(Wanted::Print(format!("awsso-mcp {VERSION}\n")))
        );
    }
}
