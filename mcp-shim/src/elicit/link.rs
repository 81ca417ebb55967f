//! Asking the client to show its person the link of a login, and waiting inside
//! the call until the login is done. To accept means to open the link, not to be
//! logged in.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use awsso_proto::{
    Failure,
    v1::{LoginDone, LoginFlow, LoginPrompt},
};
use rmcp::{
    ServiceError,
    model::{
        CallToolRequestParams, CustomNotification, ElicitRequest, ElicitRequestParams,
        ElicitationAction, InputRequest, InputRequiredResult, ProtocolVersion, ServerNotification,
    },
};
use serde_json::json;

use super::{MOST_ROUNDS, Way};
use crate::{call::Call, tools::login::Login};

/// What the question is called among the inputs that are asked for.
const QUESTION: &str = "sso";

/// The state of a call that waits, before the number of its round.
const STATE: &str = "login-";

/// A question that is gone before it is read is none.
const SHORTEST_QUESTION: Duration = Duration::from_secs(1);

/// A call that comes again after a link was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub number: u32,
    /// What the person chose, in the round after the question.
    chosen: Option<ElicitationAction>,
}

/// What became of a login that a client was to show.
#[derive(Debug)]
pub(crate) enum Asked {
    Done(LoginDone),
    /// It was opened and is not finished yet, or nobody has answered yet.
    Pending(LoginPrompt),
    Declined(LoginPrompt),
    /// Nobody was asked.
    Nobody(LoginPrompt),
    /// The client is to call again.
    Again(InputRequiredResult),
}

impl Round {
    /// The client sends this back as it got it, or as it likes: it decides nothing
    /// but how long we wait.
    pub(crate) fn of(request: &CallToolRequestParams) -> Option<Self> {
        let state = request.request_state.as_deref()?;
        let number = state.strip_prefix(STATE)?.parse().ok()?;
        let answer = request
            .input_responses
            .as_ref()
            .and_then(|answers| answers.get(QUESTION));
        let chosen =
            answer.and_then(|answer| serde_json::from_value(answer["action"].clone()).ok());
        Some(Self { number, chosen })
    }
}

/// Shows the link of this login and waits for its end, so long in one call.
pub(crate) async fn show(
    call: &Call<'_>,
    way: Way,
    login: &mut Login,
    patience: Duration,
) -> Result<Asked, Failure> {
    call.at_work(|| Some("waiting for the person to log in".to_owned()));
    match (way, call.login_round()) {
        (Way::Answer, None) => Ok(Asked::Again(question(&login.prompt, call.rounds() + 1))),
        (Way::Answer, Some(round)) => wait(call, login, round, patience).await,
        (Way::Request, _) => ask(call, login, patience).await,
    }
}

async fn wait(
    call: &Call<'_>,
    login: &mut Login,
    round: &Round,
    patience: Duration,
) -> Result<Asked, Failure> {
    match round.chosen {
        Some(ElicitationAction::Decline) => return Ok(Asked::Declined(login.prompt.clone())),
        Some(ElicitationAction::Cancel) => return Ok(Asked::Nobody(login.prompt.clone())),
        Some(_) | None => {}
    }
    if let Some(done) = login.finished(call, patience).await? {
        return Ok(Asked::Done(done));
    }
    if round.number >= MOST_ROUNDS {
        return Ok(Asked::Pending(login.prompt.clone()));
    }
    let state = format!("{STATE}{}", round.number + 1);
    Ok(Asked::Again(InputRequiredResult::from_request_state(state)))
}

async fn ask(call: &Call<'_>, login: &mut Login, patience: Duration) -> Result<Asked, Failure> {
    let id = new_id()?;
    let peer = &call.request().peer;
    let asked = peer.create_elicitation_with_timeout(
        params(&login.prompt, &id),
        Some(patience.max(SHORTEST_QUESTION)),
    );
    // A person may be done before the client says that they began.
    let action = tokio::select! {
        answer = asked => match answer {
            Ok(answer) => answer.action,
            // The link is before the person: nothing else is opened.
            Err(ServiceError::Timeout { .. }) => {
                return Ok(Asked::Pending(login.prompt.clone()));
            }
            Err(error) => {
                tracing::info!(%error, "the client did not show the link");
                return Ok(Asked::Nobody(login.prompt.clone()));
            }
        },
        done = login.done(call) => return Ok(Asked::Done(done?)),
    };
    match action {
        ElicitationAction::Decline => return Ok(Asked::Declined(login.prompt.clone())),
        ElicitationAction::Cancel => return Ok(Asked::Nobody(login.prompt.clone())),
        _ => {}
    }
    let deadline = call.deadline(Some(patience.as_secs()));
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    match login.finished(call, left).await? {
        Some(done) => {
            tell_the_end(call, &id).await;
            Ok(Asked::Done(done))
        }
        None => Ok(Asked::Pending(login.prompt.clone())),
    }
}

