//! The endpoint as the wire has it: who gets credentials, and who does not.

use std::time::{Duration, Instant};

use awsso_e2e::{World, known::PRODUCTION};
use awsso_proto::{
    Failure, Reason,
    v1::{ClientKind, LoopbackEndpoint, Secret},
};

use super::{ASKED, Known, open};

#[tokio::test(flavor = "multi_thread")]
async fn only_a_program_with_the_token_gets_credentials() {
    let world = World::logged_in().await;
    let (stream, opened) = open(&world, ClientKind::Cli, None).await.unwrap();
    let known = Known::of(&opened);
    let (status, keys) = known.get().await;
    assert_eq!((status, &keys["AccountId"]), (200, &PRODUCTION.into()));
    let secrets = world.sandbox.issued_secrets();
    for name in ["SecretAccessKey", "Token"] {
        assert!(
            secrets.iter().any(|secret| keys[name] == **secret),
            "{name}"
        );
    }
    assert!(keys["Expiration"].as_str().unwrap().ends_with('Z'));

    let host = format!("Host: {}\r\n", known.host);
    let token = format!("Authorization: {}\r\n", known.token);
    let port = known.host.split_once(':').unwrap().1;
    for (line, headers, refused) in [
        ("GET /", host.clone(), 403),
        (
            "GET /",
            format!("{host}Authorization: {}x\r\n", known.token),
            403,
        ),
        (
            "GET /",
            format!("{host}Authorization: Bearer {}\r\n", known.token),
            403,
        ),
        (
            "GET /",
            format!("Host: rebound.example:{port}\r\n{token}"),
            403,
        ),
        ("GET /", format!("Host: localhost:{port}\r\n{token}"), 403),
        (
            "GET /",
            format!("{host}{token}Origin: https://example.com\r\n"),
            403,
        ),
        ("GET /other", format!("{host}{token}"), 404),
        ("POST /", format!("{host}{token}Content-Length: 0\r\n"), 405),
    ] {
        let (status, told) = known.ask(line, &headers).await;
        assert_eq!(status, refused, "{line} {headers}");
        let words: Vec<_> = told.as_object().unwrap().keys().collect();
        assert_eq!(words, ["code", "message"]);
    }

    drop(stream);
    known.is_closed().await;
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    assert!(log.contains("credential endpoint opened"), "{log}");
    for secret in [known.token.as_str(), keys["Token"].as_str().unwrap()] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_is_told_in_time_when_there_are_no_credentials() {
    let world = World::logged_in().await;
    let (_stream, opened) = open(&world, ClientKind::Cli, None).await.unwrap();
    let _ = world.awsso(&["logout"]).await.ok();
    let (status, told) = Known::of(&opened).get().await;
    assert_eq!((status, &told["code"]), (503, &"LOGIN_REQUIRED".into()));

    world.login().await;
    let too_long = Duration::from_secs(3);
    world.sandbox.faults().set_latency(too_long);
    let started = Instant::now();
    let (status, told) = Known::of(&opened).get().await;
    assert_eq!((status, &told["code"]), (503, &"TIMEOUT".into()));
    assert!(started.elapsed() < Duration::from_secs(2), "too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_opens_no_endpoint() {
    let world = World::logged_in().await;
    for kind in [ClientKind::Shim, ClientKind::Unspecified] {
        let refused = open(&world, kind, None).await.map(|_| ()).unwrap_err();
        assert_eq!(Failure::from(refused).reason, Reason::DeniedByPolicy);
    }
    assert_eq!(world.sandbox.count(ASKED), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_could_be_guessed_is_not_taken() {
    let world = World::logged_in().await;
    let again = LoopbackEndpoint {
        port: 65_000,
        token: Some(Secret::new("guess")),
    };
    let refused = open(&world, ClientKind::Cli, Some(again)).await;
    let refused = Failure::from(refused.map(|_| ()).unwrap_err());
    assert_eq!(refused.reason, Reason::InvalidArgument, "{refused}");
}
