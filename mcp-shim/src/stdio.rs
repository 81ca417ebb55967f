//! The stdio transport: serves until stdin ends or a signal comes, then ends at
//! once. One token means "the client is gone"; every wait of every call sees it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use awsso_proto::ipc::Interrupts;
use rmcp::{ServiceExt as _, service::ServerInitializeError, transport::io::stdio_pipes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::server::Shim;

/// Enough to send the answers that are ready and to cancel the jobs that are not.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_millis(500);

pub(crate) async fn serve(shim: Shim) -> Result<(), String> {
    let gone = CancellationToken::new();
    // A client may send a signal as soon as it has had an answer.
    let mut signals = Interrupts::new().map_err(|error| format!("no signals: {error}"))?;
    tokio::select! {
        ended = talk(shim, gone.clone()) => ended,
        () = signalled(&mut signals, &gone) => {
            tracing::info!("ended by a signal");
            Ok(())
        }
    }
}

async fn talk(shim: Shim, gone: CancellationToken) -> Result<(), String> {
    let (stdin, stdout) = stdio_pipes();
    let stdin = TellsItsEnd {
        inner: stdin,
        gone: gone.clone(),
    };
    match Box::pin(shim.serve_with_ct((stdin, stdout), gone.clone())).await {
        Ok(running) => {
            let running = running.waiting();
            tokio::pin!(running);
            tokio::select! {
                _ = &mut running => {}
                () = gone.cancelled() => {
                    // rmcp alone would wait for seconds.
                    let _ = tokio::time::timeout(DRAIN_LIMIT, running).await;
                }
            }
            tracing::info!("the client is gone");
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The first signal says goodbye, and drains as the end of stdin does.
async fn signalled(signals: &mut Interrupts, gone: &CancellationToken) {
    signals.next().await;
    gone.cancel();
    tokio::time::sleep(DRAIN_LIMIT).await;
}

/// A reader that fires the token when the other side has closed.
struct TellsItsEnd<R> {
    inner: R,
    gone: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for TellsItsEnd<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(read) = &polled
            && (read.is_err() || buf.filled().len() == before)
        {
            self.gone.cancel();
        }
        polled
    }
}
