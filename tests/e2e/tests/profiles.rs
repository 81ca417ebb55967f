//! `profiles sync`: the real AWS CLI and botocore use what it writes, and what
//! others wrote stays.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use awsso_e2e::{Run, World, bin, finish, known::PRODUCTION};
use serde_json::{Value, json};

const SYNC: [&str; 2] = ["profiles", "sync"];
const PROFILE: &str = "production-ReadOnly";
/// What `aws configure list-profiles` prints, which version 1 does not have.
const LIST_PROFILES: &str =
    "import botocore.session as b, json; print(json.dumps(b.Session().available_profiles))";

fn config(world: &World) -> PathBuf {
    world.home().join(".aws/config")
}

fn text(world: &World) -> String {
    fs::read_to_string(config(world)).unwrap()
}

async fn sync(world: &World, more: &[&str]) -> Value {
    let args = [&SYNC, more, &["--json"]].concat();
    world.awsso(&args).await.code(0).json()
}

/// Into a file that only the client's environment names.
async fn sync_into(world: &World, file: &Path) -> Run {
    let mut sync = world.program(bin("awsso"));
    sync.args(SYNC).env("AWS_CONFIG_FILE", file);
    finish(sync, format!("profiles sync into {}", file.display())).await
}

async fn profiles_of_botocore(world: &World) -> Value {
    let python = std::env::var("AWSSO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut list = world.program(python);
    list.args(["-c", LIST_PROFILES]);
    finish(list, "list-profiles".into()).await.code(0).json()
}

async fn assert_serves(world: &World, profile: &str) {
    let identity = world.aws_cli_identity(profile).await.code(0).json();
    assert_eq!(identity["Account"], PRODUCTION);
}

/// The session `corp` stands in the AWS config, and its person is logged in.
async fn world_of_corp() -> World {
    let world = World::new().await;
    world.aws_config(&world.sso_session("corp"));
    world.login().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_uses_every_profile_by_the_shared_login() {
    let world = world_of_corp().await;
    let synced = sync(&world, &[]).await;
    assert_eq!(synced["file"], config(&world).to_str().unwrap());
    let accounts = world.sandbox.organization().accounts();
    let roles: usize = accounts.iter().map(|account| account.roles.len()).sum();
    let added = synced["added"].as_array().unwrap();
    assert_eq!(added.len(), roles);
    let listed = profiles_of_botocore(&world).await;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 1 + roles);
    assert!(added.iter().all(|name| listed.contains(name)), "{listed:?}");
    assert_serves(&world, PROFILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_uses_profiles_that_ask_awsso_wherever_it_runs() {
    let world = World::logged_in().await;
    let _ = sync(&world, &["--credential-process"]).await;
    let written = text(&world);
    assert!(!written.contains("sso_account_id"), "{written}");
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let mut aws = world.program("aws");
    aws.args(["--profile", PROFILE, "sts", "get-caller-identity"])
        .env_remove("AWS_SSO_START_URL")
        .env_remove("AWS_SSO_REGION");
    let identity = finish(aws, "aws".into()).await.code(0).json();
    assert_eq!(identity["Account"], PRODUCTION);
    let changed = sync(&world, &[]).await["changed"].as_array().unwrap().len();
    assert_eq!(written.matches("credential_process").count(), changed);
    assert!(!text(&world).contains("credential_process"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_only_the_environment_knew_is_one_of_the_aws_cli_then() {
    let world = World::logged_in().await;
    let _ = world
        .awsso(&SYNC)
        .await
        .code(0)
        .says("awsso daemon restart");
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    assert_serves(&world, PROFILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_writes_nothing() {
    let world = world_of_corp().await;
    let _ = sync(&world, &[]).await;
    let backup = world.home().join(".aws/config.awsso-backup");
    fs::remove_file(&backup).unwrap();
    let before = fs::metadata(config(&world)).unwrap().modified().unwrap();
    let _ = world.awsso(&SYNC).await.code(0).says("nothing has changed");
    let after = fs::metadata(config(&world)).unwrap().modified().unwrap();
    assert_eq!(after, before);
    assert!(!backup.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_change_and_writes_nothing() {
    let world = world_of_corp().await;
    let before = text(&world);
    let args = [&SYNC[..], &["--dry-run"]].concat();
    let diff = world.awsso(&args).await.ok();
    let path = config(&world).display().to_string();
    assert!(diff.starts_with(&format!("--- {path}\n+++ {path}\n@@ ")));
    assert!(
        diff.contains(&format!("\n+[profile {PROFILE}]\n")),
        "{diff}"
    );
    assert_eq!(text(&world), before);
    assert_eq!(fs::read_dir(world.home().join(".aws")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_file_its_mode_and_its_symlink_stay() {
    let world = World::logged_in().await;
    let dotfiles = world.dir().join("dotfiles");
    fs::create_dir(&dotfiles).unwrap();
    let real = dotfiles.join("aws config");
    let theirs = "\u{feff}; mine\r\n[default]\r\nregion=eu-north-1   \r\n\r\n[profile production-ReadOnly]\r\noutput = json";
    fs::write(&real, theirs).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir_all(world.home().join(".aws")).unwrap();
    symlink(&real, config(&world)).unwrap();

    let synced = sync(&world, &["--region", "sa-east-1"]).await;
    assert_eq!(synced["skipped"], json!([PROFILE]));
    assert!(config(&world).is_symlink());
    let written = fs::read_to_string(&real).unwrap();
    assert!(written.starts_with(theirs), "{written}");
    assert!(written.contains("region = sa-east-1\r\n"), "{written}");
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&real), 0o640);
    let backup = world.home().join(".aws/config.awsso-backup");
    assert_eq!(fs::read_to_string(&backup).unwrap(), theirs);
    assert_eq!(mode(&backup), 0o600);
    assert_eq!(fs::read_dir(&dotfiles).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_the_persons_alone_and_where_the_environment_says() {
    let world = World::logged_in().await;
    let named = world.dir().join("new/aws.ini");
    let _ = sync_into(&world, &named).await.ok();
    let mode = fs::metadata(&named).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(!config(&world).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_of_an_account_whose_roles_are_not_known_stay() {
    let world = world_of_corp().await;
    let _ = sync(&world, &[]).await;
    let before = text(&world);
    world
        .sandbox
        .faults()
        .fail_next("sso.ListAccountRoles", 1, 403);
    // With --prune AWS is asked anew.
    let args = [&SYNC[..], &["--prune"]].concat();
    let _ = world
        .awsso(&args)
        .await
        .code(0)
        .says("its profiles stay as they are")
        .says("nothing has changed");
    assert_eq!(text(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_config_file_is_left_alone() {
    let world = World::logged_in().await;
    let file = world.dir().join("config");
    for odd in [&b"[profile x\n"[..], b"{}\n", b"[default]\n# caf\xe9\n"] {
        fs::write(&file, odd).unwrap();
        let refused = sync_into(&world, &file).await.code(2);
        let _ = refused.says("nothing was written");
        assert_eq!(fs::read(&file).unwrap(), odd);
    }
    fs::remove_file(&file).unwrap();
    symlink(world.dir().join("nowhere"), &file).unwrap();
    let _ = sync_into(&world, &file).await.code(1);
    assert!(file.is_symlink() && !file.exists());
    for bad in ["", "{name}", "a b"] {
        let args = [&SYNC[..], &["--template", bad]].concat();
        let _ = world.awsso(&args).await.code(2).says("--template");
    }
    assert!(!config(&world).exists());
}
