//! `awsso doctor`: what is wrong on this machine, one line each, and what helps.
//! It logs nobody in and changes nothing but that it starts the daemon, as every
//! command does. Each subject is a file of its own; all of it is bounded in time:
//! what hangs is a finding.

mod audit;
mod aws_cli;
mod daemon;
mod environment;
mod files;
mod finding;
mod login;
mod mcp;
mod network;
mod profiles;

use std::time::Duration;

use finding::Finding;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    args::DoctorArgs,
    context::Context,
    exit::{self, Stop},
    progress::Progress,
    render, terminal,
};

/// What looks at files or asks programs is given up after this.
const LIMIT: Duration = Duration::from_secs(9);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    id: &'static str,
    finding: Finding,
    status: Status,
    summary: String,
    /// What helps; nothing where nothing is wrong.
    cure: Option<String>,
}

/// In the order in which a person reads them: the worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Check {
    fn ok(finding: Finding, summary: impl Into<String>) -> Self {
        Self {
            id: finding.subject(),
            finding,
            status: Status::Ok,
            summary: summary.into(),
            cure: None,
        }
    }

    fn warn(finding: Finding, summary: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::bad(finding, Status::Warn, summary, cure)
    }

    fn fail(finding: Finding, summary: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::bad(finding, Status::Fail, summary, cure)
    }

    fn bad(
        finding: Finding,
        status: Status,
        summary: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            id: finding.subject(),
            finding,
            status,
            summary: summary.into(),
            cure: Some(cure.into()),
        }
    }
}

#[derive(Serialize)]
struct Checks {
    checks: Vec<Check>,
}

/// What a finding means, for `--list`.
#[derive(Serialize)]
struct Explained {
    id: &'static str,
    finding: Finding,
    meaning: String,
}

#[derive(Serialize)]
struct List {
    findings: Vec<Explained>,
}

pub async fn run(context: &Context, args: DoctorArgs) -> Result<u8, Stop> {
    if args.list {
        return list(context);
    }
    let looked = Box::pin(all(context));
    let checks = Progress::new("looking around").over(looked).await;
    if context.json {
        terminal::json(&Checks { checks })?;
    } else {
        terminal::data(page(&checks).as_bytes())?;
        terminal::say(verdict(&checks));
    }
    Ok(exit::OK)
}

fn list(context: &Context) -> Result<u8, Stop> {
    let meanings = Finding::all().map(|(finding, meaning)| Explained {
        id: finding.subject(),
        finding,
        meaning,
    });
    let findings: Vec<_> = meanings.collect();
    if context.json {
        terminal::json(&List { findings })?;
    } else {
        let width = findings.iter().map(|it| it.id.len()).max();
        let width = width.unwrap_or_default();
        let line = |it: &Explained| format!("{:<width$}  {}\n", it.id, it.meaning);
        let lines: String = findings.iter().map(line).collect();
        terminal::data(lines.as_bytes())?;
    }
    Ok(exit::OK)
}

async fn all(context: &Context) -> Vec<Check> {
    let state = context.endpoint.state.clone();
    let socket = files::socket(&context.endpoint).await; // before a new daemon puts it right
    let of_the_daemon = async {
        let (mut checks, answer) = daemon::ask(context).await;
        if let Some(answer) = answer {
            checks.extend(login::configuration(&answer));
            checks.extend(login::sessions(&answer));
            checks.extend(login::store(&answer));
            checks.extend(network::checks(&answer));
            checks.extend(audit::writing(&answer));
        }
        checks
    };
    let of_files = bounded(Finding::FilesNotLookedAt, async {
        let looked = tokio::task::spawn_blocking(move || {
            let mut checks = files::modes(&state);
            checks.push(audit::reading(&state));
            checks.extend(environment::checks(&crate::context::variable));
            checks.extend(profiles::checks(&crate::context::variable));
            checks
        });
        looked.await.unwrap_or_default()
    });
    let of_programs = aws_cli::checks(); // each has a limit of its own
    let of_clients = bounded(Finding::McpNotLookedAt, mcp::checks());
    let (daemon, files, programs, clients) =
        tokio::join!(of_the_daemon, of_files, of_programs, of_clients);
    [socket, daemon, files, programs, clients].concat()
}

/// What does not end in time is a finding.
async fn bounded(finding: Finding, looks: impl Future<Output = Vec<Check>>) -> Vec<Check> {
    let ended = timeout(LIMIT, looks).await;
    ended.unwrap_or_else(|_| {
        let summary = format!("not looked at: it took longer than {} s", LIMIT.as_secs());
        vec![Check::warn(finding, summary, "run: awsso doctor once more")]
    })
}

/// The lines for a person: what is wrong comes last, where the eye is.
fn page(checks: &[Check]) -> String {
    let mut checks: Vec<_> = checks.iter().collect();
    checks.sort_by_key(|check| check.status);
    let width = checks.iter().map(|check| check.id.len()).max();
    let width = width.unwrap_or_default();
    let mut lines = Vec::new();
    for check in checks {
        let (word, id) = (check.status.word(), check.id);
        let summary = render::printable(&check.summary);
        lines.push(format!("{word:<4}  {id:<width$}  {summary}\n"));
        if let Some(cure) = &check.cure {
            let cure = render::printable(cure);
            lines.push(format!("{:<4}  {:<width$}  → {cure}\n", "", ""));
        }
    }
    lines.concat()
}

fn verdict(checks: &[Check]) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    match (count(Status::Fail), count(Status::Warn)) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (fails, warnings) => format!("{fails} failure(s), {warnings} warning(s)."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_last_and_cures_stand_below_what_they_cure() {
        let checks = [
            Check::fail(Finding::DaemonUnreachable, "no daemon", "start it"),
            Check::ok(Finding::ClockAgrees, "right"),
            Check::warn(Finding::McpWrapper, "a \x1b[2J name", "install it"),
        ];
        assert_eq!(
            page(&checks),
            "ok    clock   right\n\
             warn  mcp     a  [2J name\n              → install it\n\
             fail  daemon  no daemon\n              → start it\n"
        );
        assert_eq!(verdict(&checks), "1 failure(s), 1 warning(s).");
        assert_eq!(verdict(&checks[1..2]), "Nothing is wrong.");
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_a_finding() {
        let found = bounded(Finding::McpNotLookedAt, std::future::pending()).await;
        assert_eq!((found[0].id, found[0].status), ("mcp", Status::Warn));
    }
}
