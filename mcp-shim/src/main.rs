//! `awsso-mcp`: speaks MCP with a model's client on stdin and stdout, and
//! forwards every call to the daemon. It owns nothing that outlives it, answers
//! the handshake without a daemon, and writes nothing but JSON-RPC to stdout.

mod answer;
mod arguments;
mod call;
mod context;
mod daemon;
mod job;
mod log;
mod output;
mod prompts;
mod resources;
mod server;
mod stdio;
mod tools;
mod turns;

use std::io::Write as _;

use awsso_proto::{Endpoint, VERSION};

use crate::{context::Context, daemon::Daemon, server::Shim};

const HELP: &str = "\
awsso-mcp: the MCP server of awsso, for Claude, Cursor and other MCP clients

It speaks MCP on stdin and stdout; an MCP client starts it, with this program's
absolute path as its `command`.

Options:
  --help     print this
  --version  print the version

Environment: AWS_SSO_START_URL, AWS_SSO_REGION, AWSSO_SESSION, AWS_PROFILE, AWS_REGION,
AWSSO_SOCKET, AWSSO_DAEMON, TRANSPORT_MODE=stdio, DEBUG, AWSSO_LOG
";

fn main() {
    let code = match wanted(std::env::args().skip(1), var("TRANSPORT_MODE").as_deref()) {
        Ok(Wanted::Serve) => serve(),
        Ok(Wanted::Print(text)) => i32::from(std::io::stdout().write_all(text.as_bytes()).is_err()),
        Err((code, line)) => complain(code, &line),
    };
    std::process::exit(code)
}

fn serve() -> i32 {
    let endpoint = Endpoint::from_env(None);
    if let Ok(endpoint) = &endpoint {
        log::init(endpoint.logs(), log::level(&var));
    }
    let shim = Shim::new(Daemon::new(endpoint), Context::from_env());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(stdio::serve(shim));
            // Where stdin is no pipe, a thread reads it, and nothing can stop it.
            runtime.shutdown_background();
            served
        }
        Err(error) => Err(error.to_string()),
    };
    match served {
        Ok(()) => 0,
        Err(why) => complain(1, &why),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Serve,
    Print(String),
}

/// What the command line and `TRANSPORT_MODE` ask for, or an exit code and why.
fn wanted(
    mut args: impl Iterator<Item = String>,
    transport: Option<&str>,
) -> Result<Wanted, (i32, String)> {
    match args.next().as_deref() {
        Some("--version" | "-V") => return Ok(Wanted::Print(format!("awsso-mcp {VERSION}\n"))),
        Some("--help" | "-h") => return Ok(Wanted::Print(HELP.to_owned())),
        Some(other) => return Err((2, format!("unknown argument {other:?}; see --help"))),
        None => {}
    }
    match transport {
        None | Some("stdio") => Ok(Wanted::Serve),
        Some("http") => Err((
            1,
            "HTTP transport is not part of this version yet; unset TRANSPORT_MODE".to_owned(),
        )),
        Some(other) => Err((
            2,
            format!("TRANSPORT_MODE is {other:?}; it must be stdio, or unset"),
        )),
    }
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

    fn ask(args: &[&str], transport: Option<&str>) -> Result<Wanted, (i32, String)> {
        wanted(args.iter().map(ToString::to_string), transport)
    }

    #[test]
    fn stdio_is_served_unless_something_else_is_asked_for() {
        assert_eq!(ask(&[], None), Ok(Wanted::Serve));
        assert_eq!(ask(&[], Some("stdio")), Ok(Wanted::Serve));
        assert_eq!(ask(&[], Some("http")).unwrap_err().0, 1);
        assert_eq!(ask(&[], Some("sse")).unwrap_err().0, 2);
    }

    #[test]
    fn an_unknown_argument_is_a_usage_error() {
        assert_eq!(ask(&["--port"], None).unwrap_err().0, 2);
        assert_eq!(
            ask(&["--version"], Some("http")),
            Ok(Wanted::Print(format!("awsso-mcp {VERSION}\n")))
        );
    }
}
