//! Starting, sharing and stopping the one daemon.

use std::{collections::BTreeSet, fs::File};

use awsso_e2e::{
    Background, World, bin, finish,
    process::{script, signal},
};
use futures_util::future::join_all;

/// An `aws` that says that it runs, and goes on for longer than any test.
const ENDLESS: &str = "echo running; exec sleep 600";

async fn pid(world: &World) -> u32 {
    world.daemon_pid().await.expect("the daemon runs")
}

/// The daemon's process; started first where there is none.
async fn pid_after_start(world: &World) -> u32 {
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    pid(world).await
}

/// An `exec-command` that runs until it is ended.
async fn endless_run(world: &World) -> Background {
    let run = world.fake_aws(ENDLESS).start("aws sts wait");
    run.prints("running").await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_that_start_at_once_get_one_daemon_and_ten_answers() {
    let world = World::new().await;
    let runs = join_all((0..10).map(|_| world.awsso(&["status", "--json"]))).await;
    let pids: BTreeSet<_> = runs
        .into_iter()
        .map(|run| run.code(0).json()["daemon"]["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 1, "{pids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_daemon_command_says_what_it_did() {
    let world = World::new().await;
    let socket = world.socket().display().to_string();

    let none = world.awsso(&["daemon", "status"]).await.ok();
    assert_eq!(none, "awssod is not running\n");
    let none = world.awsso(&["daemon", "stop"]).await.ok();
    assert_eq!(none, "awssod is not running\n");
    let _ = world
        .awsso(&["daemon", "logs"])
        .await
        .code(1)
        .says("awssod.log");

    let started = world.awsso(&["daemon", "start"]).await.ok();
    let first = pid(&world).await;
    assert!(
        started.contains(&format!("is running, pid {first}, on {socket}")),
        "{started}"
    );
    let again = world.awsso(&["daemon", "start"]).await.ok();
    assert_eq!(again, started);
    let status = world.awsso(&["daemon", "status"]).await.ok();
    assert!(
        status.contains("0 running jobs, 0 active sessions"),
        "{status}"
    );

    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    assert_ne!(pid(&world).await, first);
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    assert!(log.contains(" ready ") && log.contains(" stopped"), "{log}");
    let last = world.awsso(&["daemon", "logs", "--lines", "1"]).await.ok();
    assert_eq!(last.lines().count(), 1, "{last}");

    let stopped = world.awsso(&["daemon", "stop"]).await.ok();
    assert_eq!(stopped, "awssod has stopped\n");
    assert!(!world.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_says_where_the_first_one_is_and_ends() {
    let world = World::new().await;
    let first = pid_after_start(&world).await;
    let second = finish(world.program(bin("awssod")), "awssod".into())
        .await
        .code(1);
    assert!(second.stdout.starts_with("error BUSY "), "{second:?}");
    assert!(
        second
            .stdout
            .contains(&world.socket().display().to_string()),
        "{second:?}"
    );
    assert_eq!(second.stdout.lines().count(), 1, "{second:?}");
    assert_eq!(second.stderr, "");
    assert_eq!(pid(&world).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_killed_daemon_is_replaced() {
    let world = World::new().await;
    let first = pid_after_start(&world).await;
    signal(first, "KILL");
    world.daemon_is_gone().await;
    assert!(world.socket().exists(), "a killed daemon leaves its socket");
    assert_ne!(pid_after_start(&world).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_run_and_its_client_is_told() {
    let world = World::logged_in().await;
    let run = endless_run(&world).await;
    signal(pid(&world).await, "TERM");
    let run = run.end().await.code(125).says("the daemon stopped");
    assert_eq!(run.stdout, "running\n");
    world.daemon_is_gone().await;
    let lock = File::open(world.endpoint().instance_lock()).unwrap();
    lock.try_lock().expect("the lock is free");
    assert!(!world.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_a_running_job_stops_only_by_force() {
    let world = World::logged_in().await;
    let run = endless_run(&world).await;
    let first = pid(&world).await;
    for verb in ["stop", "restart"] {
        let _ = world
            .awsso(&["daemon", verb])
            .await
            .code(1)
            .says("1 running job")
            .says(&format!("awsso daemon {verb} --force"));
    }
    assert_eq!(pid(&world).await, first);

    let stopped = world.awsso(&["daemon", "stop", "--force"]).await.ok();
    assert_eq!(stopped, "awssod has stopped\n");
    let _ = run.end().await.code(125).says("the daemon stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_runtime_folder_finds_the_same_daemon() {
    let world = World::new().await;
    let first = pid_after_start(&world).await;
    let mut cron = world.program(bin("awsso"));
    cron.env_remove("XDG_RUNTIME_DIR")
        .args(["status", "--json"]);
    let run = finish(cron, "status".into()).await.code(0);
    assert_eq!(run.json()["daemon"]["pid"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_a_place_that_is_not_safe_fails_in_one_line_with_code_4() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let world = World::new().await;
    let runtime = |name: &str| {
        let dir = world.dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        dir
    };
    let linked = runtime("linked");
    symlink(world.dir(), linked.join("awsso")).unwrap();
    let open = runtime("open");
    std::fs::create_dir(open.join("awsso")).unwrap();
    std::fs::set_permissions(open.join("awsso"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let long = runtime(&"long".repeat(30));

    for (dir, words) in [
        (linked, "is a symbolic link; remove it"),
        (open, "is open to other users (mode 755); run: chmod 700 "),
        (long, "set AWSSO_SOCKET to a shorter one"),
    ] {
        let mut command = world.program(bin("awsso"));
        command.env("XDG_RUNTIME_DIR", &dir).arg("status");
        let run = finish(command, words.into()).await.code(4).says(words);
        let complaints = run.stderr.lines().filter(|line| line.starts_with("awsso:"));
        assert_eq!(complaints.count(), 1, "{run:?}");
        assert_eq!(run.stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_home_client_and_daemon_say_so_in_one_line() {
    let world = World::new().await;
    let mut client = world.program(bin("awsso"));
    client.env_remove("HOME").arg("status");
    let run = finish(client, "status".into())
        .await
        .code(2)
        .says("HOME is not set");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");

    let mut daemon = world.program(bin("awssod"));
    daemon.env_remove("HOME");
    let run = finish(daemon, "awssod".into()).await.code(1);
    assert!(
        run.stdout
            .starts_with("error INVALID_ARGUMENT HOME is not set"),
        "{run:?}"
    );
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_looked_for_beside_the_client_then_where_awsso_daemon_says_and_never_in_path() {
    let world = World::new().await;
    let alone = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &alone).unwrap();
    let daemon = bin("awssod");

    let mut lonely = world.program(&alone);
    lonely.env("PATH", daemon.parent().unwrap()).arg("status");
    let _ = finish(lonely, "alone".into())
        .await
        .code(4)
        .says("awssod is not beside this program")
        .says("set AWSSO_DAEMON to its path");

    let mut told = world.program(&alone);
    told.env("AWSSO_DAEMON", &daemon).arg("status");
    let _ = finish(told, "told".into()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_takes_nothing_of_its_starter_but_what_it_needs() {
    const SECRETS: [&str; 3] = ["AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "LD_PRELOAD"];
    let world = World::new().await;
    let open = world.dir().join("open");
    let environment = world.dir().join("environment");
    // What was handed over, before the daemon itself does anything.
    let handed = world.dir().join("awssod");
    script(
        &handed,
        &format!(
            "env > {}\nexec {} \"$@\"",
            environment.display(),
            bin("awssod").display()
        ),
    );
    let alone = world.dir().join("awsso");
    std::fs::copy(bin("awsso"), &alone).unwrap();

    let mut shell = world.program("/bin/sh");
    shell
        .args([
            "-c",
            &format!(
                "exec 9>{}; exec {} daemon start",
                open.display(),
                alone.display()
            ),
        ])
        .envs(SECRETS.iter().map(|name| (name, "")))
        .env("AWS_SECRET_ACCESS_KEY", "canary")
        .env("OPENAI_API_KEY", "canary");
    let _ = finish(shell, "daemon start".into()).await.ok();

    let text = std::fs::read_to_string(environment).unwrap();
    assert!(
        text.contains("HOME=") && text.contains("AWS_ENDPOINT_URL="),
        "{text}"
    );
    for name in SECRETS {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let pid = pid(&world).await;
    let proc = |name: &str| format!("/proc/{pid}/{name}");
    let limits = std::fs::read_to_string(proc("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"]
    );
    let stat = std::fs::read_to_string(proc("stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_eq!(session, pid.to_string(), "a session of its own");
    // Not dumpable: only root may look further.
    if awsso_proto::ipc::own_uid() == 0 {
        assert_eq!(std::fs::read_link(proc("cwd")).unwrap().as_os_str(), "/");
        for fd in std::fs::read_dir(proc("fd")).unwrap() {
            let to = std::fs::read_link(fd.unwrap().path()).unwrap();
            assert_ne!(to, open, "an inherited descriptor");
        }
    }
}
