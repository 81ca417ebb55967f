//! Whether a shim may pass on what its client's person answered. What such an
//! answer is worth, and what it is not, stands in
//! `docs/decisions/approvals-in-the-client.md`.

use std::{env::consts::EXE_SUFFIX, path::PathBuf};

use awsso_proto::{Failure, Reason, error::key};

use super::{Agents, Rules, approvals::elsewhere};
use crate::os;

/// What is known of the connection that would pass an answer on.
#[derive(Debug, Clone, Copy)]
pub struct Relay {
    /// It is a shim whose client declared that it can put a form before its person.
    declared: bool,
    /// It runs the `awsso-mcp` that belongs to this daemon.
    is_ours: bool,
    /// The host of another agent, which its own host was started by.
    within: Option<u32>,
}

impl Relay {
    /// Looks at the process at the other end.
    pub fn of(pid: Option<u32>, declared: bool, agents: &Agents) -> Self {
        let ours = our_shim();
        Self {
            declared,
            is_ours: pid
                .zip(ours)
                .is_some_and(|(pid, ours)| os::runs(pid, &ours)),
            within: pid.and_then(|pid| agents.around(pid)),
        }
    }

    pub fn check(self, rules: &Rules, id: &str) -> Result<(), Failure> {
        let why = if !rules.elicitation {
            "[policy] elicitation = false: approvals are not answered in an agent's client"
                .to_owned()
        } else if !self.declared {
            "an answer is taken only from a client that declared that it asks its person (form elicitation)".to_owned()
        } else if !self.is_ours {
            "an answer is taken only from the awsso-mcp that is installed beside awssod, and this is another program, \
             or one from before an update"
                .to_owned()
        } else if let Some(host) = self.within {
            format!(
                "the client was started by process {host}, which also runs an agent: an agent cannot approve what it asks for"
            )
        } else {
            return Ok(());
        };
        Err(Failure::new(Reason::DeniedByPolicy, why).with(key::HINT, elsewhere(id)))
    }
}

fn our_shim() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.with_file_name(format!("awsso-mcp{EXE_SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_from_the_installed_shim_of_a_client_that_asks_and_from_nobody_else() {
        let good = Relay {
            declared: true,
            is_ours: true,
            within: None,
        };
        let on = Rules::default();
        let off = Rules {
            elicitation: false,
            ..Rules::default()
        };
        assert!(good.check(&on, "apr_1").is_ok());
        for (relay, rules, why) in [
            (good, &off, "elicitation = false"),
            (
                Relay {
                    declared: false,
                    ..good
                },
                &on,
                "form elicitation",
            ),
            (
                Relay {
                    is_ours: false,
                    ..good
                },
                &on,
                "beside awssod",
            ),
            (
                Relay {
                    within: Some(7),
                    ..good
                },
                &on,
                "process 7",
            ),
        ] {
            let refused = relay.check(rules, "apr_1").unwrap_err();
            assert_eq!(refused.reason, Reason::DeniedByPolicy);
            assert!(refused.message.contains(why), "{refused}");
            assert_eq!(
                refused.hint().unwrap(),
                "a person runs: awsso approvals approve apr_1"
            );
        }
    }

    #[test]
    fn who_only_says_that_it_is_a_shim_is_not_ours() {
        // This test is no awsso-mcp.
        let relay = Relay::of(Some(std::process::id()), true, &Agents::default());
        assert!(!relay.is_ours);
        assert!(!Relay::of(None, true, &Agents::default()).is_ours);
    }
}
