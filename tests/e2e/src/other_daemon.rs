//! A daemon of another version, on the person's socket: it shakes hands, and can
//! do nothing else.

use awsso_proto::{
    PROTOCOL, VERSION, ipc,
    v1::{
        DiagnoseRequest, DiagnoseResponse, HelloRequest, HelloResponse, LockRequest, LockResponse,
        ShutdownRequest, ShutdownResponse, UnlockRequest, UnlockResponse, WatchRequest,
        WatchResponse,
        daemon_server::{Daemon, DaemonServer},
    },
};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tower_service::Service as _;

use crate::World;

/// Dropped: it is gone, and leaves its socket, as one that is killed does.
pub struct OtherDaemon(JoinHandle<()>);

impl OtherDaemon {
    pub fn start(world: &World, version: &'static str, protocol: u32) -> Self {
        Self::of(
            world,
            Script {
                version,
                protocol,
                diagnosis: Diagnosis::UnheardOf,
            },
        )
    }

    /// One of this version.
    pub fn that_diagnoses(world: &World, diagnosis: Diagnosis) -> Self {
        Self::of(
            world,
            Script {
                version: VERSION,
                protocol: PROTOCOL,
                diagnosis,
            },
        )
    }

    fn of(world: &World, script: Script) -> Self {
        let socket = world.socket();
        let dir = socket.parent().expect("a folder");
        ipc::private_dir(dir).expect("a folder of the person's");
        let mut listener = ipc::listen(&socket).expect("nobody else listens");
        Self(tokio::spawn(async move {
            loop {
                let conn = listener.accept().await.expect("the same user");
                let service = service_fn(move |request| DaemonServer::new(script).call(request));
                let served = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(conn), service);
                tokio::spawn(served);
            }
        }))
    }
}

impl Drop for OtherDaemon {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone, Copy)]
struct Script {
    version: &'static str,
    protocol: u32,
    diagnosis: Diagnosis,
}

/// What it answers when it is asked how it stands.
#[derive(Clone, Copy)]
pub enum Diagnosis {
    /// It does not know the question.
    UnheardOf,
    /// Nothing, ever.
    Never,
    /// That it knows nothing of anything.
    Empty,
}

fn unheard_of<T>() -> Result<T, Status> {
    Err(Status::unimplemented(""))
}

#[tonic::async_trait]
impl Daemon for Script {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        Ok(Response::new(HelloResponse {
            protocol: self.protocol,
            version: self.version.to_owned(),
            pid: std::process::id(),
            started_at: None,
            ..HelloResponse::default()
        }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        unheard_of()
    }

    async fn shutdown(
        &self,
        _: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        unheard_of()
    }

    async fn diagnose(
        &self,
        _: Request<DiagnoseRequest>,
    ) -> Result<Response<DiagnoseResponse>, Status> {
        match self.diagnosis {
            Diagnosis::UnheardOf => unheard_of(),
            Diagnosis::Never => std::future::pending().await,
            Diagnosis::Empty => Ok(Response::new(DiagnoseResponse::default())),
        }
    }

    async fn lock(&self, _: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        unheard_of()
    }

    async fn unlock(&self, _: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        unheard_of()
    }
}
