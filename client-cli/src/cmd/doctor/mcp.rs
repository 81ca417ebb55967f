//! What is wrong with awsso in the settings of MCP clients, as `awsso mcp list`
//! finds it.

use clap::ValueEnum as _;

use super::Check;
use crate::mcp::{Client, check::Problem, place::Machine, survey};

const ID: &str = "mcp";

pub async fn checks() -> Vec<Check> {
    let machine = match Machine::this() {
        Ok(machine) => machine,
        Err(failure) => return vec![Check::warn(ID, failure.message, "set HOME")],
    };
    let (mut checks, mut ready) = (Vec::new(), Vec::new());
    for client in Client::value_variants() {
        let report = survey(&machine, *client).await;
        if report.entry.is_some() && report.findings.is_empty() {
            ready.push(client.title());
        }
        checks.extend(report.findings.into_iter().map(|finding| {
            let summary = format!("{}: {}", client.title(), finding.message);
            if keeps_it_from_starting(finding.problem) {
                Check::fail(ID, summary, finding.cure)
            } else {
                Check::warn(ID, summary, finding.cure)
            }
        }));
    }
    if checks.is_empty() {
        let summary = if ready.is_empty() {
            "no MCP client starts awsso-mcp (awsso mcp install CLIENT)".to_owned()
        } else {
            format!("{} can start awsso-mcp", ready.join(", "))
        };
        checks.push(Check::ok(ID, summary));
    }
    checks
}

fn keeps_it_from_starting(problem: Problem) -> bool {
    match problem {
        Problem::UnreadableFile
        | Problem::MissingProgram
        | Problem::NotExecutable
        | Problem::NoAnswer => true,
        Problem::OtherVersion
        | Problem::RelativePath
        | Problem::Wrapper
        | Problem::OtherProgram
        | Problem::SwitchedOff
        | Problem::SeveralEntries
        | Problem::OldServer => false,
    }
}
