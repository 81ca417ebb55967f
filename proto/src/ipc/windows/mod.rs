//! Windows: a named pipe whose descriptor names its user, and whose owner a
//! client looks at before it says anything.

mod files;
mod process;
pub mod security;

use std::{
    io, mem,
    os::windows::io::AsRawHandle as _,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions},
};
use windows_sys::Win32::{
    Foundation::{ERROR_PIPE_BUSY, HANDLE},
    System::Pipes::{GetNamedPipeClientProcessId, GetNamedPipeServerProcessId, WaitNamedPipeW},
};

use super::{Conn, Peer};
use crate::error::{Failure, Reason};
pub use files::*;
pub use process::*;
use security::{Descriptor, own_sid, wide};

/// Where all pipes of this machine are.
const PIPES: &str = r"\\.\pipe\";
/// A name of a pipe, with what stands before it.
const MAX_PIPE_NAME: usize = 256;
/// Between two clients a daemon has no free instance for a moment; one that ends
/// has none at all.
const BUSY_LIMIT_MS: u32 = 2_000;

/// Either end of a pipe.
#[derive(Debug)]
pub enum Stream {
    Served(NamedPipeServer),
    Opened(NamedPipeClient),
}

/// The one instance of the pipe that waits for a client.
pub struct Listener {
    pipe: PathBuf,
    next: NamedPipeServer,
}

/// No service manager listens on a pipe in a daemon's place.
#[derive(Debug)]
pub enum Bound {}

impl Bound {
    pub fn path(&self) -> &Path {
        match *self {}
    }

    pub fn listen(self) -> io::Result<Listener> {
        match self {}
    }
}

/// The pipe of this user.
pub fn own_pipe() -> Result<Option<PathBuf>, Failure> {
    let sid = own_sid().map_err(|error| {
        Failure::new(
            Reason::Internal,
            format!("Windows does not say who you are: {error}"),
        )
    })?;
    Ok(Some(format!("{PIPES}awsso-{sid}").into()))
}

/// Pipes lie in no folder.
pub fn folder_of(_: &Path) -> Option<&Path> {
    None
}

/// No such folder here.
pub fn user_runtime_dir() -> Option<PathBuf> {
    None
}

/// A pipe ends with the process that made it: what is there and cannot be used is
/// not a leftover.
pub fn remove_stale(_: &Path, why: io::Error) -> io::Result<()> {
    match why.kind() {
        // It is about to end; whoever makes it again finds out.
        io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(why),
    }
}

/// It ends by itself, see above.
pub fn remove(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Connects to a daemon of the same user. `NotFound` and `ConnectionRefused`
/// mean that no daemon is there; `PermissionDenied` that somebody else's is:
/// a login link of theirs would be phishing.
pub async fn connect(socket: &Path) -> io::Result<Conn> {
    let pipe = loop {
        // The other end may learn who we are, and not act as us.
        match ClientOptions::new().open(socket) {
            Err(error) if is_busy(&error) => wait_for_instance(socket).await?,
            pipe => break pipe?,
        }
    };
    let handle = pipe.as_raw_handle();
    let owner = Descriptor::of_handle(handle)?.owner()?;
    if owner != own_sid()? {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the pipe belongs to another user ({owner})"),
        ));
    }
    Ok(Conn {
        peer: Some(peer(handle, GetNamedPipeServerProcessId)),
        stream: Stream::Opened(pipe),
    })
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed())
}

async fn wait_for_instance(socket: &Path) -> io::Result<()> {
    let name = wide(socket);
    let waiting = tokio::task::spawn_blocking(move || {
        #[expect(unsafe_code, reason = "a function of the system")]
        // SAFETY: the name ends with a zero and lives until the call returns.
        let free = unsafe { WaitNamedPipeW(name.as_ptr(), BUSY_LIMIT_MS) };
        free != 0
    });
    if waiting.await? {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::ConnectionRefused,
        "nobody answers on the pipe",
    ))
}

fn peer(pipe: HANDLE, ask: unsafe extern "system" fn(HANDLE, *mut u32) -> i32) -> Peer {
    let mut pid = 0;
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: the handle is that of an open pipe; the number is ours.
    let told = unsafe { ask(pipe, &raw mut pid) };
    Peer {
        pid: (told != 0).then_some(pid),
    }
}

/// Makes the pipe. The caller holds the instance lock.
pub fn listen(socket: &Path) -> io::Result<Listener> {
    Ok(Listener {
        next: instance(socket, true)?,
        pipe: socket.to_owned(),
    })
}

