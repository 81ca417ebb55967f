//! `aws_sso_login`: starts or joins a login, shows the link to the person, and
//! answers at once: the login goes on in the daemon, with or without this call.

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{
        LoginDone, LoginFlow, LoginPrompt, LoginRequest, LoginResponse, SessionRef,
        login_response::Event,
    },
};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::Streaming;

use crate::{answer, arguments, browser, call::Call};

pub(super) const NAME: &str = "aws_sso_login";

const DESCRIPTION: &str = "\
Logs the person in to AWS IAM Identity Center (AWS SSO). Answers at once when the session is valid. \
Otherwise it opens the person's browser and answers with state pending, a link and a code: show both to \
the person, ask them to confirm the code, then call aws_sso_status with waitSeconds. Calling this again \
joins the login in progress. No password or token ever passes through this conversation.";

pub(super) fn tool() -> Tool {
    let input = arguments::schema(
        json!({
            "launchBrowser": {
                "type": "boolean",
                "description": "Open the person's browser; true if left out.",
            },
            "session": super::session_argument(),
            "force": {
                "type": "boolean",
                "description": "Log in anew although the session is valid.",
            },
            "waitSeconds": wait_argument("Wait this long for the person to finish; 0 if left out."),
        }),
        &[],
    );
    let mut facts = prompt_schema();
    facts["state"] = json!({"type": "string", "enum": ["logged_in", "pending"]});
    facts["session"] = json!({"type": "string"});
    facts["browserOpened"] = json!({"type": "boolean"});
    facts["expiresAt"] = json!({
        "type": "string",
        "description": "When the access token (logged_in) or the code (pending) ends.",
    });
    let output = arguments::schema(facts, &["state", "session", "browserOpened"]);
    Tool::new(NAME, DESCRIPTION, Arc::new(input))
        .with_raw_output_schema(Arc::new(output))
        .with_title("Log in to AWS SSO")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(true),
        )
        .with_meta(super::always_loaded())
}

pub(super) fn wait_argument(description: &str) -> Value {
    json!({
        "type": "integer",
        "minimum": 0,
        "maximum": 50,
        "description": description,
    })
}

pub(super) fn prompt_schema() -> Value {
    json!({
        "verificationUri": {"type": "string"},
        "verificationUriComplete": {"type": "string"},
        "userCode": {"type": "string"},
        "expiresAt": {"type": "string"},
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    launch_browser: Option<bool>,
    session: Option<String>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    wait_seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    state: &'static str,
    session: String,
    browser_opened: bool,
    #[serde(flatten)]
    prompt: Prompt,
}

/// What a person needs to finish a login; what is not known is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prompt {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verification_uri: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verification_uri_complete: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl From<&LoginPrompt> for Prompt {
    fn from(prompt: &LoginPrompt) -> Self {
        Self {
            verification_uri: prompt.verification_uri.clone(),
            verification_uri_complete: prompt.verification_uri_complete.clone(),
            user_code: prompt.user_code.clone(),
            expires_at: answer::instant(prompt.expires_at.as_ref()),
        }
    }
}

impl Prompt {
    /// The link that needs the least typing.
    fn link(&self) -> &str {
        if self.verification_uri_complete.is_empty() {
            &self.verification_uri
        } else {
            &self.verification_uri_complete
        }
    }

    /// One line for a person.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("open {}", self.link());
        if !self.user_code.is_empty() {
            line.push_str(" and confirm the code ");
            line.push_str(&self.user_code);
        }
        if let Some(end) = &self.expires_at {
            line.push_str(" before ");
            line.push_str(end);
        }
        line
    }
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let display = browser::has_display(std::env::consts::OS, &var);
    let launch = args.launch_browser.unwrap_or(true) && display;
    let request = LoginRequest {
        session: Some(call.context().session(args.session)),
        // A code can be confirmed on any machine; a redirect to this one cannot.
        flow: if launch {
            LoginFlow::Unspecified.into()
        } else {
            LoginFlow::Device.into()
        },
        force: args.force,
        ..LoginRequest::default()
    };
    let mut events = follow(call, request).await?;
    let prompt = match next(&mut events).await? {
        Event::Done(done) => return Ok(logged_in(&done, false)),
        Event::Prompt(prompt) => prompt,
    };
    // Whoever started a login that we join has opened a browser; a person who
    // says so gets another.
    let opened = launch
        && (!prompt.joined || args.launch_browser == Some(true))
        && browser::open(Prompt::from(&prompt).link()).await;
    let wait = Duration::from_secs(args.wait_seconds);
    if let Some(done) = finished(call, &mut events, wait).await? {
        return Ok(logged_in(&done, opened));
    }
    Ok(pending(&prompt, opened, display))
}

/// Joins the login in progress of a session, or starts one.
async fn follow(
    call: &Call<'_>,
    request: LoginRequest,
) -> Result<Streaming<LoginResponse>, Failure> {
    call.ask(|client| {
        let request = request.clone();
        async move { client.session().login(request).await }
    })
    .await
}

