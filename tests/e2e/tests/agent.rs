//! The agent is not the person: what the daemon refuses it, whatever it says.

use std::{
    fs::{Permissions, set_permissions},
    os::unix::fs::PermissionsExt as _,
};

use awsso_e2e::{Stranger, World, known};
use awsso_proto::{
    Failure, HELLO, PROTOCOL, Reason,
    v1::{
        ClientKind, GetCredentialsRequest, GetSessionRequest, HelloRequest, HelloResponse,
        ShutdownRequest, Target, credentials_client::CredentialsClient,
        daemon_client::DaemonClient, session_client::SessionClient,
    },
};
use prost::Message as _;
use tonic::{Request, Status, metadata::MetadataValue};

fn target() -> GetCredentialsRequest {
    GetCredentialsRequest {
        target: Some(Target {
            account: known::PRODUCTION.to_owned(),
            role: known::ADMIN.to_owned(),
            ..Target::default()
        }),
        unattended: false,
    }
}

#[track_caller]
fn assert_denied<T: std::fmt::Debug>(answer: Result<T, Status>) -> Failure {
    let failure = Failure::from(answer.expect_err("an agent got it"));
    assert_eq!(failure.reason, Reason::DeniedByPolicy, "{failure}");
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_no_credentials_and_cannot_stop_the_daemon() {
    let world = World::logged_in().await;
    let person = world.connect(ClientKind::Cli).await;
    person.credentials().get(target()).await.unwrap();

    for kind in [ClientKind::Shim, ClientKind::Unspecified] {
        let agent = world.connect(kind).await;
        assert_denied(agent.credentials().get(target()).await);
        assert_denied(
            agent
                .daemon()
                .shutdown(ShutdownRequest {
                    force: true,
                    ..ShutdownRequest::default()
                })
                .await,
        );
        // It cannot become a person afterwards.
        let hello = HelloRequest {
            kind: ClientKind::Cli.into(),
            ..HelloRequest::default()
        };
        agent.daemon().hello(hello).await.unwrap();
        assert_denied(agent.credentials().get(target()).await);
        // What an agent may do, it may.
        agent
            .session()
            .get(GetSessionRequest::default())
            .await
            .unwrap();
    }
}

/// The request of somebody who brings a Hello along.
fn introduced(hello: &HelloRequest) -> Request<GetCredentialsRequest> {
    let mut request = Request::new(target());
    let hello = MetadataValue::from_bytes(&hello.encode_to_vec());
    request.metadata_mut().insert_bin(HELLO, hello);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_a_first_request_brings_along_is_a_hello() {
    let world = World::logged_in().await;
    let credentials = async || {
        let stranger = Stranger::connect(&world).await;
        CredentialsClient::with_origin(stranger, Stranger::origin())
    };
    let hello = |kind: ClientKind, protocol| HelloRequest {
        kind: kind.into(),
        protocol,
        ..HelloRequest::default()
    };
    let (person, agent) = (
        hello(ClientKind::Cli, PROTOCOL),
        hello(ClientKind::Shim, PROTOCOL),
    );

    let mut theirs = credentials().await;
    let answer = theirs.get(introduced(&person)).await.unwrap();
    let met = answer.metadata().get_bin(HELLO).unwrap();
    let met = HelloResponse::decode(met.to_bytes().unwrap()).unwrap();
    assert_eq!(
        (met.protocol, Some(met.pid)),
        (PROTOCOL, world.daemon_pid().await)
    );
    // It holds for the whole connection.
    theirs.get(target()).await.unwrap();

    let mut its = credentials().await;
    assert_denied(its.get(introduced(&agent)).await);
    // It cannot become a person afterwards.
    assert_denied(its.get(introduced(&person)).await);

    // What another protocol means is not known: nothing is done, and nobody is met.
    let mut other = credentials().await;
    let later = hello(ClientKind::Cli, PROTOCOL + 1);
    let status = other.get(introduced(&later)).await.unwrap_err();
    assert!(status.metadata().get_bin(HELLO).is_some());
    assert_eq!(Failure::from(status).reason, Reason::ProtocolMismatch);
    assert_denied(other.get(target()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_says_who_it_is_counts_as_an_agent() {
    let world = World::logged_in().await;
    let stranger = Stranger::connect(&world).await;
    let mut credentials = CredentialsClient::with_origin(stranger.clone(), Stranger::origin());
    assert_denied(credentials.get(target()).await);
    let mut daemon = DaemonClient::with_origin(stranger.clone(), Stranger::origin());
    assert_denied(
        daemon
            .shutdown(ShutdownRequest {
                force: true,
                ..ShutdownRequest::default()
            })
            .await,
    );
    policy(&world, "preset = 'nonsense'", 0o600);
    let mut session = SessionClient::with_origin(stranger, Stranger::origin());
    assert_denied(session.get(GetSessionRequest::default()).await);
}

fn policy(world: &World, text: &str, mode: u32) {
    let path = world.home().join(".config/awsso/config.toml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("[policy]\n{text}\n")).unwrap();
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_trusted_refuses_the_agent_and_not_the_person() {
    let world = World::logged_in().await;
    let agent = world.connect(ClientKind::Shim).await;
    let ask = async || agent.session().get(GetSessionRequest::default()).await;
    ask().await.unwrap();
    for (text, mode, words) in [
        (
            "preset = 'nonsense'",
            0o600,
            "line 2, column 10: unknown variant `nonsense`",
        ),
        (
            "presett = 'open'",
            0o600,
            "line 2, column 1: unknown field `presett`",
        ),
        (
            "[[policy.rule]]\naccount = 'prod'",
            0o600,
            "line 2, column 1: missing field `effect`",
        ),
        (
            "preset = 'open'",
            0o666,
            "can be written by other users; run: chmod go-w ",
        ),
    ] {
        policy(&world, text, mode);
        let failure = assert_denied(ask().await);
        assert!(failure.message.contains(words), "{failure}");
        let status = world.awsso(&["status", "--json"]).await.code(0).json();
        assert_eq!(status["sessions"][0]["state"], "active");
    }
    policy(&world, "preset = 'open'", 0o644);
    ask().await.unwrap();
}
