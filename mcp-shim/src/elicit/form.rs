//! Asking the client's person to approve what was asked for, and passing the answer
//! on. The daemon decides whether it takes it. Only an explicit choice is an answer:
//! a client that cancels, or accepts and chooses nothing, leaves the question open
//! for the other ways, and so does one that is too long to be read in a window.

use std::{collections::BTreeMap, time::Duration};

use awsso_proto::{
    Failure, Reason, approval,
    error::key,
    v1::{
        Approval, ApprovalScope, DecideApprovalRequest, WatchApprovalsRequest,
        WatchApprovalsResponse,
    },
};
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitationAction,
    ElicitationSchema, EnumSchema, InputRequest, InputRequiredResult, JsonObject,
    RequestStateCodec, SealOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tonic::Streaming;

use super::{MOST_ROUNDS, ROUND, Way};
use crate::{answer, call::Call, job};

/// What the question is called among the inputs that are asked for.
const QUESTION: &str = "approval";

/// The one field of the form, and what can be chosen. Plain values: the form that
/// gives them titles differs between the versions of the protocol.
const FIELD: &str = "decision";
const DENY: &str = "deny";
const ONCE: &str = "approve once";
const SESSION: &str = "approve for this session";

/// A person must see all of what they approve.
const MOST_SHOWN: usize = 4_000;

/// As long as the daemon asks: who comes back later is asked anew.
const STATE_LASTS: Duration = Duration::from_mins(10);

/// Signs what a client is to send back with its person's answer, so that the answer
/// is to the question that was put and to the call that it was put for. Another
/// process, or another client behind this one, has no such state.
pub(crate) struct Seal(RequestStateCodec);

/// A call that comes again with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub number: u32,
    approval: String,
    said: Said,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    round: u32,
    approval: String,
}

/// What the person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Approve(ApprovalScope),
    Deny,
    Nothing,
}

impl Seal {
    pub(crate) fn new() -> Self {
        let mut key = [0; RequestStateCodec::MIN_KEY_LENGTH];
        getrandom::fill(&mut key).expect("the system gives random bytes");
        Self(RequestStateCodec::try_new(key).expect("the key has its length"))
    }

    /// Of a state that is forged, old, or of another call, nothing.
    pub(crate) fn round(&self, request: &CallToolRequestParams, client: &str) -> Option<Round> {
        let sealed = request.request_state.as_deref()?;
        let bound = bound(client, &request.name, request.arguments.as_ref());
        let state: State = self.0.open_json_with(sealed, &bound).ok()?;
        let answers = request.input_responses.as_ref();
        let answer = answers.and_then(|answers| answers.get(QUESTION));
        let said = answer.map_or(Said::Nothing, |answer| {
            let action = serde_json::from_value(answer["action"].clone()).ok();
            action.map_or(Said::Nothing, |action| {
                Said::of(&action, &answer["content"])
            })
        });
        Some(Round {
            number: state.round,
            approval: state.approval,
            said,
        })
    }

    fn seal(&self, state: &State, bound: &[u8]) -> Option<String> {
        let options = SealOptions::new().associated_data(bound).ttl(STATE_LASTS);
        self.0.seal_json_with(state, &options).ok()
    }
}

/// Who calls what.
fn bound(client: &str, tool: &str, arguments: Option<&JsonObject>) -> Vec<u8> {
    let arguments = arguments.cloned().unwrap_or_default();
    Value::from(vec![client.into(), tool.into(), Value::Object(arguments)])
        .to_string()
        .into_bytes()
}

impl Said {
    fn of(action: &ElicitationAction, content: &Value) -> Self {
        match (action, content[FIELD].as_str()) {
            (ElicitationAction::Decline, _) | (ElicitationAction::Accept, Some(DENY)) => Self::Deny,
            (ElicitationAction::Accept, Some(ONCE)) => Self::Approve(ApprovalScope::Once),
            (ElicitationAction::Accept, Some(SESSION)) => Self::Approve(ApprovalScope::Session),
            _ => Self::Nothing,
        }
    }
}

/// Passes on what the person chose since the question.
pub(crate) async fn pass_on(call: &Call<'_>, round: &Round) -> Result<(), Failure> {
    call.asks_no_more();
    decide(call, &round.approval, round.said).await
}

