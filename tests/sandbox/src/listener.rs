//! The HTTP listener: owns the socket and its connections, each a tracked task that ends with the sandbox.
//!
//! Works below a web framework on purpose: a fault resets the connection itself, which a router cannot.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::call::Call;
use crate::cloud::{Cloud, Outcome};

/// Larger than anything AWS takes in these APIs.
const LARGEST_BODY: usize = 1 << 20;

/// Accepts until `stop`; every connection is tracked and ends with it.
pub(crate) async fn run(
    listener: TcpListener,
    cloud: Arc<Cloud>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, Arc::clone(&cloud));
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = connection => {}
                    }
                });
            }
            // The peer was gone before it was accepted, or descriptors ran out for a moment.
            Err(error) => {
                debug!(%error, "a connection could not be accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection(stream: TcpStream, cloud: Arc<Cloud>) {
    // Only saves time; a socket that refuses works all the same.
    let _ = stream.set_nodelay(true);
    let doomed = Arc::new(AtomicBool::new(false));
    let line = Line {
        stream,
        doomed: Arc::clone(&doomed),
    };
    let service = service_fn(move |request| {
        let (cloud, doomed) = (Arc::clone(&cloud), Arc::clone(&doomed));
        async move { serve(&cloud, &doomed, request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(line), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

/// An error here makes hyper drop the connection without a byte of an answer.
async fn serve(
    cloud: &Cloud,
    doomed: &AtomicBool,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(Response::builder()
            .status(413)
            .body(Full::default())
            .expect("the status is one"));
    };
    let answer = match cloud.serve(Call::new(parts, body.to_bytes())).await {
        Outcome::Answered(answer) => answer,
        Outcome::Reset => {
            doomed.store(true, Ordering::Release);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(answer.body))
        .map_err(io::Error::other)
}

/// A connection that can be torn down hard.
struct Line {
    stream: TcpStream,
    doomed: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // Lingering for no time at all turns the close into a reset. Failing that, it is a close.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.doomed.load(Ordering::Acquire) {
            // A polite end first would let the peer see a close and not a reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
