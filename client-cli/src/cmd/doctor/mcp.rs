//! What is wrong with awsso in the settings of MCP clients, as `awsso mcp list`
//! finds it.

use clap::ValueEnum as _;

use super::{Check, Finding};
use crate::mcp::{Client, check::Problem, place::Machine, survey};

pub async fn checks() -> Vec<Check> {
    let machine = match Machine::this() {
        Ok(machine) => machine,
        Err(failure) => return vec![Check::warn(Finding::McpNoHome, failure.message, "set HOME")],
    };
    let (mut checks, mut ready) = (Vec::new(), Vec::new());
    for client in Client::value_variants() {
        let report = survey(&machine, *client).await;
        if report.entry.is_some() && report.findings.is_empty() {
            ready.push(client.title());
        }
        checks.extend(report.findings.into_iter().map(|finding| {
            let summary = format!("{}: {}", client.title(), finding.message);
            let kind = named(finding.problem);
            if keeps_it_from_starting(finding.problem) {
                Check::fail(kind, summary, finding.cure)
            } else {
                Check::warn(kind, summary, finding.cure)
            }
        }));
    }
    if checks.is_empty() {
        checks.push(if ready.is_empty() {
            let summary = "no MCP client starts awsso-mcp (awsso mcp install CLIENT)";
            Check::ok(Finding::McpNone, summary)
        } else {
            let summary = format!("{} can start awsso-mcp", ready.join(", "));
            Check::ok(Finding::McpReady, summary)
        });
    }
    checks
}

fn named(problem: Problem) -> Finding {
    match problem {
        Problem::UnreadableFile => Finding::McpUnreadableFile,
        Problem::MissingProgram => Finding::McpMissingProgram,
        Problem::NotExecutable => Finding::McpNotExecutable,
        Problem::OtherVersion => Finding::McpOtherVersion,
        Problem::NoAnswer => Finding::McpNoAnswer,
        Problem::RelativePath => Finding::McpRelativePath,
        Problem::Wrapper => Finding::McpWrapper,
        Problem::OtherProgram => Finding::McpOtherProgram,
        Problem::SwitchedOff => Finding::McpSwitchedOff,
        Problem::SeveralEntries => Finding::McpSeveralEntries,
        Problem::OldServer => Finding::McpOldServer,
    }
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
