//! What a model reads: the layout of a run, typed answers, and failures that say
//! which tool to call next. Pure.

use std::time::Duration;

use awsso_proto::{Failure, Reason, error::key, v1};
use prost_types::Timestamp;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

mod many;
mod run;

pub(crate) use run::{grouped, on_new_line, run};

/// Text and the same facts as data.
pub(crate) fn facts(text: String, facts: &impl Serialize) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::to_value(facts).ok();
    result
}

/// A failure is text only: with both, some clients show the model neither.
pub(crate) fn failure(failure: &Failure) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(failure_text(failure))])
}

/// An instant as people and programs read it; nothing for none.
pub(crate) fn instant(at: Option<&Timestamp>) -> Option<String> {
    let at = v1::instant(at?)?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

pub(crate) fn failure_text(failure: &Failure) -> String {
    let mut text = format!("{}: {}\n", failure.reason.name(), failure.message);
    text.push_str(&next_step(failure));
    text
}

/// What a model can do about it.
fn next_step(failure: &Failure) -> String {
    let hinted = |step: &str| match failure.hint() {
        Some(hint) => format!("{step} ({hint})"),
        None => step.to_owned(),
    };
    match failure.reason {
        Reason::LoginRequired | Reason::LoginExpired => match failure.metadata.get(key::SESSION) {
            Some(session) => format!("Call aws_sso_login (session {session}), then call this again."),
            None => "Call aws_sso_login, then call this again.".into(),
        },
        Reason::LoginDenied => {
            "The login was refused in the browser. Ask the person before calling aws_sso_login again.".into()
        }
        Reason::AccessDenied => match failure.roles().as_slice() {
            [] => "Call aws_sso_ls_accounts to see which roles there are, and try another roleName.".into(),
            roles => format!(
                "Call this again with a roleName that may work in this account: {}.",
                roles.join(", ")
            ),
        },
        Reason::DeniedByPolicy if may_be_done_otherwise(failure) => {
            "Nothing was run. Use aws_sso_exec_command for that; a person may have to approve it.".into()
        }
        Reason::DeniedByPolicy => {
            "This computer's policy does not allow it. Tell the person; do not look for a way around.".into()
        }
        Reason::ApprovalRequired => {
            let id = failure.metadata.get(key::APPROVAL);
            format!(
                "Tell the person what you want to do and why, and that they can approve it in a terminal of their own: \
                 awsso approvals approve {}. Then call this again, unchanged.",
                id.map_or("ID", String::as_str)
            )
        }
        Reason::NotFound => match (failure.roles().as_slice(), failure.hint()) {
            // It may be about a session, an instance, a job.
            ([], Some(_)) => hinted("Correct what was named and call this again."),
            ([], None) => {
                "Call aws_sso_ls_accounts to see which accounts and roles there are.".into()
            }
            (roles, _) => format!(
                "Roles in this account: {}. Call this again with one of them.",
                roles.join(", ")
            ),
        },
        Reason::InvalidArgument => hinted("Correct the arguments and call this again."),
        Reason::Throttled | Reason::AwsUnavailable => {
            let wait = failure.retry_after.unwrap_or(RETRY_AFTER).as_secs().max(1);
            format!("Call this again in {wait} s.")
        }
        Reason::ProtocolMismatch => {
            "Ask the person to run `awsso daemon restart`, then call this again.".into()
        }
        Reason::ShuttingDown => "The daemon is restarting. Call this again in 2 s.".into(),
        Reason::ProgramNotFound => {
            "Ask the person to install AWS CLI v2 (https://aws.amazon.com/cli/) where this server's PATH finds `aws`.".into()
        }
        Reason::ProgramNotExecutable => {
            "Ask the person to check the permissions of the program named above.".into()
        }
        Reason::Busy => hinted("Call this again later."),
        Reason::DaemonUnreachable => hinted(
            "Ask the person to run `awsso daemon start`, and to read `awsso daemon logs` if that fails; then call this again.",
        ),
        Reason::Unspecified | Reason::Internal => {
            "This is a fault in awsso: `awsso daemon logs` tells the person more.".into()
        }
    }
}

/// It was refused as a read only. What brings a secret out is refused as anything.
fn may_be_done_otherwise(failure: &Failure) -> bool {
    let class = failure.metadata.get(key::NOT_A_READ);
    class.is_some_and(|class| class != v1::ActionClass::Credentials.word())
}

/// When AWS does not say how long to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
