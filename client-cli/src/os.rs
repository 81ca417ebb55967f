//! The only platform code of this program: signals that ask it to stop, a
//! program that takes its place, one that runs beside it, and which service
//! manager there is.

#[cfg(unix)]
pub use unix::*;

use crate::service::Manager;

pub fn service_manager() -> Manager {
    if cfg!(windows) {
        Manager::TaskScheduler
    } else if cfg!(target_os = "macos") {
        Manager::Launchd
    } else {
        Manager::Systemd
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        io,
        os::unix::process::{CommandExt as _, ExitStatusExt as _},
        process::{Command, ExitStatus},
    };

    use rustix::process::{Pid, kill_process};
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

    /// Signals for a program that runs beside us, while we run for its sake.
    pub struct Handed {
        terminate: Signal,
        hangup: Signal,
    }

    impl Handed {
        pub fn new() -> io::Result<Self> {
            // The terminal sends these to both: from here on they end only the program.
            drop(signal(SignalKind::interrupt())?);
            drop(signal(SignalKind::quit())?);
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        /// The next one to hand on.
        pub async fn next(&mut self) -> rustix::process::Signal {
            tokio::select! {
                _ = self.terminate.recv() => rustix::process::Signal::TERM,
                _ = self.hangup.recv() => rustix::process::Signal::HUP,
            }
        }
    }

    /// Sends a signal to a child that has not been waited for.
    pub fn send(pid: Option<u32>, signal: rustix::process::Signal) {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal); // it has just ended
        }
    }

    /// As shells say it: 128 and the signal, when there is no code.
    pub fn exit_code(status: ExitStatus) -> u8 {
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(u8::MAX)
    }

    /// Becomes the program: signals, terminal and exit code are its own.
    /// Returns only when that cannot be done.
    pub fn become_program(command: &mut Command) -> io::Error {
        command.exec()
    }
}
