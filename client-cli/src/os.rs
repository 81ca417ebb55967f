//! The only platform code of this program: signals that ask it to stop, and a
//! program that takes its place.

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use std::{io, os::unix::process::CommandExt as _, process::Command};

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Ctrl-C and SIGTERM. From here on they end nothing by themselves.
    pub struct Interrupts {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Interrupts {
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        /// The next one. One that came meanwhile is not lost.
        pub async fn next(&mut self) {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        }
    }

    /// Becomes the program: signals, terminal and exit code are its own.
    /// Returns only when that cannot be done.
    pub fn become_program(command: &mut Command) -> io::Error {
        command.exec()
    }
}