/// Has the person asked about what this failure says needs an approval. Returns when
/// it is worth while to try again, or what the client is to do first.
pub(crate) async fn ask(
    call: &Call<'_>,
    tool: &str,
    arguments: &JsonObject,
    failure: &Failure,
) -> Result<Option<InputRequiredResult>, Failure> {
    call.asks_no_more();
    let id = failure.metadata.get(key::APPROVAL);
    let may = failure.metadata.contains_key(key::MAY_RELAY) && call.rounds() < MOST_ROUNDS;
    let (Some(id), Some(way), true) = (id, call.forms(), may) else {
        return Ok(None);
    };
    let Some(mut question) = Question::find(call, id).await? else {
        return Ok(None); // answered already
    };
    let Some(params) = params(&question.approval) else {
        return Ok(None);
    };
    match way {
        Way::Answer => {
            let bound = bound(call.client_name(), tool, Some(arguments));
            let state = State {
                round: call.rounds() + 1,
                approval: id.clone(),
            };
            let question = InputRequest::Elicitation(ElicitRequest::new(params));
            let questions = BTreeMap::from([(QUESTION.to_owned(), question)]);
            let state = call.shim.seal.seal(&state, &bound);
            Ok(state.map(|state| InputRequiredResult::new(Some(questions), Some(state))))
        }
        Way::Request => {
            call.at_work(|| Some("waiting for the person to approve".to_owned()));
            let said = question.put(call, params).await?;
            decide(call, id, said).await.map(|()| None)
        }
    }
}

/// A question that waits in the daemon.
struct Question {
    approval: Approval,
    lists: Streaming<WatchApprovalsResponse>,
}

impl Question {
    /// `None` when it waits no more.
    async fn find(call: &Call<'_>, id: &str) -> Result<Option<Self>, Failure> {
        let request = WatchApprovalsRequest { only_look: true };
        let mut lists = call
            .ask(|client| async move { client.approvals().watch(request).await })
            .await?;
        let list = lists.message().await?.unwrap_or_default();
        let found = list.waiting.into_iter().find(|it| it.id == id);
        Ok(found.map(|approval| Self { approval, lists }))
    }

    /// Asks inside the call, and stops when it is answered elsewhere.
    async fn put(&mut self, call: &Call<'_>, params: ElicitRequestParams) -> Result<Said, Failure> {
        let left = call.deadline(Some(ROUND.as_secs()));
        let left = left.saturating_duration_since(tokio::time::Instant::now());
        let peer = &call.request().peer;
        tokio::select! {
            asked = peer.create_elicitation_with_timeout(params, Some(left)) => match asked {
                Ok(answer) => {
                    let content = answer.content.unwrap_or_default();
                    Ok(Said::of(&answer.action, &content))
                }
                Err(error) => {
                    tracing::info!(%error, "the client did not ask its person");
                    Ok(Said::Nothing)
                }
            },
            () = self.answered() => Ok(Said::Nothing),
            () = call.cancelled().cancelled() => Err(job::cancelled()),
        }
    }

    /// Returns when it waits no more, or nobody knows.
    async fn answered(&mut self) {
        while let Ok(Some(list)) = self.lists.message().await {
            if !list.waiting.iter().any(|it| it.id == self.approval.id) {
                return;
            }
        }
    }
}

/// A yes to a question that was answered elsewhere first changes nothing; after a no
/// nothing goes on, whoever said what before.
async fn decide(call: &Call<'_>, id: &str, said: Said) -> Result<(), Failure> {
    let scope = match said {
        Said::Nothing => return Ok(()),
        Said::Deny => ApprovalScope::Unspecified,
        Said::Approve(scope) => scope,
    };
    let request = DecideApprovalRequest {
        id: id.to_owned(),
        approve: said != Said::Deny,
        scope: scope.into(),
    };
    let decided = call
        .ask(|client| {
            let request = request.clone();
            async move { client.approvals().decide(request).await }
        })
        .await;
    match decided {
        Err(failure) if failure.reason != Reason::NotFound => Err(failure),
        _ if said == Said::Deny => Err(Failure::new(
            Reason::DeniedByPolicy,
            "the person was asked in this client, and said no",
        )),
        _ => Ok(()),
    }
}

/// `None` when it is too long to be shown whole.
fn params(approval: &Approval) -> Option<ElicitRequestParams> {
    let mut message = approval::card(approval);
    if message.len() > MOST_SHOWN {
        return None;
    }
    if let Some(end) = answer::instant(approval.expires_at.as_ref()) {
        message.push_str("\n\nWithout an answer until ");
        message.push_str(&end);
        message.push_str(" the answer is no.");
    }
    Some(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: schema(&approval.class)?,
    })
}

fn schema(class: &str) -> Option<ElicitationSchema> {
    let choices = [DENY, ONCE, SESSION].map(str::to_owned).to_vec();
    let decision = EnumSchema::builder(choices)
        .title("Decision")
        .description(format!(
            "\"{SESSION}\" also approves what else of class {class} this client asks for in these accounts and roles"
        ))
        .with_default(DENY)
        .ok()?;
    let schema = ElicitationSchema::builder().required_enum_schema(FIELD, decision.build());
    schema.build().ok()
}

#[cfg(test)]
mod tests;
