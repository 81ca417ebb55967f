//! What a command printed as JSON, made shorter before it is cut: by a jq
//! filter, which the daemon applies, and as TOON, where that is the shorter text.

use awsso_proto::{
    Failure, Reason,
    v1::{OutputStream, QueryOutputRequest, TaskState, query_output_request::Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{call::Call, run::Run};

/// The most that a filter's result may be; the daemon hands out no more at once.
const MOST_BYTES: u32 = 4 << 20;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// As it was printed.
    #[default]
    Raw,
    Json,
    Toon,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Reshape {
    filter: Option<String>,
    #[serde(default)]
    format: Format,
}

pub(super) fn add_properties(properties: &mut Value) {
    properties["filter"] = json!({
        "type": "string",
        "minLength": 1,
        "description": "A jq filter for the JSON that the command prints, applied before anything is cut, for example .Reservations[].Instances[].InstanceId",
    });
    properties["format"] = json!({
        "type": "string",
        "enum": ["raw", "json", "toon"],
        "description": "How printed JSON is shown: raw as printed (if left out), json without white space, toon with tables for lists (fewest tokens).",
    });
}

/// Puts the wished form in place of what succeeded tasks printed.
pub(super) async fn reshape(call: &Call<'_>, run: &mut Run, wish: &Reshape) {
    if wish.filter.is_none() && wish.format == Format::Raw {
        return;
    }
    for (task, printed) in run.job.tasks.iter().zip(&mut run.printed) {
        if task.state() == TaskState::Succeeded && printed.stdout.chars() > 0 {
            let shape = one(call, &task.output_id, wish).await;
            // Without a filter, what is no JSON is shown as it is.
            printed.reshaped = Some(shape).filter(|shape| shape.is_ok() || wish.filter.is_some());
        }
    }
}

async fn one(call: &Call<'_>, output_id: &str, wish: &Reshape) -> Result<String, Failure> {
    let filter = wish.filter.as_deref().unwrap_or(".");
    let request = QueryOutputRequest {
        output_id: output_id.to_owned(),
        stream: OutputStream::Stdout.into(),
        query: Some(Query::Jq(filter.to_owned())),
        max_bytes: MOST_BYTES,
    };
    let answer = call
        .ask(|client| {
            let request = request.clone();
            async move { client.jobs().query_output(request).await }
        })
        .await?;
    if answer.truncated {
        return Err(Failure::new(
            Reason::InvalidArgument,
            "the result is longer than 4 MiB; filter more out",
        ));
    }
    let results = String::from_utf8_lossy(&answer.data).into_owned();
    Ok(match wish.format {
        Format::Raw | Format::Json => results,
        Format::Toon => shortest(results),
    })
}

/// Results of a filter, one a line, as TOON, or as they are where that is shorter.
pub(super) fn shortest(results: String) -> String {
    let toon = toon(&results);
    toon.filter(|toon| toon.len() < results.len())
        .unwrap_or(results)
}

fn toon(results: &str) -> Option<String> {
    let values = serde_json::Deserializer::from_str(results).into_iter::<Value>();
    let mut values = values.collect::<Result<Vec<_>, _>>().ok()?;
    let document = if values.len() == 1 {
        values.pop()?
    } else {
        Value::Array(values)
    };
    toon_format::encode_default(&document).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_alike_objects_becomes_a_table() {
        let buckets: Vec<_> = (0..3)
            .map(|n| json!({"Name": format!("bucket-{n}"), "CreationDate": "2026-11-22"}))
            .collect();
        assert_eq!(
            shortest(json!({"Buckets": buckets}).to_string()),
            "Buckets[3]{Name,CreationDate}:\n  bucket-0,2026-11-22\n  bucket-1,2026-11-22\n  bucket-2,2026-11-22"
        );
        let lines = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        assert_eq!(shortest(lines.into()), "[3]{a}:\n  1\n  2\n  3");
    }

    #[test]
    fn json_stays_where_it_is_shorter_and_where_it_is_none() {
        for text in ["{\"a\":{\"b\":{}}}", "\"x\"\n", "not JSON"] {
            assert!(shortest(text.into()).len() <= text.len(), "{text}");
        }
        assert_eq!(shortest("not JSON".into()), "not JSON");
    }
}
