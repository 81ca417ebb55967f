//! A run on instances by SSM Run Command: send, poll, fetch, cancel. What AWS
//! has not decided yet is waited for; what may have been sent is never sent again.

mod instances;
mod send;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_ssm::types::CommandInvocation;
use awsso_proto::{
    Failure, Reason,
    v1::{self, OutputStream, TaskState},
};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Job, Jobs, Target, aws_error,
    schedule::{NOT_YET, UNLISTED, invocation_state, next_poll},
};
use crate::limiter::{Fault, Limiter, Repeat};
pub use instances::{Instance, select};

/// Delivery, apart from running (`SendCommand`'s `TimeoutSeconds`; AWS takes 30 s and more).
const DELIVERY_LIMIT: Duration = Duration::from_mins(10);
/// AWS's own words come a little after the limits.
const SLACK: Duration = Duration::from_mins(1);
/// After a cancel AWS gets this long to say what really stopped.
const CANCEL_LIMIT: Duration = Duration::from_mins(2);
/// `GetCommandInvocation` keeps this much of a stream, in characters.
const STDOUT_KEPT: usize = 24_000;
const STDERR_KEPT: usize = 8_000;
/// `ListCommandInvocations`' `Output` keeps this much of both.
const PREVIEW_KEPT: usize = 2_500;
/// `executionTimeout` of the documents; outside of it the agent takes an hour.
const RUN_LIMITS: (u64, u64) = (5, 172_800);
/// Instances of one request; a bound, not a goal.
const MAX_INSTANCES: usize = 1_000;
/// The agent runs these codes as "reboot, then run me again".
const REBOOT_CODE: i32 = 194;

/// A command for instances, checked.
#[derive(Debug, Clone)]
pub struct Work {
    command: String,
    instance_ids: Vec<String>,
    targets: Vec<v1::SsmTarget>,
    limit: Duration,
}

impl Work {
    pub fn new(work: v1::SsmWork, limit: Duration) -> Result<Self, Failure> {
        let invalid = |what: String| Err(Failure::new(Reason::InvalidArgument, what));
        if work.command.trim().is_empty() {
            return invalid("the command is empty".into());
        }
        if work.command.contains('\0') {
            return invalid("the command holds a NUL character".into());
        }
        let mut instance_ids = work.instance_ids;
        instance_ids.sort();
        instance_ids.dedup();
        if instance_ids.is_empty() == work.targets.is_empty() {
            return invalid("name instances by id or by target, one of the two".into());
        }
        if instance_ids.len() > MAX_INSTANCES {
            return invalid(format!("{MAX_INSTANCES} instances are the most"));
        }
        if let Some(bad) = instance_ids.iter().find(|id| !is_instance_id(id)) {
            return invalid(format!(
                "{bad:?} is not an instance id like i-0a1b2c3d4e5f67890"
            ));
        }
        let good = |target: &v1::SsmTarget| {
            target.key.starts_with("tag:") && target.key.len() > 4 && !target.values.is_empty()
        };
        if let Some(bad) = work.targets.iter().find(|target| !good(target)) {
            return invalid(format!(
                "the target {:?} is not of the form tag:KEY=VALUE",
                bad.key
            ));
        }
        let limit = limit.as_secs().clamp(RUN_LIMITS.0, RUN_LIMITS.1);
        Ok(Self {
            command: work.command,
            instance_ids,
            targets: work.targets,
            limit: Duration::from_secs(limit),
        })
    }
}

