//! The audit log: who asked for what and how it ended, and that no change of it
//! and no crash goes untold.

use std::path::PathBuf;

use awsso_e2e::{
    Run, Shim, World, bin,
    known::{ADMIN, LINUX, PRODUCTION, READ_ONLY},
    process,
};
use awsso_proto::v1::{ClientKind, GetCredentialsRequest, ReadOutputRequest, Target};
use serde_json::{Value, json};

async fn show(world: &World, flags: &[&str]) -> Vec<Value> {
    let args = [&["audit", "show", "--json"], flags].concat();
    let shown = world.awsso(&args).await.code(0).json();
    shown["lines"].as_array().unwrap().clone()
}

/// Waits until the log holds a line that fits, and returns all of them.
async fn logged(world: &World, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let follow = world.awsso_in_background(&["audit", "show", "--json", "--follow"]);
    follow.document(what, fits).await
}

async fn verify(world: &World) -> Run {
    world.awsso(&["audit", "verify"]).await
}

fn log(world: &World) -> PathBuf {
    world.state().join("audit.jsonl")
}

async fn shim_with_aws(world: &World, script: &str) -> Shim {
    let mut command = world.program(bin("awsso-mcp"));
    command.env("PATH", world.path_with_aws(script));
    Shim::legacy(command).await
}

