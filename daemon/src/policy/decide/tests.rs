use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::policy::{instances::Instances, rules::TagPattern};

const PLACE: Place<'static> = Place {
    session: "corp",
    account: "111122223333",
    account_name: "production",
    role: "Admin",
    region: "eu-west-1",
    instances: None,
};

fn rules(text: &str) -> Rules {
    Rules::parse(text, &BTreeMap::new()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn action(class: Class, names: &[&str]) -> Action {
    let operations = names.iter().map(|name| Operation(vec![(*name).to_owned()]));
    Action::new(class, operations.collect())
}

fn effect(principal: Principal, action: &Action, text: &str) -> Effect {
    decide(principal, action, &PLACE, &rules(text)).effect
}

#[test]
fn a_preset_decides_by_class_and_a_person_is_free() {
    use Effect::{Allow, Ask, Deny};
    for (class, guarded, open, read_only) in [
        (Class::Read, Allow, Allow, Allow),
        (Class::List, Allow, Allow, Allow),
        (Class::Write, Ask, Allow, Deny),
        (Class::Permissions, Ask, Allow, Deny),
        (Class::Tagging, Ask, Allow, Deny),
        (Class::Credentials, Deny, Deny, Deny),
    ] {
        let action = action(class, &["x:Y"]);
        for (preset, expected) in [
            ("", guarded),
            ("[policy]\npreset = 'guarded'", guarded),
            ("[policy]\npreset = 'open'", open),
            ("[policy]\npreset = 'read-only'", read_only),
        ] {
            assert_eq!(
                effect(Principal::Agent, &action, preset),
                expected,
                "{class:?} {preset}"
            );
            assert_eq!(
                effect(Principal::Person, &action, preset),
                Allow,
                "{class:?} {preset}"
            );
        }
    }
}

#[test]
fn a_rule_fits_where_all_that_it_asks_about_does() {
    let write = action(Class::Write, &["s3:PutObject"]);
    for (conditions, fits) in [
        ("", true),
        ("account = 'production'", true),
        ("account = '1111*'", true),
        ("account = ['staging', 'prod*']", true),
        ("account = 'staging'", false),
        ("role = 'admin'", true),
        ("role = 'Read*'", false),
        ("session = 'corp'", true),
        ("session = 'other'", false),
        ("region = 'eu-*'", true),
        ("region = 'us-*'", false),
        ("action = 's3:Put*'", true),
        ("action = ['ec2:*', 's3:*']", true),
        ("action = 's3:Get*'", false),
        ("class = 'write'", true),
        ("class = ['read', 'list']", false),
        ("account = 'prod*'\nrole = 'Read*'", false),
        ("principal = 'agent'", true),
        ("principal = '*'", true),
        ("principal = 'person'", false),
        ("instance_tag = 'Env=prod'", false),
    ] {
        let text =
            format!("[policy]\npreset = 'open'\n[[policy.rule]]\neffect = 'deny'\n{conditions}\n");
        let expected = if fits { Effect::Deny } else { Effect::Allow };
        assert_eq!(
            effect(Principal::Agent, &write, &text),
            expected,
            "{conditions}"
        );
    }
}

#[test]
fn the_first_rule_that_fits_decides_and_is_named() {
    let text = "[[policy.rule]]\naction = 's3:Get*'\neffect = 'deny'\n[[policy.rule]]\naction = 's3:*'\n\
                effect = 'allow'\nreason = 'a test account'\n[[policy.rule]]\neffect = 'deny'\n";
    let decision = decide(
        Principal::Agent,
        &action(Class::Write, &["s3:PutObject"]),
        &PLACE,
        &rules(text),
    );
    assert_eq!(decision.effect, Effect::Allow);
    assert_eq!(decision.by, By::Rule { number: 2, line: 4 });
    assert_eq!(
        decision.why,
        "s3:PutObject (write) is allowed in production (111122223333) as Admin by rule 2 (line 4 of config.toml): \
         a test account"
    );
}

#[test]
fn a_rule_about_credentials_can_allow_them_and_one_about_persons_binds_persons() {
    let secret = action(Class::Credentials, &["secretsmanager:GetSecretValue"]);
    let allow = "[[policy.rule]]\nclass = 'credentials'\naccount = 'prod*'\neffect = 'allow'\n";
    assert_eq!(effect(Principal::Agent, &secret, allow), Effect::Allow);
    let persons = "[[policy.rule]]\nprincipal = 'person'\naccount = 'prod*'\neffect = 'ask'\n";
    assert_eq!(effect(Principal::Person, &secret, persons), Effect::Ask);
    assert_eq!(effect(Principal::Agent, &secret, persons), Effect::Deny);
}

#[test]
fn what_may_or_may_not_fit_only_restricts() {
    let rule = |conditions: &str, effect: &str| {
        format!(
            "[policy]\npreset = 'guarded'\n[[policy.rule]]\n{conditions}\neffect = '{effect}'\n"
        )
    };
    // One of two operations, a kind of write, the name of an account that is not
    // known, the tags of an instance that are not known.
    let move_ = action(Class::Write, &["s3:CopyObject", "s3:DeleteObject"]);
    let grant = action(Class::Permissions, &["iam:PutRolePolicy"]);
    let nameless = Place {
        account_name: "",
        ..PLACE
    };
    let mut shell = action(Class::Write, &["ssm:SendCommand"]);
    shell.instances = Instances::Tagged(vec![("Role".into(), vec!["web".into(), "db".into()])]);
    for (action, place, conditions) in [
        (&move_, PLACE, "action = 's3:Delete*'"),
        (&grant, PLACE, "class = 'write'"),
        (&shell, nameless, "account = 'prod*'"),
        (&shell, PLACE, "instance_tag = 'Env=prod'"),
        (&shell, PLACE, "instance_tag = 'Role=web'"),
    ] {
        let by = |effect| {
            decide(
                Principal::Agent,
                action,
                &place,
                &rules(&rule(conditions, effect)),
            )
            .effect
        };
        assert_eq!(by("deny"), Effect::Deny, "{conditions}");
        assert_eq!(by("ask"), Effect::Ask, "{conditions}");
        assert_eq!(by("allow"), Effect::Ask, "the preset decides: {conditions}");
    }
    let certain = |conditions: &str| effect(Principal::Agent, &shell, &rule(conditions, "allow"));
    assert_eq!(certain("instance_tag = 'Role=*'"), Effect::Allow);
    assert_eq!(
        certain("instance_tag = ['Role=web', 'Role=d*']"),
        Effect::Ask
    );
    let asked = format!(
        "{}[[policy.rule]]\neffect = 'allow'\n",
        rule("instance_tag = 'Env=prod'", "ask")
    );
    assert_eq!(effect(Principal::Agent, &shell, &asked), Effect::Ask);
    let denied = format!(
        "{}[[policy.rule]]\neffect = 'deny'\n",
        rule("instance_tag = 'Env=prod'", "ask")
    );
    assert_eq!(effect(Principal::Agent, &shell, &denied), Effect::Deny);
}

#[test]
fn tags_that_are_not_known_restrict_and_the_explanation_says_so() {
    let mut stop = action(Class::Write, &["ec2:StopInstances"]);
    stop.instances = Instances::Named {
        ids: vec!["i-0123456789abcdef0".to_owned()],
        on_no_others: true,
    };
    let unknown = Seen {
        unknown: Some("i-0123456789abcdef0 are not known (AWS says no)".to_owned()),
        ..Seen::default()
    };
    let tagged = Seen {
        found: vec![vec![("Env".to_owned(), "prod".to_owned())]],
        unknown: None,
    };
    let decide = |instances, effect: &str| {
        let place = Place {
            instances: Some(instances),
            ..PLACE
        };
        let text = format!("[[policy.rule]]\ninstance_tag = 'Env=prod'\neffect = '{effect}'\n");
        decide(Principal::Agent, &stop, &place, &rules(&text))
    };
    for (effect, known, not_known) in [
        ("deny", Effect::Deny, Effect::Deny),
        ("ask", Effect::Ask, Effect::Ask),
        ("allow", Effect::Allow, Effect::Ask),
    ] {
        let decision = decide(&tagged, effect);
        assert_eq!(decision.effect, known, "{effect}");
        assert!(!decision.why.contains("not known"), "{decision:?}");
        let decision = decide(&unknown, effect);
        assert_eq!(decision.effect, not_known, "{effect}");
        let doubt = "; the tags of i-0123456789abcdef0 are not known (AWS says no), so only what restricts counts";
        assert!(decision.why.ends_with(doubt), "{decision:?}");
    }
}

#[test]
fn tags_are_looked_up_only_where_nothing_decides_before() {
    let mut stop = action(Class::Write, &["ec2:StopInstances"]);
    stop.instances = Instances::Named {
        ids: vec!["i-0123456789abcdef0".to_owned()],
        on_no_others: true,
    };
    let list = action(Class::List, &["s3:ListBuckets"]);
    let tag = "[[policy.rule]]\ninstance_tag = 'Env=prod'\neffect = 'deny'\n";
    let of = |conditions: &str, effect: &str| {
        format!("[[policy.rule]]\n{conditions}\neffect = '{effect}'\n")
    };
    for (action, text, asked) in [
        (&stop, tag.to_owned(), true),
        (&list, tag.to_owned(), false),
        (&stop, String::new(), false),
        (&stop, of("account = 'prod*'", "deny") + tag, false),
        (&stop, of("account = 'prod*'", "allow") + tag, false),
        (&stop, of("account = 'staging'", "deny") + tag, true),
        (
            &stop,
            of("account = 'staging'\ninstance_tag = 'Env=prod'", "deny"),
            false,
        ),
        (
            &stop,
            of("principal = 'person'\ninstance_tag = 'Env=prod'", "deny"),
            false,
        ),
    ] {
        let turns = turns_on_tags(Principal::Agent, action, &PLACE, &rules(&text));
        assert_eq!(turns, asked, "{text}");
    }
}

#[test]
fn the_region_that_the_command_names_is_the_one_that_counts() {
    let text = "[policy]\npreset = 'open'\n[[policy.rule]]\nregion = 'us-*'\neffect = 'deny'\n";
    let mut read = action(Class::Read, &["ec2:DescribeInstances"]);
    assert_eq!(effect(Principal::Agent, &read, text), Effect::Allow);
    read.region = Some("us-east-1".into());
    assert_eq!(effect(Principal::Agent, &read, text), Effect::Deny);
}

#[test]
fn no_rule_allows_an_agent_what_agents_never_may() {
    let mut debug = action(Class::Read, &["s3:ListBuckets"]);
    debug.objection = Some(super::super::action::Objection("use --debug".into()));
    let all = "[policy]\npreset = 'open'\n[[policy.rule]]\nprincipal = '*'\neffect = 'allow'\n";
    let decision = decide(Principal::Agent, &debug, &PLACE, &rules(all));
    assert_eq!((decision.effect, decision.by), (Effect::Deny, By::Always));
    assert_eq!(effect(Principal::Person, &debug, all), Effect::Allow);
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(values.to_vec())
}

prop_compose! {
    fn any_action()(
        class in one_of(&[Class::Read, Class::List, Class::Write, Class::Permissions, Class::Tagging, Class::Credentials]),
        names in proptest::collection::vec(one_of(&["s3:GetObject", "s3:PutObject", "ec2:StopInstances"]), 1..3),
        region in proptest::option::of(one_of(&["us-east-1", "eu-west-1"])),
        tags in proptest::option::of(proptest::collection::vec(one_of(&["a", "b"]), 0..3)),
    ) -> Action {
        let mut action = action(class, &names);
        action.region = region.map(str::to_owned);
        if let Some(values) = tags {
            let values = values.into_iter().map(str::to_owned).collect::<Vec<_>>();
            action.instances = Instances::Tagged(vec![("Env".to_owned(), values)]);
        }
        action
    }
}

prop_compose! {
    fn any_rule()(
        principal in one_of(&[Who::Agent, Who::Person, Who::Anyone]),
        account in one_of(&["", "prod*", "*33*", "staging"]),
        action in one_of(&["", "s3:*", "*:Get*", "ec2:Stop?nstances"]),
        class in proptest::option::of(one_of(&[Class::Read, Class::Write, Class::Permissions])),
        region in one_of(&["", "us-*", "eu-*"]),
        tag in one_of(&["", "a", "*"]),
        effect in one_of(&[Effect::Allow, Effect::Ask, Effect::Deny]),
    ) -> Rule {
        let some = |text: &str| if text.is_empty() { Vec::new() } else { vec![Pattern::new(text)] };
        Rule {
            line: 1,
            principal,
            session: Vec::new(),
            account: some(account),
            role: Vec::new(),
            action: some(action),
            class: class.into_iter().collect(),
            region: some(region),
            instance_tag: some(tag).into_iter().map(|value| TagPattern { key: "Env".into(), value }).collect(),
            effect,
            reason: None,
        }
    }
}

proptest! {
    #[test]
    fn one_more_rule_that_denies_never_turns_a_refusal_into_an_allow(
        principal in one_of(&[Principal::Agent, Principal::Person]),
        action in any_action(),
        name in one_of(&["", "production", "staging"]),
        preset in one_of(&[Preset::Guarded, Preset::Open, Preset::ReadOnly]),
        before in proptest::collection::vec(any_rule(), 0..6),
        added in any_rule(),
        at in 0..6_usize,
    ) {
        let place = Place { account_name: name, ..PLACE };
        let mut rules = Rules { preset, rules: before, ..Rules::default() };
        let first = decide(principal, &action, &place, &rules).effect;
        rules.rules.insert(at.min(rules.rules.len()), Rule { effect: Effect::Deny, ..added });
        let then = decide(principal, &action, &place, &rules).effect;
        prop_assert!(then >= first, "{first:?} became {then:?}");
    }
}
