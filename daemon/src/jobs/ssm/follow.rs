//! Following what was sent to the end of every instance: one list per command
//! and tick, a result per instance, a cancel that says what really stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_ssm::types::CommandInvocation;
use awsso_proto::v1::{OutputStream, TaskState};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{DELIVERY_LIMIT, Ssm, SsmError};
use crate::{
    jobs::{
        Job,
        schedule::{NOT_YET, UNLISTED, invocation_state, next_poll},
    },
    limiter::Repeat,
};

/// AWS's own words come a little after the limits.
const SLACK: Duration = Duration::from_mins(1);
/// After a cancel AWS gets this long to say what really stopped.
const CANCEL_LIMIT: Duration = Duration::from_mins(2);
/// `GetCommandInvocation` keeps this much of a stream, in characters.
const STDOUT_KEPT: usize = 24_000;
const STDERR_KEPT: usize = 8_000;
/// `ListCommandInvocations`' `Output` keeps this much of both.
const PREVIEW_KEPT: usize = 2_500;
/// The agent runs these codes as "reboot, then run me again".
const REBOOT_CODE: i32 = 194;

/// One sent command and the tasks that wait for it, by instance.
#[derive(Debug)]
pub(super) struct Sent {
    pub command_id: String,
    pub tasks: BTreeMap<String, usize>,
}

pub(super) struct Following<'a> {
    ssm: &'a Ssm,
    job: &'a Arc<Job>,
    commands: Vec<Sent>,
    sent: Instant,
    deadline: Instant,
    listing_denied: bool,
}

impl<'a> Following<'a> {
    /// `limit` is how long the command itself may run.
    pub(super) fn new(
        ssm: &'a Ssm,
        job: &'a Arc<Job>,
        commands: Vec<Sent>,
        limit: Duration,
    ) -> Self {
        Self {
            ssm,
            job,
            commands,
            sent: Instant::now(),
            deadline: Instant::now() + DELIVERY_LIMIT + limit + SLACK,
            listing_denied: false,
        }
    }