/// What a client may wait for after an `accept`; only one version knows it.
async fn tell_the_end(call: &Call<'_>, id: &str) {
    if call.request().protocol_version() == Some(ProtocolVersion::V_2025_11_25) {
        let notice = CustomNotification::new(
            "notifications/elicitation/complete",
            Some(json!({"elicitationId": id})),
        );
        let notice = ServerNotification::CustomNotification(notice);
        // A client that hung up is noticed elsewhere.
        let _ = call.request().peer.send_notification(notice).await;
    }
}

fn question(prompt: &LoginPrompt, round: u32) -> InputRequiredResult {
    // This version has no such id.
    let question = ElicitRequest::new(params(prompt, ""));
    let questions = BTreeMap::from([(QUESTION.to_owned(), InputRequest::Elicitation(question))]);
    InputRequiredResult::new(Some(questions), Some(format!("{STATE}{round}")))
}

fn params(prompt: &LoginPrompt, id: &str) -> ElicitRequestParams {
    let mut message = format!("Log in to AWS ({})", prompt.session);
    // A link that carries its code could be passed on to somebody who would log in
    // for whoever sent it: the code is typed, or compared, by the person who asked.
    let url = match prompt.flow() {
        LoginFlow::Browser => &prompt.verification_uri_complete,
        LoginFlow::Device | LoginFlow::Unspecified => {
            let _ = write!(message, ": enter the code {}", prompt.user_code);
            &prompt.verification_uri
        }
    };
    ElicitRequestParams::UrlElicitationParams {
        meta: None,
        message,
        url: url.clone(),
        elicitation_id: id.to_owned(),
    }
}

fn new_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(
            awsso_proto::Reason::Internal,
            format!("no random bytes: {error}"),
        )
    })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(state: Option<&str>, answer: Option<serde_json::Value>) -> Option<Round> {
        let mut request = CallToolRequestParams::new("aws_sso_login");
        request.request_state = state.map(str::to_owned);
        request.input_responses = answer.map(|answer| [(QUESTION.to_owned(), answer)].into());
        Round::of(&request)
    }

    #[test]
    fn a_round_is_what_the_client_sends_back_and_nothing_else() {
        let accepted = round(Some("login-1"), Some(json!({"action": "accept"}))).unwrap();
        assert_eq!(accepted.chosen, Some(ElicitationAction::Accept));
        assert_eq!(round(Some("login-3"), None).unwrap().number, 3);
        let strange = round(Some("login-1"), Some(json!({"action": 7}))).unwrap();
        assert_eq!(strange.chosen, None);
        for state in [None, Some(""), Some("login-"), Some("login--1"), Some("1")] {
            assert_eq!(round(state, None), None, "{state:?}");
        }
    }

    #[test]
    fn a_link_that_works_anywhere_does_not_carry_its_code() {
        let mut prompt = LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://device.sso/".into(),
            verification_uri_complete: "https://device.sso/?c=ABCD".into(),
            user_code: "ABCD".into(),
            ..LoginPrompt::default()
        };
        let shown = |prompt: &LoginPrompt| match params(prompt, "") {
            ElicitRequestParams::UrlElicitationParams { url, message, .. } => (url, message),
            other => panic!("{other:?}"),
        };
        prompt.set_flow(LoginFlow::Device);
        assert_eq!(
            shown(&prompt),
            (
                "https://device.sso/".into(),
                "Log in to AWS (corp): enter the code ABCD".into()
            )
        );
        prompt.set_flow(LoginFlow::Browser);
        let (url, message) = shown(&prompt);
        assert_eq!(url, "https://device.sso/?c=ABCD");
        assert_eq!(message, "Log in to AWS (corp)");
    }
}
