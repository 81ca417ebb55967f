//! The signals that end a shim.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first SIGINT or SIGTERM.
pub(crate) async fn asked_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
