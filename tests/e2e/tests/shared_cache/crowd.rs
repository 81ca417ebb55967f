//! Everybody at once.

use std::fs;

use awsso_e2e::World;
use futures_util::future::join_all;
use serde_json::json;

use super::token;

/// Only we write these.
const WHOLE: [&str; 5] = ["a0", "a1", "a2", "a3", "a4"];
/// Others write their expired tokens there: ours come after.
const OVERWRITTEN: [&str; 3] = ["b0", "b1", "b2"];
/// Others write tokens there that outlast ours.
const THEIRS: [&str; 2] = ["c0", "c1"];
const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_others_in_the_folder_never_see_half_a_file_and_lose_nothing() {
    let world = World::new().await;
    let names = [&WHOLE[..], &OVERWRITTEN, &THEIRS].concat();
    let sessions = names.iter().map(|name| world.sso_session(name));
    world.aws_config(&sessions.collect::<String>());
    let all = async |args: &[&str]| {
        let one = async |name: &&str| {
            let of_one = [args, &["--session", *name]].concat();
            let _ = world.awsso(&of_one).await.ok();
        };
        join_all(names.iter().map(one)).await;
    };
    all(&["login", "--no-launch-browser"]).await;

    let stop = world.dir().join("stop");
    let arguments = json!([stop, WHOLE, OVERWRITTEN, THEIRS]);
    let crowd = world.botocore_in_background("crowd", &arguments);
    crowd.prints("started").await;
    for _ in 0..ROUNDS {
        world.sandbox.expire_tokens();
        all(&["ls-accounts", "--refresh"]).await;
    }
    all(&["login", "--no-launch-browser", "--force"]).await;
    fs::write(&stop, "").unwrap();
    let said = crowd.end().await.ok();
    let report: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(report["failed"], json!([]));
    assert!(report["reads"].as_u64() > Some(1000), "{report}");

    // Where others wrote what was worth less, ours comes with the next renewal.
    world.sandbox.expire_tokens();
    all(&["ls-accounts", "--refresh"]).await;
    for name in OVERWRITTEN {
        let file = world.cache_file(name).await;
        assert!(token(&file).starts_with("aoa"), "{name}");
    }
    for entry in fs::read_dir(world.aws_cache()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let kind = name.rsplit('.').next();
        assert_eq!(kind, Some("json"), "{name} was left behind");
    }
}
