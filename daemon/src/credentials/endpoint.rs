//! Credentials of one role over HTTP on loopback, as SDKs ask for them in a
//! container: fresh with every answer, only for who has the token, never for a
//! web page. Dropped: the port is closed.

use std::{convert::Infallible, fmt, io, net::Ipv4Addr, sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{LoopbackEndpoint, Secret},
};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderName},
};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tracing::debug;

use super::{Broker, Role, RoleCredentials};
use crate::{
    loopback,
    policy::{Audit, Known, Redactor},
    session::Session,
};
use answer::{Answer, Document, Refusal};

mod answer;

const TOKEN_BYTES: usize = 32;
/// Bytes as hexadecimal digits.
const TOKEN_LETTERS: usize = 2 * TOKEN_BYTES;
/// SDKs wait two seconds, then they ask again.
const ANSWER_LIMIT: Duration = Duration::from_millis(1500);
/// One program asks; what it starts may ask, too. Whoever comes beyond waits.
const CONNECTIONS: usize = 64;

/// Whose credentials are served.
#[derive(Debug, Clone)]
pub struct Source {
    pub broker: Broker,
    pub audit: Audit,
    pub session: Session,
    pub role: Role,
}

impl Source {
    pub async fn credentials(&self) -> Result<RoleCredentials, Failure> {
        self.broker.get(&self.session, &self.role).await
    }
}

/// A bound port and its token.
pub struct Endpoint {
    listener: TcpListener,
    door: Arc<Door>,
    _known: Known,
}

/// Who may come in.
struct Door {
    port: u16,
    /// `127.0.0.1:PORT`: a web page that points its own name here has another one.
    host: String,
    token: SecretString,
}

// The token redacts itself; the rest says nothing.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("port", &self.door.port)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// On a port of the system's choice, or where it was once before.
    pub async fn open(
        again: Option<&LoopbackEndpoint>,
        redactor: &Redactor,
    ) -> Result<Self, Failure> {
        let (port, token) = match again {
            Some(again) => known(again)?,
            None => (0, random()?),
        };
        let cannot = |error: io::Error| {
            let message = format!("port {port} of 127.0.0.1 cannot be opened: {error}");
            Failure::new(Reason::Busy, message)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(cannot)?;
        let port = listener.local_addr().map_err(cannot)?.port();
        Ok(Self {
            _known: redactor.know(&[token.expose_secret()], None),
            listener,
            door: Arc::new(Door::new(port, token)),
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.door.host)
    }

    pub fn port(&self) -> u16 {
        self.door.port
    }

    /// What a request must bring as its `Authorization`.
    pub fn token(&self) -> &str {
        self.door.token.expose_secret()
    }

    /// Serves until it is dropped.
    pub async fn serve(self, source: Source) -> Infallible {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                stream = loopback::accept(&self.listener), if connections.len() < CONNECTIONS => {
                    let (door, source) = (Arc::clone(&self.door), source.clone());
                    connections.spawn(serve_one(stream, door, source));
                }
            }
        }
    }
}

fn known(again: &LoopbackEndpoint) -> Result<(u16, SecretString), Failure> {
    let port = u16::try_from(again.port).ok().filter(|port| *port > 0);
    let token = again.token.as_ref().map(Secret::expose);
    // A token that can be guessed would be no protection.
    let token = token.filter(|token| token.len() == TOKEN_LETTERS);
    port.zip(token)
        .map(|(port, token)| (port, token.into()))
        .ok_or_else(|| {
            let message = "an endpoint that was opened before has its port and its whole token";
            Failure::new(Reason::InvalidArgument, message)
        })
}

fn random() -> Result<SecretString, Failure> {
    let bytes = crate::random_bytes::<TOKEN_BYTES>()
        .map_err(|error| Failure::new(Reason::Internal, format!("no random bytes: {error}")))?;
    Ok(crate::hex(&*bytes).into())
}

async fn serve_one(stream: TcpStream, door: Arc<Door>, source: Source) {
    let (door, source) = (&door, &source);
    loopback::answer_one(stream, |request| async move {
        answer(door, source, &request).await
    })
    .await;
}

async fn answer<B>(door: &Door, source: &Source, request: &Request<B>) -> Response<Document> {
    if let Some(refusal) = door.refusal(request) {
        debug!(port = door.port, code = refusal.code, "refused");
        return refusal.response();
    }
    let unavailable = |code, message| Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code,
        message,
    };
    let credentials = tokio::time::timeout(ANSWER_LIMIT, source.credentials()).await;
    let result = match &credentials {
        Ok(Ok(_)) => "ok",
        Ok(Err(failure)) => failure.reason.name(),
        Err(_) => "TIMEOUT",
    };
    let audit = &source.audit;
    audit.served(door.port, source.session.name(), &source.role, result);
    match credentials {
        Ok(Ok(held)) => Document::of(&Answer::new(source, &held.open(), held.expires_at())).ok(),
        Ok(Err(failure)) => unavailable(failure.reason.name(), &in_one_line(&failure)).response(),
        // What was begun goes on, and serves the next request.
        Err(_) => unavailable("TIMEOUT", "AWS has not answered yet").response(),
    }
}

fn in_one_line(failure: &Failure) -> String {
    match failure.hint() {
        Some(hint) => format!("{failure}; {hint}"),
        None => failure.to_string(),
    }
}

impl Door {
    fn new(port: u16, token: SecretString) -> Self {
        Self {
            port,
            host: format!("{}:{port}", Ipv4Addr::LOCALHOST),
            token,
        }
    }

    /// Why a request gets nothing. Without the token it learns only that.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Refusal<'static>> {
        let refuse = |status, code, message| {
            Some(Refusal {
                status,
                code,
                message,
            })
        };
        let headers = request.headers();
        let host = only(headers, &header::HOST);
        if headers.contains_key(header::ORIGIN) || host != Some(self.host.as_bytes()) {
            return refuse(StatusCode::FORBIDDEN, "FORBIDDEN", "not for web pages");
        }
        let token = only(headers, &header::AUTHORIZATION).unwrap_or_default();
        if !bool::from(token.ct_eq(self.token.expose_secret().as_bytes())) {
            return refuse(StatusCode::FORBIDDEN, "FORBIDDEN", "not the right token");
        }
        if request.uri().path() != "/" {
            return refuse(StatusCode::NOT_FOUND, "NOT_FOUND", "nothing here");
        }
        if request.method() != Method::GET {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return refuse(status, "METHOD_NOT_ALLOWED", "only GET");
        }
        None
    }
}

/// The value of a header that stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

#[cfg(test)]
mod tests;
