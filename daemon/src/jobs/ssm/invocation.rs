//! One invocation: what AWS says of it, what it printed, and how its task ends.

use std::sync::Arc;

use aws_sdk_ssm::types::{CommandInvocation, CommandPlugin};
use awsso_proto::v1::{OutputStream, TaskState};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    follow::Sent,
    place::{Ssm, SsmError},
    result::{
        PREVIEW_KEPT, STDERR_KEPT, STDOUT_KEPT, has_code, is_cut, is_whole_stdout, is_word_of,
        meaning,
    },
    whole::{self, Cut, Destination, Kept},
};
use crate::{
    jobs::{
        Job,
        schedule::{NOT_YET, invocation_state},
    },
    limiter::Repeat,
};

/// Reads invocations of one place, for one job.
#[derive(Clone)]
pub(super) struct Reader {
    pub ssm: Ssm,
    pub job: Arc<Job>,
    /// When the commands were sent.
    pub sent: Instant,
}

/// What a list says of an instance.
pub(super) enum Seen {
    Runs,
    Ended,
    /// Only `GetCommandInvocation` can tell more.
    Ask,
}

/// What asking for one instance's result came to.
pub(super) enum Told {
    Runs,
    Ended,
    /// It has ended, and its task has not: more was printed than SSM keeps.
    Cut(Box<Unfinished>),
}

/// An invocation whose whole output is somewhere else.
pub(super) struct Unfinished {
    task: usize,
    end: End,
    cut: Cut,
    from: Destination,
}

/// How a task ends.
struct End {
    state: TaskState,
    code: Option<i32>,
    detail: String,
}

impl End {
    /// A state, the code of a process that has one, and what AWS adds.
    fn new(state: TaskState, code: i32, details: &str) -> Self {
        let code = Some(code).filter(|_| has_code(state, details));
        let detail = match code {
            Some(code) => meaning(code),
            None if is_word_of(state, details) => "",
            None => details,
        };
        Self {
            state,
            code,
            detail: detail.to_owned(),
        }
    }

    fn add(&mut self, more: &str) {
        if !self.detail.is_empty() {
            self.detail.push_str("; ");
        }
        self.detail.push_str(more);
    }
}

impl Reader {
    /// What a list says of an instance, and whether more has to be asked.
    pub async fn seen(&self, invocation: Option<&CommandInvocation>, task: usize) -> Seen {
        let Some(invocation) = invocation else {
            return Seen::Ask;
        };
        let status = invocation.status().map_or("", |status| status.as_str());
        let details = invocation.status_details().unwrap_or_default();
        let Some(state) = invocation_state(status, details) else {
            self.shows(task, status, details);
            return Seen::Runs;
        };
        let plugin = match invocation.command_plugins() {
            [only] => Some(only),
            _ => None,
        };
        match (state, plugin) {
            (TaskState::Undeliverable | TaskState::Denied, _) => {
                self.job.end(task, state, details);
                Seen::Ended
            }
            (TaskState::Succeeded | TaskState::Failed, Some(plugin))
                if is_whole_stdout(plugin.output().unwrap_or_default()) =>
            {
                let text = plugin.output().unwrap_or_default();
                self.store(task, OutputStream::Stdout, text, STDOUT_KEPT)
                    .await;
                self.end(task, End::new(state, plugin.response_code(), details));
                Seen::Ended
            }
            _ => Seen::Ask,
        }
    }

    /// A task that is not final shows what AWS calls its state.
    fn shows(&self, task: usize, status: &str, details: &str) {
        let running = !matches!(status, "" | "Pending");
        let detail = if details.is_empty() { status } else { details };
        self.job.update(task, |task| {
            if running && task.state() == TaskState::Queued {
                task.state = TaskState::Running.into();
            }
            detail.clone_into(&mut task.detail);
        });
    }

    /// Asks for one instance's result.
    pub async fn ask(&self, sent: &Sent, instance: &str, task: usize) -> Told {
        let result = self
            .ssm
            .call("GetCommandInvocation", Repeat::Freely, |client| {
                client
                    .get_command_invocation()
                    .command_id(&sent.command_id)
                    .instance_id(instance)
                    .send()
            })
            .await;
        let result = match result {
            Ok(result) => result,
            Err(error) if error.code() == "InvocationDoesNotExist" => {
                // Never listed and never known: it was not created for this instance.
                if self.sent.elapsed() > NOT_YET {
                    let why = "AWS knows no such invocation";
                    self.job.end(task, TaskState::Unknown, why);
                    return Told::Ended;
                }
                return Told::Runs;
            }
            Err(error) if error.is_denied() => return self.preview(sent, instance, task).await,
            Err(error) => {
                self.not_now(&error);
                return Told::Runs;
            }
        };
        let status = result.status().map_or("", |status| status.as_str());
        let details = result.status_details().unwrap_or_default();
        let Some(state) = invocation_state(status, details) else {
            self.shows(task, status, details);
            return Told::Runs;
        };
        let end = End::new(state, result.response_code(), details);
        let streams = [
            kept(
                OutputStream::Stdout,
                result.standard_output_content,
                result.standard_output_url,
            ),
            kept(
                OutputStream::Stderr,
                result.standard_error_content,
                result.standard_error_url,
            ),
        ];
        let mut cut = Vec::new();
        for kept in streams {
            let most = most_kept(kept.stream);
            if sent.whole.is_some() && is_cut(&kept.text, most) {
                cut.push(kept);
            } else {
                self.store(task, kept.stream, &kept.text, most).await;
            }
        }
        let plugin = result.plugin_name.unwrap_or_default();
        self.ended(sent, instance, task, end, plugin, cut)
    }

