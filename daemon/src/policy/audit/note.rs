//! What is known of one request so far.

use std::sync::{Arc, Mutex, PoisonError};

use awsso_proto::{
    Failure, Reason,
    audit::{Entry, Target, Task, Who},
    v1,
};

use super::{Audit, words};
use crate::{credentials::Role, jobs};

/// Instances that are named in a line.
const MAX_INSTANCES: usize = 20;

/// Becomes a line when the last who holds it lets go.
#[derive(Debug, Clone)]
pub struct Note(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    audit: Audit,
    how: How,
    entry: Mutex<Entry>,
}

/// Which requests become a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Always,
    /// Equal ones together.
    Counted,
    /// Those that are refused.
    Refused,
}

impl Note {
    pub fn begin(audit: &Audit, how: How, verb: String, who: Who) -> Self {
        let entry = Entry {
            at: match how {
                How::Counted => String::new(), // said once, for all of them
                How::Always | How::Refused => audit.now(),
            },
            who,
            verb: verb.into(),
            ..Entry::default()
        };
        Self(Arc::new(Inner {
            audit: audit.clone(),
            how,
            entry: Mutex::new(entry),
        }))
    }

    /// `allow`, `ask` or `deny`, and which rule or preset said so.
    pub fn decided(&self, decision: &'static str, rule: &str) {
        self.update(|entry| {
            entry.decision = decision.into();
            rule.clone_into(&mut entry.rule);
        });
    }

    /// The words of an AWS CLI command, or a shell command.
    pub fn command(&self, work: &v1::start_job_request::Work) {
        let redactor = &self.0.audit.0.redactor;
        let words = match work {
            // What cannot be split is refused, and recorded as it came.
            v1::start_job_request::Work::AwsCli(work) => {
                jobs::split(&work.command).unwrap_or_else(|_| vec![work.command.clone()])
            }
            v1::start_job_request::Work::Ssm(work) => vec![work.command.clone()],
        };
        let words = words::masked(&words, redactor);
        self.update(|entry| entry.command = words);
    }

    pub fn target(&self, target: &jobs::Target) {
        let role = &target.role;
        let target = Target {
            account_name: target.account_name.clone(),
            region: target.region.clone(),
            ..target_of_role(target.session.name(), role)
        };
        self.update(|entry| entry.target = Some(target));
    }

    pub fn session(&self, name: &str) {
        let session = name.to_owned();
        self.update(|entry| {
            entry.target.get_or_insert_default().session = session;
        });
    }

    /// The job that came of it, or that it is about.
    pub fn job(&self, job: &v1::Job) {
        let mut target = job.tasks.first().map(task).unwrap_or_default().target;
        let instances = job.tasks.iter().map(|task| &task.instance_id);
        let instances = instances.filter(|id| !id.is_empty());
        target.instances = instances.take(MAX_INSTANCES).cloned().collect();
        target.of = Some(job.tasks.len()).filter(|tasks| *tasks > 1);
        self.update(|entry| {
            entry.job.clone_from(&job.id);
            let session = entry.target.take().unwrap_or_default().session;
            entry.target = Some(Target { session, ..target });
        });
    }

    pub fn job_id(&self, id: &str) {
        let id = words::short(id);
        self.update(|entry| entry.job = id);
    }

    pub fn output(&self, id: &str) {
        let id = words::short(id);
        self.update(|entry| entry.output = id);
    }

    /// How it ended; a failure decides what was decided when nobody has said.
    pub fn ended(&self, outcome: Result<(), &Failure>) {
        let redactor = &self.0.audit.0.redactor;
        let (result, message) = match outcome {
            Ok(()) => ("ok", String::new()),
            Err(failure) => (failure.reason.name(), redactor.text(&failure.message)),
        };
        let decision = match outcome.err().map(|failure| failure.reason) {
            Some(Reason::DeniedByPolicy) => Some("deny"),
            Some(Reason::ApprovalRequired) => Some("ask"),
            _ => None,
        };
        self.update(|entry| {
            entry.result = result.into();
            entry.message = message;
            if let Some(decision) = decision {
                entry.decision = decision.into();
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Entry)) {
        let entry = &self.0.entry;
        change(&mut entry.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let entry = self.entry.get_mut();
        let mut entry = std::mem::take(entry.unwrap_or_else(PoisonError::into_inner));
        if entry.result.is_empty() {
            // The client went away before there was an answer.
            entry.result = "left".into();
        }
        let refused = entry.decision == "deny" || entry.decision == "ask";
        match self.how {
            How::Counted => self.audit.count(entry),
            How::Refused if !refused => {}
            How::Always | How::Refused => self.audit.add(entry),
        }
    }
}

pub(super) fn target_of_role(session: &str, role: &Role) -> Target {
    Target {
        session: session.to_owned(),
        account_id: role.account.clone(),
        role_name: role.name.clone(),
        ..Target::default()
    }
}

pub(super) fn task(task: &v1::Task) -> Task {
    let instance = Some(task.instance_id.clone()).filter(|id| !id.is_empty());
    Task {
        target: Target {
            account_id: task.account_id.clone(),
            account_name: task.account_name.clone(),
            role_name: task.role_name.clone(),
            region: task.region.clone(),
            instances: instance.into_iter().collect(),
            ..Target::default()
        },
        state: task.state().word().into(),
        exit_code: task.exit_code,
        aws_command_id: task.aws_command_id.clone(),
    }
}
