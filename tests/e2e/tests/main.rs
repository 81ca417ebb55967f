//! One binary for all system tests, one file per subject.

#![expect(clippy::unwrap_used, reason = "tests")]

mod daemon;
