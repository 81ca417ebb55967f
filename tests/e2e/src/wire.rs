//! The daemon's socket without the CLI: as a person, as an agent, and as
//! somebody who never says who it is.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use awsso_proto::{
    Client, Endpoint,
    client::Identity,
    v1::{ClientKind, WatchRequest},
};
use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::body::Body;

use crate::World;

impl World {
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            socket: self.socket(),
            explicit: false,
            state: self.state(),
        }
    }

    /// Connects to the daemon, which must be running.
    pub async fn connect(&self, kind: ClientKind) -> Client {
        let who = Identity {
            kind,
            name: "e2e".to_owned(),
            // Whoever says so.
            form_elicitation: kind == ClientKind::Shim,
        };
        Client::connect(&self.endpoint(), &who)
            .await
            .expect("the daemon runs")
    }

    /// Waits until the daemon says that a session holds a token.
    pub async fn somebody_is_logged_in(&self) {
        let client = self.connect(ClientKind::Cli).await;
        let mut changes = client
            .daemon()
            .watch(WatchRequest {})
            .await
            .expect("a daemon can be watched")
            .into_inner();
        while let Some(now) = changes.message().await.expect("the daemon goes on") {
            if now.active_sessions > 0 {
                return;
            }
        }
        panic!("the daemon ended first");
    }
}

/// A connection without a Hello, for the generated clients.
#[derive(Clone)]
pub struct Stranger(http2::SendRequest<Body>);

impl Stranger {
    pub async fn connect(world: &World) -> Self {
        let conn = awsso_proto::ipc::connect(&world.socket())
            .await
            .expect("the daemon listens");
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(conn))
            .await
            .expect("it speaks HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    pub fn origin() -> Uri {
        Uri::from_static("http://awssod")
    }
}

impl tower_service::Service<Request<Body>> for Stranger {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
