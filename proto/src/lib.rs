//! What both ends of the socket must agree on: the messages, the errors, where
//! the socket is, how to connect, listen and know the peer, the handshake, how a
//! client starts the daemon, how a file is replaced, the form of the audit log, and how an approval reads.
//! It has no opinion about AWS.

pub mod approval;
pub mod audit;
pub mod browser;
pub mod client;
pub mod disk;
pub mod endpoint;
pub mod environment;
pub mod error;
pub mod ipc;
pub mod launch;
pub mod v1;

pub use client::Client;
pub use endpoint::Endpoint;
pub use error::{Failure, Reason};

/// The version of the contract. An additive change bumps it only when clients
/// need what it added: then they have an older daemon replaced.
pub const PROTOCOL: u32 = if cfg!(feature = "next-protocol") {
    2
} else {
    1
};

/// The oldest that a daemon of this build serves. A change that is not additive
/// makes it `PROTOCOL`.
pub const OLDEST_PROTOCOL: u32 = 1;

/// Metadata in which a first request brings its Hello along, and an answer that of the daemon.
pub const HELLO: &str = "awsso-hello-bin";

/// The version of this build, as every binary prints it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
