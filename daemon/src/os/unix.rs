//! Unix.

use std::{
    fs::OpenOptions, io, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// No core dumps, no tracing by other processes of the user, private files.
/// What fails is returned as a warning: an old kernel must not stop a login.
pub fn harden() -> Vec<String> {
    let mut warnings = Vec::new();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        warnings.push(format!("core dumps stay on: {error}"));
    }
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        warnings.push(format!("the process stays dumpable: {error}"));
    }
    warnings
}

/// From here on this process opens no file and is ended when it takes more
/// memory or more processor time. A limit that the system does not know is none:
/// macOS has none on memory.
pub fn confine(memory: u64, time: Duration) {
    for (resource, most) in [
        (Resource::As, memory),
        (Resource::Cpu, time.as_secs()),
        (Resource::Nofile, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        let _ = rustix::process::setrlimit(resource, limit); // see above
    }
}

/// Leaves the session of whoever started us, and every descriptor but the
/// three standard ones, before anything else is opened.
pub fn detach() {
    // Fails only for a group leader, which a spawned child is not.
    let _ = rustix::process::setsid();
    close_inherited();
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "descriptors that nobody in this process owns")]
fn close_inherited() {
    // SAFETY: called first in `main`: no descriptor above stderr belongs to this program yet.
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
}

#[cfg(not(target_os = "linux"))]
fn close_inherited() {}

/// Lets go of the pipe that the readiness line went through.
pub fn release_stdio() -> io::Result<()> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// `SIGUSR1`: a person or the system asks for every secret to go. From here on
/// the signal ends nothing.
pub struct LockSignal(tokio::signal::unix::Signal);

impl LockSignal {
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self)
    }

    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// A child and all that it starts.
#[derive(Debug)]
pub struct Group(Option<Pid>);

impl Group {
    /// The child leads a process group of its own, so that all of it can be ended.
    pub fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let child = command.process_group(0).spawn()?;
        let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok((child, Self(leader.and_then(Pid::from_raw))))
    }

    /// Asks all of it to end; `false` where nobody can be asked.
    pub fn ask_to_end(&self) -> bool {
        self.send(Signal::TERM);
        true
    }

    /// Ends all of it.
    pub fn end(&self) {
        self.send(Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, signal); // it may have ended by itself
        }
    }
}

/// No child has a window here.
pub fn without_window(_: &mut Command) {}

/// A shell's view of an end: the code, or 128 + the signal's number.
pub fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

/// It was ended at its limit of processor time.
pub fn ran_out_of_time(status: ExitStatus) -> bool {
    let ends = [Signal::XCPU, Signal::KILL].map(Signal::as_raw);
    status.signal().is_some_and(|signal| ends.contains(&signal))
}

/// It did not end by itself.
pub fn was_ended(status: ExitStatus) -> bool {
    status.code().is_none()
}

/// Whether a file can be run by us.
pub fn is_executable(path: &std::path::Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// This very program, also when its file has been replaced since.
pub fn own_program() -> io::Result<std::path::PathBuf> {
    #[cfg(target_os = "linux")]
    return Ok("/proc/self/exe".into());
    #[cfg(not(target_os = "linux"))]
    std::env::current_exe()
}

/// Creates a folder and those above it, for its owner only; one that is there
/// stays as it is.
pub fn create_private_dir(dir: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}
