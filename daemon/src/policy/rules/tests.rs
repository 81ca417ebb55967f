use std::collections::BTreeMap;

use super::*;

fn parse(text: &str) -> Result<Rules, String> {
    let aliases = BTreeMap::from([("prod".to_owned(), "111122223333".to_owned())]);
    Rules::parse(text, &aliases)
}

#[test]
fn a_pattern_has_wildcards_and_no_case() {
    for (pattern, text, fits) in [
        ("s3:Get*", "s3:GetObject", true),
        ("s3:get*", "S3:GETOBJECT", true),
        ("s3:Get*", "s3:PutObject", false),
        ("*:Describe*", "ec2:DescribeInstances", true),
        ("*Object", "s3:GetObjectTagging", false),
        ("*a*b*c", "xxaxxbxxbc", true),
        ("eu-?est-1", "eu-west-1", true),
        ("eu-?est-1", "eu-est-1", false),
        ("", "", true),
        ("*", "", true),
        ("a", "", false),
        ("", "a", false),
        ("a**", "a", true),
        ("é*", "é1", true),
    ] {
        assert_eq!(
            Pattern::new(pattern).matches(text),
            fits,
            "{pattern} {text}"
        );
    }
}

#[test]
fn a_full_table_is_understood() {
    let rules = parse(
        "region = 'eu-west-1'\n[policy]\npreset = 'read-only'\nagent_role = 'ReadOnly'\nagent_folder = '/srv/agent'\n\
         agent_roles = { 'sandbox-*' = 'Developer', 'prod' = 'Audit' }\n\n[[policy.rule]]\naccount = 'prod'\n\
         class = ['write', 'permissions']\neffect = 'deny'\nreason = 'change freeze'\n\n[[policy.rule]]\n\
         principal = 'person'\ninstance_tag = 'Environment=prod*'\neffect = 'ask'\n",
    )
    .unwrap();
    assert_eq!(rules.preset, Preset::ReadOnly);
    assert_eq!(rules.rules.len(), 2);
    assert_eq!(rules.rules[0].line, 8);
    assert_eq!(
        rules.rules[0].account.len(),
        2,
        "an alias is its account, too"
    );
    assert_eq!(rules.rules[0].class, [Class::Write, Class::Permissions]);
    assert_eq!(rules.rules[1].principal, Who::Person);
    assert_eq!(rules.rules[1].instance_tag[0].key, "Environment");
    for (id, name, role) in [
        ("111122223333", "production", "Audit"),
        ("444455556666", "sandbox-1", "Developer"),
        ("444455556666", "", "ReadOnly"),
    ] {
        assert_eq!(rules.agent_role(id, name), Some(role), "{name}");
    }
    assert_eq!(parse("").unwrap(), Rules::default());
}

#[test]
fn a_mistake_is_named_with_its_line_and_column() {
    for (text, place, words) in [
        (
            "[policy]\npresett = 'open'",
            "line 2, column 1: ",
            "presett",
        ),
        (
            "[policy]\npreset = 'opened'",
            "line 2, column 10: ",
            "opened",
        ),
        (
            "[[policy.rule]]\naccount = 'x'",
            "line 1, column 1: ",
            "effect",
        ),
        (
            "[[policy.rule]]\neffect = 'maybe'",
            "line 2, column 10: ",
            "maybe",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\nacount = 'x'",
            "line 3, column 1: ",
            "acount",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\nclass = 'writes'",
            "line 3, column 9: ",
            "writes",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\naccount = []",
            "line 3, column 11: ",
            "empty list",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\naccount = 5",
            "line 3, column 11: ",
            "a text or a list",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\nrole = ''",
            "line 3, column 8: ",
            "empty text",
        ),
        (
            "[[policy.rule]]\neffect = 'deny'\ninstance_tag = 'x'",
            "line 3, column 16: ",
            "KEY=VALUE",
        ),
        (
            "[policy]\nagent_folder = 'here'",
            "line 2, column 16: ",
            "not absolute",
        ),
        (
            "policy = 'open'",
            "line 1, column 10: ",
            "a table like [policy]",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.starts_with(place) && error.contains(words),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_person_may_be_asked_in_the_agents_client_until_the_file_says_no() {
    assert!(parse("").unwrap().elicitation);
    assert!(parse("[policy]\n").unwrap().elicitation);
    assert!(
        !parse("[policy]\nelicitation = false\n")
            .unwrap()
            .elicitation
    );
    assert!(parse("[policy]\nelicitation = 'no'\n").is_err());
}
