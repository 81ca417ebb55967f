//! Every command, its flags and their choices, as the built program itself tells
//! them; and that none is there of which nobody has heard.

use std::collections::BTreeSet;

use awsso_e2e::{
    World, bin, finish,
    known::{PRODUCTION, READ_ONLY},
};

/// What all commands of one account and role have.
const TARGET: &str = "--account --account-id --role --role-name --region";
const LIST: &str = "--output=table,json,toon,csv";
const RUN: &str = "--all-accounts --parallel --max-errors --dry-run --detach --timeout --command \
                   --output=text,json,jsonl";

/// A command, and its flags; after `=` the choices.
const COMMANDS: [(&str, &[&str]); 37] = [
    (
        "login",
        &["SESSION --no-launch-browser --force --flow=auto,browser,device"],
    ),
    ("logout", &["SESSION --all"]),
    ("status", &[LIST, "--watch --prompt"]),
    ("ls-accounts", &[LIST, "ACCOUNT --refresh"]),
    ("exec-command", &[TARGET, RUN]),
    (
        "ec2-exec-command",
        &[
            TARGET,
            RUN,
            "--instance-id --targets --name --strict --working-directory --delivery-timeout \
             --shell=bash,sh",
        ],
    ),
    ("exec", &[TARGET, "CMD --serve"]),
    ("credential-process", &[TARGET]),
    ("env", &[TARGET, "--shell=bash,zsh,fish,powershell,cmd"]),
    ("console", &[TARGET, "--print --destination"]),
    (
        "profiles sync",
        &["--dry-run --prune --template --credential-process --region"],
    ),
    ("jobs list", &[LIST]),
    ("jobs watch", &["ID"]),
    ("jobs cancel", &["ID"]),
    (
        "jobs output",
        &["ID --task --account --instance --stderr --tail --grep --jq --offset --max"],
    ),
    ("approvals list", &[LIST]),
    ("approvals approve", &["ID --for"]),
    ("approvals deny", &["ID"]),
    ("approvals watch", &[]),
    (
        "policy test",
        &[TARGET, "COMMAND --instance-id --targets --as=agent,person"],
    ),
    ("audit show", &[LIST, "--since --agent --person --follow"]),
    ("audit verify", &[]),
    ("mcp install", &["--dry-run --force --env", CLIENTS]),
    ("mcp remove", &["--dry-run", CLIENTS]),
    ("mcp list", &[LIST]),
    ("daemon start", &[]),
    ("daemon stop", &["--force"]),
    ("daemon restart", &["--force"]),
    ("daemon status", &[]),
    ("daemon logs", &["--lines --follow"]),
    ("daemon install", &["--dry-run"]),
    ("daemon uninstall", &["--dry-run"]),
    ("doctor", &["--list"]),
    ("lock", &[]),
    ("unlock", &[]),
    ("completions", &["SHELL=bash,zsh,fish,powershell"]),
    ("help", &[]),
];

const CLIENTS: &str =
    "CLIENT=claude-desktop,claude-code,cursor,vscode,continue,zed,windsurf,codex,gemini";

async fn help(world: &World, command: &str) -> String {
    let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
    let run = world.awsso(&args).await.code(0);
    assert_eq!(run.stderr, "", "{command}");
    // However wide the page is.
    run.stdout
}

/// The names in the list of commands of a help.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let list = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, list)| list);
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_in_the_table_and_none_besides() {
    let world = World::new().await;
    let mut found = BTreeSet::new();
    let first = help(&world, "").await;
    for name in subcommands(&first) {
        let below = if name == "help" {
            String::new()
        } else {
            help(&world, name).await
        };
        let mut below: Vec<_> = subcommands(&below).filter(|it| *it != "help").collect();
        if below.is_empty() {
            found.insert(name.to_owned());
        }
        found.extend(below.drain(..).map(|verb| format!("{name} {verb}")));
    }
    let table = COMMANDS.map(|(command, _)| command.to_owned());
    assert_eq!(found, BTreeSet::from(table));
    assert!(
        first.contains("ls-accounts") && first.contains("[alias: ls]"),
        "{first}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_its_flags_and_their_choices() {
    let world = World::new().await;
    for (command, flags) in COMMANDS.iter().filter(|(command, _)| *command != "help") {
        let help = help(&world, command).await;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let flags = flags.iter().flat_map(|flags| flags.split_whitespace());
        for flag in flags.chain(["--json", "--session", "--help"]) {
            let (name, choices) = flag.split_once('=').unwrap_or((flag, ""));
            assert!(help.contains(name), "{command}: no {name} in {help}");
            let choices = choices.replace(',', ", ");
            assert!(
                help.contains(&choices),
                "{command}: not {choices} in {help}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_env_are_those_of_the_shell_that_is_named() {
    let world = World::logged_in().await;
    for (shell, line) in [
        ("bash", "export AWS_ACCESS_KEY_ID="),
        ("zsh", "export AWS_ACCESS_KEY_ID="),
        ("fish", "set -gx AWS_ACCESS_KEY_ID "),
        ("powershell", "$Env:AWS_ACCESS_KEY_ID = "),
        ("cmd", "set \"AWS_ACCESS_KEY_ID="),
    ] {
        let args = [
            "env",
            "--account-id",
            PRODUCTION,
            "--role-name",
            READ_ONLY,
            "--shell",
            shell,
        ];
        let lines = world.awsso(&args).await.ok();
        assert!(lines.lines().any(|it| it.starts_with(line)), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_says_its_name_and_version_and_nothing_else() {
    let world = World::new().await;
    for name in ["awsso", "awssod", "awsso-mcp"] {
        let mut program = world.program(bin(name));
        program.arg("--version");
        let version = finish(program, name.to_owned()).await.code(0);
        assert_eq!(
            version.stdout,
            format!("{name} {}\n", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(version.stderr, "");
        let mut wrong = world.program(bin(name));
        wrong.arg("--no-such-flag");
        assert_eq!(finish(wrong, name.to_owned()).await.code(2).stdout, "");
    }
}
