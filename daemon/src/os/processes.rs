//! Other processes on Unix: which file they run, and what started them. Linux tells
//! it under `/proc`, macOS by `libproc`; elsewhere nothing is known.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Deeper than any shell in a terminal in a desktop.
const LONGEST_LINEAGE: usize = 256;

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    started: u64,
}

/// Which program a process runs, where the system tells that.
pub fn program_of(pid: u32) -> Option<String> {
    let program = system::program_of(pid)?;
    Some(program.to_string_lossy().into_owned())
}

/// Whether a process runs this very file. By the file, not by its name: in a mount
/// namespace of its own a process gives any file any name. No, where the system
/// does not tell.
pub fn runs(pid: u32, program: &Path) -> bool {
    let file = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    };
    let running = system::file_of(pid).and_then(|path| file(&path));
    running.is_some() && running == file(program)
}

/// The process, who started it, who started that, up to the first of the system.
/// Empty where the system does not tell.
pub fn lineage(pid: u32) -> Vec<Process> {
    let mut lineage: Vec<Process> = Vec::new();
    let mut next = pid;
    while next > 1
        && lineage.len() < LONGEST_LINEAGE
        && let Some((process, parent)) = system::look_up(next)
    {
        lineage.push(process);
        next = parent;
    }
    lineage
}

/// What a process is called: at most the first 15 bytes of its program's name.
/// Readable also of programs with capabilities, whose file is not.
pub fn name_of(pid: u32) -> Option<String> {
    system::name_of(pid)
}

#[cfg(target_os = "linux")]
mod system {
    use super::{PathBuf, Process};

    pub fn program_of(pid: u32) -> Option<PathBuf> {
        std::fs::read_link(file_of(pid)?).ok()
    }

    /// A path to the file itself, whatever its name is by now.
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it may not be known")]
    pub fn file_of(pid: u32) -> Option<PathBuf> {
        Some(format!("/proc/{pid}/exe").into())
    }

    pub fn name_of(pid: u32) -> Option<String> {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(name.trim_end().to_owned())
    }

    /// proc(5), `/proc/PID/stat`: the name, in parentheses, may hold anything.
    pub fn look_up(pid: u32) -> Option<(Process, u32)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some((Process { pid, started }, parent))
    }
}

/// `libproc.h`. Never run: there was no Mac.
#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "functions of the system")]
mod system {
    use std::{
        ffi::{CStr, OsStr},
        os::unix::ffi::OsStrExt as _,
    };

    use super::{PathBuf, Process};

    /// What Linux keeps of a name, too.
    const NAME_KEPT: usize = 15;

    pub fn program_of(pid: u32) -> Option<PathBuf> {
        let mut path = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
        let size = u32::try_from(path.len()).ok()?;
        // SAFETY: at most as many bytes as there is room for are written.
        let length =
            unsafe { libc::proc_pidpath(i32::try_from(pid).ok()?, path.as_mut_ptr().cast(), size) };
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        Some(OsStr::from_bytes(path.get(..length)?).into())
    }

    pub fn file_of(pid: u32) -> Option<PathBuf> {
        program_of(pid)
    }

    pub fn name_of(pid: u32) -> Option<String> {
        let told = told(pid)?;
        let name = told.pbi_comm.map(i8::cast_unsigned);
        let name = CStr::from_bytes_until_nul(&name).map_or(&name[..], CStr::to_bytes);
        let kept = &name[..name.len().min(NAME_KEPT)];
        Some(String::from_utf8_lossy(kept).into_owned())
    }

    pub fn look_up(pid: u32) -> Option<(Process, u32)> {
        let told = told(pid)?;
        let started = told.pbi_start_tvsec * 1_000_000 + told.pbi_start_tvusec;
        Some((Process { pid, started }, told.pbi_ppid))
    }

    fn told(pid: u32) -> Option<libc::proc_bsdinfo> {
        let size = i32::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
        // SAFETY: a structure of numbers, for which zeros will do; at most its size is written.
        unsafe {
            let mut told: libc::proc_bsdinfo = std::mem::zeroed();
            let written = libc::proc_pidinfo(
                i32::try_from(pid).ok()?,
                libc::PROC_PIDTBSDINFO,
                0,
                (&raw mut told).cast(),
                size,
            );
            (written == size).then_some(told)
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod system {
    use super::{PathBuf, Process};

    pub fn program_of(_: u32) -> Option<PathBuf> {
        None
    }

    pub fn file_of(_: u32) -> Option<PathBuf> {
        None
    }

    pub fn name_of(_: u32) -> Option<String> {
        None
    }

    pub fn look_up(_: u32) -> Option<(Process, u32)> {
        None
    }
}
