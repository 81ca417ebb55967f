//! The only platform code of the daemon: signals, detaching from whoever started
//! it, service managers, hardening, children and other processes, the wall clock, memory,
//! what the desktop tells and is told.

pub mod keyring;
mod memory;
pub mod notify;
#[cfg(unix)]
mod processes;
mod screen;
mod supervisor;
#[cfg(unix)]
mod unix;
#[cfg(target_os = "linux")]
mod wall_clock;
#[cfg(windows)]
mod windows;

pub use memory::{give_back, keep_in_memory, let_swap, map_large_blocks};
#[cfg(unix)]
pub use processes::{Process, lineage, name_of, program_of, runs};
pub use screen::{Left, Screen};
pub use supervisor::Supervisor;
#[cfg(unix)]
pub use unix::*;
#[cfg(target_os = "linux")]
pub use wall_clock::alarm;
#[cfg(windows)]
pub use windows::*;

/// No such alarm here: whoever waits looks at the clock now and then.
#[cfg(not(target_os = "linux"))]
pub async fn alarm(_: std::time::SystemTime) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
