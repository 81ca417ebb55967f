//! `aws_sso_logout`: ends a login, here and at AWS.

use std::sync::Arc;

use awsso_proto::{Failure, Reason, v1::LogoutRequest};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{answer, arguments, call::Call};

pub(super) const NAME: &str = "aws_sso_logout";

const DESCRIPTION: &str = "\
Logs the person out of AWS SSO: the tokens and the temporary credentials are removed, for every program on \
this computer that uses this login. Only when the person asks for it; confirm must be true.";

pub(super) fn tool() -> Tool {
    let input = arguments::schema(
        json!({
            "confirm": {"type": "boolean", "description": "true: the person asked for it."},
            "session": super::session_argument(),
            "all": {"type": "boolean", "description": "Every session, not only one."},
        }),
        &["confirm"],
    );
    let output = arguments::schema(
        json!({
            "sessions": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The sessions that were logged out.",
            },
        }),
        &["sessions"],
    );
    Tool::new(NAME, DESCRIPTION, Arc::new(input))
        .with_raw_output_schema(Arc::new(output))
        .with_title("Log out of AWS SSO")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(true),
        )
}

#[derive(Debug, Deserialize)]
struct Args {
    confirm: bool,
    session: Option<String>,
    #[serde(default)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Facts {
    sessions: Vec<String>,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    if !args.confirm {
        return Err(Failure::new(
            Reason::InvalidArgument,
            "confirm must be true: ask the person first",
        ));
    }
    let request = LogoutRequest {
        session: Some(call.context().session(args.session)),
        all: args.all,
    };
    let sessions = call
        .ask(|client| {
            let request = request.clone();
            async move { client.session().logout(request).await }
        })
        .await?
        .sessions;
    let text = if sessions.is_empty() {
        "Nobody was logged in.".to_owned()
    } else {
        format!("Logged out of {}.", sessions.join(", "))
    };
    Ok(answer::facts(text, &Facts { sessions }))
}
