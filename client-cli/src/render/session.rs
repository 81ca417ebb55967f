//! Sessions, the daemon that holds them, and where it keeps their logins.

use std::time::SystemTime;

use awsso_proto::v1::{
    GetSessionResponse, HelloResponse, LoginPrompt, SessionState, SessionStatus, StoreStatus,
    instant,
};
use serde::Serialize;

use super::{Rows, login, printable, time};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView<'a> {
    daemon: DaemonView<'a>,
    sessions: Vec<SessionView<'a>>,
    store: Option<StoreView<'a>>,
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
    why: Option<&'a str>,
    taken_over: bool,
    renewals: u32,
    credentials: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingLoginView<'a> {
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    user_code: &'a str,
    expires_at: Option<String>,
    flow: &'static str,
}

#[derive(Debug, Serialize)]
struct StoreView<'a> {
    kind: &'static str,
    wanted: &'static str,
    why: Option<&'a str>,
}

impl<'a> StatusView<'a> {
    pub fn new(daemon: &'a HelloResponse, known: &'a GetSessionResponse) -> Self {
        Self {
            daemon: DaemonView {
                version: &daemon.version,
                protocol: daemon.protocol,
                pid: daemon.pid,
                started_at: time::wire(daemon.started_at.as_ref()),
            },
            sessions: known.sessions.iter().map(SessionView::from).collect(),
            store: known.store.as_ref().map(StoreView::from),
        }
    }
}

impl<'a> From<&'a SessionStatus> for SessionView<'a> {
    fn from(session: &'a SessionStatus) -> Self {
        Self {
            name: &session.name,
            start_url: &session.start_url,
            region: &session.region,
            state: session.state().word(),
            access_token_expires_at: time::wire(session.access_token_expires_at.as_ref()),
            refreshable: session.refreshable,
            last_error: said(&session.last_error),
            pending_login: session.pending_login.as_ref().map(PendingLoginView::from),
            why: said(&session.why),
            taken_over: session.taken_over,
            renewals: session.renewals,
            credentials: session.credentials,
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
            flow: prompt.flow().word(),
        }
    }
}

impl<'a> From<&'a StoreStatus> for StoreView<'a> {
    fn from(store: &'a StoreStatus) -> Self {
        Self {
            kind: store.kind().word(),
            wanted: store.wanted().word(),
            why: said(&store.why),
        }
    }
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
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
        "why",
        "takenOver",
        "renewals",
        "credentials",
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
            session.why.clone(),
            session.taken_over.to_string(),
            session.renewals.to_string(),
            session.credentials.to_string(),
        ]);
    }
    rows
}

/// What a table has no room for.
pub fn notes(known: &GetSessionResponse, now: SystemTime) -> Vec<String> {
    let mut notes = Vec::new();
    if known.sessions.is_empty() {
        notes.push(
            "No session is configured: set AWS_SSO_START_URL and AWS_SSO_REGION,\n\
             or add an sso-session to the AWS config (aws configure sso-session)"
                .to_owned(),
        );
    }
    for session in &known.sessions {
        let mut note = |text: &str| notes.push(format!("{}: {text}", session.name));
        if session.taken_over {
            note("another tool logged in, and its token is used to its end");
        }
        if !session.why.is_empty() {
            note(&session.why);
        }
        if !session.last_error.is_empty() && session.last_error != session.why {
            note(&session.last_error);
        }
        if let Some(prompt) = &session.pending_login {
            notes.push(login::prompt(prompt, now));
        }
    }
    notes.extend(known.store.as_ref().and_then(StoreStatus::shortfall));
    notes
}

/// The table and what it has no room for.
pub fn page(known: &GetSessionResponse, now: SystemTime) -> String {
    let table = table(&known.sessions, now).into_table();
    let notes = notes(known, now).join("\n");
    format!("{table}{notes}").trim_end().to_owned()
}

/// One line for a shell's prompt on the session that is meant: `corp active
/// 52m`. How long is told only of what really ends then.
pub fn prompt_line(known: &GetSessionResponse, now: SystemTime) -> Option<String> {
    let session = match (known.current.as_str(), known.sessions.as_slice()) {
        ("", [only]) => only,
        (current, sessions) => sessions.iter().find(|session| session.name == current)?,
    };
    let mut line = format!("{} {}", printable(&session.name), session.state().word());
    let ends = match session.state() {
        SessionState::Active | SessionState::Expiring => !session.refreshable,
        SessionState::Unspecified
        | SessionState::Expired
        | SessionState::LoginPending
        | SessionState::LoginRequired => false,
    };
    let end = session.access_token_expires_at.as_ref().and_then(instant);
    if let Some(left) = end
        .filter(|_| ends)
        .and_then(|end| end.duration_since(now).ok())
    {
        line.push(' ');
        line.push_str(&time::short(left));
    }
    Some(line)
}

#[cfg(test)]
mod tests;
