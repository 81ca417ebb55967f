//! Who may do what. The agent is not the person: an agent's request passes here
//! before anything else. What agents never may stands in `aws_cli.rs`, what a
//! person says about the rest in `[policy]` of `config.toml`; whatever is not
//! known, not understood or not trusted is refused.

mod action;
mod aliases;
mod approvals;
mod audit;
mod aws_cli;
mod commands;
mod decide;
mod folder;
mod instances;
mod lineage;
mod reading;
pub mod redact;
mod relay;
mod rules;
mod transfer;
mod verdict;

use std::path::{Path, PathBuf};

use awsso_proto::{
    Failure, Reason,
    endpoint::HOME,
    error::key,
    v1::{ClientKind, start_job_request::Work},
};

pub use action::Action;
use action::Objection;
pub use approvals::{Approvals, Asker, By, Work as Asked};
pub use audit::{Audit, How, Note};
pub use decide::{Decision, Place, decide, turns_on_tags};
pub use instances::{Instances, Seen, Tags, is_id};
pub use lineage::Agents;
pub use redact::{Known, Redactor};
pub use relay::Relay;
#[cfg(test)]
pub use rules::Preset;
pub use rules::{AgentSession, Rules};
pub use verdict::Verdict;

use crate::{
    config::{Environment, Files},
    jobs,
};

/// Who asks, as far as rules are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    Person,
    Agent,
}

impl Principal {
    /// The word of the audit log and of rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agent => "agent",
        }
    }
}

impl From<ClientKind> for Principal {
    /// A connection that does not say what it is counts as an agent.
    fn from(kind: ClientKind) -> Self {
        match kind {
            ClientKind::Cli => Self::Person,
            ClientKind::Shim | ClientKind::Unspecified => Self::Agent,
        }
    }
}

/// A policy that cannot be read, or that others can write, refuses agents.
pub fn admit(principal: Principal, files: &Files) -> Result<(), Failure> {
    match (principal, &files.settings.policy.error) {
        (Principal::Agent, Some(error)) => Err(denied(format!(
            "agents are refused because the policy cannot be trusted: {error}"
        ))),
        (Principal::Agent, None) | (Principal::Person, _) => Ok(()),
    }
}

/// Credentials and the daemon itself are the person's, whatever the rules say.
pub fn person_only(principal: Principal, what: &str) -> Result<(), Failure> {
    match principal {
        Principal::Person => Ok(()),
        Principal::Agent => Err(denied(format!("an agent may not {what}"))),
    }
}

/// What a person had done may have printed a credential.
pub fn may_see(principal: Principal, asked_by: ClientKind) -> Result<(), Failure> {
    match (principal, Principal::from(asked_by)) {
        (Principal::Agent, Principal::Person) => Err(denied(
            "an agent may not see or end what a person had run".to_owned(),
        )),
        (Principal::Person, _) | (Principal::Agent, Principal::Agent) => Ok(()),
    }
}

/// The role that somebody has in an account, whatever they ask for.
pub fn role_for(
    principal: Principal,
    files: &Files,
    account: &str,
    account_name: &str,
) -> Option<String> {
    match principal {
        Principal::Person => None,
        Principal::Agent => {
            let rules = &files.settings.policy.rules;
            rules.agent_role(account, account_name).map(str::to_owned)
        }
    }
}

/// What somebody goes on to from the role that they have.
pub fn session_of(principal: Principal, files: &Files) -> Option<&AgentSession> {
    match principal {
        Principal::Person => None,
        Principal::Agent => files.settings.policy.rules.agent_session.as_ref(),
    }
}

/// What a request for a job would do. What cannot be a command is said here.
pub fn action_of(work: &Work, rules: &Rules, own: &Environment) -> Result<Action, Failure> {
    let work = match work {
        Work::Ssm(work) => return Ok(Action::ssm(work)),
        Work::AwsCli(work) => work,
    };
    let words = jobs::aws_cli_words(&work.command)?;
    let words = &words[1..];
    let directory = Path::new(&work.working_directory);
    let mut action = aws_cli::action(words, rules.agent_folder.as_ref(), directory);
    if action.objection.is_none() {
        let home = work.environment.get(HOME).map(String::as_str);
        let home = PathBuf::from(home.or_else(|| own.get(HOME)).unwrap_or("/"));
        action.objection = aliases::objection(&aws_cli::named(words), &home).map(Objection);
    }
    Ok(action)
}

fn denied(message: String) -> Failure {
    Failure::new(Reason::DeniedByPolicy, message)
        .with(key::HINT, "a person can do this with the awsso command")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Settings;

    #[test]
    fn who_does_not_say_what_it_is_is_an_agent() {
        assert_eq!(Principal::from(ClientKind::Unspecified), Principal::Agent);
        assert!(person_only(Principal::Agent, "stop the daemon").is_err());
        assert!(person_only(Principal::Person, "stop the daemon").is_ok());
    }

    #[test]
    fn a_policy_with_a_mistake_refuses_agents_only() {
        let files = Files {
            settings: Arc::new(Settings::parse("[policy]\nx = 1\n").unwrap()),
            ..Files::default()
        };
        assert!(
            admit(Principal::Agent, &files)
                .unwrap_err()
                .message
                .contains('x')
        );
        assert!(admit(Principal::Person, &files).is_ok());
    }
}
