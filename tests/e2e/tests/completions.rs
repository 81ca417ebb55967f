//! Completion as the shells do it: their own line editors, fed with keys, and
//! what a program then gets as its arguments.

use std::{
    os::unix::net::UnixListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use awsso_e2e::{
    World, bin, finish,
    known::{ADMIN, PRODUCTION, READ_ONLY},
};
use tokio::process::Command;

/// Has a blank and a letter that is not ASCII in its name.
const SPACED: &str = "Büro-IT 0004";

/// A person who is logged in, and has looked at the accounts once.
async fn world_of(accounts: usize) -> World {
    let world = World::of_accounts(accounts).await;
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    world
}

/// A shell that finds `awsso`.
fn shell(world: &World, program: &str) -> Command {
    let ours = bin("awsso").parent().map(PathBuf::from).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = world.program(program);
    command
        .env("PATH", format!("{}:{path}", ours.display()))
        .env("TERM", "dumb");
    command
}

/// Completes as `awsso` does, and writes its arguments down instead of running.
const SHOW: &str = r#"show() { printf '<%s>' "$@" >>shown; echo >>shown; }"#;

fn shown(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.home().join("shown")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Types these lines into an interactive bash.
async fn bash(world: &World, lines: &[&str]) -> Vec<String> {
    let rc = format!(
        "PS1=\neval \"$(awsso completions bash)\"\ncomplete -o bashdefault -F _awsso show\n{SHOW}\n"
    );
    world.write("rc", &rc);
    world.write("keys", &format!("{}\nexit\n", lines.join("\n")));
    let keys = std::fs::File::open(world.home().join("keys")).unwrap();
    let mut bash = shell(world, "bash");
    bash.args(["--noprofile", "--rcfile", "rc", "-i"])
        .stdin(keys);
    let _ = finish(bash, "bash".into()).await.ok();
    shown(world)
}

/// Types these lines into an interactive zsh, on a terminal of its own.
async fn zsh(world: &World, lines: &[&str]) -> Vec<String> {
    let rc = format!(
        "PS1=\nautoload -U compinit\ncompinit -u -D\neval \"$(awsso completions zsh)\"\n\
         compdef _awsso show\n{SHOW}\n"
    );
    world.write(".zshrc", &rc);
    world.write("keys", &lines.join("\n"));
    let drive = "zmodload zsh/zpty\nzpty z zsh -i\n\
                 while IFS= read -r line || [[ -n $line ]]; do zpty -w z \"$line\"; done <keys\n\
                 zpty -w z exit\nwhile zpty -r z chunk; do :; done\n";
    let mut zsh = shell(world, "zsh");
    zsh.args(["-f", "-c", drive]);
    let _ = finish(zsh, "zsh".into()).await;
    shown(world)
}

/// What fish would offer for a line.
async fn fish(world: &World, line: &str) -> Vec<String> {
    let mut fish = shell(world, "fish");
    fish.arg("--no-config")
        .args([
            "-c",
            "awsso completions fish | source; complete --escape -C $argv[1]",
        ])
        .arg(line);
    let offered = finish(fish, line.to_owned()).await.ok();
    offered.lines().map(str::to_owned).collect()
}

/// What the words of a line are after its keys, in bash and zsh.
fn completed() -> [String; 7] {
    let spaced = format!("<env><--account><{SPACED}><x>");
    [
        "<ls-accounts><--refresh><x>".to_owned(),
        spaced.clone(),
        spaced.clone(),
        spaced,
        format!("<env><--account={SPACED}><x>"),
        format!("<env><--account><production><--role><{ADMIN}><x>"),
        format!("<env><--account-id><{PRODUCTION}><--role-name><{READ_ONLY}><x>"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_flags_accounts_and_roles() {
    let world = world_of(10).await;
    assert_eq!(
        bash(
            &world,
            &[
                "show ls-\t--ref\tx",
                "show env --account B\tx",
                "show env --account \"B\tx",
                "show env --account 'Büro-IT \tx",
                "show env --account=Büro-IT\\ \tx",
                "show env --account PROD\t--role Adm\tx",
                "show env --account-id 11112\t--role-name Re\tx",
            ]
        )
        .await,
        completed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_completes_commands_flags_accounts_and_roles() {
    let world = world_of(10).await;
    assert_eq!(
        zsh(
            &world,
            &[
                "show ls-\t--ref\tx",
                "show env --account B\tx",
                "show env --account \"B\tx",
                "show env --account 'Büro-IT \tx",
                "show env --account=B\tx",
                "show env --account prod\t--role Adm\tx",
                "show env --account-id 11112\t--role-name Re\tx",
            ]
        )
        .await,
        completed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fish_completes_commands_flags_accounts_and_roles() {
    let world = world_of(10).await;
    let id = world.sandbox.organization().accounts()[4].id.clone();
    for (line, offered) in [
        (
            "awsso exec --account pro",
            format!("production\t{PRODUCTION}"),
        ),
        (
            "awsso env --account-id 11112",
            format!("{PRODUCTION}\tproduction"),
        ),
        ("awsso env --account B", format!("Büro-IT\\ 0004\t{id}")),
        (
            "awsso env --account 'Büro-IT ",
            format!("'Büro-IT 0004'\t{id}"),
        ),
        (
            "awsso env --account Büro-IT\\ ",
            format!("Büro-IT\\ 0004\t{id}"),
        ),
        (
            "awsso env --account production --role Adm",
            ADMIN.to_owned(),
        ),
        ("awsso ls-accounts pro", format!("production\t{PRODUCTION}")),
    ] {
        assert_eq!(fish(&world, line).await, [offered], "{line}");
    }
    let flags = fish(&world, "awsso status --").await;
    assert!(
        flags.iter().any(|flag| flag.starts_with("--watch\t")),
        "{flags:?}"
    );
}

/// What `awsso` itself answers to the script of fish.
async fn offered(world: &World, words: &[&str]) -> Vec<String> {
    let run = world
        .awsso(&[&["complete", "fish", "--", "awsso"], words].concat())
        .await
        .code(0);
    assert_eq!(run.stderr, "");
    let value = |line: &str| line.split('\t').next().unwrap().to_owned();
    run.stdout.lines().map(value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_those_of_the_account_on_the_line_and_aws_is_not_asked() {
    let world = world_of(10).await;
    world.sandbox.reset_counts();
    let accounts = world.sandbox.organization().accounts();
    for account in &accounts[..5] {
        let mut roles = account.roles.clone();
        roles.sort();
        let line = ["env", "--account", &account.id, "--role", ""];
        assert_eq!(offered(&world, &line).await, roles, "{}", account.name);
    }
    let all = offered(&world, &["env", "--role", ""]).await;
    for role in accounts.iter().flat_map(|account| &account.roles) {
        assert!(all.contains(role), "{role}");
    }
    assert_eq!(world.sandbox.count("sso.ListAccounts"), 0);
    assert_eq!(world.sandbox.count("sso.ListAccountRoles"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_does_not_know_is_not_asked_of_aws() {
    let world = World::logged_in().await;
    assert!(offered(&world, &["env", "--account", ""]).await.is_empty());
    assert!(offered(&world, &["env", "--role", ""]).await.is_empty());
    assert_eq!(world.sandbox.count("sso.ListAccounts"), 0);
    assert_eq!(world.sandbox.count("sso.ListAccountRoles"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_one_name_are_offered_by_their_ids() {
    let world = world_of(13).await;
    let id = |number: usize| world.sandbox.organization().accounts()[number].id.clone();
    let accounts = offered(&world, &["env", "--account", ""]).await;
    assert_eq!(accounts.len(), 13);
    assert!(
        accounts.contains(&id(6)) && accounts.contains(&id(12)),
        "{accounts:?}"
    );
    assert!(accounts.contains(&SPACED.to_owned()), "{accounts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_completed_by_the_names_the_daemon_knows() {
    let world = World::new().await;
    world.configure(&format!(
        "[session.corp]\nstart_url = \"{0}\"\nregion = \"{1}\"\n\
         [session.customer]\nstart_url = \"{0}x\"\nregion = \"{1}\"\n",
        world.sandbox.start_url(),
        world.sandbox.region(),
    ));
    for line in [
        &["login", "c"][..],
        &["logout", "c"],
        &["status", "--session", "c"],
    ] {
        assert_eq!(
            offered(&world, line).await,
            ["corp", "customer"],
            "{line:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_logged_in_gets_no_names_no_error_and_no_login() {
    let world = World::new().await;
    assert!(offered(&world, &["env", "--account", ""]).await.is_empty());
    assert!(offered(&world, &["env", "--role", ""]).await.is_empty());
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    // Names are not needed for this, and so no daemon is.
    assert_eq!(offered(&world, &["ls-"]).await, ["ls-accounts"]);
    let status = world.awsso(&["daemon", "status"]).await.ok();
    assert_eq!(status, "awssod is not running\n");
    assert_eq!(world.sandbox.count("oidc.RegisterClient"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_does_not_answer_is_not_waited_for() {
    let world = World::new().await;
    let socket = world.socket();
    awsso_proto::ipc::private_dir(socket.parent().unwrap()).unwrap();
    let _silent = UnixListener::bind(&socket).unwrap();
    let begun = Instant::now();
    assert!(offered(&world, &["env", "--account", ""]).await.is_empty());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}
