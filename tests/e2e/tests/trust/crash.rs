//! What a crash leaves behind, and what a debugger gets: nothing.

use std::{
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt, chown},
        process::ExitStatusExt as _,
    },
    process::{ExitStatus, Stdio},
};

use awsso_e2e::{
    World, bin, finish,
    process::{must_be_root, signal},
    within_limit,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
};

use super::{NOBODY, everything};

/// Runs a line of `sh` where cores may be as large as they like.
fn with_cores(world: &World, line: &str) -> Child {
    let mut sh = world.program("sh");
    sh.args(["-c", &format!("ulimit -c unlimited || exit; {line}")])
        .current_dir(world.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    sh.spawn().unwrap()
}

async fn end(mut child: Child) -> ExitStatus {
    within_limit("the end", child.wait()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_crashes_leaves_no_core() {
    for name in ["ABRT", "ILL"] {
        let world = World::new().await;
        let other = end(with_cores(&world, &format!("kill -{name} $$"))).await;
        let line = format!("exec '{}'", bin("awssod").display());
        let mut daemon = with_cores(&world, &line);
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
        let ready = within_limit("the daemon", lines.next_line()).await;
        assert!(ready.unwrap().unwrap().starts_with("ready "));
        world.login().await;
        let before = everything(world.dir()).len();
        let pid = daemon.id().unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let cores = limits.lines().find(|line| line.contains("core file"));
        let words: Vec<_> = cores.unwrap().split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{words:?}");

        signal(pid, name);
        let ended = end(daemon).await;
        assert_eq!(ended.signal(), other.signal(), "both by SIG{name}");
        assert!(!ended.core_dumped());
        assert_eq!(everything(world.dir()).len(), before);
        // It goes on where it was.
        let accounts = world.awsso(&["ls-accounts", "--refresh"]).await;
        let _ = accounts.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_of_the_same_user_reads_neither_memory_nor_environment() {
    // Root reads everything: somebody who does not is needed.
    must_be_root();
    let world = World::new().await;
    let home = world.dir().join("nobody");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(world.dir(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = |program: &str| {
        let mut setpriv = world.program("setpriv");
        setpriv
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", program])
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .current_dir("/");
        setpriv
    };
    let mut start = as_nobody(bin("awssod").to_str().unwrap());
    let mut daemon = start.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let ready = within_limit("the daemon", lines.next_line()).await;
    assert!(ready.unwrap().unwrap().starts_with("ready "));
    // One that hides nothing, to see that it can be asked.
    let other = as_nobody("cat").stdin(Stdio::piped()).spawn().unwrap();
    let other_pid = other.id().unwrap();
    let read = async |pid: u32, what: &str| {
        let mut head = as_nobody("head");
        head.args(["-c1", &format!("/proc/{pid}/{what}")]);
        finish(head, what.to_owned()).await
    };
    for what in ["environ", "maps"] {
        within_limit("setpriv", async {
            // Until setpriv has become what it starts.
            while read(other_pid, what).await.code != Some(0) {}
        })
        .await;
    }
    let pid = daemon.id().unwrap();
    // Of a process that is not dumpable the system makes root the owner.
    let owner = |pid: u32| std::fs::metadata(format!("/proc/{pid}/mem")).map(|it| it.uid());
    assert_eq!(owner(other_pid).unwrap(), NOBODY);
    assert_eq!(owner(pid).unwrap(), 0);
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let cores = limits.lines().find(|line| line.contains("core file"));
    let words: Vec<_> = cores.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{words:?}");
    // `mem` asks for the right to attach, as a debugger does.
    for what in ["environ", "maps", "mem", "auxv"] {
        let run = read(pid, what).await.code(1).says("Permission denied");
        assert_eq!(run.stdout, "");
    }
    signal(pid, "TERM");
    assert!(end(daemon).await.success());
}
