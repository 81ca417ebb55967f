//! How one line follows from the one before.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Entry, Line};

/// Before the first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last line; 0 when there is none.
    pub seq: u64,
    pub hash: String,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            seq: 0,
            hash: NOTHING.to_owned(),
        }
    }
}

impl Chain {
    /// The next line, with its end.
    pub fn link(&mut self, entry: Entry) -> String {
        let line = Line {
            seq: self.seq + 1,
            prev: std::mem::take(&mut self.hash),
            entry,
        };
        let mut text = serde_json::to_string(&line).expect("texts and numbers are JSON");
        self.seq = line.seq;
        self.hash = digest(text.as_bytes());
        text.push('\n');
        text
    }
}

/// Of a line without its end.
pub fn digest(line: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(line)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // a String takes everything
            text
        })
}

/// What `audit.head` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the oldest line that was not removed for its age.
    pub first: u64,
    /// Of the last line.
    pub seq: u64,
    pub hash: String,
}

impl Head {
    pub fn new(first: u64, end: &Chain) -> Self {
        Self {
            first,
            seq: end.seq,
            hash: end.hash.clone(),
        }
    }

    pub fn end(&self) -> Chain {
        Chain {
            seq: self.seq,
            hash: self.hash.clone(),
        }
    }
}
