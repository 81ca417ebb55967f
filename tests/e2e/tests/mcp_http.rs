//! The shim over HTTP, beside shims on stdio, with the real daemon behind them.

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, PRODUCTION},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn echo(marker: &str) -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "args": ["s3", "ls", marker]})
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_crosses_over_between_ten_shims_and_two_http_clients() {
    const ROUNDS: usize = 3;
    let world = World::logged_in().await;
    world.open_to_agents();
    let path = world.path_with_aws("echo \"$@\"");
    let mut http = world.program(bin("awsso-mcp"));
    http.env("PATH", &path)
        .env("TRANSPORT_MODE", "http")
        .env("PORT", "0");
    let http = world.http_shim_with(http).await;
    let own = |text: &str, marker: &str| {
        let expected = format!("s3 ls {marker}\n[exit 0 | ");
        assert!(text.starts_with(&expected), "{marker} got {text}");
    };
    // Every client counts its requests from one: ids are equal at all times.
    let shims = (0..10).map(async |client| {
        let mut command = world.program(bin("awsso-mcp"));
        command.env("PATH", &path);
        let mut shim = Shim::legacy(command).await;
        for round in 0..ROUNDS {
            let marker = format!("shim-{client}-{round}");
            let answer = shim.call("aws_sso_exec_command", echo(&marker)).await;
            own(answer.ok(), &marker);
        }
    });
    let clients = (0..2).map(async |client| {
        for round in 0..ROUNDS {
            let marker = format!("http-{client}-{round}");
            let id = u64::try_from(round).unwrap() + 2;
            let answer = http.call(id, "aws_sso_exec_command", echo(&marker)).await;
            let text = &answer["result"]["content"][0]["text"];
            own(text.as_str().unwrap(), &marker);
        }
    });
    tokio::join!(join_all(shims), join_all(clients));
}
