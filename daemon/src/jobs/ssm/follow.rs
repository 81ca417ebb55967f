//! Following what was sent to the end of every instance: one list per command
//! and tick, a result per instance, a cancel that says what really stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_ssm::types::CommandInvocation;
use awsso_proto::v1::{OutputStream, TaskState};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    Ssm, SsmError,
    result::{
        PREVIEW_KEPT, STDERR_KEPT, STDOUT_KEPT, has_code, is_cut, is_whole_stdout, is_word_of,
        meaning,
    },
};
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
/// Calls of one place at the same time; the limiter has the last word.
const AT_ONCE: usize = 16;

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
    /// What happened last that ends instances soon: sent, or cancelled.
    stirred: Instant,
    deadline: Instant,
    listing_denied: bool,
}

impl<'a> Following<'a> {
    /// Commands that were sent `age` ago.
    pub(super) fn new(ssm: &'a Ssm, job: &'a Arc<Job>, commands: Vec<Sent>, age: Duration) -> Self {
        let now = Instant::now();
        let most = job.limit + SLACK;
        let sent = now.checked_sub(age).unwrap_or(now);
        Self {
            ssm,
            job,
            commands,
            sent,
            stirred: sent,
            // However old it is, it is looked at.
            deadline: now + most.saturating_sub(age).max(SLACK),
            listing_denied: false,
        }
    }

