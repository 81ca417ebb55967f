//! The whole of an output that SSM has cut, from the bucket or the log group that
//! its command was sent with. Each stream is fetched once, into the place of the
//! task's output; where it is not to be had, what SSM keeps stays, and a person
//! is told why.

mod bucket;
mod log_group;

use std::{fmt::Display, sync::Arc, time::Duration};

use aws_sdk_ssm::{
    operation::send_command::builders::SendCommandFluentBuilder, types::CloudWatchOutputConfig,
};
use awsso_proto::{Failure, v1::OutputStream};
use prost::Message;
use tokio::time::Instant;

use super::place::{Ssm, SsmError};
use crate::{
    config::SsmSettings,
    jobs::{
        Job, Target,
        output::{Output, Replacement},
    },
};

/// Instances of one place whose outputs are fetched at the same time.
pub(super) const AT_ONCE: usize = 32;
/// Agents upload before they report the end; what is this late is not coming.
const WAIT: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A gigabyte over a slow line.
const FETCH_LIMIT: Duration = Duration::from_mins(15);

/// Where the instances of one command leave what they print. The journal has it:
/// the configuration may be another one when the command has ended.
#[derive(Clone, PartialEq, Message)]
pub struct Destination {
    #[prost(string, tag = "1")]
    pub bucket: String,
    #[prost(string, tag = "2")]
    pub prefix: String,
    #[prost(string, tag = "3")]
    pub log_group: String,
}

impl Destination {
    /// What a person has configured for the instances of a target, if anything.
    pub(super) fn new(settings: &SsmSettings, target: &Target) -> Option<Self> {
        let here = settings.within(&target.role.account, &target.region);
        let configured = !here.output_bucket.is_empty() || !here.output_log_group.is_empty();
        configured.then(|| Self {
            bucket: here.output_bucket,
            prefix: here.output_prefix.trim_matches('/').to_owned(),
            log_group: here.output_log_group,
        })
    }

    /// Has a command leave its output there.
    pub(super) fn on(&self, sending: SendCommandFluentBuilder) -> SendCommandFluentBuilder {
        let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let group = set(&self.log_group).map(|group| {
            CloudWatchOutputConfig::builder()
                .cloud_watch_log_group_name(group)
                .cloud_watch_output_enabled(true)
                .build()
        });
        // A prefix without a bucket is refused.
        let bucket = set(&self.bucket);
        let prefix = bucket.as_ref().and_then(|_| set(&self.prefix));
        sending
            .set_output_s3_bucket_name(bucket)
            .set_output_s3_key_prefix(prefix)
            .set_cloud_watch_output_config(group)
    }
}

/// An ended invocation, and what SSM keeps of its streams.
#[derive(Debug)]
pub(super) struct Cut {
    pub command_id: String,
    pub instance: String,
    /// `aws:runShellScript`
    pub plugin: String,
    pub streams: Vec<Kept>,
}

/// One stream of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub stream: OutputStream,
    pub text: String,
    /// Where SSM says that the whole is; may be empty.
    pub url: String,
}

impl Kept {
    pub(super) fn name(&self) -> &'static str {
        match self.stream {
            OutputStream::Stderr => "stderr",
            OutputStream::Stdout | OutputStream::Unspecified => "stdout",
        }
    }

    /// Nothing is uploaded of a stream that nothing was printed to.
    fn may_be_missing(&self) -> bool {
        self.text.is_empty()
    }
}

/// Fetches the streams of one invocation; those that are stored are taken out of
/// it. An error says in a person's words why some are left.
pub(super) async fn fetch(
    ssm: &Ssm,
    job: &Job,
    task: usize,
    from: &Destination,
    cut: &mut Cut,
) -> Result<(), String> {
    let output = &job.outputs[task];
    let fetched = async {
        let mut problems = Vec::new();
        if !from.bucket.is_empty() {
            match bucket::fetch(ssm, from, cut, output).await {
                Ok(()) => return Ok(()),
                Err(problem) => problems.push(problem),
            }
        }
        if !from.log_group.is_empty() {
            match log_group::fetch(ssm, &from.log_group, cut, output).await {
                Ok(()) => return Ok(()),
                Err(problem) => problems.push(problem),
            }
        }
        Err(problems.join("; "))
    };
    tokio::select! {
        fetched = tokio::time::timeout(FETCH_LIMIT, fetched) => fetched.unwrap_or_else(|_| {
            let limit = FETCH_LIMIT.as_secs() / 60;
            Err(format!("fetching the whole output took longer than {limit} minutes"))
        }),
        () = job.cancel.cancelled() => {
            Err("the job was cancelled before its whole output was fetched".to_owned())
        }
    }
}

/// What AWS said when it was asked for an output.
fn refused(ssm: &Ssm, from: &str, error: SsmError) -> String {
    if error.is_denied() {
        let role = &ssm.target.role.name;
        return format!("{role} may not read {from}");
    }
    format!("{from}: {}", Failure::from(error).message)
}

fn not_stored(error: impl Display) -> String {
    format!("the whole output cannot be stored: {error}")
}

fn begin(output: &Arc<Output>, kept: &Kept) -> Result<Replacement, String> {
    output.replacement(kept.stream).map_err(not_stored)
}

/// Growing pauses, for as long as it is worth to wait.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            until: Instant::now() + WAIT,
            pause: FIRST_PAUSE,
        }
    }

    /// `false`, at once, when there is no more to wait for.
    async fn wait(&mut self) -> bool {
        let next = Instant::now() + self.pause;
        if next > self.until {
            return false;
        }
        tokio::time::sleep_until(next).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
