//! What a caller may do: what the role may do, less what a session policy leaves out. Pure; the one place where a
//! role's name means something.

use crate::keys::{Caller, Origin};
use crate::session_policy::Verdict;

/// Says why not in AWS's words, to follow "is not authorized to perform: ACTION". An action is one of IAM's,
/// `ssm:SendCommand`.
pub(crate) fn check(caller: &Caller, action: &str) -> Result<(), String> {
    // AWS: this one needs no permission and cannot be denied.
    if action == "sts:GetCallerIdentity" {
        return Ok(());
    }
    if !role_allows(&caller.role, action) {
        let kind = "identity-based";
        return Err(format!(
            "because no {kind} policy allows the {action} action"
        ));
    }
    let verdict = match &caller.origin {
        Origin::Portal
        | Origin::Chained {
            session_policy: None,
        } => Verdict::Allowed,
        Origin::Chained {
            session_policy: Some(policy),
        } => policy.verdict(action),
    };
    match verdict {
        Verdict::Allowed => Ok(()),
        Verdict::Silent => Err(format!(
            "because no session policy allows the {action} action"
        )),
        Verdict::Denied => Err("with an explicit deny in a session policy".to_owned()),
    }
}

fn role_allows(role: &str, action: &str) -> bool {
    let (service, verb) = action.split_once(':').unwrap_or(("", action));
    match role {
        "ReadOnly" => ["Get", "List", "Describe", "Head"]
            .iter()
            .any(|prefix| verb.starts_with(prefix)),
        "NoSSMInventory" => !matches!(
            action,
            "ssm:DescribeInstanceInformation" | "ssm:ListCommandInvocations"
        ),
        "NoS3" => service != "s3",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_policy::SessionPolicy;

    fn caller(role: &str, origin: Origin) -> Caller {
        Caller {
            account: "111122223333".into(),
            role: role.into(),
            role_in_arn: role.into(),
            session_name: "alice".into(),
            origin,
        }
    }

    #[test]
    fn each_role_may_do_what_its_name_says() {
        for (role, action, allowed) in [
            ("AdministratorAccess", "ssm:SendCommand", true),
            ("ReadOnly", "ssm:SendCommand", false),
            ("ReadOnly", "ssm:CancelCommand", false),
            ("ReadOnly", "ssm:GetCommandInvocation", true),
            ("ReadOnly", "s3:ListAllMyBuckets", true),
            ("ReadOnly", "s3:PutObject", false),
            ("ReadOnly", "sts:AssumeRole", false),
            ("ReadOnly", "sts:GetCallerIdentity", true),
            ("NoSSMInventory", "ssm:DescribeInstanceInformation", false),
            ("NoSSMInventory", "ssm:ListCommandInvocations", false),
            ("NoSSMInventory", "ssm:SendCommand", true),
            ("NoSSMInventory", "ssm:GetCommandInvocation", true),
            ("NoS3", "s3:ListAllMyBuckets", false),
            ("NoS3", "ec2:DescribeInstances", true),
            ("NoS3", "logs:GetLogEvents", true),
        ] {
            let may = check(&caller(role, Origin::Portal), action).is_ok();
            assert_eq!(may, allowed, "{role} {action}");
        }
    }

    #[test]
    fn a_session_policy_takes_away_and_never_gives() {
        let policy =
            r#"{"Statement": {"Effect": "Allow", "Action": ["ec2:*", "ssm:*"], "Resource": "*"}}"#;
        let narrowed = Origin::Chained {
            session_policy: Some(SessionPolicy::parse(policy).unwrap()),
        };
        let reader = caller("ReadOnly", narrowed);
        for (action, expected) in [
            ("ec2:DescribeInstances", Ok(())),
            ("sts:GetCallerIdentity", Ok(())),
            (
                "s3:ListAllMyBuckets",
                Err("because no session policy allows the s3:ListAllMyBuckets action"),
            ),
            (
                "ssm:SendCommand",
                Err("because no identity-based policy allows the ssm:SendCommand action"),
            ),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(check(&reader, action), expected, "{action}");
        }
    }
}
