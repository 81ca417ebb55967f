//! Job objects: children that end with all that they have started, and limits.

#![expect(unsafe_code, reason = "functions of the system")]

use std::{
    io, mem,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    process::ExitStatus,
    ptr::{null, null_mut},
    time::Duration,
};

use tokio::process::{Child, Command};
use windows_sys::Win32::{
    Foundation::{
        ERROR_NOT_ENOUGH_QUOTA, HANDLE, INVALID_HANDLE_VALUE, STATUS_STACK_BUFFER_OVERRUN,
    },
    System::{
        Diagnostics::ToolHelp::{
            CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
        },
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT,
            JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
            JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_LIMIT_PROCESS_TIME,
            JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
            SetInformationJobObject, TerminateJobObject,
        },
        Threading::{
            CREATE_NO_WINDOW, CREATE_SUSPENDED, GetCurrentProcess, OpenThread, ResumeThread,
            THREAD_SUSPEND_RESUME,
        },
    },
};

/// A child and all that it starts; dropped, it ends.
#[derive(Debug)]
pub struct Group(OwnedHandle);

impl Group {
    /// Starts the child, which does nothing before it is in the job: whatever it
    /// starts is in it, too.
    pub fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let job = job(&limits(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE))?;
        let child = command
            .creation_flags(CREATE_NO_WINDOW | CREATE_SUSPENDED)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(process), Some(pid)) = (child.raw_handle(), child.id()) else {
            return Err(io::Error::other("it ended before it began"));
        };
        // SAFETY: both handles are open.
        check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process) })?;
        resume(pid)?;
        Ok((child, Self(job)))
    }

    /// A process without a console cannot be asked.
    pub fn ask_to_end(&self) -> bool {
        false
    }

    /// Ends all of it.
    pub fn end(&self) {
        // SAFETY: the handle is open.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) };
    }
}

/// From here on this process starts no other, and is ended when it takes more
/// memory or more processor time. Which files it opens cannot be limited.
pub fn confine(memory: u64, time: Duration) {
    let mut limits = limits(
        JOB_OBJECT_LIMIT_ACTIVE_PROCESS
            | JOB_OBJECT_LIMIT_PROCESS_MEMORY
            | JOB_OBJECT_LIMIT_PROCESS_TIME,
    );
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    // In units of 100 ns.
    limits.BasicLimitInformation.PerProcessUserTimeLimit =
        i64::try_from(time.as_nanos() / 100).unwrap_or(i64::MAX);
    limits.ProcessMemoryLimit = usize::try_from(memory).unwrap_or(usize::MAX);
    if let Ok(job) = job(&limits) {
        // SAFETY: both handles are open. In a job that allows no other in it this
        // fails: then nothing is limited, as on systems that know no such limits.
        unsafe { AssignProcessToJobObject(job.as_raw_handle(), GetCurrentProcess()) };
        mem::forget(job); // the limits hold as long as somebody holds the job
    }
}

/// It was ended at its limit of processor time.
pub fn ran_out_of_time(status: ExitStatus) -> bool {
    status.code() == Some(ERROR_NOT_ENOUGH_QUOTA.cast_signed())
}

/// It did not end by itself: a program of ours without memory is ended in this way.
pub fn was_ended(status: ExitStatus) -> bool {
    status.code() == Some(STATUS_STACK_BUFFER_OVERRUN)
}

fn limits(which: JOB_OBJECT_LIMIT) -> JOBOBJECT_EXTENDED_LIMIT_INFORMATION {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = which;
    limits
}

fn job(limits: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<OwnedHandle> {
    // SAFETY: without a name and with the usual rights; the handle is ours.
    let job = unsafe {
        let job = CreateJobObjectW(null(), null());
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(job)
    };
    let size = u32::try_from(size_of_val(limits)).expect("it is small");
    // SAFETY: the handle is open; as many bytes as the structure has are read.
    check(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const *limits).cast(),
            size,
        )
    })?;
    Ok(job)
}

/// Lets a process that was started suspended run. It has one thread, of which its
/// starter is not told.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: the handles are ours to close; the entry lives while it is written.
    unsafe {
        let threads = owned(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0))?;
        let mut entry = THREADENTRY32 {
            dwSize: u32::try_from(size_of::<THREADENTRY32>()).expect("it is small"),
            ..THREADENTRY32::default()
        };
        let mut more = Thread32First(threads.as_raw_handle(), &raw mut entry);
        while more != 0 {
            if entry.th32OwnerProcessID == pid {
                let thread = owned(OpenThread(THREAD_SUSPEND_RESUME, 0, entry.th32ThreadID))?;
                if ResumeThread(thread.as_raw_handle()) == u32::MAX {
                    return Err(io::Error::last_os_error());
                }
                return Ok(());
            }
            more = Thread32Next(threads.as_raw_handle(), &raw mut entry);
        }
    }
    Err(io::Error::other("it has no thread"))
}

/// # Safety
/// Nobody else closes the handle.
pub(super) unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle == null_mut() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as the caller says.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn check(succeeded: i32) -> io::Result<()> {
    if succeeded == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
