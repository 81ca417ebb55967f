//! Windows.

mod job;
mod processes;

use std::{
    fs::OpenOptions, io, os::windows::io::IntoRawHandle as _, path::Path, process::ExitStatus,
};

use awsso_proto::ipc::security::{Descriptor, own_sid};
use tokio::process::Command;
use windows_sys::Win32::{
    Foundation::CloseHandle,
    Security::{DACL_SECURITY_INFORMATION, SetKernelObjectSecurity},
    System::{
        Console::{FreeConsole, GetStdHandle, STD_ERROR_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle},
        Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode},
        Threading::{CREATE_NO_WINDOW, GetCurrentProcess},
    },
};

pub use job::{Group, confine, ran_out_of_time, was_ended};
pub use processes::{Process, lineage, name_of, program_of, runs};

/// No crash reports, and no other program of the user reads this one's memory:
/// it may be waited for, looked at and ended. An administrator may do more.
/// What fails is returned as a warning: it must not stop a login.
pub fn harden() -> Vec<String> {
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: it takes no pointer.
    unsafe {
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    }
    let mut warnings = Vec::new();
    if let Err(error) = close_to_others() {
        warnings.push(format!("other programs may read the process: {error}"));
    }
    warnings
}

fn close_to_others() -> io::Result<()> {
    let sid = own_sid()?;
    // SYNCHRONIZE, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_TERMINATE; the owner may
    // read the list and not change it.
    let descriptor =
        Descriptor::parse(&format!("D:P(A;;0x101001;;;{sid})(A;;RC;;;OW)(A;;GA;;;SY)"))?;
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: the pseudo handle of this process; the descriptor lives until the call returns.
    let set = unsafe {
        SetKernelObjectSecurity(
            GetCurrentProcess(),
            DACL_SECURITY_INFORMATION,
            descriptor.as_ptr(),
        )
    };
    if set == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Leaves the console of whoever started us; a client of ours has given us none, and
/// nothing to inherit.
pub fn detach() {
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: it takes nothing; without a console it fails.
    unsafe {
        FreeConsole();
    }
}

/// Lets go of the pipe that the readiness line went through.
pub fn release_stdio() -> io::Result<()> {
    for stream in [STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        let null = OpenOptions::new()
            .write(true)
            .open("NUL")?
            .into_raw_handle();
        #[expect(unsafe_code, reason = "functions of the system")]
        // SAFETY: the standard library asks for the handle whenever it writes, and keeps none.
        unsafe {
            let before = GetStdHandle(stream);
            if SetStdHandle(stream, null) == 0 {
                return Err(io::Error::last_os_error());
            }
            CloseHandle(before);
        }
    }
    Ok(())
}

/// No such signal here: `awsso lock` asks for it.
pub struct LockSignal;

impl LockSignal {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub async fn next(&mut self) {
        std::future::pending().await
    }
}

/// A daemon has no console, so the system would open one for the child.
pub fn without_window(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW);
}

/// What the child ended with.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

/// Whether a file can be run by us: its name says so.
pub fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// This very program: its file cannot be replaced while it runs.
pub fn own_program() -> io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Creates a folder and those above it, as private as the user's profile.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)
}
