//! The connection between a client and the daemon, and what it guarantees:
//!
//! * the socket lives in a folder that is ours alone (`0700`), which is created
//!   and then *verified*: owner, mode, no symbolic link; on Windows it is a pipe
//!   that only its user may open;
//! * whoever is at the other end is the same user: the system says so;
//! * a socket that a live daemon answers on is never taken over: binding is the
//!   business of whoever holds the instance lock.
//!
//! And what else differs between platforms for all three programs: files for one
//! user alone, locks, how a daemon is started, what asks a process to end.

use std::{
    fs::File,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{Failure, Reason};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// The process at the other end, as the system says. Its user is ours: there is
/// no connection with anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub pid: Option<u32>,
}

/// Opens a lock file, ours alone; what it holds stays.
pub fn open_lock(path: &Path) -> io::Result<File> {
    private_file()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

fn problem(dir: &Path, what: &str) -> Failure {
    Failure::new(
        Reason::InvalidArgument,
        format!("the folder {} {what}", dir.display()),
    )
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    peer: Option<Peer>,
}

impl Conn {
    pub fn peer(&self) -> Option<Peer> {
        self.peer
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
