use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    let line: Vec<_> = line.split_whitespace().map(OsString::from).collect();
    Args::of_line(&line)
}

fn refused(line: &str) -> String {
    let error = parse(line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn the_frequent_command_means_the_same_to_both_parsers() {
    for line in [
        "awsso credential-process --account prod --role Admin",
        "awsso --session corp credential-process --account-id 1 --role-name Admin --region eu-west-1 --json",
        "awsso credential-process --role=deploy",
        "awsso credential-process --account prod --rol Admin",
        "awsso credential-process --account",
        "awsso credential-process --help",
        "awsso exec --account a --role r -- credential-process --account prod",
        "awsso login credential-process",
    ] {
        let whole = Args::try_parse_from(line.split_whitespace());
        assert_eq!(
            format!("{:?}", parse(line).map_err(|error| error.to_string())),
            format!("{:?}", whole.map_err(|error| error.to_string())),
            "{line}"
        );
    }
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    for line in [
        "awsso --session corp --json status",
        "awsso status --session corp --json",
        "awsso jobs --json list --session corp",
    ] {
        let globals = parse(line).unwrap().globals;
        assert_eq!(globals.session.as_deref(), Some("corp"), "{line}");
        assert!(globals.json, "{line}");
    }
}

#[test]
fn the_long_names_of_account_and_role_are_the_same_flags() {
    let line = "awsso exec-command --account-id 111122223333 --role-name Admin --command x";
    let Verb::ExecCommand(args) = parse(line).unwrap().verb else {
        panic!("another command");
    };
    let target = args.places.one().unwrap();
    assert_eq!(target.account.as_deref(), Some("111122223333"));
    assert_eq!(target.role.as_deref(), Some("Admin"));
}

#[test]
fn a_value_that_is_refused_is_told_in_one_clear_line() {
    let text = refused("awsso credential-process --account 12345 --role R");
    assert!(
        text.contains("'12345' is not an account id (12 digits) or name"),
        "{text}"
    );
}

#[test]
fn instances_are_named_by_id_or_by_tag_and_never_by_both() {
    let line = "awsso ec2-exec-command --account A --role R --command x";
    refused(line);
    refused(&format!(
        "{line} --instance-id i-01234567 --targets tag:Role=web"
    ));
    refused(&format!("{line} --targets Role=web"));
    refused(&format!("{line} --instance-id i-01234567 --name web-1"));
    assert!(
        parse(&format!(
            "{line} --name web-1 --name web-2 --targets tag:Env=prod"
        ))
        .is_ok()
    );
    let named = format!("{line} --targets tag:Role=web,db --targets tag:Env=prod");
    let Verb::Ec2ExecCommand(args) = parse(&named).unwrap().verb else {
        panic!("another command");
    };
    assert_eq!(args.targets[0].key, "tag:Role");
    assert_eq!(args.targets[0].values, ["web", "db"]);
    assert_eq!(args.targets[1].values, ["prod"]);
}

#[test]
fn everything_after_the_program_is_the_programs() {
    for line in [
        "awsso exec --account A --role R -- sh -c --json",
        "awsso exec --account A --role R sh -c --json",
    ] {
        let args = parse(line).unwrap();
        assert!(!args.globals.json);
        let Verb::Exec(exec) = args.verb else {
            panic!("another command");
        };
        assert_eq!(exec.command, ["sh", "-c", "--json"]);
    }
    refused("awsso exec --account A --role R --jsno sh");
}

#[test]
fn a_line_for_a_shells_prompt_has_one_form() {
    assert!(parse("awsso status --prompt --session corp").is_ok());
    for other in ["--watch", "--json", "--output csv"] {
        refused(&format!("awsso status --prompt {other}"));
    }
}

#[test]
fn what_only_scripts_ask_is_not_in_the_help() {
    let help = Args::command().render_long_help().to_string();
    assert!(help.contains("  completions "), "{help}");
    assert!(!help.contains("  complete "), "{help}");
}

#[test]
fn a_policy_is_tested_for_an_agent_unless_a_person_is_named() {
    let asked_by = |line: &str| {
        let Verb::Policy(PolicyCommand::Test(args)) = parse(line).unwrap().verb else {
            panic!("another command");
        };
        args.asked_by
    };
    let line = "awsso policy test aws --account prod --role Admin";
    assert_eq!(asked_by(line), Asker::Agent);
    assert_eq!(asked_by(&format!("{line} --as person")), Asker::Person);
    refused(&format!("{line} --as root"));
    refused("awsso policy test --account prod --role Admin");
}

#[test]
fn a_server_gets_only_variables_that_it_reads_and_that_are_no_secrets() {
    let line = "awsso mcp install cursor --env";
    assert!(parse(&format!("{line} AWS_SSO_REGION=eu-west-1 --env DEBUG=1")).is_ok());
    for bad in [
        "AWS_SECRET_ACCESS_KEY=x",
        "AWS_SSO_REGION",
        "AWS_SSO_REGION=",
        "=x",
    ] {
        refused(&format!("{line} {bad}"));
    }
    refused("awsso mcp install notepad");
}
