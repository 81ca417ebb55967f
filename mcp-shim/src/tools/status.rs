//! `aws_sso_status`: every session and how it stands; waits for a pending
//! login when asked to.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use awsso_proto::{
    Failure,
    v1::{
        GetSessionRequest, GetSessionResponse, HelloResponse, SessionRef, SessionState,
        SessionStatus, StoreStatus,
    },
};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    login,
    prompt::{self, Prompt},
};
use crate::{answer, arguments, call::Call};

pub(crate) const NAME: &str = "aws_sso_status";

const DESCRIPTION: &str = "\
Tells whether the person is logged in to AWS SSO, until when, and whether a login is pending, for every \
session. Reads only, from memory. With waitSeconds it waits for a pending login to end, so call it so \
after aws_sso_login and again until the state is active.";

pub(super) fn tool() -> Tool {
    let input = arguments::schema(
        json!({
            "session": super::session_argument(),
            "waitSeconds": login::wait_argument(
                "Wait up to this long for a pending login to end; 0 if left out.",
            ),
        }),
        &[],
    );
    let session = arguments::schema(
        json!({
            "name": {"type": "string"},
            "startUrl": {"type": "string"},
            "region": {"type": "string"},
            "state": {
                "type": "string",
                "enum": ["active", "expiring", "expired", "login_pending", "login_required"],
            },
            "accessTokenExpiresAt": {"type": "string"},
            "refreshable": {"type": "boolean"},
            "lastError": {"type": "string"},
            "pendingLogin": arguments::schema(prompt::schema(), &[]),
            "why": {"type": "string", "description": "Why only a person helps."},
            "takenOver": {
                "type": "boolean",
                "description": "Another tool logged in; its token is used to its end.",
            },
            "renewals": {"type": "integer"},
            "credentials": {"type": "integer", "description": "Role credentials in memory."},
        }),
        &[
            "name",
            "startUrl",
            "region",
            "state",
            "refreshable",
            "takenOver",
            "renewals",
            "credentials",
        ],
    );
    let daemon = arguments::schema(
        json!({
            "version": {"type": "string"},
            "protocol": {"type": "integer"},
            "pid": {"type": "integer"},
            "startedAt": {"type": "string"},
        }),
        &["version", "protocol", "pid"],
    );
    let store = arguments::schema(
        json!({
            "kind": {"type": "string"},
            "wanted": {"type": "string"},
            "why": {"type": "string"},
        }),
        &["kind", "wanted"],
    );
    let output = arguments::schema(
        json!({
            "current": {
                "type": "string",
                "description": "The session that calls without a session argument use.",
            },
            "sessions": {"type": "array", "items": session},
            "daemon": daemon,
            "store": store,
        }),
        &["sessions", "daemon"],
    );
    Tool::new(NAME, DESCRIPTION, Arc::new(input))
        .with_raw_output_schema(Arc::new(output))
        .with_title("AWS SSO status")
        .with_annotations(ToolAnnotations::new().read_only(true).open_world(false))
        .with_meta(super::always_loaded())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    session: Option<String>,
    #[serde(default)]
    wait_seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    #[serde(skip_serializing_if = "String::is_empty")]
    current: String,
    sessions: Vec<Session>,
    daemon: DaemonFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Store>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    name: String,
    start_url: String,
    region: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_expires_at: Option<String>,
    refreshable: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_login: Option<Prompt>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    taken_over: bool,
    renewals: u32,
    credentials: u32,
}

