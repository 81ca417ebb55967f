//! The HTTP transport: MCP at `/mcp`, a constant at `/`, on loopback only, until
//! a signal comes. What a request must carry is `gate`'s business; which session
//! an answer belongs to is rmcp's.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use awsso_proto::ipc::Interrupts;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    gate::{Gate, Refusal},
    server::Shim,
    sessions::Sessions,
    stdio::DRAIN_LIMIT,
};

/// A command line of the most arguments that Linux takes, several times over.
const MAX_BODY: usize = 1 << 20;

/// Longer than any headers that are meant for us.
const MAX_HEADERS: usize = 32 << 10;

/// A connection that asks nothing for so long is closed.
const HEADER_LIMIT: Duration = Duration::from_secs(30);

/// A body comes at once or not at all.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// Out of descriptors, for example: not a reason to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const HEALTH: &str = concat!("awsso-mcp ", env!("CARGO_PKG_VERSION"), "\n");

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The sockets of a server that is about to serve.
pub(crate) struct Bound {
    pub port: u16,
    listeners: Vec<TcpListener>,
}

impl Bound {
    /// `localhost` means either address, so both are taken, or neither.
    pub(crate) async fn bind(port: u16) -> Result<Self, String> {
        let first = listen(Ipv4Addr::LOCALHOST.into(), port).await;
        let first = first.map_err(|error| cannot_listen(port, &error))?;
        let port = first
            .local_addr()
            .map_err(|error| error.to_string())?
            .port();
        let mut listeners = vec![first];
        match listen(Ipv6Addr::LOCALHOST.into(), port).await {
            Ok(second) => listeners.push(second),
            // A machine without IPv6.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                ) => {}
            Err(error) => return Err(cannot_listen(port, &error)),
        }
        Ok(Self { port, listeners })
    }

    /// Serves until a signal comes.
    pub(crate) async fn serve(self, shim: Shim, gate: Gate, mut signals: Interrupts) {
        let end = CancellationToken::new();
        let server = Arc::new(Server::new(shim, gate, &end));
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let tracker = TaskTracker::new();
        for listener in self.listeners {
            let accepting = accept(listener, server.clone(), room.clone(), tracker.clone());
            let end = end.clone();
            tracker.spawn(async move {
                tokio::select! {
                    () = accepting => {}
                    () = end.cancelled() => {}
                }
            });
        }
        signals.next().await;
        tracing::info!("ended by a signal");
        // Commands that nobody has a handle for are cancelled by their calls.
        end.cancel();
        tracker.close();
        let _ = timeout(DRAIN_LIMIT, tracker.wait()).await;
    }
}

async fn listen(ip: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((ip, port)).await
}

fn cannot_listen(port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is in use; set PORT to another, or end the program that has it")
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} may not be used; set PORT to one from 1024 on")
        }
        _ => format!("cannot listen on port {port}: {error}"),
    }
}

async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    room: Arc<Semaphore>,
    tracker: TaskTracker,
) {
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let server = server.clone();
        tracker.spawn(async move {
            let _place = place;
            let end = server.end.clone();
            tokio::select! {
                () = server.serve(stream) => {}
                () = end.cancelled() => {}
            }
        });
    }
}

struct Server {
    gate: Gate,
    mcp: StreamableHttpService<Arc<Shim>, LocalSessionManager>,
    sessions: Sessions,
    end: CancellationToken,
}

impl Server {
    fn new(shim: Shim, gate: Gate, end: &CancellationToken) -> Self {
        // The gate has looked at all of this before; two looks are better than one.
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(gate.hosts.clone())
            .with_allowed_origins(gate.origins.clone())
            .with_max_request_body_bytes(MAX_BODY)
            .with_cancellation_token(end.clone());
        let sessions = Sessions::new();
        let manager = sessions.manager.clone();
        let shim = Arc::new(shim);
        Self {
            gate,
            mcp: StreamableHttpService::new(move || Ok(shim.clone()), manager, config),
            sessions,
            end: end.clone(),
        }
    }

    async fn serve(&self, stream: TcpStream) {
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_LIMIT)
            .max_buf_size(MAX_HEADERS)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(async |request| Ok::<_, Infallible>(self.answer(request).await)),
            );
        let _ = served.await; // whoever asked went away
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self.admitted(request).await {
            Ok(answer) => answer,
            Err((status, why)) => {
                tracing::warn!(status = status.as_u16(), why, "refused a request");
                refused(status, why)
            }
        }
    }

    async fn admitted(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (mut head, body) = request.into_parts();
        tracing::debug!(method = %head.method, "a request over HTTP");
        self.gate.admit(&head.uri, &head.headers)?;
        match head.uri.path() {
            "/mcp" => {}
            "/" if matches!(head.method, Method::GET | Method::HEAD) => {
                return Ok(text(StatusCode::OK, HEALTH));
            }
            "/" => return Err((StatusCode::METHOD_NOT_ALLOWED, "only GET")),
            _ => return Err((StatusCode::NOT_FOUND, "MCP is at /mcp")),
        }
        self.gate.authorize(&head.headers)?;
        // What follows has no use for it.
        head.headers.remove(header::AUTHORIZATION);
        let body = whole(body).await?;
        self.sessions.heard(&head.headers);
        let request = Request::from_parts(head, Full::new(body));
        let answer = self.mcp.handle(request).await;
        self.sessions.begun(answer.headers()).await;
        Ok(answer)
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body is not whole")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    }
}

fn refused(status: StatusCode, why: &'static str) -> Answer {
    let mut answer = text(status, why);
    let headers = answer.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer"),
            );
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, header::HeaderValue::from_static("GET"));
        }
        _ => {}
    }
    // What is left of the body is not read.
    headers.insert(
        header::CONNECTION,
        header::HeaderValue::from_static("close"),
    );
    answer
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    answer
}
