use super::*;

fn known(service_word: &str, word: &str) -> Option<(String, Class)> {
    let service = service(service_word)?;
    let command = service.command(word)?;
    Some((
        format!("{}:{}", service.prefix, command.name),
        command.class,
    ))
}

#[test]
fn a_command_is_found_with_its_operation_and_class() {
    for (service, word, operation, class) in [
        (
            "accessanalyzer",
            "apply-archive-rule",
            "access-analyzer:ApplyArchiveRule",
            Class::Write,
        ),
        (
            "ec2",
            "describe-instances",
            "ec2:DescribeInstances",
            Class::List,
        ),
        ("ec2", "run-instances", "ec2:RunInstances", Class::Write),
        ("ec2", "create-tags", "ec2:CreateTags", Class::Tagging),
        ("ec2", "wait", "ec2:Wait", Class::Read),
        (
            "elbv2",
            "describe-load-balancers",
            "elasticloadbalancing:DescribeLoadBalancers",
            Class::List,
        ),
        (
            "rds",
            "describe-db-instances",
            "rds:DescribeDBInstances",
            Class::List,
        ),
        (
            "rds",
            "add-option-to-option-group",
            "rds:AddOptionToOptionGroup",
            Class::Write,
        ),
        (
            "iam",
            "put-role-policy",
            "iam:PutRolePolicy",
            Class::Permissions,
        ),
        (
            "iam",
            "create-access-key",
            "iam:CreateAccessKey",
            Class::Write,
        ),
        (
            "iam",
            "create-virtual-mfa-device",
            "iam:CreateVirtualMFADevice",
            Class::Write,
        ),
        ("lambda", "invoke", "lambda:Invoke", Class::Write),
        (
            "lambda",
            "get-function",
            "lambda:GetFunction",
            Class::Credentials,
        ),
        ("s3", "ls", "s3:Ls", Class::List),
        ("s3api", "get-object", "s3:GetObject", Class::Read),
        (
            "s3api",
            "put-bucket-policy",
            "s3:PutBucketPolicy",
            Class::Permissions,
        ),
        ("sts", "assume-role", "sts:AssumeRole", Class::Credentials),
        (
            "sts",
            "get-caller-identity",
            "sts:GetCallerIdentity",
            Class::Read,
        ),
        (
            "secretsmanager",
            "get-secret-value",
            "secretsmanager:GetSecretValue",
            Class::Credentials,
        ),
        (
            "ecr",
            "get-login-password",
            "ecr:GetLoginPassword",
            Class::Credentials,
        ),
        ("logs", "tail", "logs:Tail", Class::Read),
        (
            "xray",
            "get-trace-summaries",
            "xray:GetTraceSummaries",
            Class::Read,
        ),
    ] {
        assert_eq!(
            known(service, word),
            Some((operation.to_owned(), class)),
            "{service} {word}"
        );
    }
}

#[test]
fn what_the_aws_cli_does_not_know_is_not_known() {
    for (service, word) in [
        ("", ""),
        ("ec2", ""),
        ("ec2", "describeinstances"),
        ("ec2", "Describe-Instances"),
        ("ec2", "describe-instances "),
        ("ec2", "describe"),
        ("ec2", "describe-"),
        ("ec2", "."),
        ("EC2", "describe-instances"),
        ("ec", "describe-instances"),
        ("zzz", "a"),
        ("aaa", "a"),
        ("whoami", "x"),
        ("lambda", "invoke-."),
        ("=", "ec2"),
        ("+", "invoke"),
    ] {
        assert_eq!(known(service, word), None, "{service} {word}");
    }
}

#[test]
fn every_block_of_the_table_is_found_and_nothing_in_it_is_misread() {
    let mut count = 0;
    for block in TABLE.split(BLOCK).skip(1) {
        let (head, lines) = block.split_once('\n').unwrap();
        let (word, prefix) = head.split_once(' ').unwrap();
        let service = service(word).unwrap_or_else(|| panic!("{word} is not found"));
        assert_eq!((service.prefix, service.block), (prefix, lines), "{word}");
        for line in lines.lines() {
            let mut words = line.split(' ');
            let (kind, verb) = (words.next().unwrap(), words.next().unwrap());
            if kind == "+" {
                let command = service.command(verb).unwrap();
                assert_eq!(command.facts().count(), words.count(), "{line}");
                continue;
            }
            for rest in words {
                let word = match rest {
                    "." => verb.to_lowercase(),
                    rest => format!("{verb}-{rest}").to_lowercase(),
                };
                let command = service
                    .command(&word)
                    .unwrap_or_else(|| panic!("{word} is not found"));
                assert_eq!(command.class, class(kind), "{word}");
                count += 1;
            }
        }
    }
    assert!(count > 18_000, "{count}");
    assert!(TABLE.is_ascii());
}

#[test]
fn what_only_credentials_are_got_by_is_a_class_of_its_own() {
    for line in include_str!("credentials.txt").lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let (Some(service_word), Some(word)) = (words.next(), words.next()) else {
            continue;
        };
        let command = service(service_word).and_then(|service| service.command(word));
        let command = command.unwrap_or_else(|| panic!("{line} is not in the table"));
        match words.next() {
            None => assert_eq!(command.class, Class::Credentials, "{line}"),
            Some(option) => assert!(
                command
                    .facts()
                    .any(|fact| fact == Fact::Credentials(option)),
                "{line}"
            ),
        }
    }
}