    pub(super) async fn until_all_ended(&mut self) {
        let mut cancelled = false;
        while self.commands.iter().any(|sent| !sent.tasks.is_empty()) {
            let pause = next_poll(self.sent.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.ssm.jobs.0.parts.stop.cancelled() => {
                    return self.give_up("the daemon stopped; the command goes on in AWS");
                }
                () = self.job.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.deadline = self.deadline.min(Instant::now() + CANCEL_LIMIT);
                    self.cancel().await;
                }
            }
            for at in 0..self.commands.len() {
                self.poll(at).await;
            }
            if Instant::now() > self.deadline {
                self.give_up("AWS did not say how it ended");
            }
        }
    }

    fn give_up(&mut self, why: &str) {
        for sent in &mut self.commands {
            for task in std::mem::take(&mut sent.tasks).into_values() {
                self.job.end(task, TaskState::Unknown, why);
            }
        }
    }

    /// Best effort: AWS does not promise that the process stops. Polling goes
    /// on, and says what really did.
    async fn cancel(&self) {
        for sent in self.commands.iter().filter(|sent| !sent.tasks.is_empty()) {
            let result = self
                .ssm
                .call("CancelCommand", Repeat::Freely, |client| {
                    client.cancel_command().command_id(&sent.command_id).send()
                })
                .await;
            if let Err(error) = result {
                warn!(job = %self.job.id, ?error, "the command could not be cancelled");
            }
        }
    }

    async fn poll(&mut self, at: usize) {
        if self.commands[at].tasks.is_empty() {
            return;
        }
        if !self.listing_denied {
            match self.list(at, false).await {
                Ok(invocations) => {
                    for invocation in &invocations {
                        self.seen(at, invocation).await;
                    }
                    // What the list still lacks after a while is asked for by name.
                    if self.sent.elapsed() > UNLISTED {
                        let listed = |id: &String| {
                            invocations
                                .iter()
                                .any(|seen| seen.instance_id() == Some(id))
                        };
                        self.fetch_each(at, |id| !listed(id)).await;
                    }
                    return;
                }
                // SendCommand and GetCommandInvocation suffice.
                Err(error) if error.is_refusal() => self.listing_denied = true,
                Err(error) => return self.not_now(&error),
            }
        }
        self.fetch_each(at, |_| true).await;
    }

    async fn fetch_each(&mut self, at: usize, which: impl Fn(&String) -> bool) {
        let waiting = self.commands[at].tasks.clone().into_iter();
        for (instance, task) in waiting.filter(|(id, _)| which(id)) {
            self.collect(at, &instance, task).await;
        }
    }

    /// Takes an instance's result, if there is one; then nobody asks again.
    async fn collect(&mut self, at: usize, instance: &str, task: usize) {
        if let Some(state) = self.fetch(at, instance, task).await {
            self.commands[at].tasks.remove(instance);
            info!(job = %self.job.id, instance, state = state.word(), "instance ended");
        }
    }

    fn not_now(&self, error: &SsmError) {
        // 5xx, throttling, a lost login: the command goes on in AWS, so do we.
        info!(job = %self.job.id, ?error, "no news from SSM");
    }

    async fn list(&self, at: usize, details: bool) -> Result<Vec<CommandInvocation>, SsmError> {
        let command_id = &self.commands[at].command_id;
        let mut invocations = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .ssm
                .call("ListCommandInvocations", Repeat::Freely, |client| {
                    client
                        .list_command_invocations()
                        .command_id(command_id)
                        .details(details)
                        .max_results(50)
                        .set_next_token(token.clone())
                        .send()
                })
                .await?;
            invocations.extend(page.command_invocations.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(invocations);
            }
        }
    }

    async fn seen(&mut self, at: usize, invocation: &CommandInvocation) {
        let Some(instance) = invocation.instance_id() else {
            return;
        };
        let Some(task) = self.commands[at].tasks.get(instance).copied() else {
            return;
        };
        let status = invocation.status().map_or("", |status| status.as_str());
        let details = invocation.status_details().unwrap_or_default();
        self.told(task, status, details);
        if invocation_state(status, details).is_none() {
            return;
        }
        self.collect(at, instance, task).await;
    }

    /// A task that is not final shows what AWS calls its state.
    fn told(&self, task: usize, status: &str, details: &str) {
        let running = !matches!(status, "" | "Pending");
        let detail = if details.is_empty() { status } else { details };
        self.job.update(task, |task| {
            if running && task.state() == TaskState::Queued {
                task.state = TaskState::Running.into();
            }
            detail.clone_into(&mut task.detail);
        });
    }

    /// Asks for one instance's result; `None` while there is none.
    async fn fetch(&self, at: usize, instance: &str, task: usize) -> Option<TaskState> {
        let command_id = &self.commands[at].command_id;
        let result = self
            .ssm
            .call("GetCommandInvocation", Repeat::Freely, |client| {
                client
                    .get_command_invocation()
                    .command_id(command_id)
                    .instance_id(instance)
                    .send()
            })
            .await;
        let result = match result {
            Ok(result) => result,
            Err(error) if error.code() == "InvocationDoesNotExist" => {
                // Never listed and never known: it was not created for this instance.
                if self.listing_denied && self.sent.elapsed() > NOT_YET + DELIVERY_LIMIT {
                    return Some(self.ended(
                        task,
                        TaskState::Unknown,
                        "AWS knows no such invocation",
                    ));
                }
                return None;
            }
            Err(error) if error.is_denied() => return self.fetch_preview(at, instance, task).await,
            Err(error) => {
                self.not_now(&error);
                return None;
            }
        };
        let status = result.status().map_or("", |status| status.as_str());
        let details = result.status_details().unwrap_or_default();
        let Some(state) = invocation_state(status, details) else {
            self.told(task, status, details);
            return None;
        };
        let out = result.standard_output_content().unwrap_or_default();
        let err = result.standard_error_content().unwrap_or_default();
        self.store(task, OutputStream::Stdout, out, STDOUT_KEPT)
            .await;
        self.store(task, OutputStream::Stderr, err, STDERR_KEPT)
            .await;
        let code = Some(result.response_code())
            .filter(|_| matches!(state, TaskState::Succeeded | TaskState::Failed));
        let detail = match code {
            Some(0) => String::new(),
            Some(REBOOT_CODE) => {
                "exit 194 asks the SSM agent to reboot the instance and run the command again"
                    .to_owned()
            }
            Some(_) => String::new(),
            None if is_word_of(state, details) => String::new(),
            None => details.to_owned(),
        };
        self.job.update(task, |task| {
            task.exit_code = code;
            task.detail = detail;
            task.state = state.into();
        });
        Some(state)
    }

    /// Without the right to `GetCommandInvocation` there is still the preview, of
    /// both streams together.
    async fn fetch_preview(&self, at: usize, instance: &str, task: usize) -> Option<TaskState> {
        let invocations = match self.list(at, true).await {
            Ok(invocations) => invocations,
            Err(error) if error.is_denied() => {
                return Some(self.ended(
                    task,
                    TaskState::Unknown,
                    "the role may neither list nor get command invocations",
                ));
            }
            Err(error) => {
                self.not_now(&error);
                return None;
            }
        };
        let invocation = invocations
            .into_iter()
            .find(|invocation| invocation.instance_id() == Some(instance))?;
        let details = invocation.status_details().unwrap_or_default();
        let status = invocation.status().map_or("", |status| status.as_str());
        let state = invocation_state(status, details)?;
        let plugin = invocation.command_plugins().first();
        let text = plugin
            .and_then(|plugin| plugin.output())
            .unwrap_or_default();
        self.store(task, OutputStream::Stdout, text, PREVIEW_KEPT)
            .await;
        let code = plugin
            .map(aws_sdk_ssm::types::CommandPlugin::response_code)
            .filter(|_| matches!(state, TaskState::Succeeded | TaskState::Failed));
        self.job.update(task, |task| {
            task.exit_code = code;
            "the role may not get command invocations: both streams are shown as one"
                .clone_into(&mut task.detail);
            task.state = state.into();
        });
        Some(state)
    }

    fn ended(&self, task: usize, state: TaskState, detail: &str) -> TaskState {
        self.job.end(task, state, detail);
        state
    }

    async fn store(&self, task: usize, stream: OutputStream, text: &str, kept: usize) {
        let output = &self.job.outputs[task];
        if output.written(stream) > 0 {
            return;
        }
        // The cap counts characters: a text of just that size is to be counted as cut.
        let marks = ["--output truncated--", "---Output truncated---"];
        if text.chars().count() >= kept || marks.iter().any(|mark| text.trim_end().ends_with(mark))
        {
            output.mark_truncated(stream);
        }
        if let Err(error) = output.writer(stream).write(text.as_bytes()).await {
            warn!(job = %self.job.id, %error, "the output cannot be stored");
            output.mark_truncated(stream);
        }
        self.job.printed();
    }
}

/// AWS's details say no more than the state does.
fn is_word_of(state: TaskState, details: &str) -> bool {
    let letters = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_lowercase()
    };
    letters(details) == letters(state.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_that_repeats_the_state_is_left_out() {
        assert!(is_word_of(TaskState::Cancelled, "Cancelled"));
        assert!(is_word_of(TaskState::TimedOut, "Timed Out"));
        assert!(!is_word_of(TaskState::TimedOut, "Execution Timed Out"));
    }
}
