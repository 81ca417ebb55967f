//! What a model reads: the layout of a command's output, typed answers, and
//! failures that say which tool to call next. Pure.

use std::{fmt::Write as _, time::Duration};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{self, Task, TaskState},
};
use prost_types::Timestamp;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

use crate::job::Run;

/// The part of an answer that stderr may claim from a long stdout.
const STDERR_SHARE: usize = 4;

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

/// What a command printed, then one line on how it went. Text only: as data it
/// would reach the model as one escaped string.
pub(crate) fn run(run: &Run, max_chars: usize) -> CallToolResult {
    let problem = run.job.problem.as_ref().map(|problem| Failure {
        reason: Reason::from_name(&problem.reason).unwrap_or(Reason::Internal),
        message: problem.message.clone(),
        metadata: problem.metadata.clone(),
        retry_after: None,
    });
    let text = run_text(run, problem.as_ref(), max_chars);
    let succeeded = run
        .task()
        .is_some_and(|task| task.state() == TaskState::Succeeded);
    if problem.is_none() && (succeeded || !run.is_over()) {
        CallToolResult::success(vec![ContentBlock::text(text)])
    } else {
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

fn run_text(run: &Run, problem: Option<&Failure>, max_chars: usize) -> String {
    // A failed command's stderr is what the model needs, so it has its share.
    let for_stderr = run
        .stderr
        .chars()
        .min((max_chars / STDERR_SHARE).max(max_chars.saturating_sub(run.stdout.chars())));
    let stdout = run.stdout.show(max_chars - for_stderr);
    let stderr = run.stderr.show(for_stderr);

    let mut text = stdout.text;
    if !stderr.text.is_empty() {
        on_new_line(&mut text, "[stderr]\n");
        text.push_str(&stderr.text);
    }
    if text.is_empty() && problem.is_none() && run.is_over() {
        text.push_str("(no output)");
    }
    if !run.is_over() {
        on_new_line(
            &mut text,
            "still running: the command goes on without this call, and what it printed so far is above. \
             There is no need to call aws_sso_status.",
        );
    }
    let task = run.task();
    if let Some(task) = task
        && task.state() != TaskState::Succeeded
        && !task.other_roles.is_empty()
    {
        let roles = task.other_roles.join(", ");
        on_new_line(
            &mut text,
            &format!(
                "AWS denied this to the role {}. Other roles in this account: {roles}. Try again with one of them.",
                task.role_name
            ),
        );
    }
    if let Some(problem) = problem {
        on_new_line(&mut text, &failure_text(problem));
    }
    let shown = (stdout.chars + stderr.chars, stdout.of + stderr.of);
    on_new_line(&mut text, &trailer(run, shown));
    text
}

fn on_new_line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
}

/// `[exit 0 | 1.2 s | account 111122223333 (production) role ReadOnly region eu-west-1 | outputId out_1]`
fn trailer(run: &Run, (shown, of): (usize, usize)) -> String {
    let cut = shown < of;
    let running = !run.is_over();
    let none = Task::default();
    let task = run.task().unwrap_or(&none);
    let mut parts = vec![
        verdict(run, task),
        seconds(span(task).unwrap_or(run.watched)),
    ];
    let target = target(task);
    if !target.is_empty() {
        parts.push(target);
    }
    if !task.detail.is_empty() {
        parts.push(task.detail.clone());
    }
    if cut {
        parts.push(format!("{} of {} chars shown", grouped(shown), grouped(of)));
    }
    if task.truncated {
        parts.push("the output was longer than what is stored".to_owned());
    }
    if running {
        parts.push(format!("jobId {}", run.job.id));
    }
    if !task.output_id.is_empty() {
        parts.push(format!("outputId {}", task.output_id));
    }
    if (cut || running) && !task.output_path.is_empty() {
        parts.push(format!("file {}.stdout", task.output_path));
    }
    format!("[{}]", parts.join(" | "))
}

fn verdict(run: &Run, task: &Task) -> String {
    if !run.is_over() {
        return "running".to_owned();
    }
    let exit = task.exit_code.map(|code| format!("exit {code}"));
    match (task.state(), exit) {
        (TaskState::Succeeded | TaskState::Failed, Some(exit)) => exit,
        (state, Some(exit)) => format!("{}, {exit}", state.word()),
        (TaskState::Unspecified, None) => run.job.state().word().to_owned(),
        (state, None) => state.word().to_owned(),
    }
}

fn target(task: &Task) -> String {
    let mut target = String::new();
    if !task.instance_id.is_empty() {
        let _ = write!(target, "instance {} ", task.instance_id);
    }
    if !task.account_id.is_empty() {
        let _ = write!(target, "account {} ", task.account_id);
    }
    if !task.account_name.is_empty() {
        let _ = write!(target, "({}) ", task.account_name);
    }
    if !task.role_name.is_empty() {
        let _ = write!(target, "role {} ", task.role_name);
    }
    if !task.region.is_empty() {
        let _ = write!(target, "region {} ", task.region);
    }
    target.truncate(target.trim_end().len());
    target
}

fn span(task: &Task) -> Option<Duration> {
    let at = |stamp: &Option<Timestamp>| stamp.as_ref().and_then(v1::instant);
    at(&task.ended_at)?
        .duration_since(at(&task.started_at)?)
        .ok()
}

fn seconds(span: Duration) -> String {
    if span < Duration::from_secs(10) {
        format!("{:.1} s", span.as_secs_f64())
    } else {
        format!("{:.0} s", span.as_secs_f64())
    }
}

/// `812345` as `812,345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
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
        Reason::DeniedByPolicy => {
            "This computer's policy does not allow it. Tell the person; do not look for a way around.".into()
        }
        Reason::ApprovalRequired => {
            "A person must approve it first: ask them to run `awsso approvals list` in a terminal.".into()
        }
        Reason::NotFound => match failure.roles().as_slice() {
            [] => hinted("Call aws_sso_ls_accounts to see which accounts and roles there are."),
            roles => format!(
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

/// When AWS does not say how long to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