/// Waits until the login in progress of a session has ended, well or not.
pub(super) async fn joined(
    call: &Call<'_>,
    session: SessionRef,
    wait: Duration,
) -> Result<(), Failure> {
    let request = LoginRequest {
        session: Some(session),
        only_join: true,
        ..LoginRequest::default()
    };
    let mut events = follow(call, request).await?;
    finished(call, &mut events, wait).await.map(drop)
}

/// The end of the login; `None` when it has not come in time.
async fn finished(
    call: &Call<'_>,
    events: &mut Streaming<LoginResponse>,
    wait: Duration,
) -> Result<Option<LoginDone>, Failure> {
    let done = async {
        loop {
            if let Event::Done(done) = next(events).await? {
                return Ok(Some(done));
            }
        }
    };
    tokio::select! {
        biased;
        done = done => done,
        () = tokio::time::sleep(wait) => Ok(None),
        () = call.cancelled().cancelled() => Ok(None),
    }
}

async fn next(events: &mut Streaming<LoginResponse>) -> Result<Event, Failure> {
    while let Some(response) = events.message().await? {
        if let Some(event) = response.event {
            return Ok(event);
        }
    }
    Err(Failure::new(
        Reason::DaemonUnreachable,
        "the daemon stopped before the login ended",
    ))
}

fn logged_in(done: &LoginDone, browser_opened: bool) -> CallToolResult {
    let status = done.status.clone().unwrap_or_default();
    let expires_at = answer::instant(status.access_token_expires_at.as_ref());
    let mut text = format!("Logged in to {}", status.name);
    if let Some(end) = &expires_at {
        text.push_str(", valid until ");
        text.push_str(end);
    }
    text.push_str(if status.refreshable {
        " and renewed by itself."
    } else {
        "."
    });
    text.push_str(" aws_sso_ls_accounts lists the accounts and roles.");
    answer::facts(
        text,
        &Facts {
            state: "logged_in",
            session: status.name,
            browser_opened,
            prompt: Prompt {
                expires_at,
                ..Prompt::default()
            },
        },
    )
}

fn pending(prompt: &LoginPrompt, browser_opened: bool, display: bool) -> CallToolResult {
    let person = Prompt::from(prompt);
    let browser = match (browser_opened, prompt.joined, display) {
        (true, ..) => "The browser has been opened.",
        (false, true, _) => "This login was started earlier; its page may be open already.",
        (false, false, true) => "No browser has been opened.",
        (false, false, false) => "No browser has been opened: there is no display here.",
    };
    let text = format!(
        "Login pending for {}. {browser}\n\
         Ask the person to {}, then call aws_sso_status with waitSeconds 45.",
        prompt.session,
        person.line(),
    );
    answer::facts(
        text,
        &Facts {
            state: "pending",
            session: prompt.session.clone(),
            browser_opened,
            prompt: person,
        },
    )
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::SessionStatus;
    use prost_types::Timestamp;

    use super::*;

    const LATER: Option<Timestamp> = Some(Timestamp {
        seconds: 1_800_000_000,
        nanos: 0,
    });

    fn text(result: &CallToolResult) -> String {
        serde_json::to_value(&result.content).unwrap()[0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_pending_login_gives_the_link_and_the_code_as_text_and_as_data() {
        let prompt = LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://device.sso/".into(),
            verification_uri_complete: "https://device.sso/?c=ABCD-EFGH".into(),
            user_code: "ABCD-EFGH".into(),
            expires_at: LATER,
            joined: false,
        };
        let result = pending(&prompt, false, false);
        assert_eq!(
            text(&result),
            "Login pending for corp. No browser has been opened: there is no display here.\n\
             Ask the person to open https://device.sso/?c=ABCD-EFGH and confirm the code ABCD-EFGH \
             before 2027-01-15T08:00:00Z, then call aws_sso_status with waitSeconds 45."
        );
        assert_eq!(
            result.structured_content,
            Some(json!({
                "state": "pending",
                "session": "corp",
                "browserOpened": false,
                "verificationUri": "https://device.sso/",
                "verificationUriComplete": "https://device.sso/?c=ABCD-EFGH",
                "userCode": "ABCD-EFGH",
                "expiresAt": "2027-01-15T08:00:00Z",
            }))
        );
    }

    #[test]
    fn a_finished_login_has_no_link_any_more() {
        let done = LoginDone {
            status: Some(SessionStatus {
                name: "corp".into(),
                access_token_expires_at: LATER,
                refreshable: true,
                ..SessionStatus::default()
            }),
            already_valid: true,
        };
        let result = logged_in(&done, false);
        assert!(text(&result).starts_with(
            "Logged in to corp, valid until 2027-01-15T08:00:00Z and renewed by itself."
        ));
        assert_eq!(
            result.structured_content,
            Some(json!({
                "state": "logged_in",
                "session": "corp",
                "browserOpened": false,
                "expiresAt": "2027-01-15T08:00:00Z",
            }))
        );
    }
}