/// One more instance; the first one fails when anybody else has made such a pipe.
fn instance(pipe: &Path, is_first: bool) -> io::Result<NamedPipeServer> {
    let sid = own_sid()?;
    // The user owns it, also when Administrators would: and nobody else may open it.
    let descriptor = Descriptor::parse(&format!("O:{sid}D:P(A;;GA;;;{sid})"))?;
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(is_first)
        .reject_remote_clients(true);
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: the attributes and their descriptor live until the call returns.
    unsafe {
        options.create_with_security_attributes_raw(pipe, (&raw mut attributes).cast())
    }
}

impl Listener {
    /// The next connection; nobody but the same user can make one.
    pub async fn accept(&mut self) -> io::Result<Conn> {
        if let Err(error) = self.next.connect().await {
            // It came and left: else this instance would go on saying so.
            self.next.disconnect()?;
            return Err(error);
        }
        let served = mem::replace(&mut self.next, instance(&self.pipe, false)?);
        Ok(Conn {
            peer: Some(peer(served.as_raw_handle(), GetNamedPipeClientProcessId)),
            stream: Stream::Served(served),
        })
    }
}

/// Whether this can be the name of a pipe at all.
pub fn check_socket_path(socket: &Path) -> Result<(), Failure> {
    let text = socket.to_string_lossy();
    let name = text
        .get(..PIPES.len())
        .filter(|start| start.eq_ignore_ascii_case(PIPES))
        .and_then(|_| text.get(PIPES.len()..));
    let is_name = |name: &str| !name.is_empty() && !name.contains('\\');
    if name.is_some_and(is_name) && text.len() <= MAX_PIPE_NAME {
        return Ok(());
    }
    Err(Failure::new(
        Reason::InvalidArgument,
        format!(
            "{text} is not the name of a pipe; set AWSSO_SOCKET to one like {PIPES}awsso-mine, of {MAX_PIPE_NAME} characters at most"
        ),
    ))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Served(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Self::Opened(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Served(pipe) => Pin::new(pipe).poll_write(cx, buf),
            Self::Opened(pipe) => Pin::new(pipe).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Served(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Opened(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Served(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Opened(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pipe(name: &str) -> PathBuf {
        format!("{PIPES}awsso-test-{name}-{}", std::process::id()).into()
    }

    #[test]
    fn only_a_pipe_of_this_machine_is_a_socket() {
        for (name, is_one) in [
            (r"\\.\pipe\awsso-mine", true),
            (r"\\.\PIPE\awsso-mine", true),
            (r"\\.\pipe\", false),
            (r"\\.\pipe\a\b", false),
            (r"\\other\pipe\awsso-mine", false),
            (r"C:\awssod.sock", false),
        ] {
            assert_eq!(check_socket_path(name.as_ref()).is_ok(), is_one, "{name}");
        }
        let own = own_pipe().unwrap().unwrap();
        check_socket_path(&own).unwrap();
    }

    #[tokio::test]
    async fn clients_are_served_one_beside_the_other_by_a_process_that_they_know() {
        let pipe = pipe("served");
        let mut listener = listen(&pipe).unwrap();
        let mut first = connect(&pipe).await.unwrap();
        let mut served = listener.accept().await.unwrap();
        let second = connect(&pipe).await.unwrap();
        let other = listener.accept().await.unwrap();
        let this = Some(Peer {
            pid: Some(std::process::id()),
        });
        assert_eq!([first.peer(), second.peer()], [this, this]);
        assert_eq!([served.peer(), other.peer()], [this, this]);

        first.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        served.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    #[ignore = "Wine makes it twice; Windows does not"]
    async fn a_pipe_that_somebody_has_made_is_not_made_again() {
        let pipe = pipe("squatted");
        let _listener = listen(&pipe).unwrap();
        assert!(listen(&pipe).is_err());
    }

    #[tokio::test]
    async fn a_pipe_goes_with_the_one_who_made_it() {
        let pipe = pipe("made");
        drop(listen(&pipe).unwrap());
        let error = connect(&pipe).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        listen(&pipe).unwrap();
    }

    #[tokio::test]
    async fn who_comes_and_leaves_at_once_does_not_hold_up_the_next_one() {
        let pipe = pipe("left");
        let mut listener = listen(&pipe).unwrap();
        drop(connect(&pipe).await.unwrap());
        let _ = listener.accept().await; // whether it was seen or not
        let (client, served) = tokio::join!(connect(&pipe), listener.accept());
        client.unwrap();
        served.unwrap();
    }
}
