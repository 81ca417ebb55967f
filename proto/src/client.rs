//! The client's end of the socket: one HTTP/2 connection, one handshake, one
//! stub per service.

use std::{
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tonic::{Status, body::Body, metadata::MetadataValue};

use crate::{
    Endpoint, HELLO, PROTOCOL, VERSION,
    error::{Failure, Reason, key},
    ipc,
    v1::{
        ClientKind, GetCredentialsRequest, GetCredentialsResponse, HelloRequest, HelloResponse,
        accounts_client::AccountsClient, approvals_client::ApprovalsClient,
        credentials_client::CredentialsClient, daemon_client::DaemonClient,
        jobs_client::JobsClient, policy_client::PolicyClient, session_client::SessionClient,
    },
};

/// A daemon that does not answer the handshake in this time is not one.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Large enough for an output chunk or a page of accounts.
const MAX_MESSAGE: usize = 16 << 20;

/// Who connects.
#[derive(Debug, Clone)]
pub struct Identity {
    pub kind: ClientKind,
    /// For display and audit: `awsso`, `claude-code/2.1.330`.
    pub name: String,
    /// It can put a form before its person.
    pub form_elicitation: bool,
}

/// A connection to the daemon that has shaken hands.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    socket: PathBuf,
    server: HelloResponse,
}

impl Client {
    /// Connects to a daemon that runs, or says that none does.
    pub async fn connect(endpoint: &Endpoint, who: &Identity) -> Result<Self, Failure> {
        Self::probe(endpoint, who).await?.ok_or_else(|| {
            Failure::new(
                Reason::DaemonUnreachable,
                format!("no daemon is running on {}", endpoint.socket.display()),
            )
            .with(key::HINT, "run: awsso daemon start")
        })
    }

    /// Connects, and starts the daemon first when there is none.
    pub async fn connect_or_start(endpoint: &Endpoint, who: &Identity) -> Result<Self, Failure> {
        crate::launch::connect_or_start(endpoint, who).await
    }

    /// `None` when nobody listens: the one case in which starting a daemon helps.
    pub(crate) async fn probe(
        endpoint: &Endpoint,
        who: &Identity,
    ) -> Result<Option<Self>, Failure> {
        Self::connect_any_protocol(endpoint, who)
            .await?
            .map(Self::of_our_protocol)
            .transpose()
    }

    /// Connects to a daemon of whatever protocol, to look at it or to stop it:
    /// only [`Client::server`] and [`Client::daemon`] may be used then. `None`
    /// when nobody listens.
    pub async fn connect_any_protocol(
        endpoint: &Endpoint,
        who: &Identity,
    ) -> Result<Option<Self>, Failure> {
        match reach(endpoint).await? {
            Some((conn, socket)) => Self::shake_hands(conn, &socket, who).await.map(Some),
            None => Ok(None),
        }
    }

    /// Keys from a daemon that runs, with one round trip less: the request brings its
    /// Hello along. `None` where that does not work: then everything is asked the
    /// usual way.
    pub async fn credentials_at_once(
        endpoint: &Endpoint,
        who: &Identity,
        request: GetCredentialsRequest,
    ) -> Option<Result<GetCredentialsResponse, Failure>> {
        let (conn, socket) = reach(endpoint).await.ok()??;
        let channel = open(conn, &socket).await.ok()?;
        let mut request = tonic::Request::new(request);
        let hello = MetadataValue::from_bytes(&hello(who).encode_to_vec());
        request.metadata_mut().insert_bin(HELLO, hello);
        let mut credentials = CredentialsClient::with_origin(channel.clone(), origin());
        let mut answer = pin!(credentials.get(request));
        let answer = match tokio::time::timeout(HANDSHAKE_LIMIT, &mut answer).await {
            Ok(answer) => answer,
            // Is it AWS that takes so long?
            Err(_) => match greet(channel, &socket, who).await {
                Ok(_) => answer.await,
                Err(failure) => return Some(Err(failure)),
            },
        };
        let (metadata, answer) = match answer {
            Ok(response) => {
                let (metadata, answer, _) = response.into_parts();
                (metadata, Ok(answer))
            }
            Err(status) => (status.metadata().clone(), Err(Failure::from(status))),
        };
        let met = metadata.get_bin(HELLO)?.to_bytes().ok()?;
        let server = HelloResponse::decode(met).ok()?;
        serves_us(&server).then_some(answer)
    }

    async fn shake_hands(conn: ipc::Conn, socket: &Path, who: &Identity) -> Result<Self, Failure> {
        let channel = open(conn, socket).await?;
        let server = greet(channel.clone(), socket, who).await?;
        Ok(Self {
            channel,
            socket: socket.to_owned(),
            server,
        })
    }

