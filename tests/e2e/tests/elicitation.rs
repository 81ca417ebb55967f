//! Approvals that a person gives in the window of the agent's client, and what an
//! agent cannot make of that.

use awsso_e2e::{
    Answer, Client, OnTerminal, Shim, World, bin,
    known::{ADMIN, LINUX, PRODUCTION},
};
use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{
        AwsCliWork, ClientKind, DecideApprovalRequest, StartJobRequest, Target,
        start_job_request::Work,
    },
};
use futures_util::future::join_all;
use serde_json::{Value, json};

const TOOL: &str = "aws_sso_ec2_exec_command";
const SENT: &str = "ssm.SendCommand";

fn hostname() -> Value {
    json!({
        "accountId": PRODUCTION, "roleName": ADMIN, "instanceId": LINUX, "command": "hostname"
    })
}

fn accept(decision: &str) -> Value {
    json!({"action": "accept", "content": {"decision": decision}})
}

async fn ask(shim: &mut Shim) -> Answer {
    shim.call(TOOL, hostname()).await
}

async fn waiting(world: &World) -> Vec<Value> {
    let mut list = world.awsso(&["approvals", "list", "--json"]).await.json();
    serde_json::from_value(list["approvals"].take()).unwrap()
}

/// A person approves it once, at a terminal of their own.
async fn approve(world: &World) {
    let waiting = waiting(world).await;
    let id = waiting[0]["id"].as_str().unwrap();
    let mut terminal = OnTerminal::start(world, &format!("approvals approve {id}"));
    let look = |screen: &str| {
        let code = screen.rsplit_once("type ")?.1.get(..4)?;
        screen.contains(" and press").then(|| code.to_owned())
    };
    let code = terminal.finds("a code", look).await;
    terminal.types(&format!("{code}\r"));
    let _ = terminal.end().await.code(0);
}

