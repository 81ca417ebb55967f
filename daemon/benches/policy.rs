//! How long a decision takes with a thousand rules: 50 µs are the most.

use std::{collections::BTreeMap, fmt::Write as _, hint::black_box};

use awsso_proto::v1::{AwsCliWork, start_job_request::Work};
use awssod::{
    config::Environment,
    policy::{Place, Principal, Rules, action_of, decide},
};
use criterion::{Criterion, criterion_group, criterion_main};

/// None of them fits, and each asks what rules ask.
fn thousand_rules() -> Rules {
    let mut text = "[policy]\npreset = 'open'\n".to_owned();
    for number in 0..1_000 {
        let (account, action) = match number % 4 {
            0 => (format!("prod-{number}-*"), "s3:Put*"),
            1 => (format!("*-{number}"), "*:Delete*"),
            2 => ("*".to_owned(), "*:*Role*"),
            _ => (format!("{number:012}"), "ec2:Terminate*"),
        };
        let _ = write!(
            text,
            "[[policy.rule]]\naccount = '{account}'\naction = ['{action}', 'kms:*']\nrole = '*'\nregion = '*-*-*'\neffect = 'deny'\n"
        );
    }
    Rules::parse(&text, &BTreeMap::new()).expect("the rules are well-formed")
}

fn policy(c: &mut Criterion) {
    let rules = thousand_rules();
    let own =
        Environment::new([("HOME".to_owned(), "/nowhere".to_owned())]).expect("a home is enough");
    let work = Work::AwsCli(AwsCliWork {
        command: "aws ec2 describe-instances --filters Name=tag:Name,Values=web-* --query 'Reservations[].Instances[]'".into(),
        working_directory: "/".into(),
        ..AwsCliWork::default()
    });
    let action = action_of(&work, &rules, &own).expect("a command");
    let place = Place {
        session: "corp",
        account: "111122223333",
        account_name: "production-eu",
        role: "AdministratorAccess",
        region: "eu-west-1",
        instances: None,
    };
    c.bench_function("decide with 1,000 rules", |bench| {
        bench.iter(|| decide(Principal::Agent, black_box(&action), &place, &rules));
    });
    c.bench_function("read a command", |bench| {
        bench.iter(|| action_of(black_box(&work), &rules, &own));
    });
}

criterion_group!(benches, policy);
criterion_main!(benches);
