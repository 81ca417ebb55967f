//! Starting, sharing and stopping the one daemon.

use awsso_e2e::World;
use futures_util::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_that_start_at_once_get_one_daemon_and_ten_answers() {
    let world = World::new().await;
    let runs = join_all((0..10).map(|_| world.awsso(&["status", "--json"]))).await;
    let pids: std::collections::BTreeSet<_> = runs
        .into_iter()
        .map(|run| run.code(0).json()["daemon"]["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 1, "{pids:?}");
}
