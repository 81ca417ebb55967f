//! Which part of which stored output is printed.

use awsso_proto::v1::query_output_request::Query;
use clap::builder::NonEmptyStringValueParser;

/// Without a flag, both streams of every task go where they came from. A flag
/// asks one stream, and prints it as data.
#[derive(Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// A job, or one output of a job
    pub id: String,
    /// Of several tasks this one; the first is 1
    #[arg(long, value_name = "N", group = "which", value_parser = clap::value_parser!(u32).range(1..))]
    pub task: Option<u32>,
    /// Of several tasks those in this account: its id or name
    #[arg(long, value_name = "ACCOUNT", group = "which", value_parser = NonEmptyStringValueParser::new())]
    pub account: Option<String>,
    /// Of several tasks the one on this instance
    #[arg(long, value_name = "ID", group = "which", value_parser = NonEmptyStringValueParser::new())]
    pub instance: Option<String>,
    /// What went to stderr, instead of stdout
    #[arg(long)]
    pub stderr: bool,
    /// The last lines
    #[arg(long, value_name = "N", group = "question")]
    pub tail: Option<u32>,
    /// The lines that match a regular expression
    #[arg(
        long,
        value_name = "REGEX",
        group = "question",
        allow_hyphen_values = true
    )]
    pub grep: Option<String>,
    /// The results of a jq filter, one a line
    #[arg(
        long,
        value_name = "FILTER",
        group = "question",
        allow_hyphen_values = true
    )]
    pub jq: Option<String>,
    /// From this byte on
    #[arg(long, value_name = "BYTES", conflicts_with = "question")]
    pub offset: Option<u64>,
    /// At most this much of each output [default: all; of an answer to --tail, --grep or --jq 4 MiB]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
}

impl OutputArgs {
    pub fn query(&self) -> Option<Query> {
        let tail = self.tail.map(Query::Tail);
        let grep = self.grep.clone().map(Query::Grep);
        let jq = self.jq.clone().map(Query::Jq);
        tail.or(grep).or(jq)
    }

    /// Both streams, each where it came from.
    pub fn is_all(&self) -> bool {
        let Self {
            id: _,
            task: _,
            account: _,
            instance: _,
            stderr,
            tail,
            grep,
            jq,
            offset,
            max,
        } = self;
        let asked = tail.is_some() || grep.is_some() || jq.is_some();
        !(*stderr || asked || offset.is_some() || max.is_some())
    }
}
