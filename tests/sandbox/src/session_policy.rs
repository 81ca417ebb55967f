//! Session policies: what is left of a role's rights in one session. Pure.
//!
//! Effects and actions are modelled. A statement's resources and conditions have to be well formed, and then it holds
//! whatever they say.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::wildcard::fits;

/// All policies of one session: what any of them allows and none denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionPolicy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Nothing allows it.
    Silent,
    Denied,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    actions: Actions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// Patterns, in lower case: IAM does not tell cases apart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Actions {
    Among(Vec<String>),
    AllBut(Vec<String>),
}

impl SessionPolicy {
    /// An inline policy; an error is what AWS says of a document that is none.
    pub(crate) fn parse(document: &str) -> Result<Self, &'static str> {
        let json: serde_json::Value =
            serde_json::from_str(document).map_err(|_| "This policy contains invalid Json")?;
        let document = Document::deserialize(json).map_err(|_| "Syntax errors in policy.")?;
        let version = document.version.as_deref();
        if !matches!(version, None | Some("2008-10-17" | "2012-10-17")) {
            return Err("Syntax errors in policy.");
        }
        let statements = document.statement.into_vec().into_iter();
        let statements = statements
            .map(Statement::read)
            .collect::<Result<Vec<_>, _>>()?;
        if statements.is_empty() {
            return Err("Syntax errors in policy.");
        }
        Ok(Self { statements })
    }

    /// One of AWS's own policies; `None` when the sandbox has none of this ARN.
    pub(crate) fn managed(arn: &str) -> Option<Self> {
        let name = arn.strip_prefix("arn:aws:iam::aws:policy/")?;
        let among = |patterns: &[&str]| Actions::Among(lower_case(patterns));
        let actions = match name {
            "AdministratorAccess" => among(&["*"]),
            "PowerUserAccess" => {
                Actions::AllBut(lower_case(&["iam:*", "organizations:*", "account:*"]))
            }
            "ReadOnlyAccess" => among(&["*:Get*", "*:List*", "*:Describe*"]),
            "AmazonEC2ReadOnlyAccess" => among(&["ec2:Describe*"]),
            "AmazonS3ReadOnlyAccess" => among(&["s3:Get*", "s3:List*"]),
            _ => return None,
        };
        let statements = vec![Statement {
            effect: Effect::Allow,
            actions,
        }];
        Some(Self { statements })
    }

    /// Both, as one session has them.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.statements.extend(other.statements);
        self
    }

    pub(crate) fn verdict(&self, action: &str) -> Verdict {
        let action = action.to_ascii_lowercase();
        let says = |effect| {
            let mut of_it = self.statements.iter().filter(|one| one.effect == effect);
            of_it.any(|one| one.actions.cover(&action))
        };
        if says(Effect::Deny) {
            Verdict::Denied
        } else if says(Effect::Allow) {
            Verdict::Allowed
        } else {
            Verdict::Silent
        }
    }
}

impl Actions {
    fn cover(&self, action: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, action));
        match self {
            Self::Among(patterns) => any(patterns),
            Self::AllBut(patterns) => !any(patterns),
        }
    }
}

impl Statement {
    fn read(wire: StatementText) -> Result<Self, &'static str> {
        let actions = match (wire.action, wire.not_action) {
            (Some(actions), None) => Actions::Among(patterns(actions)?),
            (None, Some(actions)) => Actions::AllBut(patterns(actions)?),
            _ => return Err("Policy statement must contain actions."),
        };
        match (wire.resource, wire.not_resource) {
            (Some(_), None) | (None, Some(_)) => Ok(Self {
                effect: wire.effect,
                actions,
            }),
            _ => Err("Policy statement must contain resources."),
        }
    }
}

fn patterns(actions: OneOrMany<String>) -> Result<Vec<String>, &'static str> {
    let actions = actions.into_vec();
    if actions
        .iter()
        .any(|action| action != "*" && !action.contains(':'))
    {
        return Err("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    }
    Ok(lower_case(&actions))
}

fn lower_case(patterns: &[impl AsRef<str>]) -> Vec<String> {
    let patterns = patterns.iter();
    patterns
        .map(|pattern| pattern.as_ref().to_ascii_lowercase())
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<IgnoredAny>,
    statement: OneOrMany<StatementText>,
}

/// No principal: that is the session itself.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatementText {
    #[serde(rename = "Sid")]
    _sid: Option<IgnoredAny>,
    effect: Effect,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    #[serde(rename = "Condition")]
    _condition: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> String {
        format!(r#"{{"Version": "2012-10-17", "Statement": [{text}]}}"#)
    }

    #[test]
    fn a_deny_wins_and_what_nothing_names_is_not_allowed() {
        let policy = SessionPolicy::parse(&statement(
            r#"{"Effect": "Allow", "Action": ["ec2:Describe*", "S3:*"], "Resource": "*"},
               {"Sid": "keep", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "arn:aws:s3:::kept/*",
                "Condition": {"Bool": {"aws:SecureTransport": "true"}}}"#,
        ))
        .unwrap();
        for (action, verdict) in [
            ("ec2:DescribeInstances", Verdict::Allowed),
            ("ec2:RunInstances", Verdict::Silent),
            ("s3:ListBucket", Verdict::Allowed),
            ("s3:DeleteObject", Verdict::Denied),
            ("ssm:SendCommand", Verdict::Silent),
        ] {
            assert_eq!(policy.verdict(action), verdict, "{action}");
        }
    }

    #[test]
    fn several_policies_of_one_session_add_up() {
        let managed =
            |name: &str| SessionPolicy::managed(&format!("arn:aws:iam::aws:policy/{name}"));
        let both = managed("AmazonEC2ReadOnlyAccess")
            .unwrap()
            .and(managed("AmazonS3ReadOnlyAccess").unwrap());
        assert_eq!(both.verdict("ec2:DescribeInstances"), Verdict::Allowed);
        assert_eq!(both.verdict("s3:ListBucket"), Verdict::Allowed);
        assert_eq!(
            both.verdict("ssm:DescribeInstanceInformation"),
            Verdict::Silent
        );
        let power = managed("PowerUserAccess").unwrap();
        assert_eq!(power.verdict("iam:CreateUser"), Verdict::Silent);
        assert_eq!(power.verdict("ssm:SendCommand"), Verdict::Allowed);
        assert_eq!(managed("NoSuchPolicy"), None);
    }

    #[test]
    fn what_is_no_policy_is_refused_with_awss_reason() {
        for (document, why) in [
            (
                "ec2:Describe*".to_owned(),
                "This policy contains invalid Json",
            ),
            ("[]".to_owned(), "Syntax errors in policy."),
            (statement(""), "Syntax errors in policy."),
            (
                statement(r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#)
                    .replace("2012", "2026"),
                "Syntax errors in policy.",
            ),
            (
                statement(r#"{"Effect": "Permit", "Action": "*", "Resource": "*"}"#),
                "Syntax errors in policy.",
            ),
            (
                statement(
                    r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#,
                ),
                "Syntax errors in policy.",
            ),
            (
                statement(r#"{"Effect": "Allow", "Resource": "*"}"#),
                "Policy statement must contain actions.",
            ),
            (
                statement(r#"{"Effect": "Allow", "Action": "*"}"#),
                "Policy statement must contain resources.",
            ),
            (
                statement(r#"{"Effect": "Allow", "Action": "DescribeInstances", "Resource": "*"}"#),
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
        ] {
            assert_eq!(SessionPolicy::parse(&document), Err(why), "{document}");
        }
    }
}
