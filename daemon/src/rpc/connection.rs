//! A connection as the services see it: who is at the other end, and what it
//! said of itself in its Hello.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use awsso_proto::{
    audit::Who,
    ipc::{Conn, Peer},
    v1::{ClientKind, HelloRequest},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};
use tonic::{Request, transport::server::Connected};

use crate::{
    os,
    policy::{Asker, Principal},
};

/// An accepted connection.
#[derive(Debug)]
pub struct Accepted {
    conn: Conn,
    caller: Caller,
    /// Told when it ends.
    left: Arc<Notify>,
}

/// Who calls. The same for every request of a connection.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    peer: Option<Peer>,
    hello: Arc<OnceLock<Hello>>,
    /// Lives as long as the connection.
    here: Arc<()>,
    /// The peer's program, once it was asked for.
    program: Arc<OnceLock<String>>,
}

/// What a connection said of itself.
#[derive(Debug)]
struct Hello {
    kind: ClientKind,
    name: String,
    form_elicitation: bool,
}

impl Accepted {
    pub fn new(conn: Conn, left: Arc<Notify>) -> Self {
        Self {
            caller: Caller {
                peer: conn.peer(),
                hello: Arc::default(),
                here: Arc::default(),
                program: Arc::default(),
            },
            conn,
            left,
        }
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.left.notify_one();
    }
}

impl Caller {
    pub fn of<T>(request: &Request<T>) -> Self {
        Self::among(request.extensions())
    }

    pub fn among(extensions: &http::Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The first word counts: a connection cannot become somebody else.
    pub fn introduce(&self, hello: &HelloRequest) {
        let hello = Hello {
            kind: hello.kind(),
            name: hello.client_name.chars().take(100).collect(),
            form_elicitation: hello.form_elicitation,
        };
        let _ = self.hello.set(hello); // said before
    }

    pub fn kind(&self) -> ClientKind {
        let hello = self.hello.get();
        hello.map_or(ClientKind::Unspecified, |hello| hello.kind)
    }

    /// A shim whose client can put a form before its person.
    pub fn can_elicit(&self) -> bool {
        let hello = self.hello.get();
        hello.is_some_and(|it| it.kind == ClientKind::Shim && it.form_elicitation)
    }

    pub fn principal(&self) -> Principal {
        self.kind().into()
    }

    pub fn name(&self) -> &str {
        self.hello.get().map_or("", |hello| &hello.name)
    }

    /// Who asks for an approval over this connection.
    pub fn asker(&self) -> Asker {
        Asker {
            connection: Arc::downgrade(&self.here),
            name: self.name().to_owned(),
            pid: self.pid(),
        }
    }

    /// As the audit log tells it.
    pub fn who(&self) -> Who {
        let program = || self.pid().and_then(os::program_of).unwrap_or_default();
        Who {
            kind: self.principal().word().into(),
            pid: self.pid(),
            exe: self.program.get_or_init(program).clone(),
            client: self.name().to_owned(),
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.peer.and_then(|peer| peer.pid)
    }
}

impl Connected for Accepted {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}
