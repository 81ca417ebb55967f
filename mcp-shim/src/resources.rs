//! The resources: what a person may pull into a conversation by name. Each is
//! what the tool of the same subject tells, so that nobody needs resources.

use awsso_proto::{Failure, Reason};
use rmcp::model::{
    CacheScope, ErrorData, JsonObject, ListResourceTemplatesResult, ListResourcesResult,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::json;

use crate::{answer, call::Call, tools};

const STATUS: &str = "aws-sso://status";
const ACCOUNTS: &str = "aws-sso://accounts";
const OUTPUT: &str = "aws-sso://output/";
const JOB: &str = "aws-sso://jobs/";

/// The list of resources changes with the binary only.
const LIST_FRESH_MS: u64 = 3_600_000;

/// How long accounts are as they were; all else may change at any time.
const ACCOUNTS_FRESH_MS: u64 = 60_000;

pub(crate) fn output_uri(output_id: &str) -> String {
    format!("{OUTPUT}{output_id}")
}

pub(crate) fn list() -> ListResourcesResult {
    let text = |uri: &str, name: &str, title: &str, description: &str| {
        Resource::new(uri, name)
            .with_title(title)
            .with_description(description)
            .with_mime_type("text/plain")
    };
    ListResourcesResult::with_all_items(vec![
        text(
            STATUS,
            "status",
            "AWS SSO status",
            "Who is logged in, and until when",
        ),
        text(
            ACCOUNTS,
            "accounts",
            "AWS accounts and roles",
            "The accounts and roles of the signed-in person",
        ),
    ])
    .with_ttl_ms(LIST_FRESH_MS)
    .with_cache_scope(CacheScope::Public)
}

pub(crate) fn templates() -> ListResourceTemplatesResult {
    let text = |uri: String, name: &str, title: &str, description: &str| {
        ResourceTemplate::new(uri, name)
            .with_title(title)
            .with_description(description)
            .with_mime_type("text/plain")
    };
    ListResourceTemplatesResult::with_all_items(vec![
        text(
            format!("{OUTPUT}{{outputId}}"),
            "output",
            "Output of a command",
            "What a command printed, by the outputId of its answer",
        ),
        text(
            format!("{JOB}{{jobId}}"),
            "job",
            "Running command",
            "A command that goes on without its call, by the jobId of its answer",
        ),
    ])
    .with_ttl_ms(LIST_FRESH_MS)
    .with_cache_scope(CacheScope::Public)
}

pub(crate) async fn read(call: &Call<'_>, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let Some((tool, arguments)) = meant(uri) else {
        return Err(not_found(uri));
    };
    let told = Box::pin(call.answered(tools::text(call, tool, arguments))).await;
    let text = told.map_err(|failure| error(uri, &failure))?;
    let fresh = if uri == ACCOUNTS {
        ACCOUNTS_FRESH_MS
    } else {
        0
    };
    let contents = ResourceContents::text(text, uri);
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(fresh)
        .with_cache_scope(CacheScope::Private))
}

/// The tool that tells the same, and its arguments.
fn meant(uri: &str) -> Option<(&'static str, JsonObject)> {
    let is_id = |id: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !id.is_empty() && id.bytes().all(fits)
    };
    let (tool, arguments) = match uri {
        STATUS => (tools::STATUS, json!({})),
        ACCOUNTS => (tools::LS_ACCOUNTS, json!({})),
        uri => {
            let output = uri.strip_prefix(OUTPUT).filter(is_id);
            let job = uri.strip_prefix(JOB).filter(is_id);
            match (output, job) {
                (Some(id), _) => (
                    tools::OUTPUT,
                    json!({"outputId": id, "maxChars": tools::MOST_CHARS}),
                ),
                (None, Some(id)) => (tools::JOB, json!({"jobId": id})),
                (None, None) => return None,
            }
        }
    };
    Some((tool, arguments.as_object().cloned().unwrap_or_default()))
}

fn error(uri: &str, failure: &Failure) -> ErrorData {
    if failure.reason == Reason::NotFound {
        return not_found(uri);
    }
    ErrorData::internal_error(answer::failure_text(failure), None)
}

fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("no such resource", Some(json!({"uri": uri})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_means_one_tool_and_a_strange_one_none() {
        let tool = |uri: &str| meant(uri).map(|(tool, _)| tool);
        assert_eq!(tool("aws-sso://status"), Some(tools::STATUS));
        assert_eq!(tool("aws-sso://accounts"), Some(tools::LS_ACCOUNTS));
        assert_eq!(tool("aws-sso://jobs/job_1"), Some(tools::JOB));
        let (_, arguments) = meant(&output_uri("out_1")).unwrap();
        assert_eq!(arguments["outputId"], "out_1");
        for strange in [
            "aws-sso://jobs/",
            "aws-sso://output/../x",
            "aws-sso://output/a/b",
            "aws-sso://status/",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(tool(strange), None, "{strange}");
        }
    }
}