#[derive(Debug, Serialize)]
struct Store {
    kind: &'static str,
    wanted: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DaemonFacts {
    version: String,
    protocol: u32,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let session = call.context().session(args.session);
    let mut known = get(call, &session).await?;
    if args.wait_seconds > 0
        && let Some(pending) = pending_login(&known)
    {
        let pending = SessionRef {
            name: pending.name.clone(),
            ..session.clone()
        };
        let wait = Duration::from_secs(args.wait_seconds);
        // A login that failed is told as the session's state.
        if let Err(failure) = login::joined(call, pending, wait).await {
            tracing::info!(reason = failure.reason.name(), "the pending login ended");
        }
        known = get(call, &session).await?;
    }
    let client = call.client().await?;
    Ok(told(known, client.server()))
}

async fn get(call: &Call<'_>, session: &SessionRef) -> Result<GetSessionResponse, Failure> {
    call.ask(|client| {
        let request = GetSessionRequest {
            session: Some(session.clone()),
        };
        async move { client.session().get(request).await }
    })
    .await
}

/// The login to wait for: the current session's, else any.
fn pending_login(known: &GetSessionResponse) -> Option<&SessionStatus> {
    let pending = |session: &&SessionStatus| session.state() == SessionState::LoginPending;
    let mut sessions = known.sessions.iter().filter(pending);
    let first = sessions.clone().next();
    sessions
        .find(|session| session.name == known.current)
        .or(first)
}

fn told(known: GetSessionResponse, daemon: &HelloResponse) -> CallToolResult {
    let shortfall = known.store.as_ref().and_then(StoreStatus::shortfall);
    let facts = Facts {
        current: known.current,
        sessions: known.sessions.into_iter().map(Session::from).collect(),
        daemon: DaemonFacts {
            version: daemon.version.clone(),
            protocol: daemon.protocol,
            pid: daemon.pid,
            started_at: answer::instant(daemon.started_at.as_ref()),
        },
        store: known.store.map(Store::from),
    };
    answer::facts(text(&facts, shortfall.as_deref()), &facts)
}

impl From<SessionStatus> for Session {
    fn from(status: SessionStatus) -> Self {
        Self {
            state: status.state().word(),
            access_token_expires_at: answer::instant(status.access_token_expires_at.as_ref()),
            pending_login: status.pending_login.as_ref().map(Prompt::from),
            name: status.name,
            start_url: status.start_url,
            region: status.region,
            refreshable: status.refreshable,
            last_error: status.last_error,
            why: status.why,
            taken_over: status.taken_over,
            renewals: status.renewals,
            credentials: status.credentials,
        }
    }
}

impl From<StoreStatus> for Store {
    fn from(store: StoreStatus) -> Self {
        Self {
            kind: store.kind().word(),
            wanted: store.wanted().word(),
            why: store.why,
        }
    }
}

fn text(facts: &Facts, shortfall: Option<&str>) -> String {
    let mut text = String::new();
    if facts.sessions.is_empty() {
        text.push_str(
            "No AWS SSO session is configured. Ask the person to set AWS_SSO_START_URL and AWS_SSO_REGION \
             in this server's environment, or a [session.NAME] in awsso's config.toml.\n",
        );
    }
    for session in &facts.sessions {
        let _ = write!(text, "{}", session.name);
        if session.name == facts.current && facts.sessions.len() > 1 {
            text.push_str(" (current)");
        }
        let _ = write!(text, ": {}", session.state);
        if let Some(end) = &session.access_token_expires_at {
            let _ = write!(text, ", access token until {end}");
        }
        if session.refreshable {
            text.push_str(", renewed by itself");
        }
        let _ = writeln!(text, " ({} in {})", session.start_url, session.region);
        if session.taken_over {
            text.push_str("  another tool logged in, and its token is used to its end\n");
        }
        if !session.why.is_empty() {
            let _ = writeln!(text, "  why: {}", session.why);
        }
        if !session.last_error.is_empty() && session.last_error != session.why {
            let _ = writeln!(text, "  last error: {}", session.last_error);
        }
        if let Some(prompt) = &session.pending_login {
            let _ = writeln!(text, "  login pending: ask the person to {}", prompt.line());
            if let Some(advice) = prompt.for_a_person_elsewhere() {
                let _ = writeln!(text, "  {advice}");
            }
        }
        if session.state == SessionState::LoginRequired.word() {
            text.push_str("  call aws_sso_login to log in\n");
        }
    }
    if let Some(shortfall) = shortfall {
        let _ = writeln!(text, "{shortfall}");
    }
    let daemon = &facts.daemon;
    let _ = write!(
        text,
        "daemon {} (pid {}, protocol {}",
        daemon.version, daemon.pid, daemon.protocol
    );
    if let Some(start) = &daemon.started_at {
        let _ = write!(text, ", since {start}");
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests;
