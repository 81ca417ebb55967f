//! Every exit code and what causes it, command by command: without a daemon, logged
//! out, logged in.
//!
//! Codes that are those of what was run: `codes_of_runs`. 130 after Ctrl-C: `cancel`, `pick`.

use std::time::Duration;

use awsso_e2e::{
    Run, World, bin, finish,
    known::{ADMIN, LINUX, PRODUCTION},
};

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

/// A line of words; `TARGET` stands for an account and a role.
fn words(line: &'static str) -> Vec<&'static str> {
    let words = line.split(' ');
    words
        .flat_map(|word| match word {
            "TARGET" => TARGET.to_vec(),
            "STS" => vec!["--command", "aws sts get-caller-identity"],
            "UPTIME" => vec!["--instance-id", LINUX, "--command", "uptime"],
            word => vec![word],
        })
        .collect()
}

async fn run(world: &World, line: &'static str) -> Run {
    world.awsso(&words(line)).await
}

/// Lines of words and the code that each ends with.
async fn all_end_with(world: &World, code: i32, lines: &[&'static str]) {
    for line in lines {
        let run = run(world, line).await.code(code);
        if code != 0 {
            assert_eq!(run.stdout, "", "{line}");
            assert!(run.stderr.starts_with("awsso: ") || code == 2, "{run:#?}");
        }
    }
}

/// What asks AWS for something.
const NEEDS_A_LOGIN: [&str; 7] = [
    "ls-accounts",
    "ls-accounts production --refresh --json",
    "env TARGET",
    "console --print TARGET",
    "credential-process TARGET",
    "profiles sync",
    "profiles sync --dry-run",
];

/// What runs something, and passes its code through.
const RUNS: [&str; 5] = [
    "exec-command TARGET STS",
    "exec-command TARGET STS --json",
    "ec2-exec-command TARGET UPTIME",
    "exec TARGET -- true",
    "exec --serve TARGET -- true",
];

#[tokio::test(flavor = "multi_thread")]
async fn where_no_daemon_can_be_reached_it_is_4_and_125_of_what_runs_something() {
    let world = World::new().await;
    let alone = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &alone).unwrap();
    let code_of = async |line: &'static str| {
        let mut awsso = world.program(&alone);
        awsso.args(words(line));
        finish(awsso, line.to_owned()).await
    };
    let asks_the_daemon = [
        "login",
        "logout",
        "status",
        "status --watch",
        "jobs list",
        "jobs watch j",
        "jobs cancel j",
        "jobs output j",
        "approvals list",
        "approvals deny a",
        "policy test aws TARGET",
        "daemon start",
        "unlock",
    ];
    for line in asks_the_daemon.iter().chain(&NEEDS_A_LOGIN) {
        let run = code_of(line).await.code(4);
        assert_eq!(run.stdout, "", "{line}");
        let _ = run.says("awssod is not beside this program");
    }
    for line in RUNS {
        let _ = code_of(line).await.code(125).says("awssod is not beside");
    }
    for line in [
        "doctor",
        "audit show",
        "audit verify",
        "mcp list",
        "daemon status",
        "daemon stop",
        "lock",
        "status --prompt",
        "completions bash",
        "--help",
        "--version",
    ] {
        let _ = code_of(line).await.code(0);
    }
    let _ = code_of("daemon logs").await.code(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_listens_elsewhere_is_4_too() {
    let world = World::new().await;
    let _ = run(&world, "daemon start").await.ok();
    let mut elsewhere = world.program(bin("awsso"));
    elsewhere
        .env("AWSSO_SOCKET", world.dir().join("other/s"))
        .arg("status");
    let _ = finish(elsewhere, "status".into())
        .await
        .code(4)
        .says("another awssod is already running on ");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_out_gets_3_and_125_from_what_runs_something() {
    let world = World::new().await;
    for line in NEEDS_A_LOGIN {
        let run = run(&world, line).await.code(3);
        assert_eq!(run.stdout, "", "{line}");
        let _ = run.says("run: awsso login");
    }
    for line in RUNS {
        let _ = run(&world, line).await.code(125).says("run: awsso login");
    }
    all_end_with(
        &world,
        0,
        &[
            "status",
            "status --json",
            "doctor",
            "jobs list",
            "audit show",
            "audit verify",
            "approvals list",
            "logout",
            "logout --all",
            "daemon status",
            "mcp list",
            "lock",
            "unlock",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_been_logged_out_by_aws_gets_3_as_well() {
    let world = World::logged_in().await;
    world.sandbox.revoke_tokens();
    for line in [
        "ls-accounts --refresh",
        "env TARGET",
        "credential-process TARGET",
    ] {
        let _ = run(&world, line).await.code(3).says("run: awsso login");
    }
    let _ = run(&world, "exec TARGET -- true").await.code(125);
    all_end_with(&world, 0, &["status", "jobs list"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_does_not_come_about_is_1_and_says_why() {
    let world = World::waiting().await;
    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    assert!(world.sandbox.deny());
    let _ = login.end().await.code(1).says("denied");
    world.sandbox.set_auto_approve(Some(Duration::ZERO));
    let _ = run(&world, "login --no-launch-browser").await.code(0);
    let _ = run(&world, "login").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_5_whether_by_aws_or_by_the_policy() {
    let world = World::logged_in().await;
    let no_role = [
        "env --account production --role Nobody",
        "console --print --account production --role Nobody",
        "credential-process --account production --role Nobody",
    ];
    all_end_with(&world, 5, &no_role).await;
    let not_at_a_terminal = ["approvals approve a", "approvals watch"];
    all_end_with(&world, 5, &not_at_a_terminal).await;
    world.configure(
        "[[policy.rule]]\nprincipal = 'person'\nclass = ['credentials', 'write']\neffect = 'deny'\n",
    );
    let keys = [
        "env TARGET",
        "console --print TARGET",
        "credential-process TARGET",
    ];
    all_end_with(&world, 5, &keys).await;
    // To run something is no other: only the code of ours is.
    let runs = ["exec TARGET -- true", "ec2-exec-command TARGET UPTIME"];
    all_end_with(&world, 125, &runs).await;
    let _ = world.aws(PRODUCTION, "Nobody", "aws s3 ls").await.code(125);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_failure_is_1_and_125_of_what_runs_something() {
    let world = World::logged_in().await;
    let nothing_there = [
        "jobs watch nothing",
        "jobs cancel nothing",
        "jobs output nothing",
        "approvals deny nothing",
        "login nobody",
        "ls-accounts nobody",
        "env --account nobody --role Nobody",
        "mcp install cursor",
    ];
    all_end_with(&world, 1, &nothing_there).await;
    let failing = [
        "exec-command TARGET --command ls",
        "exec-command --account nobody --role R STS",
        "ec2-exec-command TARGET --instance-id i-00000000000000000 --command id",
        "exec --account nobody --role R -- true",
    ];
    all_end_with(&world, 125, &failing).await;

    let faults = world.sandbox.faults();
    faults.fail_next("sso.GetRoleCredentials", 1_000, 500);
    let keys = [
        "env --account production --role ReadOnly",
        "credential-process --account production --role ReadOnly",
    ];
    all_end_with(&world, 1, &keys).await;
    let run = ["exec --account production --role ReadOnly -- true"];
    all_end_with(&world, 125, &run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_arguments_cannot_mean_is_2_for_every_command() {
    let world = World::new().await;
    // Malformed values, one by one: in `command_line`.
    all_end_with(
        &world,
        2,
        &[
            "nonsense",
            "status --colour",
            "login a b",
            "login --flow pigeon",
            "logout a --all",
            "ls-accounts --output xml",
            "env --shell csh",
            "env TARGET --region nowhere!",
            "credential-process",
            "console --print",
            "exec TARGET",
            "exec TARGET --json -- true",
            "exec-command TARGET",
            "exec-command STS",
            "ec2-exec-command TARGET --command id",
            "profiles sync --template {nobody}",
            "jobs watch",
            "jobs list --output text",
            "approvals approve a --for ever",
            "audit show --since yesterday",
            "policy test aws TARGET --as robot",
            "mcp install emacs",
            "daemon logs --lines many",
            "completions csh",
        ],
    )
    .await;
    let unmade = world
        .awsso_unnamed(&[("AWS_SSO_START_URL", "x")], &["login"])
        .await;
    let _ = unmade.code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_seen_enough_is_no_failure() {
    let world = World::logged_in().await;
    for line in ["ls-accounts", "audit show", "completions bash"] {
        let mut shell = world.program("bash");
        let awsso = bin("awsso");
        shell.args(["-c", "\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}"]);
        shell.arg(awsso).args(words(line));
        let run = finish(shell, line.to_owned()).await.code(0);
        assert_eq!(run.stderr, "", "{line}");
    }
}
