//! `exec`, `credential-process` and `env`: credentials for a program that the
//! person runs here.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::ExitStatusExt as _,
    path::Path,
};

use awsso_e2e::{
    Run, World, bin, finish,
    known::{ADMIN, PRODUCTION},
    within_limit,
};
use futures_util::future::join_all;
use serde_json::Value;

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

/// `awsso VERB` as the administrator of production.
fn as_admin(world: &World, verb: &str, more: &[&str]) -> tokio::process::Command {
    let mut command = world.program(bin("awsso"));
    command.arg(verb).args(TARGET).args(more);
    command
}

async fn run(world: &World, verb: &str, more: &[&str]) -> Run {
    finish(as_admin(world, verb, more), format!("{verb} {more:?}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_has_these_credentials_and_no_others() {
    let world = World::logged_in().await;
    let mut exec = as_admin(
        &world,
        "exec",
        &["--region", "us-west-2", "--", "cat", "/proc/self/environ"],
    );
    let removed = [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_SECURITY_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    exec.envs(removed.map(|name| (name, "mine")))
        .env("AWS_ACCESS_KEY_ID", "AKIACLIENT")
        .env("AWS_SESSION_TOKEN", "mine")
        .env("AWS_REGION", "eu-north-1")
        .env("EDITOR", "vi");
    let printed = finish(exec, "exec".into()).await.ok();
    let environment: BTreeMap<_, _> = printed
        .split_terminator('\0')
        .map(|line| line.split_once('=').unwrap())
        .collect();
    for name in removed {
        assert!(!environment.contains_key(name), "{name}");
    }
    let secrets = world.sandbox.issued_secrets();
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        assert!(
            secrets.iter().any(|secret| secret == environment[name]),
            "{name}"
        );
    }
    assert_ne!(environment["AWS_ACCESS_KEY_ID"], "AKIACLIENT");
    assert!(environment["AWS_CREDENTIAL_EXPIRATION"].ends_with('Z'));
    assert_eq!(environment["AWS_REGION"], "us-west-2");
    assert_eq!(environment["AWS_DEFAULT_REGION"], "us-west-2");
    assert_eq!(environment["EDITOR"], "vi");
    assert_eq!(environment["HOME"], world.home().to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_awssos_place_with_its_code_and_its_signals() {
    let world = World::logged_in().await;
    for code in [0, 1, 2, 125, 255] {
        let exit = format!("exit {code}");
        let _ = run(&world, "exec", &["--", "sh", "-c", &exit])
            .await
            .code(code);
    }
    let mut killed = as_admin(&world, "exec", &["--", "sh", "-c", "kill -TERM $$"]);
    let status = within_limit("exec", killed.status()).await.unwrap();
    assert_eq!(status.signal(), Some(15));

    let _ = run(&world, "exec", &["--", "no-such-program"])
        .await
        .code(127)
        .says("not found");
    let plain = world.dir().join("plain");
    std::fs::write(&plain, "x").unwrap();
    let plain = plain.to_str().unwrap();
    let _ = run(&world, "exec", &["--", plain])
        .await
        .code(126)
        .says("cannot be executed");
    let nobody = World::new().await;
    let _ = run(&nobody, "exec", &["--", "true"])
        .await
        .code(125)
        .says("awsso login");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_terminal_is_the_persons() {
    let world = World::logged_in().await;
    let script = "import os, pty, sys\n\
        sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let show = "for fd in 0 1 2; do test -t $fd || exit 9; done; stty -a | grep -qw -- 'icanon' || exit 8; exit 7";
    let mut python = world.program("python3");
    python
        .args(["-c", script])
        .arg(bin("awsso"))
        .arg("exec")
        .args(TARGET);
    python.args(["--", "sh", "-c", show]);
    let _ = finish(python, "exec in a terminal".into()).await.code(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_and_boto3_take_credentials_from_credential_process() {
    let world = World::logged_in().await;
    let printed = run(&world, "credential-process", &[]).await.code(0).json();
    let names: BTreeSet<_> = printed
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "AccessKeyId",
        "AccountId",
        "Expiration",
        "SecretAccessKey",
        "SessionToken",
        "Version",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(printed["Version"], 1);

    write_process_profile(&world, &bin("awsso"));
    let mut aws = world.program("aws");
    aws.args(["sts", "get-caller-identity", "--profile", "admin"]);
    let mut boto = world.program(std::env::var_os("AWSSO_TEST_PYTHON").unwrap_or("python3".into()));
    boto.args([
        "-c",
        "try:\n import boto3\nexcept ImportError:\n raise SystemExit('boto3 is missing: pip install boto3, or set AWSSO_TEST_PYTHON')\n\
         print(boto3.Session(profile_name='admin').client('sts').get_caller_identity()['Arn'])",
    ]);
    let (aws, boto) = tokio::join!(finish(aws, "aws".into()), finish(boto, "boto3".into()));
    let arn = aws.code(0).json()["Arn"].as_str().unwrap().to_owned();
    assert!(arn.contains(PRODUCTION) && arn.contains(ADMIN), "{arn}");
    assert_eq!(boto.ok().trim(), arn);
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 1);
}

fn write_process_profile(world: &World, awsso: &Path) {
    let aws = world.home().join(".aws");
    std::fs::create_dir_all(&aws).unwrap();
    let text = format!(
        "[profile admin]\nregion = eu-west-1\ncredential_process = \"{}\" credential-process {}\n",
        awsso.display(),
        TARGET.join(" ")
    );
    std::fs::write(aws.join("config"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_credential_processes_at_once_ask_aws_once() {
    let world = World::logged_in().await;
    let runs = join_all((0..500).map(|_| run(&world, "credential-process", &[]))).await;
    let keys: BTreeSet<_> = runs
        .into_iter()
        .map(|run| run.code(0).json()["SecretAccessKey"].to_string())
        .collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_that_fails_says_why_in_one_line() {
    let world = World::new().await;
    let told = run(&world, "credential-process", &[])
        .await
        .code(3)
        .says("awsso login");
    assert_eq!((told.stdout.as_str(), told.stderr.lines().count()), ("", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_env_are_what_each_shell_reads() {
    let world = World::logged_in().await;
    let mut bash = world.program("bash");
    bash.arg("-c").arg(format!(
        "eval \"$('{}' env --shell bash {})\" && cat /proc/self/environ",
        bin("awsso").display(),
        TARGET.join(" ")
    ));
    let evaluated = finish(bash, "bash".into()).await.ok();
    let facts = run(&world, "env", &["--json"]).await.code(0).json();
    let facts = facts.as_object().unwrap();
    let value = |name: &str| facts.get(name).and_then(Value::as_str).unwrap().to_owned();
    for (name, value) in facts {
        let line = format!("{name}={}", value.as_str().unwrap());
        assert!(evaluated.split('\0').any(|found| found == line), "{name}");
    }
    for (shell, line) in [
        (
            "bash",
            format!("export AWS_ACCESS_KEY_ID='{}'", value("AWS_ACCESS_KEY_ID")),
        ),
        (
            "fish",
            format!("set -gx AWS_SESSION_TOKEN '{}'", value("AWS_SESSION_TOKEN")),
        ),
        (
            "powershell",
            format!(
                "$Env:AWS_SECRET_ACCESS_KEY = '{}'",
                value("AWS_SECRET_ACCESS_KEY")
            ),
        ),
        ("cmd", format!("set \"AWS_REGION={}\"", value("AWS_REGION"))),
    ] {
        let printed = run(&world, "env", &["--shell", shell]).await.ok();
        assert!(printed.lines().any(|found| found == line), "{shell}");
        assert_eq!(printed.lines().count(), facts.len(), "{shell}");
    }
}
