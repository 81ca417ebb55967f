//! The connection between a client and the daemon, and what it guarantees:
//!
//! * the socket lives in a folder that is ours alone (`0700`), which is created
//!   and then *verified*: owner, mode, no symbolic link;
//! * whoever connects is the same user: the kernel says so, on accept;
//! * a socket that a live daemon answers on is never taken over: binding is the
//!   business of whoever holds the instance lock.
//!
//! Everything that differs between platforms is in here and nowhere else.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use interprocess::local_socket::tokio::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

/// Who is at the other end, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: Option<u32>,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    peer: Option<Peer>,
}

impl Conn {
    /// Known on the accepting side.
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
