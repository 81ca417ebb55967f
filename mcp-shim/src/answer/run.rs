//! How a run is laid out: what was printed, then one line on how it went. Text
//! only: as data it would reach the model as one escaped string.

use std::{fmt::Write as _, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{self, Problem, Task, TaskState},
};
use prost_types::Timestamp;
use rmcp::model::{CallToolResult, ContentBlock, Resource};

use super::{failure_text, many};
use crate::{
    output, resources,
    run::{Printed, Run},
};

/// The part of an answer that stderr may claim from a long stdout.
const STDERR_SHARE: usize = 4;

/// What of a task's output stands in an answer.
pub(super) struct Body {
    pub text: String,
    pub shown: usize,
    pub of: usize,
    /// Where stdout goes on, when it was cut.
    pub next_offset: Option<u64>,
}

/// One run; of several tasks, all in one table.
pub(crate) fn run(run: &Run, max_chars: usize) -> CallToolResult {
    let problem = run.job.problem.as_ref().map(failure_of);
    let (mut text, cut_output) = match run.only() {
        Some((task, printed)) => one(run, task, printed, problem.as_ref(), max_chars),
        None => (many::text(run, max_chars), None),
    };
    if run.only().is_none()
        && let Some(problem) = &problem
    {
        on_new_line(&mut text, &failure_text(problem));
    }
    let mut content = vec![ContentBlock::text(text)];
    if let Some(id) = cut_output {
        let link = Resource::new(resources::output_uri(&id), id.clone())
            .with_description("all of the output")
            .with_mime_type("text/plain");
        content.push(ContentBlock::resource_link(link));
    }
    // Where some of many went well, the table says of each how it went.
    let is_well = run
        .job
        .tasks
        .iter()
        .any(|task| task.state() == TaskState::Succeeded);
    if problem.is_none() && (is_well || !run.is_over()) {
        CallToolResult::success(content)
    } else {
        CallToolResult::error(content)
    }
}

/// The text for one task, and the id of its output when that was cut.
fn one(
    run: &Run,
    task: &Task,
    printed: &Printed,
    problem: Option<&Failure>,
    max_chars: usize,
) -> (String, Option<String>) {
    let body = body(printed, max_chars);
    let cut = body.shown < body.of;
    let mut text = body.text.clone();
    if text.is_empty() && problem.is_none() && run.is_over() {
        text.push_str("(no output)");
    }
    if !run.is_over() {
        on_new_line(&mut text, &still_running(&run.job.id));
    }
    if run.is_over() && task.state() != TaskState::Succeeded && !task.other_roles.is_empty() {
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
    on_new_line(&mut text, &trailer(run, task, &body));
    let link = (cut && !task.output_id.is_empty()).then(|| task.output_id.clone());
    (text, link)
}

/// What one task printed, or what it was made into, within so many characters.
pub(super) fn body(printed: &Printed, max_chars: usize) -> Body {
    // A failed command's stderr is what the model needs, so it has its share.
    let of_stdout = match &printed.reshaped {
        Some(Ok(text)) => text.chars().count(),
        _ => printed.stdout.chars(),
    };
    let for_stderr = printed
        .stderr
        .chars()
        .min((max_chars / STDERR_SHARE).max(max_chars.saturating_sub(of_stdout)));
    let mut body = stdout(printed, max_chars - for_stderr);
    let stderr = printed.stderr.show(for_stderr);
    if !stderr.text.is_empty() {
        on_new_line(&mut body.text, "[stderr]\n");
        body.text.push_str(&stderr.text);
    }
    body.shown += stderr.chars;
    body.of += stderr.of;
    body
}

fn stdout(printed: &Printed, max_chars: usize) -> Body {
    match &printed.reshaped {
        Some(Ok(text)) => {
            let (shown, _) = output::cut(text, max_chars);
            Body {
                shown: shown.chars().count(),
                of: text.chars().count(),
                text: shown.to_owned(),
                next_offset: None,
            }
        }
        reshaped => {
            let shown = printed.stdout.show(max_chars);
            let mut body = Body {
                text: shown.text,
                shown: shown.chars,
                of: shown.of,
                next_offset: (shown.chars < shown.of).then_some(shown.next_offset),
            };
            if let Some(Err(failure)) = reshaped {
                on_new_line(
                    &mut body.text,
                    &format!("filter not applied: {}", failure.message),
                );
            }
            body
        }
    }
}

pub(super) fn still_running(job_id: &str) -> String {
    format!(
        "still running: it goes on without this call; what it printed so far is above. \
         Call aws_sso_job with jobId {job_id} and action wait, or cancel."
    )
}

pub(crate) fn on_new_line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
}

/// `[exit 0 | 1.2 s | account 111122223333 (production) role ReadOnly region eu-west-1 | outputId out_1]`
fn trailer(run: &Run, task: &Task, body: &Body) -> String {
    let cut = body.shown < body.of;
    let running = !run.is_over();
    let verdict = match (running, task.state()) {
        (true, _) => "running".to_owned(),
        (false, TaskState::Unspecified) => run.job.state().word().to_owned(),
        (false, _) => told(task),
    };
    let mut parts = vec![verdict, seconds(span(task).unwrap_or(run.watched))];
    let target = target(task);
    if !target.is_empty() {
        parts.push(target);
    }
    if !task.detail.is_empty() {
        parts.push(task.detail.clone());
    }
    if cut {
        parts.push(part(body.shown, body.of));
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
    if let Some(offset) = body.next_offset {
        parts.push(format!("nextOffset {offset}"));
    }
    if (cut || running) && !task.output_path.is_empty() {
        parts.push(format!("file {}.stdout", task.output_path));
    }
    format!("[{}]", parts.join(" | "))
}

/// `exit 0`, `denied, exit 254`, `timed_out`
pub(super) fn told(task: &Task) -> String {
    let exit = task.exit_code.map(|code| format!("exit {code}"));
    match (task.state(), exit) {
        (TaskState::Succeeded | TaskState::Failed, Some(exit)) => exit,
        (state, Some(exit)) => format!("{}, {exit}", state.word()),
        (state, None) => state.word().to_owned(),
    }
}

/// `20,000 of 812,345 chars shown`
pub(super) fn part(shown: usize, of: usize) -> String {
    format!("{} of {} chars shown", grouped(shown), grouped(of))
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

pub(super) fn seconds(span: Duration) -> String {
    if span < Duration::from_secs(10) {
        format!("{:.1} s", span.as_secs_f64())
    } else {
        format!("{:.0} s", span.as_secs_f64())
    }
}

/// `812345` as `812,345`.
pub(crate) fn grouped(number: usize) -> String {
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

fn failure_of(problem: &Problem) -> Failure {
    Failure {
        reason: Reason::from_name(&problem.reason).unwrap_or(Reason::Internal),
        message: problem.message.clone(),
        metadata: problem.metadata.clone(),
        retry_after: None,
    }
}
