//! The lock that comes by itself when the person has gone away.

use std::time::Duration;

use awsso_e2e::{Logind, World, known::LINUX};
use serde_json::Value;

use super::{TARGET, is_locked, keys, session};

const LISTED: &str = "ssm.ListCommandInvocations";

/// No other timer of the daemon lies so far ahead.
const LONG: &str = "[lock]\non_idle = '40h'\n";
const ALMOST: u64 = 39 * 60 * 60;

/// How many timers of the wall clock the daemon holds for the lock on idle: seconds
/// that are left, from <https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html>.
async fn timers(world: &World) -> usize {
    let pid = world.daemon_pid().await.unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    // What was closed meanwhile is no timer any more.
    let texts = open.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
    let left = |text: &String| {
        let value = text.split_once("it_value: (")?.1.split_once(',')?.0;
        value.parse::<u64>().ok()
    };
    texts.filter(|text| left(text) > Some(ALMOST)).count()
}

/// The daemon sets its timer beside answering: that may take a moment.
async fn timers_become(world: &World, wanted: usize) {
    let patience = Duration::from_secs(5);
    let settled = async {
        while timers(world).await != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(patience, settled).await;
    assert!(settled.is_ok(), "not {wanted} timers within {patience:?}");
}

async fn unlock(world: &World) {
    let _ = world.awsso(&["unlock"]).await.ok();
    let is_active = |status: &Value| status["sessions"][0]["state"] == "active";
    world.status("an open session", is_active).await;
}

/// A world whose screen, once locked, locks awsso, and a daemon that hears of it.
async fn with_a_screen(world: &World) -> Logind {
    let logind = Logind::start(world).await;
    world.configure("[lock]\non_screen_lock = true\n");
    world.login().await;
    logind.is_heard(1).await;
    logind
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_daemon_locks_whoever_else_asks_and_again_after_it_was_opened() {
    let world = World::new().await;
    world.configure("[lock]\non_idle = '2s'\n");
    world.login().await;
    // Programs that ask by themselves do not keep it open.
    let refused = loop {
        let run = keys(&world).await;
        if run.code != Some(0) {
            break run;
        }
    };
    let _ = refused.code(3).says("a person opens it: awsso unlock");
    is_locked(&world).await;
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    assert!(log.contains("no person has asked for anything"), "{log}");

    let _ = world.awsso(&["ls-accounts", "--refresh"]).await.ok();
    is_locked(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_idle_is_one_timer_and_only_while_it_is_open() {
    let world = World::logged_in().await;
    let open = async || {
        let args = [&["env"], &TARGET[..]].concat();
        let _ = world.awsso(&args).await.ok();
    };
    // Read again with the person's next command.
    world.configure(LONG);
    open().await;
    timers_become(&world, 1).await;
    open().await;
    open().await;
    timers_become(&world, 1).await;
    let _ = world.awsso(&["lock"]).await.ok();
    is_locked(&world).await;
    timers_become(&world, 0).await;
    unlock(&world).await;
    timers_become(&world, 1).await;
    world.configure("");
    open().await;
    timers_become(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_screen_locks_and_that_of_another_user_does_not() {
    let world = World::new().await;
    let logind = with_a_screen(&world).await;
    // What comes first is heard first.
    logind.lock(false).await;
    logind.screen_is_locked(false, true).await;
    assert_eq!(session(&world).await["state"], "active");
    logind.lock(true).await;
    is_locked(&world).await;
    let heard = world.awsso(&["daemon", "logs"]).await.ok();
    assert_eq!(heard.matches("the screen is locked").count(), 1, "{heard}");

    unlock(&world).await;
    logind.screen_is_locked(true, true).await;
    is_locked(&world).await;
    unlock(&world).await;
    logind.screen_is_locked(true, false).await;
    assert_eq!(session(&world).await["state"], "active");
    assert_eq!(world.sandbox.count(super::ASKED), 1, "nobody logged in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_sleeps_only_after_the_secrets_have_gone() {
    let world = World::new().await;
    let logind = with_a_screen(&world).await;
    for times in 1..=2 {
        logind.is_heard(times).await;
        logind.prepare_for_sleep(true).await;
        logind.may_sleep().await;
        is_locked(&world).await;
        logind.prepare_for_sleep(false).await;
        unlock(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_locks_by_itself_unless_it_is_wanted() {
    let world = World::new().await;
    let logind = Logind::start(&world).await;
    world.login().await;
    logind.lock(true).await;
    logind.prepare_for_sleep(true).await;
    assert_eq!(session(&world).await["state"], "active");

    world.configure("[lock]\non_screen_lock = true\n");
    let _ = world.awsso(&["ls-accounts"]).await.ok();
    logind.is_heard(1).await;
    logind.lock(true).await;
    is_locked(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_an_instance_goes_on_while_awsso_is_locked_and_is_followed_when_it_is_opened() {
    let world = World::logged_in().await;
    let run = [
        &["ec2-exec-command"],
        &TARGET[..],
        &["--instance-id", LINUX, "--command", "sleep 30; echo done"],
    ]
    .concat();
    let run = world.awsso_in_background(&run);
    world.sandbox.reached(LISTED, 1).await;
    let _ = world.awsso(&["lock"]).await.ok();
    is_locked(&world).await;
    let asked = world.sandbox.count(LISTED);
    // In AWS it ends meanwhile; nobody here can hear of it.
    world.sandbox.advance(Duration::from_mins(1));
    let no_news = async || {
        let log = world.awsso(&["daemon", "logs"]).await.ok();
        log.contains("no news from SSM")
    };
    while !no_news().await {}
    let listed = world.awsso(&["jobs", "list", "--json"]).await;
    let job = &listed.code(0).json()["jobs"][0];
    assert_eq!(job["state"], "running", "{job:#}");
    assert_eq!(world.sandbox.count(LISTED), asked, "without keys");

    unlock(&world).await;
    assert_eq!(run.end().await.ok(), "done\n");
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 1);
}
