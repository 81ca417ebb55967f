//! `awsso daemon install`: the daemon as a service of the system.

use std::{
    fs,
    path::{Path, PathBuf},
};

use awsso_e2e::{Background, Run, UserManager, World, bin, finish, known};

/// Every file below a folder, with its bytes.
fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// An installation of this person's own, which can be replaced by another build.
struct Installation<'w> {
    world: &'w World,
    dir: PathBuf,
}

impl<'w> Installation<'w> {
    fn new(world: &'w World) -> Self {
        let dir = world.dir().join("a folder");
        fs::create_dir(&dir).unwrap();
        let installation = Self { world, dir };
        installation.put("");
        installation
    }

    /// As a package manager does it: the files that run are not written to.
    fn put(&self, build: &str) {
        for name in ["awsso", "awssod"] {
            let new = self.dir.join(format!("{name}.new"));
            fs::copy(bin(&format!("{build}{name}")), &new).unwrap();
            fs::rename(new, self.dir.join(name)).unwrap();
        }
    }

    fn program(&self, args: &[&str]) -> tokio::process::Command {
        let mut awsso = self.world.program(self.dir.join("awsso"));
        awsso.args(args);
        awsso
    }

    async fn awsso(&self, args: &[&str]) -> Run {
        finish(self.program(args), args.join(" ")).await
    }