/// What the clients of others answer, over stdio or HTTP, when their person answers
/// like this. Each asks for something else: over HTTP a client is known by its name only.
async fn with_every_client(over_http: bool, answer: &Value) -> Vec<String> {
    // A world for each: the test is the host of the shim that serves HTTP, and what
    // its other children ask for would not be answered by a person.
    let world = World::logged_in().await;
    let stdio = bin("awsso-mcp");
    let mut server = vec![stdio.display().to_string()];
    let mut http = world.program(stdio);
    http.env("PATH", world.path_with_aws("echo \"$@\""))
        .env("TRANSPORT_MODE", "http")
        .env("PORT", "0");
    let http = if over_http {
        Some(world.http_shim_with(http).await)
    } else {
        None
    };
    if let Some(http) = &http {
        server = vec![http.url(), http.token.clone()];
    }
    let server: Vec<_> = server.iter().map(String::as_str).collect();
    let (world, server) = (&world, &server);
    let clients = [Client::Python, Client::FastMcp].into_iter();
    let cases = clients.flat_map(|client| [(client, "legacy"), (client, "auto")]);
    let outputs = cases.enumerate().map(async |(number, (client, era))| {
        let command = format!("aws s3 mb s3://bucket-{number}");
        let run = json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": command});
        let running = world.client_with_forms(client, era, server, &run, answer);
        let question = running.document("a question", |it| it["form"].is_string());
        let question = question.await;
        let message = question["form"].as_str().unwrap();
        for part in ["(write: ", &command, "production", PRODUCTION, ADMIN] {
            assert!(message.contains(part), "no {part} in {message}");
        }
        let output = running.document("an output", |it| it["output"].is_string());
        let output = output.await["output"].as_str().unwrap().to_owned();
        let _ = running.end().await.code(0);
        output
    });
    let outputs = join_all(outputs).await;
    assert!(waiting(world).await.is_empty());
    outputs
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_approves_in_any_client_runs() {
    for over_http in [false, true] {
        for output in with_every_client(over_http, &accept("approve once")).await {
            assert!(output.starts_with("s3 mb s3://bucket-"), "{output}");
            assert!(output.contains("\n[exit 0 | "), "{output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_declines_in_any_client_does_not_run() {
    for over_http in [false, true] {
        for output in with_every_client(over_http, &json!({"action": "decline"})).await {
            assert!(output.starts_with("DENIED_BY_POLICY: "), "{output}");
            assert!(output.contains("said no"), "{output}");
        }
    }
    let world = World::logged_in().await;
    let mut shim = world.hosted_shim_with_forms().await;
    let call = shim.begin(TOOL, hostname()).await;
    let question = shim.question().await;
    shim.answer(&question, accept("deny")).await;
    let refused = shim.answered(call).await;
    assert!(refused.error().contains("said no"), "{refused:?}");
    assert!(waiting(&world).await.is_empty());
    assert_eq!(world.sandbox.count(SENT), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cancels_has_decided_nothing() {
    let world = World::logged_in().await;
    let mut shim = world.modern_shim_with_forms();
    let (state, _) = ask(&mut shim).await.question();
    let cancel = json!({"action": "cancel"});
    let answer = shim
        .call_again(TOOL, hostname(), &state, cancel.clone())
        .await;
    let id = waiting(&world).await[0]["id"].as_str().unwrap().to_owned();
    let text = answer.error();
    assert!(
        text.starts_with("APPROVAL_REQUIRED: ") && text.contains(&id),
        "{text}"
    );

    let mut shim = world.hosted_shim_with_forms().await;
    let call = shim.begin(TOOL, hostname()).await;
    let question = shim.question().await;
    shim.answer(&question, cancel).await;
    let answer = shim.answered(call).await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED: "),
        "{answer:?}"
    );
    assert_eq!(waiting(&world).await.len(), 2);
    assert_eq!(world.sandbox.count(SENT), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_and_only_for_the_call_that_it_was_given_to() {
    let world = World::logged_in().await;
    let mut shim = world.modern_shim_with_forms();
    let (state, params) = {
        let asked = ask(&mut shim).await;
        let (state, params) = asked.question();
        (state, params.clone())
    };
    assert_eq!(params["mode"], "form");
    assert_eq!(
        params["requestedSchema"]["properties"]["decision"]["default"],
        "deny"
    );
    let yes = || accept("approve once");
    let id = waiting(&world).await[0]["id"].as_str().unwrap().to_owned();
    // Made up, of another call, and in another client's hands, a state is none: the
    // person is asked anew.
    for forged in [
        id.as_str(),
        "login-1",
        &format!("{state}x"),
        &state[..state.len() - 4],
    ] {
        let _ = shim
            .call_again(TOOL, hostname(), forged, yes())
            .await
            .question();
    }
    let mut other = hostname();
    other["command"] = "reboot".into();
    let _ = shim.call_again(TOOL, other, &state, yes()).await.question();
    let mut stranger = world.modern_shim_with_forms();
    let _ = stranger
        .call_again(TOOL, hostname(), &state, yes())
        .await
        .question();
    assert_eq!(world.sandbox.count(SENT), 0);

    let answer = shim.call_again(TOOL, hostname(), &state, yes()).await;
    assert!(answer.ok().contains("web-1"), "{answer:?}");
    assert_eq!(world.sandbox.count(SENT), 1);
    // Sent once more, it approves nothing.
    let again = shim.call_again(TOOL, hostname(), &state, yes()).await;
    assert!(
        again.error().starts_with("APPROVAL_REQUIRED: "),
        "{again:?}"
    );
    assert_eq!(world.sandbox.count(SENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_this_session_a_person_is_asked_once() {
    let world = World::logged_in().await;
    let mut shim = world.hosted_shim_with_forms().await;
    let call = shim.begin(TOOL, hostname()).await;
    let question = shim.question().await;
    let answer = accept("approve for this session");
    shim.answer(&question, answer).await;
    assert!(shim.answered(call).await.ok().contains("web-1"));
    assert!(ask(&mut shim).await.ok().contains("web-1"));
    assert_eq!(world.sandbox.count(SENT), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_faster_at_a_terminal_lets_the_waiting_call_go_on() {
    let world = World::logged_in().await;
    let mut shim = world.hosted_shim_with_forms().await;
    let call = shim.begin(TOOL, hostname()).await;
    let _never_answered = shim.question().await;
    approve(&world).await;
    assert!(shim.answered(call).await.ok().contains("web-1"));

    let mut shim = world.modern_shim_with_forms();
    let (state, _) = ask(&mut shim).await.question();
    approve(&world).await;
    let closed = json!({"action": "cancel"});
    let answer = shim.call_again(TOOL, hostname(), &state, closed).await;
    assert!(answer.ok().contains("web-1"), "{answer:?}");
    assert_eq!(world.sandbox.count(SENT), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_policy_says_so_nobody_is_asked_in_a_client() {
    let world = World::logged_in().await;
    world.configure("[policy]\nelicitation = false\n");
    let answer = ask(&mut world.modern_shim_with_forms()).await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED: "),
        "{answer:?}"
    );
    let answer = ask(&mut world.hosted_shim_with_forms().await).await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED: "),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_an_agents_host_has_started_answers_for_nobody() {
    let world = World::logged_in().await;
    // The test is the host of an agent, and of what starts the second shim.
    let mut agent = world.legacy_shim().await;
    let _ = ask(&mut agent).await.error();
    let answer = ask(&mut world.hosted_shim_with_forms().await).await;
    assert!(
        answer.error().starts_with("APPROVAL_REQUIRED: "),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_says_it_is_a_shim_cannot_approve_what_it_asks_for() {
    let world = World::logged_in().await;
    let program = world.connect(ClientKind::Shim).await;
    let request = StartJobRequest {
        work: Some(Work::AwsCli(AwsCliWork {
            command: "aws s3 mb s3://new-bucket".to_owned(),
            ..AwsCliWork::default()
        })),
        target: Some(Target {
            account: PRODUCTION.to_owned(),
            role: ADMIN.to_owned(),
            ..Target::default()
        }),
        ..StartJobRequest::default()
    };
    let refused = program.jobs().start(request).await.unwrap_err();
    let failure = Failure::from(refused);
    assert_eq!(failure.reason, Reason::ApprovalRequired, "{failure}");
    assert!(!failure.metadata.contains_key(key::MAY_RELAY), "{failure}");
    let decision = DecideApprovalRequest {
        id: failure.metadata[key::APPROVAL].clone(),
        approve: true,
        ..DecideApprovalRequest::default()
    };
    let refused = program.approvals().decide(decision).await.unwrap_err();
    let failure = Failure::from(refused);
    assert_eq!(failure.reason, Reason::DeniedByPolicy, "{failure}");
    assert!(
        failure.message.contains("installed beside awssod"),
        "{failure}"
    );
    assert_eq!(waiting(&world).await.len(), 1);
}
