//! Who may do what. The agent is not the person: an agent's request passes here
//! before anything else. Rules and approvals are not built yet: every preset
//! acts as `open`; what never depends on rules is enforced already.

mod audit;
pub mod redact;

use awsso_proto::{Failure, Reason, error::key, v1::ClientKind};

use crate::config::Files;
pub use audit::{Audit, How, Note};
pub use redact::{Known, Redactor};

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
