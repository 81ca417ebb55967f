//! `awsso env` in the shells that people have: each reads back what `--json`
//! says, and keeps nothing that an SDK would prefer.

use awsso_e2e::{
    World, bin, finish,
    known::{PRODUCTION, READ_ONLY},
};
use serde_json::Value;

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", READ_ONLY];

/// Whatever some SDK prefers to keys in the environment, or takes for a part of them.
const STALE: [(&str, &str); 6] = [
    ("AWS_PROFILE", "stale"),
    ("AWS_DEFAULT_PROFILE", "stale"),
    ("AWS_SECURITY_TOKEN", "stale"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "stale"),
    ("AWS_ACCOUNT_ID", "999999999999"),
];

/// Evaluates the lines in a shell whose environment has what is stale; its environment then.
async fn evaluated(world: &World, shell: &str, how: &str) -> Vec<String> {
    let env = format!(
        "'{}' env --shell {shell} {}",
        bin("awsso").display(),
        TARGET.join(" ")
    );
    let mut program = world.program(shell);
    program
        .arg("-c")
        .arg(how.replace("ENV", &env))
        .envs(STALE)
        .env("AWS_REGION", "eu-west-3");
    let printed = finish(program, shell.to_owned()).await.ok();
    printed.split('\0').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_reads_the_same_values_and_loses_what_is_stale() {
    let world = World::new().await;
    world.write(
        ".aws/config",
        &format!(
            "[profile stale]\nsso_start_url = {}\nsso_region = {}\n",
            world.sandbox.start_url(),
            world.sandbox.region()
        ),
    );
    world.login().await;
    let mut json = world.program(bin("awsso"));
    json.args(["env", "--json"])
        .args(TARGET)
        .env("AWS_REGION", "eu-west-3");
    let facts = finish(json, "env --json".into()).await.code(0).json();
    let facts = facts.as_object().unwrap();
    assert_eq!(facts["AWS_REGION"], "eu-west-3");

    for (shell, how) in [
        ("bash", "eval \"$(ENV)\" && env -0"),
        ("zsh", "eval \"$(ENV)\" && env -0"),
        ("fish", "ENV | source; and env -0"),
    ] {
        let environment = evaluated(&world, shell, how).await;
        for (name, value) in facts {
            let line = format!("{name}={}", value.as_str().unwrap_or_default());
            assert!(environment.contains(&line), "{shell}: {name}");
        }
        for (name, _) in STALE {
            let start = format!("{name}=");
            let left = environment.iter().find(|line| line.starts_with(&start));
            assert_eq!(left, None, "{shell}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_set_is_not_unset_and_json_says_only_what_to_set() {
    let world = World::logged_in().await;
    let env = |more: &'static [&'static str], vars: &'static [(&'static str, &'static str)]| {
        let mut program = world.program(bin("awsso"));
        program
            .arg("env")
            .args(TARGET)
            .args(more)
            .envs(vars.iter().copied());
        finish(program, format!("{more:?}"))
    };
    let clean = env(&["--shell", "bash"], &[]).await.ok();
    assert!(!clean.contains("unset"), "{clean}");
    let stale = env(&["--shell", "bash"], &[("AWS_SECURITY_TOKEN", "s")])
        .await
        .ok();
    assert!(
        stale.starts_with("unset AWS_SECURITY_TOKEN\nexport "),
        "{stale}"
    );
    let json = env(&["--json"], &[("AWS_SECURITY_TOKEN", "s")])
        .await
        .code(0)
        .json();
    assert_eq!(json.get("AWS_SECURITY_TOKEN"), None::<&Value>);
}
