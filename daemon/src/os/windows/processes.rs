//! Other processes: which file they run, and what started them.

#![expect(unsafe_code, reason = "functions of the system")]

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::windows::{
        ffi::OsStringExt as _,
        io::{AsRawHandle as _, OwnedHandle},
    },
    path::{Path, PathBuf},
};

use windows_sys::Win32::{
    Foundation::FILETIME,
    Storage::FileSystem::{BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle},
    System::{
        Diagnostics::ToolHelp::{
            CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW,
            TH32CS_SNAPPROCESS,
        },
        Threading::{
            GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION,
            QueryFullProcessImageNameW,
        },
    },
};

use super::job::owned;

/// The longest path that Windows knows.
const LONGEST_PATH: usize = 32_768;
/// Deeper than any shell in a terminal in a desktop.
const LONGEST_LINEAGE: usize = 256;
/// What is kept of a name, here as elsewhere.
const NAME_KEPT: usize = 15;

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    started: u64,
}

/// Which program a process runs, where the system tells that.
pub fn program_of(pid: u32) -> Option<String> {
    Some(image(pid)?.to_string_lossy().into_owned())
}

/// Whether a process runs this very file, by whatever name. No, where the system
/// does not tell.
pub fn runs(pid: u32, program: &Path) -> bool {
    let running = image(pid).and_then(|image| identity(&image).ok());
    running.is_some() && running == identity(program).ok()
}

/// The process, who started it, who started that, as far as the system tells.
pub fn lineage(pid: u32) -> Vec<Process> {
    let all = all().unwrap_or_default();
    let mut lineage: Vec<Process> = Vec::new();
    let mut next = pid;
    while lineage.len() < LONGEST_LINEAGE
        && let Some(process) = process(next)
        // A number that is used again: whoever started the last one has ended.
        && lineage.last().is_none_or(|child| process.started <= child.started)
    {
        lineage.push(process);
        match all.iter().find(|entry| entry.th32ProcessID == next) {
            Some(entry) if entry.th32ParentProcessID != next => next = entry.th32ParentProcessID,
            _ => break,
        }
    }
    lineage
}

/// What a process is called: at most the first 15 bytes of its program's name, in
/// small letters and without `.exe`.
pub fn name_of(pid: u32) -> Option<String> {
    let all = all().ok()?;
    let entry = all.iter().find(|entry| entry.th32ProcessID == pid)?;
    let length = entry.szExeFile.iter().position(|unit| *unit == 0)?;
    let mut name = String::from_utf16_lossy(&entry.szExeFile[..length]).to_lowercase();
    if let Some(stem) = name.strip_suffix(".exe") {
        name.truncate(stem.len());
    }
    name.truncate(name.floor_char_boundary(NAME_KEPT));
    Some(name)
}

/// All processes of this moment.
fn all() -> io::Result<Vec<PROCESSENTRY32W>> {
    let mut found = Vec::new();
    // SAFETY: the handle is ours to close; the entry lives while it is written.
    unsafe {
        let processes = owned(CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0))?;
        let mut entry = PROCESSENTRY32W {
            dwSize: u32::try_from(size_of::<PROCESSENTRY32W>()).expect("it is small"),
            ..PROCESSENTRY32W::default()
        };
        let mut more = Process32FirstW(processes.as_raw_handle(), &raw mut entry);
        while more != 0 {
            found.push(entry);
            more = Process32NextW(processes.as_raw_handle(), &raw mut entry);
        }
    }
    Ok(found)
}

fn open(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the handle is ours to close.
    unsafe { owned(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)) }
}

fn process(pid: u32) -> Option<Process> {
    let handle = open(pid).ok()?;
    let [mut started, mut ended, mut in_kernel, mut in_program] = [FILETIME::default(); 4];
    // SAFETY: the handle is open; the four live while they are written.
    let told = unsafe {
        GetProcessTimes(
            handle.as_raw_handle(),
            &raw mut started,
            &raw mut ended,
            &raw mut in_kernel,
            &raw mut in_program,
        )
    };
    let started = u64::from(started.dwHighDateTime) << 32 | u64::from(started.dwLowDateTime);
    (told != 0).then_some(Process { pid, started })
}

fn image(pid: u32) -> Option<PathBuf> {
    let handle = open(pid).ok()?;
    let mut path = vec![0_u16; LONGEST_PATH];
    let mut length = u32::try_from(path.len()).expect("it is small");
    // SAFETY: as many units as there is room for are written.
    let told = unsafe {
        QueryFullProcessImageNameW(
            handle.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    };
    path.truncate(usize::try_from(length).ok()?);
    (told != 0).then(|| OsString::from_wide(&path).into())
}

/// Volume and file: what stays the same under every name.
fn identity(path: &Path) -> io::Result<(u32, u32, u32)> {
    let file = File::open(path)?;
    let mut told = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open; what is told lives while it is written.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut told) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((
        told.dwVolumeSerialNumber,
        told.nFileIndexHigh,
        told.nFileIndexLow,
    ))
}
