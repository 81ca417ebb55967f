//! The only platform code of this program: a program that takes its place, one
//! that runs beside it, and which service manager there is.

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

use crate::service::Manager;

pub fn service_manager() -> Manager {
    match uid() {
        None => Manager::TaskScheduler,
        Some(uid) if cfg!(target_os = "macos") => Manager::Launchd { uid },
        Some(_) => Manager::Systemd,
    }
}

/// The person's number, where people have one.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn uid() -> Option<u32> {
    Some(awsso_proto::ipc::own_uid())
}

#[cfg(windows)]
fn uid() -> Option<u32> {
    None
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

#[cfg(windows)]
mod windows {
    use std::{
        convert::Infallible,
        env, io,
        path::{Path, PathBuf},
        process::{Command, ExitStatus},
    };

    use windows_sys::{
        Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler},
        core::BOOL,
    };

    /// What a program that runs beside us does not hear by itself: nothing, it sits
    /// at the same console.
    pub struct Handed;

    impl Handed {
        pub fn new() -> io::Result<Self> {
            leave_interrupts_to_the_program()?;
            Ok(Self)
        }

        #[expect(
            clippy::unused_async,
            reason = "elsewhere there is something to wait for"
        )]
        pub async fn next(&mut self) -> Infallible {
            std::future::pending().await
        }
    }

    pub fn send(_: Option<u32>, signal: Infallible) {
        match signal {}
    }

    /// All that is left of the 32 bits of a code here.
    pub fn exit_code(status: ExitStatus) -> u8 {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        code.unwrap_or(u8::MAX)
    }

    /// Runs the program in our place: its console is ours, and its whole exit code
    /// becomes ours. Returns only when it cannot be started.
    pub fn become_program(command: &mut Command) -> io::Error {
        let started = leave_interrupts_to_the_program().and_then(|()| found(command).spawn());
        let ended = started.and_then(|mut child| child.wait());
        match ended {
            #[expect(clippy::exit, reason = "what the program says is not for us to read")]
            Ok(status) => std::process::exit(status.code().unwrap_or(1)),
            Err(error) => error,
        }
    }

    /// The console sends these to both: from here on they end only the program.
    fn leave_interrupts_to_the_program() -> io::Result<()> {
        #[expect(unsafe_code, reason = "a function of the system and one that it calls")]
        // SAFETY: the handler touches nothing.
        unsafe {
            unsafe extern "system" fn is_the_programs(event: u32) -> BOOL {
                [CTRL_C_EVENT, CTRL_BREAK_EVENT].contains(&event).into()
            }
            if SetConsoleCtrlHandler(Some(is_the_programs), 1) == 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// The same command, with the file of its program: the system itself would look
    /// for an `.exe` only, and `npx` is an `npx.cmd`.
    fn found(command: &Command) -> Command {
        let program = Path::new(command.get_program());
        let file = if program.extension().is_some() || program.components().count() > 1 {
            None
        } else {
            in_path(program)
        };
        let mut found = Command::new(file.as_deref().unwrap_or(program));
        found.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => found.env(name, value),
                None => found.env_remove(name),
            };
        }
        found
    }

    fn in_path(program: &Path) -> Option<PathBuf> {
        let endings = env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_owned());
        let path = env::var_os("PATH")?;
        env::split_paths(&path).find_map(|dir| {
            endings.split(';').find_map(|ending| {
                let mut file = dir.join(program).into_os_string();
                file.push(ending);
                let file = PathBuf::from(file);
                file.is_file().then_some(file)
            })
        })
    }
}