    pub(crate) fn of_our_protocol(self) -> Result<Self, Failure> {
        if serves_us(&self.server) {
            Ok(self)
        } else {
            Err(mismatch(&self.server))
        }
    }

    /// This program needs a newer daemon.
    pub(crate) fn is_outdated(&self) -> bool {
        self.server.protocol < PROTOCOL
    }

    /// Where the daemon was found.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the daemon said of itself.
    pub fn server(&self) -> &HelloResponse {
        &self.server
    }

    /// The connection is gone; a new one is needed.
    pub fn is_closed(&self) -> bool {
        self.channel.0.is_closed()
    }

    pub fn daemon(&self) -> DaemonClient<Channel> {
        DaemonClient::with_origin(self.channel.clone(), origin())
    }

    pub fn session(&self) -> SessionClient<Channel> {
        SessionClient::with_origin(self.channel.clone(), origin())
    }

    pub fn accounts(&self) -> AccountsClient<Channel> {
        AccountsClient::with_origin(self.channel.clone(), origin())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub fn credentials(&self) -> CredentialsClient<Channel> {
        CredentialsClient::with_origin(self.channel.clone(), origin())
    }

    pub fn approvals(&self) -> ApprovalsClient<Channel> {
        ApprovalsClient::with_origin(self.channel.clone(), origin())
    }

    pub fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::with_origin(self.channel.clone(), origin())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub fn policy(&self) -> PolicyClient<Channel> {
        PolicyClient::with_origin(self.channel.clone(), origin())
    }
}

/// The first socket that somebody listens on.
async fn reach(endpoint: &Endpoint) -> Result<Option<(ipc::Conn, PathBuf)>, Failure> {
    for socket in endpoint.candidates() {
        ipc::check_socket_path(&socket)
            .map_err(|failure| Failure::new(Reason::DaemonUnreachable, failure.message))?;
        match ipc::connect(&socket).await {
            Ok(conn) => return Ok(Some((conn, socket))),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => return Err(unreachable(&socket, &error)),
        }
    }
    Ok(None)
}

async fn open(conn: ipc::Conn, socket: &Path) -> Result<Channel, Failure> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(conn))
        .await
        .map_err(|error| unreachable(socket, &error))?;
    // Ends with the last clone of `sender`; an error reaches each call by itself.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Channel(sender))
}

async fn greet(channel: Channel, socket: &Path, who: &Identity) -> Result<HelloResponse, Failure> {
    let mut daemon = DaemonClient::with_origin(channel, origin());
    let met = tokio::time::timeout(HANDSHAKE_LIMIT, daemon.hello(hello(who))).await;
    met.map_err(|_| unreachable(socket, &"it does not answer"))?
        .map(tonic::Response::into_inner)
        .map_err(|status| handshake_failure(socket, status))
}

fn hello(who: &Identity) -> HelloRequest {
    HelloRequest {
        protocol: PROTOCOL,
        version: VERSION.to_owned(),
        kind: who.kind.into(),
        client_name: who.name.clone(),
        form_elicitation: who.form_elicitation,
    }
}

/// HTTP/2 wants a scheme and an authority; the socket has neither.
fn origin() -> Uri {
    Uri::from_static("http://awssod")
}

fn unreachable(socket: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::new(
        Reason::DaemonUnreachable,
        format!("cannot talk to the daemon on {}: {error}", socket.display()),
    )
    .with(key::HINT, "run: awsso daemon restart")
}

fn handshake_failure(socket: &Path, status: Status) -> Failure {
    let failure = Failure::from(status);
    match failure.reason {
        Reason::DaemonUnreachable => unreachable(socket, &failure.message),
        _ => failure,
    }
}

fn serves_us(server: &HelloResponse) -> bool {
    let oldest = match server.oldest_protocol {
        0 => server.protocol,
        oldest => oldest,
    };
    (oldest..=server.protocol).contains(&PROTOCOL)
}

pub(crate) fn mismatch(server: &HelloResponse) -> Failure {
    let hint = if server.protocol < PROTOCOL {
        "run: awsso daemon restart"
    } else {
        "update this program; it is older than the daemon"
    };
    Failure::new(
        Reason::ProtocolMismatch,
        format!(
            "the running daemon is version {} (protocol {}), this program is {VERSION} (protocol {PROTOCOL})",
            server.version, server.protocol
        ),
    )
    .with(key::DAEMON_PROTOCOL, server.protocol.to_string())
    .with(key::HINT, hint)
}

/// A tonic transport over one connection, without the weight of tonic's own.
#[derive(Clone)]
pub struct Channel(http2::SendRequest<Body>);

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel(..)")
    }
}

impl tower_service::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
