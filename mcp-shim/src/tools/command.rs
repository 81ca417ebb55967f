//! What the command tools share: where a command runs, for how long, and how
//! much of what it prints is shown.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason,
    v1::{Selection, StartJobRequest, Target, start_job_request::Work},
};
use rmcp::model::{CallToolResult, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reshape::{self, Reshape};
use crate::{
    answer,
    call::{Call, LONGEST_WAIT},
    job,
};

/// The most characters that one answer may hold, and how many it holds unasked.
pub(crate) const MOST_CHARS: usize = 100_000;
pub(super) const USUAL_CHARS: usize = 20_000;

/// Accounts, roles or regions that are named one by one; a glob names more.
const MOST_NAMED: usize = 1_000;

/// A command may do whatever its role may.
pub(super) fn annotations() -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(false)
        .destructive(true)
        .idempotent(false)
        .open_world(true)
}

/// The arguments, as a schema's properties.
pub(super) fn properties() -> Value {
    json!({
        "accountId": {
            "type": "string",
            "minLength": 1,
            "description": "The account: its 12-digit id, or its name, from aws_sso_ls_accounts. Needed unless accounts is given.",
        },
        "roleName": {
            "type": "string",
            "minLength": 1,
            "description": "The role (permission set) in that account, from aws_sso_ls_accounts. Needed unless roles is given.",
        },
        "region": {
            "type": "string",
            "minLength": 1,
            "description": "AWS region, for example eu-west-1. Leave out for the configured one.",
        },
        "accounts": strings("Instead of accountId: several accounts by id, name or glob of names, for example [\"prod-*\"]; [\"*\"] is all."),
        "roles": strings("Instead of roleName: in each account the first of these that the person has there."),
        "regions": strings("Instead of region: several."),
        "session": super::session_argument(),
        "timeoutSeconds": {
            "type": "integer",
            "minimum": 1,
            "maximum": 86_400,
            "description": "Stop the command after this many seconds.",
        },
        "waitSeconds": wait_argument("Answer after this many seconds, done or not; 45 if left out. What is not done goes on, and the answer has its jobId."),
        "maxChars": chars_argument(),
    })
}

/// An array of strings that are not empty.
pub(super) fn strings(description: &str) -> Value {
    json!({
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "maxItems": MOST_NAMED,
        "description": description,
    })
}

/// How long a call may wait; more than 50 s only where the client sees progress.
pub(super) fn wait_argument(description: &str) -> Value {
    json!({
        "type": "integer",
        "minimum": 0,
        "maximum": LONGEST_WAIT.as_secs(),
        "description": description,
    })
}

pub(super) fn chars_argument() -> Value {
    json!({
        "type": "integer",
        "minimum": 100,
        "maximum": MOST_CHARS,
        "description": "Show at most this many characters of output; 20,000 if left out.",
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandArgs {
    account_id: Option<String>,
    role_name: Option<String>,
    region: Option<String>,
    accounts: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    regions: Option<Vec<String>>,
    session: Option<String>,
    timeout_seconds: Option<u64>,
    wait_seconds: Option<u64>,
    max_chars: Option<usize>,
    #[serde(skip)]
    read_only: bool,
}

impl CommandArgs {
    /// The daemon is to refuse what does not only read.
    pub(super) fn only_reading(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }

    /// Runs the work where it shall run, and lays out what came of it.
    pub(super) async fn run(
        self,
        call: &Call<'_>,
        work: Work,
        wish: &Reshape,
    ) -> Result<CallToolResult, Failure> {
        let max_chars = self.max_chars.unwrap_or(USUAL_CHARS);
        let deadline = call.deadline(self.wait_seconds);
        let request = self.request(call, work)?;
        let mut run = job::run(call, request, max_chars, deadline).await?;
        reshape::reshape(call, &mut run, wish).await;
        Ok(answer::run(&run, max_chars))
    }

    fn request(self, call: &Call<'_>, work: Work) -> Result<StartJobRequest, Failure> {
        let time_limit = self
            .timeout_seconds
            .and_then(|seconds| Duration::from_secs(seconds).try_into().ok());
        let context = call.context();
        let session = Some(context.session(self.session));
        let several = self.accounts.is_some() || self.roles.is_some() || self.regions.is_some();
        let accounts = either("accountId", self.account_id, "accounts", self.accounts)?;
        let roles = either("roleName", self.role_name, "roles", self.roles)?;
        let region = context.region(self.region.clone());
        let mut regions = either("region", self.region, "regions", self.regions)?;
        let mut request = StartJobRequest {
            work: Some(work),
            time_limit,
            read_only: self.read_only,
            ..StartJobRequest::default()
        };
        if several {
            if regions.is_empty() && !region.is_empty() {
                regions.push(region);
            }
            request.selection = Some(Selection {
                session,
                accounts,
                roles,
                regions,
                ..Selection::default()
            });
        } else {
            let only = |values: Vec<String>| values.into_iter().next().unwrap_or_default();
            request.target = Some(Target {
                session,
                account: only(accounts),
                role: only(roles),
                region,
            });
        }
        Ok(request)
    }
}

/// One, or several; never both.
fn either(
    one_name: &str,
    one: Option<String>,
    several_name: &str,
    several: Option<Vec<String>>,
) -> Result<Vec<String>, Failure> {
    if one.is_some() && several.is_some() {
        return Err(Failure::new(
            Reason::InvalidArgument,
            format!("give {one_name} or {several_name}, not both"),
        ));
    }
    Ok(several.unwrap_or_else(|| one.into_iter().collect()))
}