    pub(super) async fn until_all_ended(&mut self) {
        let mut cancelled = false;
        let mut polled = Instant::now();
        while self.commands.iter().any(|sent| !sent.tasks.is_empty()) {
            let pause = next_poll(self.stirred.elapsed());
            // A tick begins a pause after the last one began, however long that took; an AWS that is slow gets rest.
            let next = (polled + pause).max(Instant::now() + pause / 2);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // It goes on in AWS, and the next daemon follows it.
                () = self.ssm.jobs.0.parts.stop.cancelled() => return self.job.suspended.cancel(),
                () = self.job.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.cancel().await;
                    self.stirred = Instant::now();
                    self.deadline = self.deadline.min(self.stirred + CANCEL_LIMIT);
                }
            }
            polled = Instant::now();
            self.poll().await;
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
        let running = self.commands.iter().filter(|sent| !sent.tasks.is_empty());
        let cancels: Vec<_> = running
            .map(|sent| {
                self.ssm.call("CancelCommand", Repeat::Freely, |client| {
                    client.cancel_command().command_id(&sent.command_id).send()
                })
            })
            .collect();
        let results: Vec<_> = stream::iter(cancels)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for error in results.into_iter().filter_map(Result::err) {
            warn!(job = %self.job.id, ?error, "the command could not be cancelled");
        }
    }

    async fn poll(&mut self) {
        let (ended, denied) = self.look().await;
        self.listing_denied |= denied;
        for (command_id, instance) in ended {
            let mut commands = self.commands.iter_mut();
            if let Some(sent) = commands.find(|sent| sent.command_id == command_id) {
                sent.tasks.remove(&instance);
            }
            debug!(job = %self.job.id, instance, "instance ended");
        }
    }

    /// One list per command, and the results of those that have ended: command
    /// and instance of each that has, and whether lists are denied.
    async fn look(&self) -> (Vec<(String, String)>, bool) {
        let waiting = self.commands.iter().filter(|sent| !sent.tasks.is_empty());
        let looks: Vec<_> = waiting.map(|sent| self.listed(sent)).collect();
        let listed: Vec<_> = stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let denied = listed.iter().any(|it| matches!(it.1, Listed::Denied));
        let mut ended: Vec<(String, String)> = Vec::new();
        let mut asked: Vec<(&Sent, &String, usize)> = Vec::new();
        for (sent, listed) in &listed {
            for (instance, &task) in &sent.tasks {
                let seen = match listed {
                    Listed::NotNow => continue,
                    Listed::Denied => None,
                    Listed::Yes(invocations) => {
                        let is = |it: &&CommandInvocation| it.instance_id() == Some(instance);
                        match invocations.iter().find(is) {
                            // What the list still lacks after a while is asked for by name.
                            None if self.sent.elapsed() <= UNLISTED => continue,
                            seen => seen,
                        }
                    }
                };
                match self.seen(seen, task).await {
                    Seen::Ended => ended.push((sent.command_id.clone(), instance.clone())),
                    Seen::Ask => asked.push((sent, instance, task)),
                    Seen::Runs => {}
                }
            }
        }
        let results: Vec<_> = asked
            .into_iter()
            .map(|(sent, instance, task)| self.result_of(sent, instance, task))
            .collect();
        let results = stream::iter(results).buffer_unordered(AT_ONCE);
        ended.extend(
            results
                .filter_map(std::future::ready)
                .collect::<Vec<_>>()
                .await,
        );
        (ended, denied)
    }

    async fn listed<'s>(&self, sent: &'s Sent) -> (&'s Sent, Listed) {
        if self.listing_denied {
            return (sent, Listed::Denied);
        }
        let waiting: Vec<&str> = sent.tasks.keys().map(String::as_str).collect();
        let listed = match self.list(&sent.command_id, &waiting).await {
            Ok(invocations) => Listed::Yes(invocations),
            // SendCommand and GetCommandInvocation suffice.
            Err(error) if error.is_refusal() => Listed::Denied,
            Err(error) => {
                self.not_now(&error);
                Listed::NotNow
            }
        };
        (sent, listed)
    }

    /// Command and instance, when it has ended.
    async fn result_of(
        &self,
        sent: &Sent,
        instance: &str,
        task: usize,
    ) -> Option<(String, String)> {
        self.fetch(&sent.command_id, instance, task).await?;
        Some((sent.command_id.clone(), instance.to_owned()))
    }

    fn not_now(&self, error: &SsmError) {
        // 5xx, throttling, a lost login: the command goes on in AWS, so do we.
        info!(job = %self.job.id, ?error, "no news from SSM");
    }

    /// Until it has those that are waited for: a page that is full may name a next one.
    async fn list(
        &self,
        command_id: &str,
        waiting: &[&str],
    ) -> Result<Vec<CommandInvocation>, SsmError> {
        let mut invocations = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .ssm
                .call("ListCommandInvocations", Repeat::Freely, |client| {
                    client
                        .list_command_invocations()
                        .command_id(command_id)
                        .details(true)
                        .max_results(50)
                        .set_next_token(token.clone())
                        .send()
                })
                .await?;
            invocations.extend(page.command_invocations.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            let has = |id: &&str| invocations.iter().any(|it| it.instance_id() == Some(*id));
            if token.is_none() || waiting.iter().all(has) {
                return Ok(invocations);
            }
        }
    }

    /// What a list says of an instance, and whether more has to be asked.
    async fn seen(&self, invocation: Option<&CommandInvocation>, task: usize) -> Seen {
        let Some(invocation) = invocation else {
            return Seen::Ask;
        };
        let status = invocation.status().map_or("", |status| status.as_str());
        let details = invocation.status_details().unwrap_or_default();
        let Some(state) = invocation_state(status, details) else {
            self.told(task, status, details);
            return Seen::Runs;
        };
        let plugin = match invocation.command_plugins() {
            [only] => Some(only),
            _ => None,
        };
        match (state, plugin) {
            (TaskState::Undeliverable | TaskState::Denied, _) => {
                self.ended(task, state, details);
                Seen::Ended
            }
            (TaskState::Succeeded | TaskState::Failed, Some(plugin))
                if is_whole_stdout(plugin.output().unwrap_or_default()) =>
            {
                let text = plugin.output().unwrap_or_default();
                self.store(task, OutputStream::Stdout, text, STDOUT_KEPT)
                    .await;
                self.exited(task, state, plugin.response_code(), details);
                Seen::Ended
            }
            _ => Seen::Ask,
        }
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
    async fn fetch(&self, command_id: &str, instance: &str, task: usize) -> Option<TaskState> {
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
                if self.sent.elapsed() > NOT_YET {
                    return Some(self.ended(
                        task,
                        TaskState::Unknown,
                        "AWS knows no such invocation",
                    ));
                }
                return None;
            }
            Err(error) if error.is_denied() => {
                return self.fetch_preview(command_id, instance, task).await;
            }
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
        self.exited(task, state, result.response_code(), details);
        Some(state)
    }

    /// Without the right to `GetCommandInvocation` there is still the preview, of
    /// both streams together.
    async fn fetch_preview(
        &self,
        command_id: &str,
        instance: &str,
        task: usize,
    ) -> Option<TaskState> {
        let invocations = match self.list(command_id, &[instance]).await {
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
            .filter(|_| has_code(state, details));
        self.job.update(task, |task| {
            task.exit_code = code;
            "the role may not get command invocations: both streams are shown as one"
                .clone_into(&mut task.detail);
            task.state = state.into();
        });
        Some(state)
    }

    /// A state, the code of a process that has one, and what AWS adds.
    fn exited(&self, task: usize, state: TaskState, code: i32, details: &str) {
        let code = Some(code).filter(|_| has_code(state, details));
        let detail = match code {
            Some(code) => meaning(code),
            None if is_word_of(state, details) => "",
            None => details,
        };
        self.job.update(task, |task| {
            task.exit_code = code;
            detail.clone_into(&mut task.detail);
            task.state = state.into();
        });
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
        if is_cut(text, kept) {
            output.mark_truncated(stream);
        }
        if let Err(error) = output.writer(stream).write(text.as_bytes()).await {
            warn!(job = %self.job.id, %error, "the output cannot be stored");
            output.mark_truncated(stream);
        }
        self.job.printed();
    }
}

/// What a list says of a command's instances.
enum Listed {
    Yes(Vec<CommandInvocation>),
    Denied,
    NotNow,
}

enum Seen {
    Runs,
    Ended,
    /// Only `GetCommandInvocation` can tell more.
    Ask,
}
