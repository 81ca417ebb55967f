//! Systems Manager Run Command, JSON 1.1: sending, following, cancelling, and the inventory of instances.
//!
//! Nothing runs: what a script does is decided by [`script`] when it is sent, when it happens by [`schedule`], and
//! each reader is shown the state of its moment.

pub(crate) mod commands;
mod inventory;
mod results;
mod schedule;
mod script;
mod send;
mod upload;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::keys::Caller;
use crate::organization::Instance;
use crate::sigv4::Claim;

use self::commands::Place;
pub use self::schedule::Unstarted;
pub(crate) use self::upload::Uploads;

/// The most instances one call names.
const MOST_INSTANCES: usize = 50;

/// Who asks, where, and what there is.
struct Desk<'a> {
    cloud: &'a Cloud,
    place: Place,
    instances: &'a [Instance],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CancelCommand {
    command_id: String,
    #[serde(default)]
    instance_ids: Vec<String>,
}

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    call: &Call,
) -> Result<Answer, Refusal> {
    let region = call
        .header("authorization")
        .and_then(Claim::parse)
        .map_or("", |claim| claim.region);
    let account = cloud.organization.account(&caller.account);
    let here = region == cloud.config.region;
    let desk = Desk {
        cloud,
        place: Place {
            account: caller.account.clone(),
            region: region.to_owned(),
        },
        instances: account
            .filter(|_| here)
            .map_or(&[], |account| &account.instances),
    };
    let value = match operation {
        "SendCommand" => desk.send_command(read(call)?)?,
        "GetCommandInvocation" => desk.get_command_invocation(&read(call)?)?,
        "ListCommandInvocations" => desk.list_command_invocations(&read(call)?)?,
        "ListCommands" => desk.list_commands(&read(call)?)?,
        "CancelCommand" => desk.cancel_command(&read(call)?)?,
        "DescribeInstanceInformation" => desk.describe_instance_information(&read(call)?)?,
        other => {
            return Err(Refusal::bad(
                "UnknownOperationException",
                format!("Unknown operation {other}"),
            ));
        }
    };
    Ok(Answer::amz_json(&value))
}

impl Desk<'_> {
    fn cancel_command(&self, request: &CancelCommand) -> Result<Value, Refusal> {
        check_command_id(&request.command_id)?;
        self.check_known(&request.instance_ids)?;
        let now = self.cloud.now();
        if self
            .cloud
            .commands
            .cancel(&self.place, &request.command_id, &request.instance_ids, now)
        {
            Ok(json!({}))
        } else {
            Err(Refusal::bad("InvalidCommandId", ""))
        }
    }

    fn managed(&self, id: &str) -> Option<&Instance> {
        self.instances
            .iter()
            .find(|instance| instance.id == id && instance.is_managed())
    }

    fn check_known(&self, ids: &[String]) -> Result<(), Refusal> {
        if ids.len() > MOST_INSTANCES {
            return Err(validation(&format!(
                "Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to \
                 {MOST_INSTANCES}"
            )));
        }
        if let Some(twice) = ids
            .iter()
            .enumerate()
            .find(|(at, id)| ids[..*at].contains(id))
        {
            return Err(Refusal::bad(
                "DuplicateInstanceId",
                format!("Duplicate instance ID {}", twice.1),
            ));
        }
        let unknown: Vec<_> = ids
            .iter()
            .filter(|id| self.managed(id).is_none())
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Instances [[{}]] not in a valid state for account {}",
            unknown.join(", "),
            self.place.account
        );
        Err(Refusal::bad("InvalidInstanceId", message))
    }
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::bad("SerializationException", error.to_string()))
}

fn validation(what: &str) -> Refusal {
    Refusal::bad(
        "ValidationException",
        format!("1 validation error detected: {what}"),
    )
}

fn check_command_id(id: &str) -> Result<(), Refusal> {
    if id.len() == 36 {
        return Ok(());
    }
    Err(validation(&format!(
        "Value '{id}' at 'commandId' failed to satisfy constraint: Member must have length equal to 36"
    )))
}

/// A page size within what the operation takes.
fn page_size(
    asked: Option<usize>,
    least: usize,
    most: usize,
    default: usize,
) -> Result<usize, Refusal> {
    match asked {
        None => Ok(default),
        Some(size) if (least..=most).contains(&size) => Ok(size),
        Some(size) => Err(validation(&format!(
            "Value '{size}' at 'maxResults' failed to satisfy constraint: Member must have value between {least} and \
             {most}"
        ))),
    }
}

fn bad_token() -> Refusal {
    Refusal::bad("InvalidNextToken", "The specified token is not valid.")
}
