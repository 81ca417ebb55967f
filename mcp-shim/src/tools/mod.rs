//! The tools: one file each, with its definition and its work.

mod command;
mod ec2_exec_command;
mod exec_command;
mod job;
pub(crate) mod login;
mod logout;
mod ls_accounts;
mod output;
mod prompt;
mod read_command;
mod reshape;
mod status;

use awsso_proto::{Failure, Reason, error::key};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject, MetaObject, Tool};
use serde_json::{Value, json};

use crate::{
    call::Call,
    elicit::{Way, form},
};

pub(crate) use command::MOST_CHARS;
pub(crate) use job::NAME as JOB;
pub(crate) use ls_accounts::NAME as LS_ACCOUNTS;
pub(crate) use output::NAME as OUTPUT;
pub(crate) use status::NAME as STATUS;

/// Always in the same order, whatever has been called before.
pub(crate) fn list() -> Vec<Tool> {
    vec![
        login::tool(),
        status::tool(),
        ls_accounts::tool(),
        read_command::tool(),
        exec_command::tool(),
        ec2_exec_command::tool(),
        job::tool(),
        output::tool(),
        logout::tool(),
    ]
}

/// Calls a tool of the list. Where a login is required and the client can show a
/// link, that is what it is asked to do, and the tool goes on after the login.
pub(crate) async fn call(
    call: &Call<'_>,
    tool: &Tool,
    arguments: JsonObject,
) -> Result<CallToolResponse, Failure> {
    if tool.name == login::NAME {
        return login::call(call, &tool.input_schema, arguments).await;
    }
    let can_show = Way::of_links(call.request()) == Some(Way::Answer);
    if call.login_round().is_none() || !can_show {
        match approved(call, tool, &arguments).await {
            Err(failure) if can_show && needs_login(&failure) => {}
            answered => return answered,
        }
    }
    match login::on_the_way(call, &arguments).await? {
        Some(again) => Ok(again.into()),
        None => approved(call, tool, &arguments).await,
    }
}

/// Calls a tool. Where a person must approve it and the client can ask its own, that
/// is what it is asked to do, and the tool goes on after the answer, whoever gave it.
async fn approved(
    call: &Call<'_>,
    tool: &Tool,
    arguments: &JsonObject,
) -> Result<CallToolResponse, Failure> {
    if let Some(round) = call.approval_round() {
        form::pass_on(call, round).await?;
    }
    let failure = match run(call, tool, arguments.clone()).await {
        Err(failure) if call.asks() && failure.reason == Reason::ApprovalRequired => failure,
        answered => return answered.map(Into::into),
    };
    if let Some(again) = form::ask(call, &tool.name, arguments, &failure).await? {
        return Ok(again.into());
    }
    run(call, tool, arguments.clone()).await.map(Into::into)
}

fn needs_login(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::LoginRequired | Reason::LoginExpired)
}

async fn run(
    call: &Call<'_>,
    tool: &Tool,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let schema = tool.input_schema.as_ref();
    match tool.name.as_ref() {
        status::NAME => status::call(call, schema, arguments).await,
        ls_accounts::NAME => ls_accounts::call(call, schema, arguments).await,
        read_command::NAME => read_command::call(call, schema, arguments).await,
        exec_command::NAME => exec_command::call(call, schema, arguments).await,
        ec2_exec_command::NAME => ec2_exec_command::call(call, schema, arguments).await,
        job::NAME => job::call(call, schema, arguments).await,
        output::NAME => output::call(call, schema, arguments).await,
        logout::NAME => logout::call(call, schema, arguments).await,
        other => Err(Failure::new(
            Reason::Internal,
            format!("{other} is listed and cannot be called"),
        )),
    }
}

/// What a tool answers in words.
pub(crate) async fn text(
    called: &Call<'_>,
    name: &str,
    arguments: JsonObject,
) -> Result<String, Failure> {
    let missing = || Failure::new(Reason::Internal, format!("there is no tool {name}"));
    let tool = list().into_iter().find(|tool| tool.name == name);
    let answer = run(called, &tool.ok_or_else(missing)?, arguments).await?;
    let texts = answer.content.iter().filter_map(ContentBlock::as_text);
    Ok(texts.map(|block| block.text.as_str()).collect())
}

/// Claude Code: the definition is always in front of the model.
fn always_loaded() -> MetaObject {
    let mut meta = MetaObject::new();
    meta.0.insert("anthropic/alwaysLoad".into(), json!(true));
    meta
}

/// Claude Code: an answer of this size reaches the model whole.
fn long_answers(mut meta: MetaObject) -> MetaObject {
    meta.0
        .insert("anthropic/maxResultSizeChars".into(), json!(MOST_CHARS));
    meta
}

/// What a handle was for that nobody knows any more.
fn of_a_handle(failure: Failure) -> Failure {
    match failure.reason {
        Reason::NotFound => failure.with(
            key::HINT,
            "handles stand in the last line of an answer and are kept for days; run the command again for a new one",
        ),
        _ => failure,
    }
}

/// The argument that every tool has.
fn session_argument() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "description": "Name of the SSO session, when there are several. Leave out for the configured one.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_schema(value: &Value, check: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
        match value {
            Value::Object(map) => {
                check(map);
                map.values().for_each(|value| every_schema(value, check));
            }
            Value::Array(items) => items.iter().for_each(|item| every_schema(item, check)),
            _ => {}
        }
    }

    fn schemas(tool: &Tool) -> impl Iterator<Item = Value> {
        let schemas = [Some(&tool.input_schema), tool.output_schema.as_ref()];
        let schemas = schemas.map(|schema| schema.map(|schema| Value::Object((**schema).clone())));
        schemas.into_iter().flatten()
    }

    #[test]
    fn the_tools_come_in_their_order_and_are_few() {
        let names: Vec<_> = list().into_iter().map(|tool| tool.name).collect();
        assert_eq!(
            names,
            [
                "aws_sso_login",
                "aws_sso_status",
                "aws_sso_ls_accounts",
                "aws_sso_read_command",
                "aws_sso_exec_command",
                "aws_sso_ec2_exec_command",
                "aws_sso_job",
                "aws_sso_output",
                "aws_sso_logout",
            ]
        );
    }

    #[test]
    fn schemas_keep_to_what_every_client_takes() {
        for tool in list() {
            for schema in schemas(&tool) {
                every_schema(&schema, &mut |map| {
                    assert!(!map.get("type").is_some_and(Value::is_array), "{map:?}");
                    let format = map.get("format").and_then(Value::as_str);
                    assert!(!format.is_some_and(|name| name.contains("int")), "{map:?}");
                    for key in ["$ref", "oneOf", "anyOf", "allOf", "$schema"] {
                        assert!(!map.contains_key(key), "{key} in {map:?}");
                    }
                });
                assert_eq!(schema["type"], "object");
            }
            assert_eq!(tool.input_schema["additionalProperties"], json!(false));
        }
    }

    #[test]
    fn each_tool_says_what_it_does_and_what_it_may_do() {
        for tool in list() {
            let description = tool.description.as_deref().unwrap_or_default();
            assert!((40..1_000).contains(&description.len()), "{}", tool.name);
            assert!(tool.title.is_some(), "{}", tool.name);
            let annotations = tool.annotations.unwrap();
            assert!(annotations.read_only_hint.is_some(), "{}", tool.name);
            assert!(annotations.open_world_hint.is_some(), "{}", tool.name);
        }
    }
}
