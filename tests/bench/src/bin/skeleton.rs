//! The least that a gRPC daemon can be: tonic in one thread on a socket, and a call that answers with a constant.
//! `awsso-bench-skeleton SOCKET`; a line on stdout says that it listens.

use std::{
    env,
    io::{self, Write as _},
};

use awsso_proto::{
    PROTOCOL, VERSION,
    v1::{
        DiagnoseRequest, DiagnoseResponse, HelloRequest, HelloResponse, LockRequest, LockResponse,
        ShutdownRequest, ShutdownResponse, UnlockRequest, UnlockResponse, WatchRequest,
        WatchResponse,
        daemon_server::{Daemon, DaemonServer},
    },
};
use futures_util::stream::{self, Empty};
use tokio::net::UnixListener;
use tonic::{Request, Response, Status, transport::Server};

struct Skeleton;

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("a skeleton only says hello"))
}

#[tonic::async_trait]
impl Daemon for Skeleton {
    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        Ok(Response::new(HelloResponse {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            ..HelloResponse::default()
        }))
    }

    type WatchStream = Empty<Result<WatchResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        not_here()
    }

    async fn shutdown(
        &self,
        _: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        not_here()
    }

    async fn diagnose(
        &self,
        _: Request<DiagnoseRequest>,
    ) -> Result<Response<DiagnoseResponse>, Status> {
        not_here()
    }

    async fn lock(&self, _: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        not_here()
    }

    async fn unlock(&self, _: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        not_here()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = env::args_os().nth(1).ok_or("usage: SOCKET")?;
    let listener = UnixListener::bind(socket)?;
    writeln!(io::stdout(), "ready")?;
    let incoming = stream::unfold(listener, async |listener| {
        let accepted: io::Result<_> = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let server = Server::builder().add_service(DaemonServer::new(Skeleton));
    Ok(server.serve_with_incoming(incoming).await?)
}
