use std::time::Duration;

use awsso_proto::v1::{LoginFlow, StoreKind, timestamp};
use serde_json::json;

use super::*;

fn epoch(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn session(name: &str, state: SessionState) -> SessionStatus {
    SessionStatus {
        name: name.into(),
        start_url: "https://x/start".into(),
        region: "eu-west-1".into(),
        state: state.into(),
        ..SessionStatus::default()
    }
}

fn known(sessions: Vec<SessionStatus>) -> GetSessionResponse {
    GetSessionResponse {
        sessions,
        ..GetSessionResponse::default()
    }
}

fn store(kind: StoreKind, why: &str) -> StoreStatus {
    StoreStatus {
        kind: kind.into(),
        wanted: StoreKind::Keyring.into(),
        why: why.into(),
    }
}

#[test]
fn status_has_the_documented_fields_and_null_for_what_is_unset() {
    let daemon = HelloResponse {
        protocol: 1,
        version: "0.1.0".into(),
        pid: 7,
        started_at: Some(timestamp(epoch(0))),
        ..HelloResponse::default()
    };
    let mut known = known(vec![session("corp", SessionState::LoginRequired)]);
    known.store = Some(store(StoreKind::File, "it is locked"));
    assert_eq!(
        serde_json::to_value(StatusView::new(&daemon, &known)).unwrap(),
        json!({
            "daemon": {"version": "0.1.0", "protocol": 1, "pid": 7,
                "startedAt": "1970-01-01T00:00:00Z"},
            "sessions": [{"name": "corp", "startUrl": "https://x/start",
                "region": "eu-west-1", "state": "login_required",
                "accessTokenExpiresAt": null, "refreshable": false,
                "lastError": null, "pendingLogin": null, "why": null,
                "takenOver": false, "renewals": 0, "credentials": 0}],
            "store": {"kind": "file", "wanted": "keyring", "why": "it is locked"},
        })
    );
}

#[test]
fn a_pending_login_has_the_documented_fields() {
    let pending = SessionStatus {
        pending_login: Some(LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://d/".into(),
            verification_uri_complete: "https://d/?user_code=ABCD-EFGH".into(),
            user_code: "ABCD-EFGH".into(),
            expires_at: Some(timestamp(epoch(600))),
            joined: false,
            flow: LoginFlow::Device.into(),
        }),
        ..session("corp", SessionState::LoginPending)
    };
    assert_eq!(
        serde_json::to_value(SessionView::from(&pending)).unwrap()["pendingLogin"],
        json!({"verificationUri": "https://d/",
            "verificationUriComplete": "https://d/?user_code=ABCD-EFGH",
            "userCode": "ABCD-EFGH", "expiresAt": "1970-01-01T00:10:00Z",
            "flow": "device"})
    );
}

#[test]
fn below_the_table_stands_why_and_each_thing_once() {
    let ended = SessionStatus {
        why: "the login has ended".into(),
        last_error: "the login has ended".into(),
        ..session("corp", SessionState::LoginRequired)
    };
    let taken = SessionStatus {
        taken_over: true,
        last_error: "no network".into(),
        ..session("lab", SessionState::Active)
    };
    let known = GetSessionResponse {
        store: Some(store(StoreKind::Memory, "the disk is full")),
        ..known(vec![ended, taken])
    };
    assert_eq!(
        notes(&known, epoch(0)),
        [
            "corp: the login has ended",
            "lab: another tool logged in, and its token is used to its end",
            "lab: no network",
            "Logins are kept in memory only: the disk is full",
        ]
    );
    let page = page(&known, epoch(0));
    assert!(page.starts_with("SESSION"), "{page}");
    assert!(page.ends_with("disk is full"), "{page}");
}

#[test]
fn a_shells_prompt_tells_how_long_of_what_ends() {
    let at = |state, left: u64, refreshable| {
        let session = SessionStatus {
            access_token_expires_at: Some(timestamp(epoch(1_000 + left))),
            refreshable,
            ..session("corp", state)
        };
        prompt_line(&known(vec![session]), epoch(1_000)).unwrap()
    };
    assert_eq!(at(SessionState::Active, 3_120, false), "corp active 52m");
    assert_eq!(at(SessionState::Active, 3_120, true), "corp active");
    assert_eq!(at(SessionState::Expiring, 185, false), "corp expiring 3m");
    assert_eq!(
        at(SessionState::LoginRequired, 60, false),
        "corp login_required"
    );
    assert_eq!(
        at(SessionState::LoginPending, 60, false),
        "corp login_pending"
    );
    let over = SessionStatus {
        access_token_expires_at: Some(timestamp(epoch(0))),
        ..session("corp", SessionState::Expiring)
    };
    assert_eq!(
        prompt_line(&known(vec![over]), epoch(1_000)).as_deref(),
        Some("corp expiring")
    );
}

#[test]
fn a_shells_prompt_is_about_the_current_session_or_the_only_one() {
    let line = |names: &[&str], current: &str| {
        let sessions = names
            .iter()
            .map(|name| session(name, SessionState::Active))
            .collect();
        let known = GetSessionResponse {
            current: current.into(),
            ..known(sessions)
        };
        prompt_line(&known, epoch(0))
    };
    assert_eq!(line(&["a", "b"], "b").as_deref(), Some("b active"));
    assert_eq!(line(&["a"], "").as_deref(), Some("a active"));
    assert_eq!(line(&["a", "b"], ""), None);
    assert_eq!(line(&[], ""), None);
}
