use awsso_proto::v1::{LoginPrompt, StoreKind};
use prost_types::Timestamp;

use super::*;

fn session(name: &str, state: SessionState) -> SessionStatus {
    SessionStatus {
        name: name.into(),
        start_url: "https://corp.awsapps.com/start".into(),
        region: "eu-west-1".into(),
        state: state.into(),
        ..SessionStatus::default()
    }
}

fn daemon() -> HelloResponse {
    HelloResponse {
        protocol: 1,
        version: "0.1.0".into(),
        pid: 7,
        ..HelloResponse::default()
    }
}

#[test]
fn the_text_and_the_data_say_the_same() {
    let known = GetSessionResponse {
        sessions: vec![SessionStatus {
            access_token_expires_at: Some(Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            }),
            refreshable: true,
            renewals: 3,
            credentials: 2,
            ..session("corp", SessionState::Active)
        }],
        current: "corp".into(),
        store: None,
    };
    let result = told(known, &daemon());
    assert_eq!(
        serde_json::to_value(&result.content).unwrap()[0]["text"],
        "corp: active, access token until 2027-01-15T08:00:00Z, renewed by itself \
         (https://corp.awsapps.com/start in eu-west-1)\ndaemon 0.1.0 (pid 7, protocol 1)"
    );
    assert_eq!(
        result.structured_content,
        Some(json!({
            "current": "corp",
            "sessions": [{
                "name": "corp",
                "startUrl": "https://corp.awsapps.com/start",
                "region": "eu-west-1",
                "state": "active",
                "accessTokenExpiresAt": "2027-01-15T08:00:00Z",
                "refreshable": true,
                "takenOver": false,
                "renewals": 3,
                "credentials": 2,
            }],
            "daemon": {"version": "0.1.0", "protocol": 1, "pid": 7},
        }))
    );
}

#[test]
fn a_pending_login_can_be_finished_from_the_status() {
    let known = GetSessionResponse {
        sessions: vec![SessionStatus {
            pending_login: Some(LoginPrompt {
                verification_uri_complete: "https://device.sso/?c=AB".into(),
                user_code: "AB".into(),
                ..LoginPrompt::default()
            }),
            ..session("corp", SessionState::LoginPending)
        }],
        current: String::new(),
        store: None,
    };
    let result = told(known, &daemon());
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["sessions"][0]["pendingLogin"]["userCode"], "AB");
}

#[test]
fn what_a_person_should_know_is_told_once_and_before_what_to_do() {
    let mut store = StoreStatus {
        why: "the keyring is locked".into(),
        ..StoreStatus::default()
    };
    store.set_kind(StoreKind::File);
    store.set_wanted(StoreKind::Keyring);
    let known = GetSessionResponse {
        sessions: vec![
            SessionStatus {
                why: "the login has ended".into(),
                last_error: "the login has ended".into(),
                ..session("corp", SessionState::LoginRequired)
            },
            SessionStatus {
                taken_over: true,
                ..session("lab", SessionState::Active)
            },
        ],
        store: Some(store),
        ..GetSessionResponse::default()
    };
    let result = told(known, &daemon());
    assert_eq!(
        serde_json::to_value(&result.content).unwrap()[0]["text"],
        "corp: login_required (https://corp.awsapps.com/start in eu-west-1)\n  \
         why: the login has ended\n  \
         call aws_sso_login to log in\n\
         lab: active (https://corp.awsapps.com/start in eu-west-1)\n  \
         another tool logged in, and its token is used to its end\n\
         Logins are kept in a sealed file: the keyring is locked\n\
         daemon 0.1.0 (pid 7, protocol 1)"
    );
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["sessions"][0]["why"], "the login has ended");
    assert_eq!(facts["sessions"][1]["takenOver"], true);
    assert_eq!(
        facts["store"],
        json!({"kind": "file", "wanted": "keyring", "why": "the keyring is locked"})
    );
}

#[test]
fn no_session_says_how_to_configure_one() {
    let result = told(GetSessionResponse::default(), &daemon());
    let content = serde_json::to_value(&result.content).unwrap();
    assert!(
        content[0]["text"]
            .as_str()
            .unwrap()
            .contains("AWS_SSO_START_URL")
    );
}

#[test]
fn the_current_sessions_login_is_waited_for_first() {
    let known = GetSessionResponse {
        sessions: vec![
            session("a", SessionState::Active),
            session("b", SessionState::LoginPending),
            session("c", SessionState::LoginPending),
        ],
        current: "c".into(),
        store: None,
    };
    assert_eq!(pending_login(&known).unwrap().name, "c");
    let known = GetSessionResponse {
        current: "a".into(),
        ..known
    };
    assert_eq!(pending_login(&known).unwrap().name, "b");
}
