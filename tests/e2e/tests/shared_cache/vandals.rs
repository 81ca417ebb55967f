//! Whatever lies in the folder: no command hangs, none fails, and what is not
//! ours is not touched through it.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use awsso_e2e::World;
use futures_util::future::join_all;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use super::{session, token, world_of_corp};

/// A file that is no token, and what it is called here.
type Vandal = (&'static str, fn(&Path));

const VANDALS: [Vandal; 14] = [
    ("empty", |path| fs::write(path, "").unwrap()),
    ("truncated", |path| {
        fs::write(path, r#"{"startUrl": "https://x", "accessTok"#).unwrap();
    }),
    ("binary", |path| {
        fs::write(path, [0xff, 0xfe, 0, 1]).unwrap();
    }),
    ("list", |path| fs::write(path, "[1, 2]").unwrap()),
    ("deep", |path| fs::write(path, "[".repeat(10_000)).unwrap()),
    ("numbers", |path| {
        let file = json!({"accessToken": 1, "expiresAt": 2, "startUrl": null});
        fs::write(path, file.to_string()).unwrap();
    }),
    ("no-instant", |path| {
        let file = json!({"accessToken": "theirs", "expiresAt": "tomorrow"});
        fs::write(path, file.to_string()).unwrap();
    }),
    ("newline", |path| {
        let file = json!({"accessToken": "a\r\nx-evil: 1", "expiresAt": "2100-01-01T00:00:00Z"});
        fs::write(path, file.to_string()).unwrap();
    }),
    ("huge", |path| {
        fs::write(path, vec![b' '; 10 << 20]).unwrap();
    }),
    ("folder", |path| fs::create_dir(path).unwrap()),
    ("pipe", |path| {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }),
    ("endless", |path| symlink("/dev/zero", path).unwrap()),
    ("dangling", |path| symlink("nowhere", path).unwrap()),
    ("linked", |path| symlink("precious", path).unwrap()),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_file_that_is_no_token_hangs_or_fails_a_command() {
    let world = World::new().await;
    let sessions = VANDALS.map(|(name, _)| world.sso_session(name));
    world.aws_config(&sessions.concat());
    fs::create_dir_all(world.aws_cache()).unwrap();
    let precious = world.aws_cache().join("precious");
    fs::write(&precious, "of the person").unwrap();
    let files = world
        .botocore("names", &json!(VANDALS.map(|(name, _)| name)))
        .await;
    let path = |at: usize| world.aws_cache().join(files[at].as_str().unwrap());
    for (at, (_, put)) in VANDALS.iter().enumerate() {
        put(&path(at));
    }

    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    let required = |session: &Value| session["state"] == "login_required";
    let sessions = status["sessions"].as_array().unwrap();
    assert!(sessions.iter().all(required), "{status:#}");
    let one = async |at: usize| {
        let (name, _) = VANDALS[at];
        let awsso = async |args: &[&str]| {
            let of_this_one = [args, &["--session", name]].concat();
            world.awsso(&of_this_one).await
        };
        let _ = awsso(&["ls-accounts"]).await.code(3);
        let _ = awsso(&["login", "--no-launch-browser"]).await.ok();
        let _ = awsso(&["ls-accounts", "--refresh"]).await.ok();
        if name == "folder" {
            assert!(path(at).is_dir());
        } else {
            assert!(token(&path(at)).starts_with("aoa"), "{name}");
            assert!(path(at).symlink_metadata().unwrap().is_file(), "{name}");
        }
        let _ = awsso(&["logout"]).await.ok();
        assert_eq!(path(at).exists(), name == "folder", "{name}");
    };
    join_all((0..VANDALS.len()).map(one)).await;
    assert_eq!(fs::read_to_string(&precious).unwrap(), "of the person");
    let zero = fs::metadata("/dev/zero").unwrap();
    assert!(zero.file_type().is_char_device());
    let left = fs::read_dir(world.aws_cache()).unwrap().count();
    assert_eq!(left, 2, "the folder and the person's own file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_aws_cli_made_is_used_as_it_is() {
    let world = world_of_corp().await;
    // People keep such folders elsewhere, and the AWS CLI makes them for all to read.
    let elsewhere = world.dir().join("dotfiles");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(world.home().join(".aws/sso")).unwrap();
    symlink(&elsewhere, world.aws_cache()).unwrap();
    world.login().await;
    let file = world.cache_file("corp").await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&elsewhere), 0o755);
    let _ = world.aws_cli_identity("corp").await.ok();
    let _ = world.awsso(&["logout"]).await.ok();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_does_not_need_the_folder() {
    let world = world_of_corp().await;
    fs::write(world.home().join(".aws/sso"), "in its place").unwrap();
    world.login().await;
    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    assert_eq!(session(&world, "corp").await["state"], "active");
    let _ = world.awsso(&["logout"]).await.ok();
}
