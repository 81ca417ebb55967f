//! `agent_session_…` in `[policy]`: from the role that they get, agents go on to
//! another one by `AssumeRole`, with session policies if wanted. So AWS itself
//! holds them to less, whatever the rules here let pass.

use serde::{Deserialize, Deserializer, de};

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const MOST_POLICY_ARNS: usize = 10;
const LONGEST_NAME: usize = 64;

/// The role that agents end up with, in every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSession {
    /// Its name, after its path if it has one.
    pub role: String,
    /// JSON: what agents may do at most.
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
}

impl AgentSession {
    pub fn role_name(&self) -> &str {
        self.role.rsplit('/').next().unwrap_or(&self.role)
    }

    /// In an account of the partition that this region is in.
    pub fn role_arn(&self, account: &str, region: &str) -> String {
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:iam::{account}:role/{}", self.role)
    }
}

/// The keys of `[policy]` that are about it.
pub(super) struct Form {
    pub role: Option<RoleForm>,
    pub policy: Option<PolicyForm>,
    pub policy_arns: Vec<ArnForm>,
}

impl Form {
    /// An error names the key that is wrong.
    pub fn read(self) -> Result<Option<AgentSession>, (&'static str, String)> {
        let limits = [
            ("agent_session_policy_arns", !self.policy_arns.is_empty()),
            ("agent_session_policy", self.policy.is_some()),
        ];
        let Some(RoleForm(role)) = self.role else {
            let without = limits.into_iter().find(|(_, given)| *given);
            return without.map_or(Ok(None), |(key, _)| {
                let what =
                    format!("{key} needs agent_session_role, the role whose session it is about");
                Err((key, what))
            });
        };
        let policy_arns: Vec<_> = self
            .policy_arns
            .into_iter()
            .map(|ArnForm(arn)| arn)
            .collect();
        if policy_arns.len() > MOST_POLICY_ARNS {
            let what = format!("{} ARNs; STS takes {MOST_POLICY_ARNS}", policy_arns.len());
            return Err(("agent_session_policy_arns", what));
        }
        Ok(Some(AgentSession {
            role,
            policy: self.policy.map(|PolicyForm(json)| json),
            policy_arns,
        }))
    }
}

pub(super) struct RoleForm(String);

impl<'de> Deserialize<'de> for RoleForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let role = String::deserialize(deserializer)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
        let name = role.rsplit('/').next().unwrap_or_default();
        if (1..=LONGEST_NAME).contains(&name.len())
            && role.chars().all(fits)
            && !role.starts_with('/')
        {
            return Ok(Self(role));
        }
        Err(de::Error::custom(
            "not the name of an IAM role, such as AgentAccess or team/AgentAccess; it is the same in every account",
        ))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct PolicyForm(#[serde(deserialize_with = "crate::config::session_policy")] String);

pub(super) struct ArnForm(String);

impl<'de> Deserialize<'de> for ArnForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let arn = String::deserialize(deserializer)?;
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let is_policy = matches!(parts[..], ["arn", partition, "iam", "", _, resource]
            if partition.starts_with("aws") && resource.starts_with("policy/"));
        if is_policy {
            return Ok(Self(arn));
        }
        Err(de::Error::custom(
            "not the ARN of a managed policy, such as arn:aws:iam::aws:policy/ReadOnlyAccess",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::Rules;

    fn parse(text: &str) -> Result<Option<AgentSession>, String> {
        Rules::parse(text, &BTreeMap::new()).map(|rules| rules.agent_session)
    }

    #[test]
    fn a_role_goes_with_what_limits_its_session() {
        let session = parse(
            "[policy]\nagent_session_role = 'team/AgentAccess'\n\
             agent_session_policy_arns = ['arn:aws:iam::aws:policy/ReadOnlyAccess']\n\
             [[policy.agent_session_policy.Statement]]\nEffect = 'Allow'\nAction = 'ec2:*'\nResource = '*'\n",
        );
        let session = session.unwrap().unwrap();
        assert_eq!(session.role_name(), "AgentAccess");
        assert_eq!(
            session.role_arn("111122223333", "eu-west-1"),
            "arn:aws:iam::111122223333:role/team/AgentAccess"
        );
        assert!(
            session
                .role_arn("1", "cn-north-1")
                .starts_with("arn:aws-cn:")
        );
        assert_eq!(session.policy_arns.len(), 1);
        assert!(session.policy.unwrap().contains("ec2:*"));
        let alone = parse("[policy]\nagent_session_role = 'A'")
            .unwrap()
            .unwrap();
        assert_eq!((alone.policy, alone.policy_arns), (None, vec![]));
        assert_eq!(parse("[policy]\npreset = 'open'"), Ok(None));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let long = format!(
            "[policy]\nagent_session_role = 'A'\nagent_session_policy = '{{\"Statement\": \"{}\"}}'",
            "x".repeat(2048)
        );
        let arns = format!(
            "[policy]\nagent_session_role = 'A'\nagent_session_policy_arns = [{}]",
            "'arn:aws:iam::aws:policy/A',".repeat(11)
        );
        for (text, place, words) in [
            (
                "[policy]\nagent_session_role = ''",
                "line 2, column 22: ",
                "name of an IAM role",
            ),
            (
                "[policy]\nagent_session_role = 'arn:aws:iam::1:role/x'",
                "line 2, column 22: ",
                "every account",
            ),
            (
                "[policy]\nagent_session_role = 'A'\nagent_session_policy = '{'",
                "line 3, column 24: ",
                "not JSON",
            ),
            (
                "[policy]\nagent_session_role = 'A'\nagent_session_policy = '{}'",
                "line 3, column 24: ",
                "Statement",
            ),
            (&long, "line 3, column 24: ", "2048"),
            (
                "[policy]\nagent_session_role = 'A'\nagent_session_policy_arns = ['ReadOnly']",
                "line 3, column ",
                "managed policy",
            ),
            (&arns, "line 3: ", "11 ARNs"),
            (
                "[policy]\nagent_session_policy = '{\"Statement\": []}'",
                "line 2: ",
                "needs agent_session_role",
            ),
            (
                "[policy]\n\n[[policy.agent_session_policy.Statement]]\nEffect = 'Allow'",
                "line 3: ",
                "needs agent_session_role",
            ),
            (
                "[policy]\nagent_session_polcy = 1",
                "line 2, column 1: ",
                "agent_session_polcy",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(place) && error.contains(words),
                "{text}: {error}"
            );
        }
    }
}
