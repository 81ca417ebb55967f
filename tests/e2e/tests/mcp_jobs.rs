//! Long work and many targets, as a model client has them with the real daemon.

use std::io::ErrorKind;

use awsso_e2e::{
    Shim, World, bin,
    known::{ADMIN, LINUX, LINUX_2, PRODUCTION, READ_ONLY},
    within_limit,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
};

use crate::cancel::fifo;

async fn shim_with_aws(world: &World, script: &str) -> Shim {
    let mut command = world.program(bin("awsso-mcp"));
    command.env("PATH", world.path_with_aws(script));
    Shim::legacy(command).await
}

fn exec(more: &Value) -> Value {
    let mut arguments =
        json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "aws ec2 describe-vpcs"});
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    arguments
}

/// A part of the last line, by the word before it.
fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let last = text.lines().last().unwrap().trim_matches(['[', ']']);
    let mut parts = last.split(" | ");
    let found = parts.find_map(|part| part.strip_prefix(name));
    found
        .unwrap_or_else(|| panic!("no {name} in {last}"))
        .trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_long_is_found_again_by_another_client() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let go = fifo(&world, "go");
    let script = format!("echo begun; read line < {}; echo $line", go.display());
    let mut first = shim_with_aws(&world, &script).await;
    let begun = first
        .call("aws_sso_exec_command", exec(&json!({"waitSeconds": 1})))
        .await;
    let text = begun.ok();
    assert!(text.starts_with("begun\nstill running"), "{text}");
    let job = part(text, "jobId").to_owned();
    drop(first);

    let mut second = world.legacy_shim().await;
    let looked = second.call("aws_sso_job", json!({"jobId": job})).await;
    assert!(looked.ok().starts_with("begun\n"), "{looked:?}");
    let mut sender = pipe::OpenOptions::new().open_sender(&go).unwrap();
    sender.write_all(b"done\n").await.unwrap();
    let ended = second
        .call("aws_sso_job", json!({"jobId": job, "action": "wait"}))
        .await;
    assert!(
        ended.ok().starts_with("begun\ndone\n[exit 0 | "),
        "{ended:?}"
    );
    let output = json!({"outputId": part(ended.ok(), "outputId"), "offset": 6});
    let rest = second.call("aws_sso_output", output).await;
    assert_eq!(rest.ok(), "done\n[bytes 6 to 11 of 11]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_by_its_handle() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = shim_with_aws(&world, "echo begun; exec sleep 600").await;
    let begun = shim
        .call("aws_sso_exec_command", exec(&json!({"waitSeconds": 1})))
        .await;
    let job = part(begun.ok(), "jobId").to_owned();
    let cancelled = shim
        .call("aws_sso_job", json!({"jobId": job, "action": "cancel"}))
        .await;
    assert!(cancelled.error().contains("[cancelled"), "{cancelled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_back_ends_its_processes() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let alive = fifo(&world, "alive");
    let mut held = pipe::OpenOptions::new().open_receiver(&alive).unwrap();
    // It and its child hold the pipe, and say so.
    let script = format!(
        "exec 9> {}\n(trap '' TERM INT HUP; while :; do sleep 600; done) &\necho >&9\nwait",
        alive.display()
    );
    let mut shim = shim_with_aws(&world, &script).await;
    let call = shim.begin("aws_sso_exec_command", exec(&json!({}))).await;
    let begun = within_limit("the child", held.read_u8()).await;
    assert_eq!(begun.unwrap(), b'\n');
    shim.cancel(call).await;
    let gone = within_limit("the end of the child", held.read_u8()).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    // The answer of the call was dropped: the next one is the next call's.
    let status = shim.call("aws_sso_status", json!({})).await;
    assert!(status.ok().contains(": active"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_are_one_table_and_equal_outputs_are_told_once() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = shim_with_aws(&world, "echo the same").await;
    let arguments = json!({
        "accounts": ["*"], "roleName": READ_ONLY, "regions": ["eu-west-1", "us-east-1"],
        "command": "aws ec2 describe-vpcs",
    });
    let answer = shim.call("aws_sso_exec_command", arguments).await;
    let text = answer.ok();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "#  account  region  result  chars  outputId");
    assert_eq!(lines.len(), 1 + 6 + 3, "{text}");
    assert!(lines[1].contains("  eu-west-1  exit 0  9  out_"), "{text}");
    assert_eq!((lines[7], lines[8]), ("== 1-6", "the same"));
    assert!(lines[9].starts_with("[6 of 6 succeeded | "), "{text}");
    assert!(lines[9].contains("role ReadOnly"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_are_one_call() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.modern_shim();
    let arguments = exec(&json!({"instanceIds": [LINUX, LINUX_2], "command": "hostname"}));
    let answer = shim.call("aws_sso_ec2_exec_command", arguments).await;
    let text = answer.ok();
    assert!(text.contains(LINUX) && text.contains(LINUX_2), "{text}");
    assert!(text.contains("\n== 1\nweb-1\n== 2\n"), "{text}");
    assert!(text.contains("[2 of 2 succeeded | "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_means_all_instances_that_have_it() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.legacy_shim().await;
    let arguments = exec(&json!({"targets": ["tag:Name=web-1,web-2"], "command": "hostname"}));
    let answer = shim.call("aws_sso_ec2_exec_command", arguments).await;
    assert!(answer.ok().contains("[2 of 2 succeeded | "), "{answer:?}");
    let nobody = exec(&json!({"targets": ["tag:Name=nobody"], "command": "hostname"}));
    let answer = shim.call("aws_sso_ec2_exec_command", nobody).await;
    assert!(answer.error().starts_with("NOT_FOUND: "), "{answer:?}");
    assert!(answer.error().contains("running SSM agent"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn printed_json_is_filtered_before_it_is_cut_and_shown_as_a_table() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let buckets: Vec<_> = (0..2_000)
        .map(|n| json!({"Name": format!("bucket-{n}"), "CreationDate": "2026-11-22T10:00:00Z"}))
        .collect();
    let file = world.dir().join("buckets.json");
    let printed = serde_json::to_string_pretty(&json!({"Buckets": buckets})).unwrap();
    std::fs::write(&file, &printed).unwrap();
    let mut shim = shim_with_aws(&world, &format!("cat {}", file.display())).await;
    let last = exec(&json!({"filter": ".Buckets[-1].Name"}));
    let answer = shim.call("aws_sso_exec_command", last).await;
    assert!(
        answer.ok().starts_with("\"bucket-1999\"\n[exit 0 | "),
        "{answer:?}"
    );

    let table = exec(&json!({"filter": "{Buckets: .Buckets[:50]}", "format": "toon"}));
    let answer = shim.call("aws_sso_exec_command", table).await;
    assert!(answer.ok().starts_with("Buckets[50]{"), "{answer:?}");

    let wrong = exec(&json!({"filter": ".Buckets | nonsense("}));
    let answer = shim.call("aws_sso_exec_command", wrong).await;
    assert!(answer.ok().contains("filter not applied: "), "{answer:?}");
    let id = part(answer.ok(), "outputId").to_owned();
    let asked = json!({"outputId": id, "jq": "[.Buckets[].Name] | length"});
    let answer = shim.call("aws_sso_output", asked).await;
    assert!(answer.ok().starts_with("2000\n["), "{answer:?}");
    let grep = json!({"outputId": id, "grep": "bucket-19\\d\\d"});
    let answer = shim.call("aws_sso_output", grep).await;
    assert_eq!(answer.ok().lines().count(), 101, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_login_for_everybody() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.modern_shim();
    let done = shim.call("aws_sso_logout", json!({"confirm": true})).await;
    assert_eq!(done.facts()["sessions"].as_array().unwrap().len(), 1);
    let status = shim.call("aws_sso_status", json!({})).await;
    assert_eq!(status.facts()["sessions"][0]["state"], "login_required");
}
