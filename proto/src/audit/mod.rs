//! The audit log: what its lines say, how they are chained, and how that is
//! checked. The daemon writes it; whoever reads it reads the files, so that it
//! can be read and checked without the daemon that wrote it.
//!
//! Each line of `audit.jsonl` is a JSON object that holds its number and the
//! SHA-256 of the line before it. A full file is renamed after the number of its
//! first line, and the chain goes on in the next one. `audit.head` holds the number
//! and the digest of the last line: it anchors the end. It is written after its
//! lines are on disk, so a daemon that is killed leaves at most lines that the head
//! does not know yet, or half a line.
//!
//! What this finds: any line that was changed, removed, inserted or moved, and an
//! end that was cut off, by whoever did not go to the length of computing all
//! digests anew. A program of the same user can do that: the chain is evidence
//! against slips, scripts and agents without a shell, not against its owner.

mod chain;
mod verify;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use chain::{Chain, Head, digest};
pub use verify::{Finding, Note, Report, verify};

const CURRENT: &str = "audit.jsonl";
const HEAD: &str = "audit.head";

/// The verb of the line by which a daemon says that it found a log without a head.
pub const HEADLESS: &str = "Log.headless";

/// The file that is written.
pub fn current(state: &Path) -> PathBuf {
    state.join(CURRENT)
}

/// The file that says where the log ends.
pub fn head(state: &Path) -> PathBuf {
    state.join(HEAD)
}

/// What a file is called once it is full; `first` is the number of its first line.
pub fn rotated(state: &Path, first: u64) -> PathBuf {
    state.join(format!("audit.{first:012}.jsonl"))
}

/// All files with the numbers that they are called after, oldest first; the
/// current one comes last and has none.
pub fn files(state: &Path) -> io::Result<Vec<(Option<u64>, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(state)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if name == CURRENT {
            files.push((None, path));
        } else if let Some(first) = name
            .strip_prefix("audit.")
            .and_then(|rest| rest.strip_suffix(".jsonl"))
            .and_then(|first| first.parse().ok())
        {
            files.push((Some(first), path));
        }
    }
    files.sort_by_key(|(first, _)| first.unwrap_or(u64::MAX));
    Ok(files)
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub seq: u64,
    /// The SHA-256 of the line before, in hexadecimal; zeros before the first.
    pub prev: String,
    #[serde(flatten)]
    pub entry: Entry,
}

/// What was asked for, by whom, and what came of it. No output and no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// RFC 3339, in UTC.
    pub at: String,
    pub who: Who,
    /// `Jobs.Start`, as the contract calls it; `Job.ended`; `Log.…`
    pub verb: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// `allow`, `ask` or `deny`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub decision: Cow<'static, str>,
    /// The rule or the preset that decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// `ok`, a Reason, or the state of a job.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub result: Cow<'static, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub job: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// How many tasks ended in which state, when there are many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, usize>,
    /// The same request so many times, until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
}

/// The principal, as the system and the client itself say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Who {
    /// `person`, `agent` or `daemon`.
    pub kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exe: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
}

/// Where it was to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// Of how many this is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
}

/// How a task ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    #[serde(flatten)]
    pub target: Target,
    pub state: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub aws_command_id: String,
}