    /// Without the right to `GetCommandInvocation` there is still the preview, of
    /// both streams together.
    async fn preview(&self, sent: &Sent, instance: &str, task: usize) -> Told {
        let listed = self.list(&sent.command_id, &[instance]).await;
        let invocations = match listed {
            Ok(invocations) => invocations,
            Err(error) if error.is_denied() => {
                let why = "the role may neither list nor get command invocations";
                self.job.end(task, TaskState::Unknown, why);
                return Told::Ended;
            }
            Err(error) => {
                self.not_now(&error);
                return Told::Runs;
            }
        };
        let mut invocations = invocations.into_iter();
        let Some(invocation) = invocations.find(|it| it.instance_id() == Some(instance)) else {
            return Told::Runs;
        };
        let details = invocation.status_details().unwrap_or_default();
        let status = invocation.status().map_or("", |status| status.as_str());
        let Some(state) = invocation_state(status, details) else {
            return Told::Runs;
        };
        let plugin = invocation.command_plugins().first().cloned();
        let code = plugin.as_ref().map(CommandPlugin::response_code);
        let mut end = End {
            state,
            code: code.filter(|_| has_code(state, details)),
            detail: String::new(),
        };
        let (name, text, urls) = plugin.map_or_else(Default::default, |plugin| {
            let urls = (plugin.standard_output_url, plugin.standard_error_url);
            (plugin.name, plugin.output, urls)
        });
        let text = text.unwrap_or_default();
        if sent.whole.is_some() && is_cut(&text, PREVIEW_KEPT) {
            let cut = vec![
                kept(OutputStream::Stdout, Some(text), urls.0),
                kept(OutputStream::Stderr, None, urls.1),
            ];
            return self.ended(sent, instance, task, end, name.unwrap_or_default(), cut);
        }
        self.store(task, OutputStream::Stdout, &text, PREVIEW_KEPT)
            .await;
        end.add("the role may not get command invocations: both streams are shown as one");
        self.end(task, end);
        Told::Ended
    }

    /// Ends the task, unless some of its output is to be fetched first.
    fn ended(
        &self,
        sent: &Sent,
        instance: &str,
        task: usize,
        end: End,
        plugin: String,
        streams: Vec<Kept>,
    ) -> Told {
        match &sent.whole {
            Some(from) if !streams.is_empty() => Told::Cut(Box::new(Unfinished {
                task,
                end,
                cut: Cut {
                    command_id: sent.command_id.clone(),
                    instance: instance.to_owned(),
                    plugin,
                    streams,
                },
                from: from.clone(),
            })),
            _ => {
                self.end(task, end);
                Told::Ended
            }
        }
    }

    /// Fetches the whole of what SSM has cut, or keeps what SSM gave; then the
    /// task has ended.
    pub async fn finish(self, unfinished: Unfinished) {
        let Unfinished {
            task,
            mut end,
            mut cut,
            from,
        } = unfinished;
        self.job.update(task, |task| {
            task.state = TaskState::Running.into();
            "it has ended; the whole output is being fetched".clone_into(&mut task.detail);
        });
        let fetched = whole::fetch(&self.ssm, &self.job, task, &from, &mut cut).await;
        if let Err(problem) = fetched {
            info!(job = %self.job.id, instance = cut.instance, problem, "only what SSM keeps");
            for kept in &cut.streams {
                self.store(task, kept.stream, &kept.text, 0).await;
            }
            end.add(&format!("cut at what SSM keeps: {problem}"));
        }
        self.job.printed();
        self.end(task, end);
    }

    /// Until it has those that are waited for: a page that is full may name a next one.
    pub async fn list(
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

    pub fn not_now(&self, error: &SsmError) {
        // 5xx, throttling, a lost login: the command goes on in AWS, so do we.
        info!(job = %self.job.id, ?error, "no news from SSM");
    }

    fn end(&self, task: usize, end: End) {
        self.job.update(task, |task| {
            task.exit_code = end.code;
            task.detail = end.detail;
            task.state = end.state.into();
        });
    }

    /// Stores what SSM gave, of which it keeps so many characters.
    async fn store(&self, task: usize, stream: OutputStream, text: &str, most: usize) {
        let output = &self.job.outputs[task];
        if is_cut(text, most) {
            output.mark_truncated(stream);
        }
        // An earlier daemon stored it, and was ended before the task was.
        if output.written(stream) > 0 {
            return;
        }
        if let Err(error) = output.writer(stream).write(text.as_bytes()).await {
            warn!(job = %self.job.id, %error, "the output cannot be stored");
            output.mark_truncated(stream);
        }
        self.job.printed();
    }
}

fn most_kept(stream: OutputStream) -> usize {
    match stream {
        OutputStream::Stderr => STDERR_KEPT,
        OutputStream::Stdout | OutputStream::Unspecified => STDOUT_KEPT,
    }
}

fn kept(stream: OutputStream, text: Option<String>, url: Option<String>) -> Kept {
    Kept {
        stream,
        text: text.unwrap_or_default(),
        url: url.unwrap_or_default(),
    }
}
