use awsso_proto::v1::{ApprovalPlace, timestamp};
use serde_json::json;

use super::*;

const CLIENT: &str = "editor/1";

fn request(state: Option<&str>, answer: Option<Value>) -> CallToolRequestParams {
    let mut request = CallToolRequestParams::new("aws_sso_exec_command");
    request.arguments = Some(arguments("aws ec2 stop-instances"));
    request.request_state = state.map(str::to_owned);
    request.input_responses = answer.map(|answer| [(QUESTION.to_owned(), answer)].into());
    request
}

fn arguments(command: &str) -> JsonObject {
    JsonObject::from_iter([("command".to_owned(), json!(command))])
}

fn accept(decision: &str) -> Value {
    json!({"action": "accept", "content": {"decision": decision}})
}

fn sealed(seal: &Seal) -> String {
    let request = request(None, None);
    let bound = bound(CLIENT, &request.name, request.arguments.as_ref());
    let state = State {
        round: 2,
        approval: "apr_1".into(),
    };
    seal.seal(&state, &bound).unwrap()
}

#[test]
fn only_an_explicit_choice_is_an_answer() {
    let said = |answer: Value| {
        let action = serde_json::from_value(answer["action"].clone()).unwrap();
        Said::of(&action, &answer["content"])
    };
    assert_eq!(
        said(accept("approve once")),
        Said::Approve(ApprovalScope::Once)
    );
    assert_eq!(
        said(accept("approve for this session")),
        Said::Approve(ApprovalScope::Session)
    );
    assert_eq!(said(accept("deny")), Said::Deny);
    assert_eq!(said(json!({"action": "decline"})), Said::Deny);
    for undecided in [
        json!({"action": "cancel"}),
        json!({"action": "accept"}),
        json!({"action": "accept", "content": {}}),
        json!({"action": "accept", "content": {"decision": true}}),
        accept("yes"),
        accept("approve"),
        accept("Approve once"),
        json!({"action": "cancel", "content": {"decision": "approve once"}}),
    ] {
        assert_eq!(said(undecided.clone()), Said::Nothing, "{undecided}");
    }
}

#[test]
fn an_answer_comes_back_with_the_state_of_its_question() {
    let seal = Seal::new();
    let state = sealed(&seal);
    let round = seal.round(&request(Some(&state), Some(accept("approve once"))), CLIENT);
    let round = round.unwrap();
    assert_eq!((round.number, round.approval.as_str()), (2, "apr_1"));
    assert_eq!(round.said, Said::Approve(ApprovalScope::Once));
    let unanswered = seal.round(&request(Some(&state), None), CLIENT).unwrap();
    assert_eq!(unanswered.said, Said::Nothing);
}

#[test]
fn a_state_that_is_forged_or_of_another_call_client_or_process_is_none() {
    let seal = Seal::new();
    let state = sealed(&seal);
    let answer = || Some(accept("approve once"));
    let mut forged = state.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    // The last letter of base64 may hold bits that count for nothing: two are changed.
    forged.pop();
    forged.extend([last, last]);
    for forged in [
        forged.as_str(),
        "",
        "apr_1",
        "login-1",
        r#"{"round":1,"approval":"apr_1"}"#,
    ] {
        assert_eq!(
            seal.round(&request(Some(forged), answer()), CLIENT),
            None,
            "{forged}"
        );
    }
    assert_eq!(seal.round(&request(None, answer()), CLIENT), None);
    assert_eq!(
        seal.round(&request(Some(&state), answer()), "editor/2"),
        None
    );
    assert_eq!(
        Seal::new().round(&request(Some(&state), answer()), CLIENT),
        None
    );
    let mut other = request(Some(&state), answer());
    other.arguments = Some(arguments("aws ec2 terminate-instances"));
    assert_eq!(seal.round(&other, CLIENT), None);
    let mut other = request(Some(&state), answer());
    other.name = "aws_sso_ec2_exec_command".into();
    assert_eq!(seal.round(&other, CLIENT), None);
}

fn approval() -> Approval {
    let at = std::time::UNIX_EPOCH + Duration::from_hours(500_000);
    Approval {
        client_name: CLIENT.into(),
        pid: 7,
        class: "write".into(),
        why: "ec2:StopInstances changes something (preset guarded)".into(),
        argv: ["aws", "ec2", "stop-instances", "a b"]
            .map(str::to_owned)
            .into(),
        places: vec![ApprovalPlace {
            account_id: "111122223333".into(),
            account_name: "production".into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            ..ApprovalPlace::default()
        }],
        targets: 3,
        expires_at: Some(timestamp(at)),
        ..Approval::default()
    }
}

#[test]
fn a_person_reads_all_that_decides_it_and_the_default_is_no() {
    let question = serde_json::to_value(params(&approval()).unwrap()).unwrap();
    assert_eq!(
        question["message"],
        "editor/1 (pid 7) asks for approval (write: ec2:StopInstances changes something (preset guarded)):\n\n    \
         aws ec2 stop-instances 'a b'\n\n  in production (111122223333) Admin eu-west-1 and 2 more\n\n\
         Without an answer until 2027-01-15T08:00:00Z the answer is no."
    );
    let decision = &question["requestedSchema"]["properties"]["decision"];
    assert_eq!(
        decision["enum"],
        json!(["deny", "approve once", "approve for this session"])
    );
    assert_eq!(decision["default"], "deny");
    assert_eq!(decision["type"], "string");
    assert_eq!(question["requestedSchema"]["required"], json!(["decision"]));
}

#[test]
fn what_is_too_long_to_be_read_is_not_asked_in_a_window() {
    let mut long = approval();
    long.argv.push("x".repeat(MOST_SHOWN));
    assert!(params(&long).is_none());
}
