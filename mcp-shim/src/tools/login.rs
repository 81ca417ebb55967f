//! `aws_sso_login`: starts or joins a login and has the link shown to the person:
//! by the client, where it can, or by opening a browser, never both. The login
//! goes on in the daemon, with or without this call.

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    browser::Browser,
    error::key,
    v1::{
        LoginDone, LoginFlow, LoginPrompt, LoginRequest, LoginResponse, SessionRef,
        login_response::Event,
    },
};
use rmcp::model::{
    CallToolResponse, CallToolResult, InputRequiredResult, JsonObject, Tool, ToolAnnotations,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::Streaming;

use super::prompt::{self, Prompt};
use crate::{
    answer, arguments,
    call::Call,
    elicit::{
        self, Way,
        link::{self, Asked},
    },
    job,
};

pub(super) const NAME: &str = "aws_sso_login";

const DESCRIPTION: &str = "\
Logs the person in to AWS IAM Identity Center (AWS SSO). Answers at once when the session is valid. \
Otherwise it has the person shown a link, by this client or by opening their browser. With state pending it \
answers with the link, with flow device also with a code: show them to the person, ask them to confirm the code, \
then call aws_sso_status with waitSeconds. The link of flow browser works on this computer only; for a person who is elsewhere, call \
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
            "waitSeconds": wait_argument("Wait this long for the person to finish; if left out 40 where this client shows the link, else 0."),
        }),
        &[],
    );
    let mut facts = prompt::schema();
    facts["state"] = json!({"type": "string", "enum": ["logged_in", "pending", "declined"]});
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
    wait_seconds: Option<u64>,
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
) -> Result<CallToolResponse, Failure> {
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
        // Whoever comes again wants the login that was begun.
        force: args.force && call.login_round().is_none(),
        only_join: call.login_round().is_some(),
        can_open_browser: launch && browser.is_here(),
    };
    let mut login = match Login::begin(call, request).await? {
        Begun::Valid(done) => return Ok(logged_in(&done, false).into()),
        Begun::Prompted(login) => login,
    };
    // A person who names a way gets that one.
    let way = Way::of_links(call.request()).filter(|_| args.launch_browser.is_none());
    let wait = args.wait_seconds.map(Duration::from_secs);
    if let Some(way) = way {
        let patience = wait.unwrap_or(elicit::ROUND);
        match link::show(call, way, &mut login, patience).await? {
            Asked::Again(again) => return Ok(again.into()),
            Asked::Done(done) => return Ok(logged_in(&done, false).into()),
            Asked::Pending(prompt) => return Ok(pending(&prompt, Page::Shown).into()),
            Asked::Declined(prompt) => return Ok(declined(&prompt).into()),
            Asked::Nobody(_) => {}
        }
    }
    // Whoever started a login that we join has opened a browser; a person who
    // says so gets another, and so does one whose client showed nothing.
    let first = login.prompt.clone();
    let opened = launch
        && (!first.joined || args.launch_browser == Some(true) || way.is_some())
        && handed_over(browser, Prompt::from(&first).link()).await;
    if let Some(done) = login.finished(call, wait.unwrap_or_default()).await? {
        return Ok(logged_in(&done, opened).into());
    }
    // A client that showed nothing joins its own login.
    let joined = login.prompt.joined && way.is_none();
    let page = Page::of(opened && login.prompt == first, joined, browser);
    Ok(pending(&login.prompt, page).into())
}

/// A login on the way to something else: what the client is to do now, or nothing
/// when the person is logged in.
pub(super) async fn on_the_way(
    call: &Call<'_>,
    arguments: &JsonObject,
) -> Result<Option<InputRequiredResult>, Failure> {
    let session = arguments.get("session").and_then(Value::as_str);
    let request = LoginRequest {
        session: Some(call.context().session(session.map(str::to_owned))),
        only_join: call.login_round().is_some(),
        can_open_browser: Browser::find().is_here(),
        ..LoginRequest::default()
    };
    let mut login = match Login::begin(call, request).await? {
        Begun::Valid(_) => return Ok(None),
        Begun::Prompted(login) => login,
    };
    let prompt = match link::show(call, Way::Answer, &mut login, elicit::ROUND).await? {
        Asked::Again(again) => return Ok(Some(again)),
        Asked::Done(_) => return Ok(None),
        Asked::Pending(prompt) | Asked::Declined(prompt) | Asked::Nobody(prompt) => prompt,
    };
    let failure = Failure::new(Reason::LoginRequired, "nobody has logged in yet");
    Err(failure.with(key::SESSION, prompt.session))
}

