//! `aws_sso_output`: a part of what a command printed, without running it again.

use std::sync::Arc;

use awsso_proto::{
    Failure, Reason,
    v1::{OutputStream, QueryOutputRequest, query_output_request::Query},
};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::json;

use super::{
    command::{USUAL_CHARS, chars_argument},
    reshape,
};
use crate::{
    answer::{self, grouped},
    arguments,
    call::Call,
    job,
    output::{CHAR_BYTES, cut},
};

pub(crate) const NAME: &str = "aws_sso_output";

const DESCRIPTION: &str = "\
Reads what a command printed, without running it again: from offset on, or the last lines (tail), or the \
lines that match a regular expression (grep), or the results of a jq filter (jq). The outputId comes from the \
last line, or the table, of the command's answer and is good for days. A cut answer's last line tells \
nextOffset, to read on.";

/// The largest integer that every JSON parser keeps.
const MOST_BYTES: u64 = (1 << 53) - 1;

/// More lines than any answer can hold.
const MOST_LINES: u32 = 100_000;

pub(super) fn tool() -> Tool {
    let schema = arguments::schema(
        json!({
            "outputId": {"type": "string", "minLength": 1, "description": "The output, for example out_…"},
            "stream": {
                "type": "string",
                "enum": ["stdout", "stderr"],
                "description": "stdout if left out.",
            },
            "offset": {
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_BYTES,
                "description": "Read from this byte on; 0 if left out.",
            },
            "tail": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_LINES,
                "description": "Read the last lines, so many.",
            },
            "grep": {
                "type": "string",
                "minLength": 1,
                "description": "Read the lines that match this regular expression.",
            },
            "jq": {
                "type": "string",
                "minLength": 1,
                "description": "Read the results of this jq filter over the JSON that was printed.",
            },
            "format": {
                "type": "string",
                "enum": ["json", "toon"],
                "description": "With jq: json, one result a line (if left out), or toon, with tables for lists.",
            },
            "maxChars": chars_argument(),
        }),
        &["outputId"],
    );
    Tool::new(NAME, DESCRIPTION, Arc::new(schema))
        .with_title("Read a stored output")
        .with_annotations(ToolAnnotations::new().read_only(true).open_world(false))
        .with_meta(super::long_answers(MetaObject::new()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    output_id: String,
    #[serde(default)]
    stream: Stream,
    offset: Option<u64>,
    tail: Option<u32>,
    grep: Option<String>,
    jq: Option<String>,
    #[serde(default)]
    format: reshape::Format,
    max_chars: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stream {
    #[default]
    Stdout,
    Stderr,
}

impl From<Stream> for OutputStream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let text = match args.question()? {
        Some(query) => answer_to(call, &args, query).await,
        None => piece(call, &args).await,
    };
    let text = text.map_err(super::of_a_handle)?;
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
}

impl Args {
    fn question(&self) -> Result<Option<Query>, Failure> {
        let questions = [
            self.tail.map(Query::Tail),
            self.grep.clone().map(Query::Grep),
            self.jq.clone().map(Query::Jq),
        ];
        let mut questions = questions.into_iter().flatten();
        let first = questions.next();
        if questions.next().is_some() || (first.is_some() && self.offset.is_some()) {
            return Err(Failure::new(
                Reason::InvalidArgument,
                "give one of offset, tail, grep and jq",
            ));
        }
        Ok(first)
    }

    fn max_chars(&self) -> usize {
        self.max_chars.unwrap_or(USUAL_CHARS)
    }
}

/// The output from an offset on.
async fn piece(call: &Call<'_>, args: &Args) -> Result<String, Failure> {
    let max_chars = args.max_chars();
    let offset = args.offset.unwrap_or_default();
    let head = job::read(
        call,
        &args.output_id,
        args.stream.into(),
        offset,
        max_chars * CHAR_BYTES,
    )
    .await?;
    let shown = head.show(max_chars);
    let end = shown.next_offset;
    let mut parts = vec![format!("bytes {offset} to {end} of {}", head.next())];
    if end < head.next() {
        parts.push(format!("nextOffset {end}"));
    }
    Ok(with_last_line(shown.text, &parts))
}

async fn answer_to(call: &Call<'_>, args: &Args, query: Query) -> Result<String, Failure> {
    let max_chars = args.max_chars();
    let is_toon = args.format == reshape::Format::Toon && args.jq.is_some();
    // A table can be made of the whole only.
    let most = if is_toon {
        4 << 20
    } else {
        max_chars * CHAR_BYTES
    };
    let request = QueryOutputRequest {
        output_id: args.output_id.clone(),
        stream: OutputStream::from(args.stream).into(),
        query: Some(query),
        max_bytes: u32::try_from(most).unwrap_or(u32::MAX),
    };
    let answer = call
        .ask(|client| {
            let request = request.clone();
            async move { client.jobs().query_output(request).await }
        })
        .await?;
    let mut text = String::from_utf8_lossy(&answer.data).into_owned();
    if is_toon && !answer.truncated {
        text = reshape::shortest(text);
    }
    let (shown, is_all) = cut(&text, max_chars);
    let chars = grouped(shown.chars().count());
    let last = match (answer.truncated, is_all) {
        (false, true) => format!("{chars} chars, all that was asked for"),
        (false, false) => format!(
            "{chars} of {} chars shown: ask for less, or raise maxChars",
            grouped(text.chars().count())
        ),
        (true, _) => format!("the first {chars} chars: ask for less, or raise maxChars"),
    };
    Ok(with_last_line(shown.to_owned(), &[last]))
}

fn with_last_line(mut text: String, parts: &[String]) -> String {
    if text.is_empty() {
        text.push_str("(nothing)");
    }
    answer::on_new_line(&mut text, &format!("[{}]", parts.join(" | ")));
    text
}
