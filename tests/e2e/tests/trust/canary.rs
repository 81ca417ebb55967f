//! Every secret of a busy day is looked for where it must not be.

use std::{fmt::Debug, path::Path};

use awsso_e2e::{Background, Browser, Desktop, Run, Shim, World, bin, finish, known};
use serde_json::json;

use super::everything;

/// What the sandbox has ever issued.
struct Search {
    secrets: Vec<String>,
}

impl Search {
    fn of(world: &World, at_least: usize) -> Self {
        let secrets = world.sandbox.issued_secrets();
        assert!(secrets.len() >= at_least, "{}", secrets.len());
        Self { secrets }
    }

    fn found(&self, bytes: &[u8]) -> impl Iterator<Item = &str> {
        let there = |secret: &&str| {
            let mut windows = bytes.windows(secret.len());
            windows.any(|window| window == secret.as_bytes())
        };
        let secrets = self.secrets.iter().map(String::as_str);
        secrets.filter(there)
    }

    fn finds(&self, bytes: &[u8]) -> bool {
        self.found(bytes).next().is_some()
    }

    fn none_in(&self, place: &str, bytes: &[u8]) {
        let found: Vec<_> = self.found(bytes).map(|secret| &secret[..8]).collect();
        assert!(found.is_empty(), "{found:?} in {place}");
    }

    fn none_in_run(&self, run: &Run) {
        self.none_in(&run.command, run.stdout.as_bytes());
        self.none_in(&run.command, run.stderr.as_bytes());
    }

    fn none_in_words(&self, place: &str, words: &impl Debug) {
        self.none_in(place, format!("{words:?}").as_bytes());
    }

    /// Everything that the person's home and the runtime folder hold; what is
    /// shared with other tools may hold access tokens.
    fn none_in_files(&self, world: &World) {
        let mut searched = 0;
        for path in [everything(&world.home()), everything(&world.runtime())].concat() {
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let shared = is_shared(world, &path);
                let mut found = self.found(&bytes);
                let found = found.find(|secret| !(shared && secret.starts_with(ACCESS_TOKEN)));
                assert_eq!(found.map(|s| &s[..8]), None, "{}", path.display());
                searched += 1;
            }
        }
        assert!(searched >= 6, "{searched} files");
    }
}

/// How the sandbox's access tokens begin, like those of AWS.
const ACCESS_TOKEN: &str = "aoaAAAAAG";

fn is_shared(world: &World, path: &Path) -> bool {
    let json = path.extension().is_some_and(|end| end == "json");
    json && path.parent() == Some(&world.aws_cache())
}

async fn start_loud(world: &World) -> Run {
    let mut start = world.program(bin("awsso"));
    start.env("AWSSO_LOG", "trace").args(["daemon", "start"]);
    finish(start, "daemon start".into()).await.code(0)
}

