//! HTTP on 127.0.0.1 for a browser and for programs of this machine: one answer
//! for each connection, bounded in size and time.

use std::{convert::Infallible, time::Duration};

use hyper::{
    Request, Response, body::Body, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

/// A connection that asks nothing is closed.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// Longer than any code, token or header that is meant for us.
pub const MAX_REQUEST: usize = 16 << 10;
/// Out of descriptors, for example: not a reason to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection, whatever becomes of those that fail.
pub async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers one request; idle connections keep nobody waiting for a last answer.
pub async fn answer_one<F, B>(stream: TcpStream, respond: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Response<B>>,
    B: Body<Error: std::error::Error + Send + Sync> + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(MAX_REQUEST)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| {
                let response = respond(request);
                async move { Ok::<_, Infallible>(response.await) }
            }),
        );
    let _ = served.await; // whoever asked went away
}
