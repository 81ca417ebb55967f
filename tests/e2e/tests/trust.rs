//! Who may read what, and where no secret may ever be.

mod canary;
mod crash;

use std::{
    ffi::OsStr,
    fs::{Permissions, set_permissions},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use awsso_e2e::{Run, World, bin, finish, known, process::must_be_root};
use tokio::process::Command;

const NOBODY: u32 = 65_534;

/// A program of another user.
fn nobodys(world: &World, program: impl AsRef<OsStr>) -> Command {
    let mut setpriv = world.program("setpriv");
    setpriv
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .current_dir("/");
    setpriv
}

/// Everything below a folder, the folder included.
fn everything(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(everything(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_for_its_owner_alone_whatever_the_umask() {
    let world = World::new().await;
    let line = format!(
        "umask 000; exec {} login --no-launch-browser",
        bin("awsso").display()
    );
    let mut open_handed = world.program("/bin/sh");
    open_handed.args(["-c", &line]);
    let _ = finish(open_handed, line).await.ok();
    let _ = world.fake_aws("echo out").run("aws sts x").await.ok();
    let _ = world.awsso(&["daemon", "restart"]).await.ok();

    let (mut files, mut sockets) = (0, 0);
    for path in [
        everything(&world.state()),
        everything(&world.runtime().join("awsso")),
    ]
    .concat()
    {
        let meta = path.symlink_metadata().unwrap();
        let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(
            meta.permissions().mode() & 0o7777,
            wanted,
            "{}",
            path.display()
        );
        files += usize::from(meta.is_file());
        sockets += usize::from(meta.file_type().is_socket());
    }
    // Locks, the log, the key, the sealed session, an output.
    assert!(files >= 6, "{files} files");
    assert_eq!(sockets, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_gets_nothing_even_where_the_folder_is_open() {
    must_be_root();
    let world = World::logged_in().await;
    let program = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &program).unwrap();
    let home = world.dir().join("nobody");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = async |args: &[&str]| {
        let mut awsso = nobodys(&world, &program);
        awsso
            .args(args)
            .env("HOME", &home)
            .env("AWSSO_SOCKET", world.socket());
        finish(awsso, args.join(" ")).await
    };
    let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(world.dir(), 0o755);
    let closed = as_nobody(&["status", "--json"]).await.code(4);
    let closed = closed.says("Permission denied");
    assert_eq!(closed.stdout, "");

    mode(&world.runtime(), 0o777);
    mode(&world.runtime().join("awsso"), 0o777);
    mode(&world.socket(), 0o777);
    let target = ["--account", known::PRODUCTION, "--role", known::ADMIN];
    for args in [
        &["status", "--json"][..],
        &["daemon", "stop", "--force"],
        &[&["credential-process"], &target[..]].concat(),
    ] {
        let run = as_nobody(args)
            .await
            .code(4)
            .says("the other end belongs to another user (uid Some(0))");
        assert_eq!(run.stdout, "");
    }
    // A program that does not look whose daemon it is gets no answer either.
    let mut stranger = nobodys(&world, "/usr/bin/perl");
    stranger
        .args(["-MIO::Socket::UNIX", "-e"])
        .arg(
            "$s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die qq(no connection: $!); \
             $SIG{PIPE} = 'IGNORE'; syswrite $s, 'PRI * HTTP/2.0'; $n = sysread $s, $b, 100; \
             print 'got ', $n || 0",
        )
        .arg(world.socket());
    let answer = finish(stranger, "a stranger".into()).await;
    assert_eq!(answer.ok(), "got 0");
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    assert!(
        log.contains("the other end belongs to another user (uid Some(65534))"),
        "{log}"
    );
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(
        status["sessions"][0]["state"], "active",
        "the owner is served"
    );
}

/// A shell of another user, who sees the world's folder.
async fn as_nobody(world: &World, line: &str) -> Run {
    let mut shell = nobodys(world, "/bin/sh");
    shell.args(["-c", line]);
    finish(shell, line.to_owned()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_cannot_take_the_place_of_the_socket_and_reads_no_file() {
    must_be_root();
    let world = World::new().await;
    let (folder, mode) = (world.runtime().join("awsso"), |path: &Path, mode| {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    });
    // As in /tmp: all may make something there, and only its owner may remove it.
    for path in [world.dir(), &world.home(), &world.home().join(".local")] {
        std::fs::create_dir_all(path).unwrap();
        mode(path, 0o755);
    }
    mode(&world.runtime(), 0o1777);

    let taken = format!("mkdir -m 777 {}", folder.display());
    let _ = as_nobody(&world, &taken).await.ok();
    let refused = world.awsso(&["daemon", "start"]).await.code(4);
    let refused = refused.says("belongs to uid 65534, not to you");
    assert!(!refused.stderr.contains("ready"), "{refused:?}");
    std::fs::remove_dir_all(&folder).unwrap();

    // Nor is a link taken for the folder.
    let elsewhere = world.dir().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    mode(&elsewhere, 0o777);
    let linked = format!("ln -s {} {}", elsewhere.display(), folder.display());
    let _ = as_nobody(&world, &linked).await.ok();
    let _ = world.awsso(&["daemon", "start"]).await.code(4);
    assert!(std::fs::read_dir(&elsewhere).unwrap().next().is_none());
    std::fs::remove_file(&folder).unwrap();

    let _ = world.awsso(&["login", "--no-launch-browser"]).await.ok();
    for path in [&folder, &world.socket()] {
        for line in ["mv {} {}.old", "rm -rf {}", "chmod 777 {}"] {
            let line = line.replace("{}", &path.display().to_string());
            let _ = as_nobody(&world, &line).await;
        }
    }
    for path in everything(&world.state()) {
        let line = format!("cat {0} || ls {0} || : > {0}", path.display());
        let run = as_nobody(&world, &line).await;
        assert!(run.code != Some(0) && run.stdout.is_empty(), "{run:?}");
    }
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["sessions"][0]["state"], "active");
}