    async fn systemctl(&self, args: &[&str]) -> Run {
        let mut systemctl = self.world.program("systemctl");
        systemctl.arg("--user").args(args);
        finish(systemctl, args.join(" ")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_units_of_a_package_are_what_systemd_expects() {
    let world = World::new().await;
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let dir = world.dir().join("units");
    fs::create_dir(&dir).unwrap();
    let mut verify = world.program("systemd-analyze");
    verify.args(["--user", "verify"]);
    for name in ["awssod.service", "awssod.socket"] {
        let text = fs::read_to_string(units.join(name)).unwrap();
        // It looks whether the programs are there.
        let text = text
            .replace("/usr/bin/awssod", &bin("awssod").display().to_string())
            .replace("/usr/bin/awsso ", &format!("{} ", bin("awsso").display()));
        fs::write(dir.join(name), text).unwrap();
        verify.arg(dir.join(name));
    }
    let verified = finish(verify, "systemd-analyze verify".into())
        .await
        .code(0);
    // An unknown directive is only a word on stderr.
    let ours = verified
        .stderr
        .lines()
        .filter(|line| line.contains("awssod"));
    assert_eq!(ours.count(), 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_manager_nothing_is_written_and_one_line_says_what_to_do() {
    let world = World::new().await;
    let before = tree(&world.home());
    for args in [
        &["daemon", "install"][..],
        &["daemon", "install", "--dry-run"],
        &["daemon", "uninstall"],
    ] {
        let run = world.awsso(args).await.code(1);
        let run = run
            .says("systemd cannot be asked")
            .says("clients start awssod by themselves");
        assert_eq!(run.stderr.lines().count(), 2, "{run:?}");
        assert_eq!(run.stdout, "");
    }
    assert_eq!(tree(&world.home()), before);
}

/// A new build takes over; who watches a job goes on.
async fn is_upgraded(here: &Installation<'_>) {
    let world = here.world;
    let watch = Background::start(
        here.program(&[
            "ec2-exec-command",
            "--account",
            known::PRODUCTION,
            "--role",
            known::ADMIN,
            "--instance-id",
            known::LINUX,
            "--command",
            "sleep 3; hostname",
        ]),
        "ec2-exec-command",
    );
    world.commands_are_sent(1).await;
    here.put("next/");
    let upgraded = here.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(upgraded["daemon"]["protocol"], 2, "{upgraded:#}");
    assert_eq!(upgraded["sessions"][0]["state"], "active", "{upgraded:#}");
    let main = here
        .systemctl(&["show", "--property=MainPID", "awssod.service"])
        .await
        .ok();
    assert_eq!(
        main.trim(),
        format!("MainPID={}", upgraded["daemon"]["pid"])
    );
    let watched = watch.end().await.code(0);
    assert_eq!(watched.stdout, "web-1\n", "{watched:?}");
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_installed_used_upgraded_and_uninstalled_without_a_trace() {
    let world = World::logged_in().await;
    let manager = UserManager::start(&world).await;
    let here = Installation::new(&world);
    let units = world.home().join(".config/systemd/user");
    let before = tree(&world.home().join(".config"));
    let own = world.daemon_pid().await.unwrap();

    let shown = here.awsso(&["daemon", "install", "--dry-run"]).await.ok();
    assert!(
        shown.contains("+ListenStream=%t/awsso/awssod.sock"),
        "{shown}"
    );
    assert!(shown.contains("systemctl --user enable"), "{shown}");
    assert_eq!(tree(&world.home().join(".config")), before);
    assert_eq!(world.daemon_pid().await, Some(own));

    // What a client has started is not thrown away with its work.
    let run = world
        .fake_aws("echo running; exec sleep 600")
        .start("aws sts wait");
    run.prints("running").await;
    let _ = here
        .awsso(&["daemon", "install"])
        .await
        .code(1)
        .says("1 running job");
    assert_eq!(tree(&world.home().join(".config")), before);
    run.interrupt();
    let _ = run.end().await;

    let installed = here.awsso(&["daemon", "install"]).await.ok();
    assert_eq!(installed, "systemd starts awssod for its clients\n");
    let written = tree(&units);
    let again = here.awsso(&["daemon", "install"]).await.ok();
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(tree(&units), written);

    // The login is the same, in a daemon that systemd has started.
    let status = here.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["sessions"][0]["state"], "active", "{status:#}");
    let first = status["daemon"]["pid"].as_u64().unwrap();
    let main = here
        .systemctl(&[
            "show",
            "--property=MainPID,ActiveState,NoNewPrivileges",
            "awssod.service",
        ])
        .await
        .ok();
    assert!(main.contains(&format!("MainPID={first}\n")), "{main}");
    assert!(main.contains("ActiveState=active"), "{main}");
    let ran = world
        .fake_aws("umask; grep NoNewPrivs /proc/self/status")
        .run("aws sts x")
        .await;
    let ran = ran.code(0).stdout;
    assert!(ran.starts_with("0077\n") && ran.ends_with("\t1\n"), "{ran}");

    // Stopped, it leaves the socket to systemd, and the next client starts it.
    let _ = here.awsso(&["daemon", "stop"]).await.ok();
    assert!(world.socket().exists());
    let second = here.awsso(&["status", "--json"]).await.code(0).json();
    assert_ne!(second["daemon"]["pid"].as_u64(), Some(first));
    let _ = here.awsso(&["daemon", "restart"]).await.ok();

    is_upgraded(&here).await;

    let gone = here.awsso(&["daemon", "uninstall"]).await.ok();
    assert_eq!(gone, "systemd no longer starts awssod; clients do\n");
    assert_eq!(tree(&world.home().join(".config")), before);
    assert!(!world.socket().exists());
    let again = here.awsso(&["daemon", "uninstall"]).await.ok();
    assert!(again.contains("nothing to do"), "{again}");
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["sessions"][0]["state"], "active", "{status:#}");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_unit_is_left_alone_and_a_failed_install_is_undone() {
    let world = World::new().await;
    let manager = UserManager::start(&world).await;
    world.write(
        ".config/systemd/user/awssod.service",
        "[Service]\nExecStart=/bin/true\n",
    );
    let theirs = tree(&world.home().join(".config"));
    for verb in ["install", "uninstall"] {
        let _ = world
            .awsso(&["daemon", verb])
            .await
            .code(2)
            .says("awssod.service is not awsso's; nothing was changed");
    }
    assert_eq!(tree(&world.home().join(".config")), theirs);
    fs::remove_file(world.home().join(".config/systemd/user/awssod.service")).unwrap();

    // A drop-in of the person keeps the socket from starting.
    world.write(
        ".config/systemd/user/awssod.socket.d/broken.conf",
        "[Socket]\nExecStartPre=/bin/false\n",
    );
    let broken = tree(&world.home().join(".config"));
    let _ = world
        .awsso(&["daemon", "install"])
        .await
        .code(1)
        .says("systemctl --user restart awssod.socket failed");
    assert_eq!(tree(&world.home().join(".config")), broken);
    manager.stop().await;
}
