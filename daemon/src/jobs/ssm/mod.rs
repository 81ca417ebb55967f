//! A run on instances by SSM Run Command: send, poll, fetch, cancel. What AWS
//! has not decided yet is waited for; what may have been sent is never sent again.

mod follow;
mod instances;
mod send;

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{self, TaskState},
};

use super::{Job, Jobs, Target, aws_error};
use crate::limiter::{Fault, Lane, Limiter, Repeat};
use follow::{Following, Sent};
pub use instances::{Instance, select};

/// Delivery, apart from running (`SendCommand`'s `TimeoutSeconds`; AWS takes 30 s and more).
const DELIVERY_LIMIT: Duration = Duration::from_mins(10);
/// `executionTimeout` of the documents; outside of it the agent takes an hour.
const RUN_LIMITS: (u64, u64) = (5, 172_800);
/// Instances of one request; a bound, not a goal.
const MAX_INSTANCES: usize = 1_000;

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
                .of(&format!("ssm {} {}", target.role.account, target.region)),
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
                .call(name, Lane::Person, repeat, || attempt(client.clone()))
                .await;
            match result {
                Err(fault) if !repeated && aws_error::is_bad_credentials(fault.code()) => {
                    repeated = true;
                    self.jobs.reject(&self.target, &keys);
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
    let mut following = Following::new(&ssm, &job, commands, work.limit);
    following.until_all_ended().await;
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