/// Whether a browser took the link.
async fn handed_over(browser: Browser, link: &str) -> bool {
    let opened = tokio::time::timeout(LAUNCH_LIMIT, browser.open(link)).await;
    opened.unwrap_or(true)
}

/// A login in progress that this call watches.
pub(crate) struct Login {
    /// What the person is to do. Another client may change it meanwhile.
    pub prompt: LoginPrompt,
    events: Streaming<LoginResponse>,
}

enum Begun {
    Valid(LoginDone),
    Prompted(Login),
}

impl Login {
    /// Joins the login in progress of a session, or starts one.
    async fn begin(call: &Call<'_>, request: LoginRequest) -> Result<Begun, Failure> {
        let mut events = call
            .ask(|client| {
                let request = request.clone();
                async move { client.session().login(request).await }
            })
            .await?;
        Ok(match next(&mut events).await? {
            Event::Done(done) => Begun::Valid(done),
            Event::Prompt(prompt) => Begun::Prompted(Self { prompt, events }),
        })
    }

    /// The end of the login.
    pub(crate) async fn done(&mut self, call: &Call<'_>) -> Result<LoginDone, Failure> {
        loop {
            tokio::select! {
                biased;
                event = next(&mut self.events) => match event? {
                    Event::Done(done) => return Ok(done),
                    Event::Prompt(changed) => self.prompt = changed,
                },
                () = call.cancelled().cancelled() => return Err(job::cancelled()),
            }
        }
    }

    /// The end of the login; `None` when it has not come in time.
    pub(crate) async fn finished(
        &mut self,
        call: &Call<'_>,
        wait: Duration,
    ) -> Result<Option<LoginDone>, Failure> {
        let done = tokio::time::timeout(wait, self.done(call)).await;
        done.ok().transpose()
    }
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
    match Login::begin(call, request).await? {
        Begun::Valid(_) => Ok(()),
        Begun::Prompted(mut login) => login.finished(call, wait).await.map(drop),
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

/// Who has shown the page to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// We opened a browser.
    Opened,
    /// The client was asked to.
    Shown,
    /// Another client, when it started the login.
    Joined,
    NoDisplay,
    Nobody,
}

impl Page {
    fn of(opened: bool, joined: bool, browser: Browser) -> Self {
        match (opened, joined, browser) {
            (true, ..) => Self::Opened,
            (false, true, _) => Self::Joined,
            (false, false, Browser::Nowhere) => Self::NoDisplay,
            (false, false, Browser::Somewhere | Browser::Here) => Self::Nobody,
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::Opened => "The browser has been opened.",
            Self::Shown => "The person was shown the link and has not finished yet.",
            Self::Joined => "This login was started earlier; its page may be open already.",
            Self::NoDisplay => "No browser has been opened: there is no display here.",
            Self::Nobody => "No browser has been opened.",
        }
    }
}

/// The person does not want this link opened; nothing else is.
fn declined(prompt: &LoginPrompt) -> CallToolResult {
    let text = format!(
        "The login to {} was declined. Ask the person how to go on: call aws_sso_login with launchBrowser true to \
         open their browser, or with launchBrowser false for a link and a code, or let them run `awsso login` in a \
         terminal.",
        prompt.session
    );
    answer::facts(
        text,
        &Facts {
            state: "declined",
            session: prompt.session.clone(),
            browser_opened: false,
            prompt: Prompt::default(),
        },
    )
}

fn pending(prompt: &LoginPrompt, page: Page) -> CallToolResult {
    let person = Prompt::from(prompt);
    let browser_opened = page == Page::Opened;
    let page = page.line();
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
mod tests;
