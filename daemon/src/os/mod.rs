//! The only platform code of the daemon: signals, detaching from whoever
//! started it, hardening, process groups.

pub mod keyring;
pub mod notify;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;
