//! `aws_sso_login`: starts or joins a login, shows the link to the person, and
//! answers at once: the login goes on in the daemon, with or without this call.

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    browser::Browser,
    v1::{
        LoginDone, LoginFlow, LoginPrompt, LoginRequest, LoginResponse, SessionRef,
        login_response::Event,
    },
};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::Streaming;

use super::prompt::{self, Prompt};
use crate::{answer, arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_login";

const DESCRIPTION: &str = "\
Logs the person in to AWS IAM Identity Center (AWS SSO). Answers at once when the session is valid. \
Otherwise it opens the person's browser and answers with state pending and a link, with flow device also \
with a code: show them to the person, ask them to confirm the code, then call aws_sso_status with \
waitSeconds. The link of flow browser works on this computer only; for a person who is elsewhere, call \
this with launchBrowser false. Calling this again joins the login in progress. No password or token ever \
passes through this conversation.";

/// A launcher that has not failed by then has handed the link over.
const LAUNCH_LIMIT: Duration = Duration::from_secs(3);

pub(super) fn tool() -> Tool {
    let input = arguments::schema(
        json!({
            "launchBrowser": {
                "type": "boolean",
                "description": "Open the person's browser; true if left out. With false, the link and a code work on any device.",
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
    let mut facts = prompt::schema();
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

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let browser = Browser::find();
    let launch = args.launch_browser.unwrap_or(true);
    let request = LoginRequest {
        session: Some(call.context().session(args.session)),
        // Asked for by name, a code takes the place of a browser that was waited for.
        flow: if launch {
            LoginFlow::Unspecified.into()
        } else {
            LoginFlow::Device.into()
        },
        force: args.force,
        can_open_browser: launch && browser.is_here(),
        ..LoginRequest::default()
    };
    let mut events = follow(call, request).await?;
    let first = match next(&mut events).await? {
        Event::Done(done) => return Ok(logged_in(&done, false)),
        Event::Prompt(prompt) => prompt,
    };
    // Whoever started a login that we join has opened a browser; a person who
    // says so gets another.
    let opened = launch
        && (!first.joined || args.launch_browser == Some(true))
        && handed_over(browser, Prompt::from(&first).link()).await;
    let wait = Duration::from_secs(args.wait_seconds);
    let mut prompt = first.clone();
    if let Some(done) = finished(call, &mut events, wait, &mut prompt).await? {
        return Ok(logged_in(&done, opened));
    }
    Ok(pending(&prompt, opened && prompt == first, browser))
}

/// Whether a browser took the link.
async fn handed_over(browser: Browser, link: &str) -> bool {
    let opened = tokio::time::timeout(LAUNCH_LIMIT, browser.open(link)).await;
    opened.unwrap_or(true)
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
    let mut prompt = LoginPrompt::default();
    finished(call, &mut events, wait, &mut prompt)
        .await
        .map(drop)
}

/// The end of the login; `None` when it has not come in time. Another client
/// may change the prompt meanwhile.
async fn finished(
    call: &Call<'_>,
    events: &mut Streaming<LoginResponse>,
    wait: Duration,
    prompt: &mut LoginPrompt,
) -> Result<Option<LoginDone>, Failure> {
    let done = async {
        loop {
            match next(events).await? {
                Event::Done(done) => return Ok(Some(done)),
                Event::Prompt(changed) => *prompt = changed,
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

fn pending(prompt: &LoginPrompt, browser_opened: bool, browser: Browser) -> CallToolResult {
    let person = Prompt::from(prompt);
    let page = match (browser_opened, prompt.joined, browser) {
        (true, ..) => "The browser has been opened.",
        (false, true, _) => "This login was started earlier; its page may be open already.",
        (false, false, Browser::Nowhere) => "No browser has been opened: there is no display here.",
        (false, false, Browser::Somewhere | Browser::Here) => "No browser has been opened.",
    };
    let mut text = format!(
        "Login pending for {}. {page}\n\
         Ask the person to {}, then call aws_sso_status with waitSeconds 45.",
        prompt.session,
        person.line(),
    );
    if let Some(advice) = person.for_a_person_elsewhere() {
        text.push('\n');
        text.push_str(advice);
    }
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
            flow: LoginFlow::Device.into(),
        };
        let result = pending(&prompt, false, Browser::Nowhere);
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
                "flow": "device",
            }))
        );
    }

    #[test]
    fn a_login_in_this_computers_browser_has_no_code_and_says_how_to_get_one() {
        let prompt = LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://oidc/authorize".into(),
            expires_at: LATER,
            flow: LoginFlow::Browser.into(),
            ..LoginPrompt::default()
        };
        let result = pending(&prompt, true, Browser::Here);
        assert_eq!(
            text(&result),
            "Login pending for corp. The browser has been opened.\n\
             Ask the person to open https://oidc/authorize in a browser on this computer \
             before 2027-01-15T08:00:00Z, then call aws_sso_status with waitSeconds 45.\n\
             The link works in a browser on this computer only: for a person who is elsewhere, call \
             aws_sso_login with launchBrowser false to get a link and a code for any device."
        );
        assert_eq!(
            result.structured_content,
            Some(json!({
                "state": "pending",
                "session": "corp",
                "browserOpened": true,
                "verificationUri": "https://oidc/authorize",
                "expiresAt": "2027-01-15T08:00:00Z",
                "flow": "browser",
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
