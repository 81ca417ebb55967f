//! The only platform code of the daemon: signals, detaching from whoever
//! started it, hardening, private files, process groups.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;
