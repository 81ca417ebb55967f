//! Where the browser comes back to after an authorization request: a listener
//! on 127.0.0.1 that exists before the browser opens, takes one answer with the
//! right `state`, and shows how the login ended (RFC 8252 section 7.3).

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use awsso_proto::{Failure, Reason};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
};

use crate::loopback;

/// Registered without a port, used with any (AWS takes RFC 8252 section 7.3 at its word).
pub(super) const REGISTERED_URI: &str = "http://127.0.0.1/oauth/callback";
const PATH: &str = "/oauth/callback";

/// 32 random bytes: 43 letters, as RFC 7636 section 4.1 recommends.
const RANDOM_BYTES: usize = 32;
/// A browser opens a few connections; whoever opens more waits.
const CONNECTIONS: usize = 16;
/// The last page has this long to reach the browser.
const GOODBYE: Duration = Duration::from_secs(5);

/// A listener, and the secrets of one authorization request.
pub struct Callback {
    listener: std::net::TcpListener,
    port: u16,
    state: SecretString,
    verifier: SecretString,
}

// The secrets redact themselves; the rest says nothing.
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// How the login ended, for the page.
pub(super) type Ending = Result<(), Failure>;

/// What the browser brought: the code, or why there is none. Whoever takes it
/// says how the login ended.
struct Arrival {
    code: Result<SecretString, Failure>,
    reply: oneshot::Sender<Ending>,
    /// The connection that waits for the reply.
    connection: Option<task::Id>,
}

impl Callback {
    pub fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self {
            listener,
            port,
            state: random()?,
            verifier: random()?,
        })
    }

    pub fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    pub fn state(&self) -> &str {
        self.state.expose_secret()
    }

    /// RFC 7636 section 4.1.
    pub fn verifier(&self) -> &str {
        self.verifier.expose_secret()
    }

    /// RFC 7636 section 4.2, method S256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    /// Serves until the browser has brought an answer with our `state` and has
    /// been shown what `finish` made of it. Dropped: the port is closed.
    pub(super) async fn serve<T>(
        self: &Arc<Self>,
        session: &str,
        finish: impl AsyncFnOnce(Result<SecretString, Failure>) -> (T, Ending),
    ) -> io::Result<T> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let (arrivals, mut arrived) = mpsc::channel(1);
        let page = Arc::new(Page {
            callback: Arc::clone(self),
            session: session.to_owned(),
            arrivals,
        });
        let mut connections = JoinSet::new();
        let arrival = loop {
            tokio::select! {
                Some(arrival) = arrived.recv() => break arrival,
                Some(_) = connections.join_next() => {}
                stream = loopback::accept(&listener), if connections.len() < CONNECTIONS => {
                    connections.spawn(serve_one(stream, Arc::clone(&page)));
                }
            }
        };
        let (result, ending) = finish(arrival.code).await;
        let _ = arrival.reply.send(ending); // the browser went away
        // The last page is to arrive; connections that a browser opened just in case are cut.
        let goodbye = async {
            while let Some(closed) = connections.join_next_with_id().await {
                if closed.is_ok_and(|(id, ())| Some(id) == arrival.connection) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        Ok(result)
    }

    fn is_ours(&self, state: &str) -> bool {
        state.as_bytes().ct_eq(self.state().as_bytes()).into()
    }
}

fn random() -> io::Result<SecretString> {
    Ok(URL_SAFE_NO_PAD
        .encode(*crate::random_bytes::<RANDOM_BYTES>()?)
        .into())
}

struct Page {
    callback: Arc<Callback>,
    session: String,
    arrivals: mpsc::Sender<Arrival>,
}

async fn serve_one(stream: TcpStream, page: Arc<Page>) {
    let page = &page;
    loopback::answer_one(stream, |request| async move { page.answer(&request).await }).await;
}

impl Page {
    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        if request.uri().path() != PATH {
            return show(StatusCode::NOT_FOUND, "Nothing here", "");
        }
        if request.method() != Method::GET {
            return show(StatusCode::METHOD_NOT_ALLOWED, "Not like this", "");
        }
        let stray = || {
            let text = "This answer does not belong to the login that is waiting. \
                        Go back to the program that asked you to log in.";
            show(StatusCode::BAD_REQUEST, "Not this login", text)
        };
        let Some(code) = self.read(request.uri().query().unwrap_or_default()) else {
            return stray();
        };
        let (reply, ending) = oneshot::channel();
        // Taken once: the receiver is gone or busy with the first answer.
        let arrival = Arrival {
            code,
            reply,
            connection: task::try_id(),
        };
        if self.arrivals.try_send(arrival).is_err() {
            return stray();
        }
        match ending.await {
            Ok(Ok(())) => show(
                StatusCode::OK,
                "You are logged in",
                &format!(
                    "awsso is logged in to {}. You can close this page.",
                    self.session
                ),
            ),
            Ok(Err(failure)) => show(
                StatusCode::OK,
                "You are not logged in",
                &format!(
                    "awsso could not log in to {}: {}.",
                    self.session, failure.message
                ),
            ),
            Err(_) => show(
                StatusCode::SERVICE_UNAVAILABLE,
                "You are not logged in",
                "awsso gave this login up.",
            ),
        }
    }

    /// RFC 6749 section 4.1.2: `None` when it is not an answer to our request.
    fn read(&self, query: &str) -> Option<Result<SecretString, Failure>> {
        let get = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if !self.callback.is_ours(&get("state")?) {
            return None;
        }
        match (get("code").filter(|code| !code.is_empty()), get("error")) {
            (Some(code), None) => Some(Ok(code.into())),
            (_, Some(error)) => Some(Err(denied(&error))),
            (None, None) => None,
        }
    }
}

/// RFC 6749 section 4.1.2.1.
fn denied(error: &str) -> Failure {
    if error == "access_denied" {
        return Failure::new(Reason::LoginDenied, "the login was denied");
    }
    // Words of a web page: letters only, and few of them.
    let word: String = error
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(40)
        .collect();
    Failure::new(
        Reason::LoginDenied,
        format!("AWS ended the login with {word}"),
    )
}

fn show(status: StatusCode, title: &str, text: &str) -> Response<String> {
    let text = escaped(text);
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>\
         body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;\
         color-scheme:light dark}}h1{{font-size:1.6rem}}</style>\
         <main role=\"status\"><h1>{title}</h1><p>{text}</p></main></html>\n"
    );
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        // The address holds the code: it goes nowhere, and nothing is loaded.
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        )
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(page)
        .expect("headers that are constants")
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests;
