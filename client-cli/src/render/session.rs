//! Sessions and the daemon that holds them.

use std::time::SystemTime;

use awsso_proto::v1::{HelloResponse, LoginPrompt, SessionStatus};
use serde::Serialize;

use super::{Rows, time};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView<'a> {
    daemon: DaemonView<'a>,
    sessions: Vec<SessionView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DaemonView<'a> {
    version: &'a str,
    protocol: u32,
    pid: u32,
    started_at: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView<'a> {
    name: &'a str,
    start_url: &'a str,
    region: &'a str,
    state: &'static str,
    access_token_expires_at: Option<String>,
    refreshable: bool,
    last_error: Option<&'a str>,
    pending_login: Option<PendingLoginView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingLoginView<'a> {
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    user_code: &'a str,
    expires_at: Option<String>,
}

impl<'a> StatusView<'a> {
    pub fn new(daemon: &'a HelloResponse, sessions: &'a [SessionStatus]) -> Self {
        Self {
            daemon: DaemonView {
                version: &daemon.version,
                protocol: daemon.protocol,
                pid: daemon.pid,
                started_at: time::wire(daemon.started_at.as_ref()),
            },
            sessions: sessions.iter().map(SessionView::from).collect(),
        }
    }
}

impl<'a> From<&'a SessionStatus> for SessionView<'a> {
    fn from(session: &'a SessionStatus) -> Self {
        let last_error = Some(session.last_error.as_str());
        Self {
            name: &session.name,
            start_url: &session.start_url,
            region: &session.region,
            state: session.state().word(),
            access_token_expires_at: time::wire(session.access_token_expires_at.as_ref()),
            refreshable: session.refreshable,
            last_error: last_error.filter(|error| !error.is_empty()),
            pending_login: session.pending_login.as_ref().map(PendingLoginView::from),
        }
    }
}

impl<'a> From<&'a LoginPrompt> for PendingLoginView<'a> {
    fn from(prompt: &'a LoginPrompt) -> Self {
        Self {
            verification_uri: &prompt.verification_uri,
            verification_uri_complete: &prompt.verification_uri_complete,
            user_code: &prompt.user_code,
            expires_at: time::wire(prompt.expires_at.as_ref()),
        }
    }
}

pub fn table(sessions: &[SessionStatus], now: SystemTime) -> Rows {
    let mut rows = Rows::new(&["SESSION", "STATE", "TOKEN UNTIL", "RENEWABLE", "START URL"]);
    for session in sessions {
        rows.push([
            session.name.clone(),
            session.state().word().to_owned(),
            time::both(session.access_token_expires_at.as_ref(), now),
            if session.refreshable { "yes" } else { "no" }.to_owned(),
            session.start_url.clone(),
        ]);
    }
    rows
}

pub fn csv(sessions: &[SessionStatus]) -> Rows {
    let mut rows = Rows::new(&[
        "name",
        "startUrl",
        "region",
        "state",
        "accessTokenExpiresAt",
        "refreshable",
        "lastError",
    ]);
    for session in sessions {
        rows.push([
            session.name.clone(),
            session.start_url.clone(),
            session.region.clone(),
            session.state().word().to_owned(),
            time::wire(session.access_token_expires_at.as_ref()).unwrap_or_default(),
            session.refreshable.to_string(),
            session.last_error.clone(),
        ]);
    }
    rows
}

/// The link that asks for the least typing.
pub fn link(prompt: &LoginPrompt) -> &str {
    if prompt.verification_uri_complete.is_empty() {
        &prompt.verification_uri
    } else {
        &prompt.verification_uri_complete
    }
}

/// What a person must do to finish a login.
pub fn prompt(prompt: &LoginPrompt, now: SystemTime) -> String {
    let mut lines = vec![format!(
        "To log in to {}, open this link:\n\n  {}\n",
        prompt.session,
        link(prompt)
    )];
    if prompt.joined {
        lines.insert(
            0,
            "Another client started this login; it counts for all.".to_owned(),
        );
    }
    if !prompt.user_code.is_empty() {
        lines.push(format!(
            "or open {} and enter the code\n\n  {}\n",
            prompt.verification_uri, prompt.user_code
        ));
    }
    if prompt.expires_at.is_some() {
        let until = time::both(prompt.expires_at.as_ref(), now);
        lines.push(format!("It is valid until {until}."));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use awsso_proto::v1::{SessionState, timestamp};
    use serde_json::json;

    use super::*;

    fn epoch(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn device_prompt() -> LoginPrompt {
        LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://d/".into(),
            verification_uri_complete: "https://d/?user_code=ABCD-EFGH".into(),
            user_code: "ABCD-EFGH".into(),
            expires_at: Some(timestamp(epoch(600))),
            joined: false,
        }
    }

    #[test]
    fn status_has_the_documented_fields_and_null_for_what_is_unset() {
        let daemon = HelloResponse {
            protocol: 1,
            version: "0.1.0".into(),
            pid: 7,
            started_at: Some(timestamp(epoch(0))),
        };
        let mut session = SessionStatus {
            name: "corp".into(),
            start_url: "https://x/start".into(),
            region: "eu-west-1".into(),
            ..SessionStatus::default()
        };
        session.set_state(SessionState::LoginRequired);
        let view = StatusView::new(&daemon, std::slice::from_ref(&session));
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "daemon": {"version": "0.1.0", "protocol": 1, "pid": 7,
                    "startedAt": "1970-01-01T00:00:00Z"},
                "sessions": [{"name": "corp", "startUrl": "https://x/start",
                    "region": "eu-west-1", "state": "login_required",
                    "accessTokenExpiresAt": null, "refreshable": false,
                    "lastError": null, "pendingLogin": null}],
            })
        );
        session.set_state(SessionState::LoginPending);
        session.pending_login = Some(device_prompt());
        assert_eq!(
            serde_json::to_value(SessionView::from(&session)).unwrap()["pendingLogin"],
            json!({"verificationUri": "https://d/",
                "verificationUriComplete": "https://d/?user_code=ABCD-EFGH",
                "userCode": "ABCD-EFGH", "expiresAt": "1970-01-01T00:10:00Z"})
        );
    }

    #[test]
    fn a_prompt_names_both_links_the_code_and_the_time_it_has() {
        let text = prompt(&device_prompt(), epoch(0));
        for part in [
            "https://d/?user_code=ABCD-EFGH",
            "open https://d/ and enter the code",
            "1970-01-01T00:10:00Z (in 10 min)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_prompt_without_a_code_is_one_link() {
        let browser = LoginPrompt {
            user_code: String::new(),
            verification_uri_complete: String::new(),
            ..device_prompt()
        };
        let text = prompt(&browser, epoch(0));
        assert!(text.contains("  https://d/\n"), "{text}");
        assert!(!text.contains("code"), "{text}");
    }
}
