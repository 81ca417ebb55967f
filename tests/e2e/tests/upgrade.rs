//! A newer client has the daemon replaced, and nobody loses anything by that. The
//! newer build is the same source with the next protocol; `tests/check` makes it.

use awsso_e2e::{Background, Run, Shim, Stranger, World, bin, finish, known};
use awsso_proto::{
    Failure, PROTOCOL, Reason,
    v1::{
        ClientKind, GetCredentialsRequest, HelloRequest, ShutdownRequest, Target,
        credentials_client::CredentialsClient, daemon_client::DaemonClient,
    },
};
use serde_json::{Value, json};
use tokio::process::Command;

const REGISTERED: &str = "ssooidc.RegisterClient";

fn newer(world: &World, args: &[&str]) -> Command {
    let mut awsso = world.program(bin("next/awsso"));
    awsso.args(args);
    awsso
}

async fn run_newer(world: &World, args: &[&str]) -> Run {
    finish(newer(world, args), args.join(" ")).await
}

async fn status_of_newer(world: &World) -> Value {
    run_newer(world, &["status", "--json"]).await.code(0).json()
}

const KEYS: [&str; 5] = [
    "credential-process",
    "--account",
    known::PRODUCTION,
    "--role",
    known::ADMIN,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_client_gets_a_newer_daemon_and_nobody_logs_in_or_loses_a_job() {
    let world = World::logged_in().await;
    let first = world.daemon_pid().await.unwrap();
    let mut watch = world.program(bin("awsso"));
    watch.args(["ec2-exec-command", "--account", known::PRODUCTION]);
    watch.args(["--role", known::ADMIN, "--instance-id", known::LINUX]);
    watch.args(["--command", "sleep 3; hostname"]);
    let watch = Background::start(watch, "ec2-exec-command");
    world.commands_are_sent(1).await;

    // Several come at once, and one daemon comes of it.
    let (one, other) = tokio::join!(status_of_newer(&world), status_of_newer(&world));
    assert_eq!(one["daemon"], other["daemon"]);
    assert_eq!(one["daemon"]["protocol"], 2, "{one:#}");
    assert_ne!(one["daemon"]["pid"], first);
    assert_eq!(one["sessions"][0]["state"], "active", "{one:#}");
    assert_eq!(world.sandbox.count(REGISTERED), 1);

    // The older client watches on: its protocol is still served.
    let watched = watch.end().await.code(0);
    assert_eq!(watched.stdout, "web-1\n", "{watched:?}");
    assert_eq!(world.sandbox.count("ssm.SendCommand"), 1);
    let older = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(older["daemon"]["pid"], one["daemon"]["pid"]);
    let _ = world.awsso(&KEYS).await.code(0);
    assert_eq!(
        world.daemon_pid().await.map(Value::from),
        Some(one["daemon"]["pid"].clone())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_that_brings_its_hello_along_ends_in_the_same_upgrade() {
    let world = World::logged_in().await;
    let keys = run_newer(&world, &KEYS).await.code(0).json();
    assert_eq!(keys["Version"], 1);
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["daemon"]["protocol"], 2, "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_shim_gets_a_newer_daemon_although_an_agent_may_not_stop_one() {
    let world = World::logged_in().await;
    let mut shim = Shim::legacy(world.program(bin("next/awsso-mcp"))).await;
    let answer = shim.call("aws_sso_status", json!({})).await;
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["daemon"]["protocol"], 2, "{status:#} {answer:?}");

    let agent = world.connect(ClientKind::Shim).await;
    for request in [
        ShutdownRequest::default(),
        // Of its own protocol there is one.
        ShutdownRequest {
            for_protocol: 2,
            ..ShutdownRequest::default()
        },
        ShutdownRequest {
            for_protocol: 3,
            force: true,
        },
    ] {
        let refused = agent.daemon().shutdown(request).await.unwrap_err();
        assert_eq!(Failure::from(refused).reason, Reason::DeniedByPolicy);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_would_lose_a_job_stays_and_the_newer_client_says_why() {
    let world = World::logged_in().await;
    let first = world.daemon_pid().await;
    let run = world
        .fake_aws("echo running; exec sleep 600")
        .start("aws sts wait");
    run.prints("running").await;
    for args in [&["status"][..], &KEYS] {
        let refused = run_newer(&world, args).await;
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(refused.stderr.contains("1 running job"), "{refused:?}");
        assert!(
            refused.stderr.contains("awsso daemon restart --force"),
            "{refused:?}"
        );
    }
    assert_eq!(world.daemon_pid().await, first);
    run.interrupt();
    let _ = run.end().await.code(130);
    assert_eq!(status_of_newer(&world).await["daemon"]["protocol"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_only_this_daemon_has_is_not_given_up_for_a_newer_client() {
    let world = World::new().await;
    world.configure("store = \"memory\"\n");
    world.login().await;
    let first = world.daemon_pid().await;
    let refused = run_newer(&world, &["status"]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(
        refused.stderr.contains("kept in memory only"),
        "{refused:?}"
    );
    assert_eq!(world.daemon_pid().await, first);
    // The person may.
    let _ = run_newer(&world, &["daemon", "restart"]).await.ok();
    assert_eq!(status_of_newer(&world).await["daemon"]["protocol"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_of_the_same_protocol_is_served_and_replaces_nothing() {
    let world = World::logged_in().await;
    let first = world.daemon_pid().await;
    let older = Stranger::connect(&world).await;
    let hello = HelloRequest {
        protocol: PROTOCOL,
        version: "0.0.1".into(),
        kind: ClientKind::Cli.into(),
        client_name: "awsso".into(),
        ..HelloRequest::default()
    };
    let mut daemon = DaemonClient::with_origin(older.clone(), Stranger::origin());
    let met = daemon.hello(hello).await.unwrap().into_inner();
    assert!(
        (met.oldest_protocol..=met.protocol).contains(&PROTOCOL),
        "{met:?}"
    );
    let request = GetCredentialsRequest {
        target: Some(Target {
            account: known::PRODUCTION.into(),
            role: known::ADMIN.into(),
            ..Target::default()
        }),
        unattended: true,
    };
    let mut credentials = CredentialsClient::with_origin(older, Stranger::origin());
    let keys = credentials.get(request).await.unwrap().into_inner();
    assert!(!keys.access_key_id.is_empty());
    assert_eq!(world.daemon_pid().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_client_beside_an_older_daemon_says_what_to_install() {
    let world = World::new().await;
    let awsso = world.dir().join("awsso");
    std::fs::copy(bin("next/awsso"), &awsso).unwrap();
    std::fs::copy(bin("awssod"), world.dir().join("awssod")).unwrap();
    for _ in 0..2 {
        let mut status = world.program(&awsso);
        status.arg("status");
        let refused = finish(status, "status".into()).await;
        let _ = refused.code(4).says("protocol 1").says("of one version");
    }
}