fn exec(command: &str) -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": command})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_agents_ask_for_is_told_with_who_what_where_and_how_it_ended() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = shim_with_aws(&world, "echo the secret output; exit 3").await;
    let _ = shim
        .call("aws_sso_exec_command", exec("aws s3 ls --password tiger"))
        .await
        .error();
    let _ = world.fake_aws("true").run("aws sts x").await.ok();
    let _ = world
        .awsso(&["ec2-exec-command", "--account", PRODUCTION, "--role", ADMIN])
        .await
        .code(2);
    let mut on_linux = exec("hostname");
    on_linux["instanceId"] = LINUX.into();
    let _ = shim.call("aws_sso_ec2_exec_command", on_linux).await.ok();
    let _ = world.awsso(&["logout"]).await.ok();
    let _ = world.awsso(&["status"]).await.ok();
    logged(&world, "the logout", |line| {
        line["verb"] == "Session.Logout"
    })
    .await;

    let lines = show(&world, &[]).await;
    let find = |verb: &str, kind: &str| {
        let fits = |line: &&Value| line["verb"] == verb && line["who"]["kind"] == kind;
        lines.iter().filter(fits).cloned().collect::<Vec<_>>()
    };
    let login = &find("Session.Login", "person")[0];
    assert_eq!(
        (&login["result"], &login["decision"]),
        (&json!("ok"), &json!("allow"))
    );

    let started = &find("Jobs.Start", "agent")[0];
    assert_eq!(
        started["command"],
        json!(["aws", "s3", "ls", "--password", "***"])
    );
    assert_eq!(started["target"]["accountId"], PRODUCTION);
    assert_eq!(started["target"]["roleName"], ADMIN);
    assert_eq!(started["target"]["region"], "eu-west-1");
    let exe = started["who"]["exe"].as_str().unwrap();
    assert!(exe.ends_with("awsso-mcp"), "{exe}");
    assert!(started["who"]["pid"].as_u64().is_some_and(|pid| pid > 1));
    let ended = find("Job.ended", "agent");
    let of_it = ended
        .iter()
        .find(|line| line["job"] == started["job"])
        .unwrap();
    assert_eq!(of_it["result"], "failed");
    assert_eq!(of_it["tasks"][0]["exitCode"], 3);

    // The instance, and what AWS calls the command.
    let ssm = ended
        .iter()
        .find(|line| line["result"] == "succeeded")
        .unwrap();
    assert_eq!(ssm["tasks"][0]["instances"], json!([LINUX]));
    assert_eq!(ssm["tasks"][0]["awsCommandId"].as_str().unwrap().len(), 36);
    assert!(
        !find("Jobs.Watch", "agent").is_empty(),
        "an agent reads output"
    );
    assert!(find("Jobs.Watch", "person").is_empty());

    // What is only asked is not there, and neither is any output or secret.
    let text = std::fs::read_to_string(log(&world)).unwrap();
    for absent in ["Session.Get", "Accounts.List", "the secret output", "tiger"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    for secret in world.sandbox.issued_secrets() {
        assert!(!text.contains(&secret[..16]), "{text}");
    }
    let _ = verify(&world).await.code(0);
    let only = show(&world, &["--agent", "--since", "1h"]).await;
    assert!(!only.is_empty() && only.iter().all(|line| line["who"]["kind"] == "agent"));
    let table = world.awsso(&["audit", "show"]).await.ok();
    assert!(table.starts_with("TIME ") && table.contains("Jobs.Start aws s3 ls --password ***"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_is_refused_and_what_it_reads_is_told() {
    let world = World::logged_in().await;
    let _ = world.fake_aws("echo out").run("aws x").await.ok();
    let agent = world.connect(ClientKind::Shim).await;
    let request = GetCredentialsRequest {
        target: Some(Target {
            account: PRODUCTION.to_owned(),
            role: READ_ONLY.to_owned(),
            ..Target::default()
        }),
        unattended: false,
    };
    agent.credentials().get(request).await.unwrap_err();
    agent
        .jobs()
        .read_output(ReadOutputRequest {
            output_id: "out_1".to_owned(),
            ..ReadOutputRequest::default()
        })
        .await
        .unwrap_err();
    let read = logged(&world, "the read", |line| line["verb"] == "Jobs.ReadOutput").await;
    assert_eq!(
        (&read["output"], &read["result"]),
        (&json!("out_1"), &json!("NOT_FOUND"))
    );
    // The same refusal again and again would be counted: it comes with the end.
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let lines = show(&world, &["--agent"]).await;
    let denied = lines
        .iter()
        .find(|line| line["verb"] == "Credentials.Get")
        .unwrap();
    assert_eq!(denied["decision"], "deny");
    assert_eq!(denied["result"], "DENIED_BY_POLICY");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_handed_out_again_and_again_are_one_counted_line() {
    let world = World::logged_in().await;
    let target = ["--account", PRODUCTION, "--role", READ_ONLY];
    for _ in 0..5 {
        let _ = world
            .awsso(&[&["credential-process"], &target[..]].concat())
            .await
            .ok();
    }
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let lines = show(&world, &["--person"]).await;
    let hits = lines
        .iter()
        .filter(|line| line["verb"] == "Credentials.Get");
    let hits: Vec<_> = hits.collect();
    // A minute may have ended in between.
    let count = |line: &&Value| line["count"].as_u64().unwrap_or(1);
    assert!((1..=2).contains(&hits.len()), "{hits:?}");
    assert_eq!(hits.iter().map(count).sum::<u64>(), 5);
    assert_eq!(hits[0]["target"]["roleName"], READ_ONLY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_found_with_its_line_and_the_log_can_be_read_without_a_daemon() {
    let world = World::logged_in().await;
    for _ in 0..3 {
        let _ = world.fake_aws("true").run("aws x").await.ok();
    }
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    world.daemon_is_gone().await;
    let written = std::fs::read_to_string(log(&world)).unwrap();
    let report = world.awsso(&["audit", "verify", "--json"]).await.json();
    let lines = written.lines().count();
    assert_eq!(
        (&report["ok"], &report["lines"]),
        (&json!(true), &json!(lines))
    );

    let changed = written.replacen("\"ok\"", "\"no\"", 1);
    let at = written
        .lines()
        .position(|line| line.contains("\"ok\""))
        .unwrap()
        + 1;
    std::fs::write(log(&world), changed).unwrap();
    let _ = verify(&world)
        .await
        .code(1)
        .says(&format!("audit.jsonl:{at}: it was changed"));
    let cut: String = written.split_inclusive('\n').take(lines - 1).collect();
    std::fs::write(log(&world), cut).unwrap();
    let _ = verify(&world)
        .await
        .code(1)
        .says("1 line(s) after it are missing");
    // The next daemon does not make that good.
    let _ = world.awsso(&["logout"]).await.ok();
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let _ = verify(&world).await.code(1);
    let report = world
        .awsso(&["audit", "verify", "--json"])
        .await
        .code(1)
        .json();
    assert_eq!(report["problem"]["line"], lines);
    let _ = world.awsso(&["audit", "show"]).await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_at_any_moment_leaves_a_log_that_verifies() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo out");
    for round in 0..6_u32 {
        let pid = running(&world).await;
        let runs: Vec<_> = (0..6).map(|_| aws.start("aws x")).collect();
        // Each round a little further into the work.
        for run in runs.iter().take(usize::try_from(round).unwrap()) {
            run.prints("out").await;
        }
        process::signal(pid, "KILL");
        for run in runs {
            let _ = run.end().await;
        }
        let _ = verify(&world).await.code(0);
    }
    running(&world).await;
    let _ = world.awsso(&["logout"]).await.ok();
    logged(&world, "the logout", |line| {
        line["verb"] == "Session.Logout"
    })
    .await;
    let _ = verify(&world).await.code(0);
}

/// A daemon, once the one that was killed is not on its way out any more.
async fn running(world: &World) -> u32 {
    loop {
        let started = world.awsso(&["daemon", "start"]).await;
        let status = world.awsso(&["daemon", "status", "--json"]).await;
        if started.code == Some(0) && status.code == Some(0) {
            break u32::try_from(status.json()["pid"].as_u64().unwrap()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_nothing_while_the_log_cannot_be_written() {
    let world = World::new().await;
    std::fs::create_dir_all(log(&world)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(world.state(), mode).unwrap();
    world.login().await;
    let mut shim = shim_with_aws(&world, "echo out").await;
    let refused = shim.call("aws_sso_exec_command", exec("aws x")).await;
    assert!(
        refused.error().contains("the audit log cannot be written"),
        "{refused:?}"
    );
    // The person is not locked out.
    let _ = world.fake_aws("echo out").run("aws x").await.ok();
}
