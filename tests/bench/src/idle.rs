//! What the daemon costs when it has little to do: the memory that a large organisation leaves behind, and how often it
//! wakes when nothing happens.

use std::time::Duration;

use anyhow::Context as _;
use awsso_e2e::{
    World,
    known::{ADMIN, PRODUCTION, READ_ONLY},
    sandbox::Config,
};
use awsso_proto::v1::ClientKind;
use futures_util::{StreamExt as _, TryStreamExt as _, future::ready, stream};

use crate::{
    program::{Switches, resident},
    scale::asking,
    table::Row,
};

const ACCOUNTS: usize = 5_000;
const ROLES: usize = 5;
/// As many callers as one person has.
const AT_ONCE: usize = 50;
const INDEXED: f64 = 16.0;
const LIVE: f64 = 24.0;
/// Until what comes after a login is over: threads for files have ended, connections to AWS are closed.
const SETTLED: Duration = Duration::from_secs(45);
const LEFT: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_mins(1);

pub async fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = memory().await?;
    rows.extend(wake_ups().await?);
    Ok(rows)
}

async fn pid(world: &World) -> anyhow::Result<u32> {
    world.daemon_pid().await.context("a daemon runs")
}

async fn memory() -> anyhow::Result<Vec<Row>> {
    let world = World::logged_in_to(Config {
        accounts: ACCOUNTS,
        least_roles: ROLES,
        ..Config::default()
    })
    .await;
    let _ = world.awsso(&["ls-accounts", "--json"]).await.ok();
    let _ = world.awsso(&["daemon", "restart"]).await.ok();
    let mut rows = Vec::new();
    let mut note = async |what: &str, bar| {
        // What a client needed is given back when it has left.
        tokio::time::sleep(LEFT).await;
        rows.push(Row::memory(what, resident(pid(&world).await?)?, bar));
        anyhow::Ok(())
    };

    note("awssod, resident: just restarted", INDEXED).await?;
    let target = ["--account", PRODUCTION, "--role", READ_ONLY];
    let keys = [&["credential-process"][..], &target].concat();
    let _ = world.awsso(&keys).await.ok();
    note("... keys of one role handed out", INDEXED).await?;
    let _ = world.awsso(&["ls-accounts", "--json"]).await.ok();
    let what = "... 5,000 accounts with 5 roles listed from the index";
    note(what, INDEXED).await?;

    let client = world.connect(ClientKind::Cli).await;
    let accounts = world.sandbox.organization().accounts().iter();
    let calls = accounts.map(|account| {
        let (client, request) = (client.clone(), asking(&world, &account.id, ADMIN));
        async move { client.credentials().get(request).await }
    });
    let calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    calls.try_for_each(|_| ready(Ok(()))).await?;
    drop(client);
    note("... keys of 5,000 roles fetched and held", LIVE).await?;
    Ok(rows)
}

async fn wake_ups() -> anyhow::Result<[Row; 2]> {
    let (stranger, user) = (World::new().await, World::logged_in().await);
    let _ = stranger.awsso(&["daemon", "start"]).await.ok();
    let pids = [pid(&stranger).await?, pid(&user).await?];
    tokio::time::sleep(SETTLED).await;
    let before = [Switches::of(pids[0])?, Switches::of(pids[1])?];
    tokio::time::sleep(WATCHED).await;
    let woken = [
        Switches::of(pids[0])?.since(&before[0]),
        Switches::of(pids[1])?.since(&before[1]),
    ];
    let row = |what: &str, times: u64| {
        let cells = [
            format!("{times}"),
            String::new(),
            String::new(),
            "0".to_owned(),
        ];
        Row::figure(what, cells, times == 0)
    };
    Ok([
        row("awssod, idle, wake-ups in 60 s: never logged in", woken[0]),
        row("... logged in, 45 minutes before a renewal", woken[1]),
    ])
}