/// EC2 instances and hybrid nodes.
fn is_instance_id(id: &str) -> bool {
    let hex = id.strip_prefix("i-").or_else(|| id.strip_prefix("mi-"));
    hex.is_some_and(|hex| {
        (8..=17).contains(&hex.len())
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// What is needed to talk about one target's SSM.
struct Ssm {
    jobs: Jobs,
    target: Target,
    limiter: Arc<Limiter>,
}

impl Ssm {
    fn new(jobs: &Jobs, target: &Target) -> Self {
        Self {
            limiter: jobs
                .0
                .parts
                .limiters
                .of(&format!("ssm {} {}", target.account, target.region)),
            jobs: jobs.clone(),
            target: target.clone(),
        }
    }

    /// Makes a call; when AWS did not accept the keys, and so did nothing, once
    /// more with new ones.
    async fn call<T, E, F>(
        &self,
        name: &'static str,
        repeat: Repeat,
        mut attempt: impl FnMut(aws_sdk_ssm::Client) -> F,
    ) -> Result<T, SsmError>
    where
        F: Future<
            Output = Result<
                T,
                aws_smithy_runtime_api::client::result::SdkError<
                    E,
                    aws_smithy_runtime_api::client::orchestrator::HttpResponse,
                >,
            >,
        >,
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut repeated = false;
        loop {
            let keys = self
                .jobs
                .credentials(&self.target)
                .await
                .map_err(SsmError::Login)?;
            let client = self
                .jobs
                .0
                .parts
                .aws
                .ssm(&self.target.region, keys.credentials.clone())
                .map_err(SsmError::Login)?;
            let result = self
                .limiter
                .call(name, repeat, || attempt(client.clone()))
                .await;
            match result {
                Err(fault) if !repeated && aws_error::is_bad_credentials(fault.code()) => {
                    repeated = true;
                    let Target {
                        session,
                        account,
                        role,
                        ..
                    } = &self.target;
                    self.jobs
                        .0
                        .parts
                        .broker
                        .reject(session, account, role, &keys);
                }
                result => return result.map_err(SsmError::Aws),
            }
        }
    }
}

/// Why a call gave nothing.
#[derive(Debug)]
enum SsmError {
    Login(Failure),
    Aws(Fault),
}

impl SsmError {
    fn is_denied(&self) -> bool {
        matches!(self, Self::Aws(fault) if fault.code().contains("AccessDenied"))
    }

    /// AWS answered, and the answer is no: asking another way may help.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Aws(Fault::Refused { .. }))
    }

    fn code(&self) -> &str {
        match self {
            Self::Login(_) => "",
            Self::Aws(fault) => fault.code(),
        }
    }
}

impl From<SsmError> for Failure {
    fn from(error: SsmError) -> Self {
        match error {
            SsmError::Login(failure) => failure,
            SsmError::Aws(fault) => fault.into(),
        }
    }
}

/// Sends the command, then follows it to the end of every instance.
pub async fn run(jobs: Jobs, job: Arc<Job>, target: Target, work: Work, instances: Vec<Instance>) {
    let ssm = Ssm::new(&jobs, &target);
    let mut commands = Vec::new();
    for (document, tasks) in send::groups(&instances) {
        if job.cancel.is_cancelled() {
            for (task, _) in tasks {
                job.end(task, TaskState::Cancelled, "cancelled before it was sent");
            }
            continue;
        }
        commands.extend(send::send(&ssm, &job, &work, document, tasks).await);
    }
    let mut following = Following {
        ssm: &ssm,
        job: &job,
        commands,
        sent: Instant::now(),
        deadline: Instant::now() + DELIVERY_LIMIT + work.limit + SLACK,
        listing_denied: false,
    };
    following.until_all_ended().await;
}

/// One sent command and the tasks that wait for it, by instance.
#[derive(Debug)]
struct Sent {
    command_id: String,
    tasks: BTreeMap<String, usize>,
}

struct Following<'a> {
    ssm: &'a Ssm,
    job: &'a Arc<Job>,
    commands: Vec<Sent>,
    sent: Instant,
    deadline: Instant,
    listing_denied: bool,
}

impl Following<'_> {
    async fn until_all_ended(&mut self) {
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
            if let Some(state) = self.fetch(at, &instance, task).await {
                self.commands[at].tasks.remove(&instance);
                info!(job = %self.job.id, %instance, state = state.word(), "instance ended");
            }
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
        if self.fetch(at, instance, task).await.is_some() {
            self.commands[at].tasks.remove(instance);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn work(command: &str, ids: &[&str], targets: &[(&str, &[&str])]) -> Result<Work, Failure> {
        let work = v1::SsmWork {
            command: command.into(),
            instance_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            targets: targets
                .iter()
                .map(|(key, values)| v1::SsmTarget {
                    key: (*key).to_owned(),
                    values: values.iter().map(|value| (*value).to_owned()).collect(),
                })
                .collect(),
        };
        Work::new(work, Duration::from_secs(1))
    }

    #[test]
    fn a_request_names_instances_or_targets_and_each_rightly() {
        let id = "i-0a1b2c3d4e5f60001";
        assert_eq!(work("uptime", &[id, id], &[]).unwrap().instance_ids, [id]);
        assert!(work("uptime", &["mi-0123456789abcdef0"], &[]).is_ok());
        assert!(work("uptime", &[], &[("tag:Role", &["web"])]).is_ok());
        for bad in [
            work("", &[id], &[]),
            work("a\0", &[id], &[]),
            work("a", &[], &[]),
            work("a", &[id], &[("tag:Role", &["web"])]),
            work("a", &["i-XYZ"], &[]),
            work("a", &["web-1"], &[]),
            work("a", &[], &[("Role", &["web"])]),
            work("a", &[], &[("tag:Role", &[])]),
        ] {
            assert_eq!(bad.unwrap_err().reason, Reason::InvalidArgument);
        }
    }

    #[test]
    fn a_running_limit_is_one_that_the_agent_honours() {
        let limit = |seconds| {
            let work = v1::SsmWork {
                command: "x".into(),
                instance_ids: vec!["i-0a1b2c3d4e5f60001".into()],
                ..v1::SsmWork::default()
            };
            Work::new(work, Duration::from_secs(seconds))
                .unwrap()
                .limit
                .as_secs()
        };
        assert_eq!((limit(1), limit(60), limit(1_000_000)), (5, 60, 172_800));
    }
}
