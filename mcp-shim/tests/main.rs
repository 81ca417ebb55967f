//! One binary for all tests of the built shim, one file per subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod daemon;
mod fake_daemon;
mod hostile;
mod http;
mod login;
mod served;
mod shim;
mod stdio;