fn the_log_was_at_its_fullest(world: &World) {
    let log = std::fs::read_to_string(world.state().join("logs/awssod.log")).unwrap();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_file_an_answer_or_a_command_line() {
    let world = World::new().await;
    let mut runs = vec![start_loud(&world).await];
    let target = ["--account", known::PRODUCTION, "--role", known::ADMIN];
    let mut told = async |args: &[&str]| runs.push(world.awsso(args).await);

    told(&["login", "--no-launch-browser"]).await;
    world.sandbox.expire_tokens();
    told(&["ls-accounts", "--refresh", "--json"]).await;
    world
        .sandbox
        .faults()
        .garbage_next("sso.GetRoleCredentials", 1);
    let keys = world
        .awsso(&[&["credential-process"], &target[..]].concat())
        .await
        .code(0);
    told(&[
        "ec2-exec-command",
        target[0],
        target[1],
        target[2],
        target[3],
        "--instance-id",
        known::LINUX,
        "--command",
        "id",
        "--json",
    ])
    .await;
    told(&["env", target[0], target[1], target[2], "Nobody"]).await;
    let aws = world.fake_aws("echo running; exec sleep 600");
    let run = aws.start("aws sts x");
    run.prints("running").await;
    let lines = command_lines();
    assert!(
        lines.iter().any(|line| line.contains("awssod\0--detach")),
        "{lines:?}"
    );
    told(&["login", "--no-launch-browser", "--force"]).await;
    world.sandbox.revoke_tokens();
    told(&["ls-accounts", "--refresh"]).await;
    told(&["status", "--json"]).await;
    told(&["jobs", "list", "--json"]).await;
    told(&["daemon", "logs"]).await;
    told(&["daemon", "stop", "--force"]).await;
    runs.push(run.end().await);

    // Client, device code, tokens (twice and renewed), keys.
    let search = Search::of(&world, 9);
    assert!(
        search.finds(keys.stdout.as_bytes()),
        "the search would find one"
    );
    for run in &runs {
        search.none_in_run(run);
    }
    for line in lines {
        search.none_in("a command line", line.as_bytes());
    }
    search.none_in_files(&world);
    the_log_was_at_its_fullest(&world);
}

/// Of every process on this machine that lets us see it.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let read = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    let lines = processes.filter_map(|entry| read(entry.ok()?));
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_a_keyring_and_a_shared_cache_keep_every_secret_too() {
    let world = World::new().await;
    let mut desktop = Desktop::start(&world).await;
    desktop.unlock().await;
    let mut runs = vec![start_loud(&world).await];
    let watch = world.awsso_in_background(&["status", "--watch", "--json"]);

    let login = ["login", "--flow", "browser", "--no-launch-browser"];
    let login = world.awsso_in_background(&login);
    let link = login.link().await;
    let browser = Browser::start(&world);
    let page = browser.open(&link).await;
    page.reaches("/oauth/callback").await;
    let came_back = page.url().await;
    let page = page.text().await;
    let lines = command_lines();
    runs.push(login.end().await.code(0));
    drop(browser);
    watch.prints("\"active\"").await;

    world.sandbox.expire_tokens();
    let mut told = async |args: &[&str]| runs.push(world.awsso(args).await.code(0));
    told(&["ls-accounts", "--refresh"]).await;
    told(&["status", "--json"]).await;
    told(&["status", "--output", "toon"]).await;
    told(&["status", "--prompt"]).await;
    let mut shim = world.program(bin("awsso-mcp"));
    shim.env("DEBUG", "true").env("AWSSO_LOG", "trace");
    let mut shim = Shim::legacy(shim).await;
    let mut answers = Vec::new();
    for (tool, arguments) in [
        ("aws_sso_login", json!({"launchBrowser": false})),
        ("aws_sso_status", json!({})),
        ("aws_sso_ls_accounts", json!({})),
        (
            "aws_sso_exec_command",
            json!({"accountId": known::PRODUCTION, "roleName": known::READ_ONLY,
                "command": "aws sts get-caller-identity"}),
        ),
    ] {
        let answer = shim.call(tool, arguments).await;
        assert!(!answer.ok().is_empty());
        answers.push(answer);
    }

    // Client, code, verifier, tokens (and renewed), keys.
    let search = Search::of(&world, 8);
    assert!(
        search.finds(came_back.as_bytes()),
        "the browser came with the code"
    );
    // A person is logged in: what other tools are to find is there.
    let shared = everything(&world.aws_cache());
    let shared = shared.iter().filter(|path| is_shared(&world, path));
    let shared: Vec<_> = shared.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!shared.is_empty() && shared.iter().all(|bytes| search.finds(bytes)));
    search.none_in_files(&world);
    search.none_in("the page", page.as_bytes());
    search.none_in_words("the shim's answers", &answers);
    for line in lines {
        search.none_in("a command line", line.as_bytes());
    }
    drop(shim);

    // The keyring holds one key, and nothing else holds that.
    let items = desktop.items().await;
    assert_eq!(items.len(), 1, "{items:?}");
    search.none_in_words("the keyring", &items);
    let state = link.split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap().to_owned();
    let key = items[0]["secret"].clone();
    assert!(state.len() >= 16 && key.len() >= 32);
    let ours = Search {
        secrets: vec![state, key],
    };
    ours.none_in_files(&world);

    let told = world.awsso(&["daemon", "stop", "--force"]).await;
    runs.push(told);
    watch.interrupt();
    runs.push(Background::end(watch).await);
    for run in &runs {
        search.none_in_run(run);
    }
    search.none_in_files(&world);
    the_log_was_at_its_fullest(&world);
}
