//! CloudWatch Logs, JSON 1.1: reading what commands of Systems Manager have left in a log group.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::clock;
use crate::cloud::Cloud;
use crate::keys::Caller;
use crate::sigv4::Claim;
use crate::ssm::commands::Place;

/// A page holds this many bytes at most, and this many events.
const MOST_BYTES: usize = 1 << 20;
const MOST_EVENTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetLogEvents {
    log_group_name: String,
    log_stream_name: String,
    #[serde(default)]
    start_from_head: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    call: &Call,
) -> Result<Answer, Refusal> {
    if operation != "GetLogEvents" {
        return Err(Refusal::bad(
            "UnknownOperationException",
            format!("Unknown operation {operation}"),
        ));
    }
    let region = call
        .header("authorization")
        .and_then(Claim::parse)
        .map_or("", |claim| claim.region);
    let place = Place {
        account: caller.account.clone(),
        region: region.to_owned(),
    };
    let request = serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::bad("SerializationException", error.to_string()))?;
    let events = get_log_events(cloud, &place, &request)?;
    Ok(Answer::amz_json(&events))
}

fn get_log_events(cloud: &Cloud, place: &Place, request: &GetLogEvents) -> Result<Value, Refusal> {
    let now = cloud.now();
    let events = cloud
        .commands
        .log_events(
            place,
            &request.log_group_name,
            &request.log_stream_name,
            now,
        )
        .ok_or_else(|| {
            Refusal::bad(
                "ResourceNotFoundException",
                "The specified log stream does not exist.",
            )
        })?;
    let invalid = |what: &str| Refusal::bad("InvalidParameterException", what);
    let begin = match request.next_token.as_deref() {
        None if request.start_from_head => 0,
        None => return Err(invalid("this stand-in reads from the head only")),
        Some(token) => token
            .strip_prefix("f/")
            .and_then(|at| at.parse::<usize>().ok())
            .filter(|at| *at <= events.len())
            .ok_or_else(|| invalid("The specified nextToken is invalid."))?,
    };
    let most = request.limit.unwrap_or(MOST_EVENTS).clamp(1, MOST_EVENTS);
    let mut bytes = 0;
    let page: Vec<_> = events[begin..]
        .iter()
        .take(most)
        .take_while(|event| {
            let first = bytes == 0;
            bytes += event.len();
            first || bytes <= MOST_BYTES
        })
        .collect();
    let at = clock::epoch_millis(now);
    // At the end it is the token that was given.
    let next = begin + page.len();
    let page: Vec<_> = page
        .into_iter()
        .map(|event| json!({ "timestamp": at, "message": event, "ingestionTime": at }))
        .collect();
    Ok(json!({
        "events": page,
        "nextForwardToken": format!("f/{next}"),
        "nextBackwardToken": format!("b/{begin}"),
    }))
}
