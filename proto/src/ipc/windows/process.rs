//! How a daemon is started so that it outlives us, and what asks us to end.

use std::io;

use tokio::{
    process::{Child, Command},
    signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close},
};
use windows_sys::Win32::{
    Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation},
    System::{
        Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE},
        Threading::{CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS},
    },
};

/// Starts a daemon that outlives this process: without our console, and outside
/// of the job that ends with whoever started us, where that job allows it.
pub fn spawn_daemon(command: &mut Command) -> io::Result<Child> {
    keep_own_streams();
    // Any other folder of this process could not be removed while the daemon runs.
    if let Some(root) = std::env::var_os("SystemRoot") {
        command.current_dir(root);
    }
    let alone = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    command.creation_flags(alone | CREATE_BREAKAWAY_FROM_JOB);
    match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            command.creation_flags(alone).spawn()
        }
        started => started,
    }
}

/// A child inherits every handle that can be: with our stdout in a daemon, whoever
/// reads it would wait for its end as long as the daemon runs. Children that are to
/// have them get copies of their own.
#[expect(unsafe_code, reason = "functions of the system")]
fn keep_own_streams() {
    for stream in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: a handle that is not there is refused.
        unsafe { SetHandleInformation(GetStdHandle(stream), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Ctrl-C, Ctrl-Break and the end of the console. From here on they end nothing by
/// themselves; after the last one the system waits a few seconds.
pub struct Interrupts {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
}

impl Interrupts {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
        })
    }

    /// The next one, by its name. One that came meanwhile is not lost.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.stop.recv() => "Ctrl-Break",
            _ = self.close.recv() => "the end of the console",
        }
    }
}
