//! What a role may do. Pure; the one place where a role's name means something.

/// An IAM action of one of the modelled services, `ssm:SendCommand`.
pub(crate) fn allows(role: &str, action: &str) -> bool {
    // AWS: this one needs no permission and cannot be denied.
    if action == "sts:GetCallerIdentity" {
        return true;
    }
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
    use super::allows;

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
        ] {
            assert_eq!(allows(role, action), allowed, "{role} {action}");
        }
    }
}
