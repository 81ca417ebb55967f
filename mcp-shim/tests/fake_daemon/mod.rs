//! A daemon that does as it is told: the generated server traits on a real
//! socket, with scripted jobs. It knows neither AWS nor the real daemon.
//!
//! The command decides the script: `aws hang` prints a line and runs until it
//! is finished or cancelled, `aws big` prints 3,000,000 characters, `aws denied`
//! is denied; every other prints its own command line. A selection of accounts
//! has a task for each; what was printed to stdout is stored, under the job's id.

use std::{
    collections::HashMap,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use awsso_proto::{
    Failure, PROTOCOL, Reason, VERSION, ipc,
    v1::{
        self, accounts_server::AccountsServer, daemon_server::DaemonServer,
        jobs_server::JobsServer, session_server::SessionServer,
    },
};
use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Response, Status};
use tower_service::Service as _;

/// Nothing here takes long; a test that waits in vain fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the shim asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Hello(v1::HelloRequest),
    Login(v1::LoginRequest),
    Start(Box<v1::StartJobRequest>),
    Watch,
    Cancel(String),
}

pub(crate) struct FakeDaemon {
    script: Script,
    asked: mpsc::Receiver<Asked>,
    connections: Connections,
    runtime: tokio::runtime::Runtime,
}

/// Closes what was accepted since it was put here; each connection holds a receiver.
type Connections = Arc<Mutex<watch::Sender<bool>>>;

#[derive(Clone)]
struct Script {
    asked: mpsc::SyncSender<Asked>,
    jobs: Arc<Mutex<HashMap<String, Job>>>,
    logged_in: watch::Sender<bool>,
}

#[derive(Clone)]
struct Job {
    command: String,
    /// Of a selection.
    accounts: Vec<String>,
    state: watch::Sender<v1::JobState>,
}

impl FakeDaemon {
    pub(crate) fn listen(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (asked_tx, asked) = mpsc::sync_channel(1_000);
        let script = Script {
            asked: asked_tx,
            jobs: Arc::default(),
            logged_in: watch::Sender::new(false),
        };
        let connections = Connections::default();
        let listener = {
            let _inside = runtime.enter();
            ipc::listen(socket).unwrap()
        };
        runtime.spawn(serve(listener, script.clone(), connections.clone()));
        Self {
            script,
            asked,
            connections,
            runtime,
        }
    }

    /// The next thing that the shim asked for.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }

    /// The next command, once the shim has begun to watch it.
    pub(crate) fn watched(&self) {
        while !matches!(self.asked(), Asked::Watch) {}
    }

    pub(crate) fn started(&self) -> v1::StartJobRequest {
        loop {
            if let Asked::Start(request) = self.asked() {
                return *request;
            }
        }
    }

    /// Whether no other command has been started since.
    pub(crate) fn is_idle(&self) -> bool {
        !self
            .asked
            .try_iter()
            .any(|asked| matches!(asked, Asked::Start(_)))
    }

    /// Drops every connection, as a daemon does that is killed and started again.
    pub(crate) fn hang_up(&self) {
        let old = std::mem::take(&mut *self.connections.lock().unwrap());
        old.send_replace(true);
        self.runtime.block_on(old.closed());
    }

    /// Ends the job well.
    pub(crate) fn finish(&self, job_id: &str) {
        self.script.jobs.lock().unwrap()[job_id]
            .state
            .send_replace(v1::JobState::Succeeded);
    }

    pub(crate) fn log_in(&self) {
        self.script.logged_in.send_replace(true);
    }
}

async fn serve(mut listener: ipc::Listener, script: Script, connections: Connections) {
    loop {
        let conn = listener.accept().await.unwrap();
        let script = script.clone();
        let mut hung_up = connections.lock().unwrap().subscribe();
        tokio::spawn(async move {
            let service = service_fn(move |request| route(script.clone(), request));
            let served = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(conn), service);
            tokio::select! {
                _ = served => {}
                _ = hung_up.changed() => {}
            }
        });
    }
}

async fn route(
    script: Script,
    request: Request<Incoming>,
) -> Result<hyper::Response<tonic::body::Body>, std::convert::Infallible> {
    match request.uri().path().split('/').nth(1) {
        Some("awsso.v1.Daemon") => DaemonServer::new(script).call(request).await,
        Some("awsso.v1.Session") => SessionServer::new(script).call(request).await,
        Some("awsso.v1.Accounts") => AccountsServer::new(script).call(request).await,
        _ => JobsServer::new(script).call(request).await,
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream that a task fills.
fn stream<T, F>(fill: impl FnOnce(tokio::sync::mpsc::Sender<Result<T, Status>>) -> F) -> Answers<T>
where
    T: Send + 'static,
    F: Future<Output = Option<()>> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(fill(sender));
    Box::pin(ReceiverStream::new(receiver))
}

#[tonic::async_trait]
impl v1::daemon_server::Daemon for Script {
    type WatchStream = Answers<v1::WatchResponse>;

    async fn hello(
        &self,
        request: tonic::Request<v1::HelloRequest>,
    ) -> Result<Response<v1::HelloResponse>, Status> {
        self.asked.send(Asked::Hello(request.into_inner())).unwrap();
        Ok(Response::new(v1::HelloResponse {
            protocol: PROTOCOL,
            version: VERSION.into(),
            pid: std::process::id(),
            ..v1::HelloResponse::default()
        }))
    }

    async fn watch(
        &self,
        _: tonic::Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn shutdown(
        &self,
        _: tonic::Request<v1::ShutdownRequest>,
    ) -> Result<Response<v1::ShutdownResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn diagnose(
        &self,
        _: tonic::Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn lock(
        &self,
        _: tonic::Request<v1::LockRequest>,
    ) -> Result<Response<v1::LockResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn unlock(
        &self,
        _: tonic::Request<v1::UnlockRequest>,
    ) -> Result<Response<v1::UnlockResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn prompt() -> v1::LoginPrompt {
    v1::LoginPrompt {
        session: "corp".into(),
        verification_uri: "https://device.sso.example/".into(),
        verification_uri_complete: "https://device.sso.example/?c=ABCD-EFGH".into(),
        user_code: "ABCD-EFGH".into(),
        ..v1::LoginPrompt::default()
    }
}

impl Script {
    fn status(&self) -> v1::SessionStatus {
        let active = *self.logged_in.borrow();
        v1::SessionStatus {
            name: "corp".into(),
            start_url: "https://corp.awsapps.com/start".into(),
            region: "eu-west-1".into(),
            state: if active {
                v1::SessionState::Active.into()
            } else {
                v1::SessionState::LoginPending.into()
            },
            pending_login: (!active).then(prompt),
            ..v1::SessionStatus::default()
        }
    }
}

#[tonic::async_trait]
impl v1::session_server::Session for Script {
    type LoginStream = Answers<v1::LoginResponse>;
    type WatchStream = Answers<v1::WatchSessionResponse>;

    async fn get(
        &self,
        _: tonic::Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        Ok(Response::new(v1::GetSessionResponse {
            sessions: vec![self.status()],
            current: "corp".into(),
            store: None,
        }))
    }

    async fn watch(
        &self,
        _: tonic::Request<v1::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn login(
        &self,
        request: tonic::Request<v1::LoginRequest>,
    ) -> Result<Response<Self::LoginStream>, Status> {
        use v1::login_response::Event;
        self.asked.send(Asked::Login(request.into_inner())).unwrap();
        let script = self.clone();
        Ok(Response::new(stream(async move |answers| {
            let answer = |event| Ok(v1::LoginResponse { event: Some(event) });
            let mut logged_in = script.logged_in.subscribe();
            let already_valid = *logged_in.borrow();
            if !already_valid {
                answers.send(answer(Event::Prompt(prompt()))).await.ok()?;
            }
            logged_in.wait_for(|logged_in| *logged_in).await.ok()?;
            let done = v1::LoginDone {
                status: Some(script.status()),
                already_valid,
            };
            answers.send(answer(Event::Done(done))).await.ok()
        })))
    }

    async fn logout(
        &self,
        _: tonic::Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        self.logged_in.send_replace(false);
        Ok(Response::new(v1::LogoutResponse {
            sessions: vec!["corp".into()],
        }))
    }
}

#[tonic::async_trait]
impl v1::accounts_server::Accounts for Script {
    type ListStream = Answers<v1::ListAccountsResponse>;

    /// One account, which comes again with its roles; refused before the login.
    async fn list(
        &self,
        _: tonic::Request<v1::ListAccountsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        if !*self.logged_in.borrow() {
            let failure = Failure::new(Reason::LoginRequired, "nobody is logged in");
            return Err(failure.with("session", "corp").into());
        }
        Ok(Response::new(stream(async move |answers| {
            for roles in [vec![], vec!["ReadOnly".to_owned()]] {
                let account = v1::Account {
                    account_id: "111122223333".into(),
                    account_name: "production".into(),
                    email_address: "prod@corp.example".into(),
                    roles_known: !roles.is_empty(),
                    roles,
                    ..v1::Account::default()
                };
                let page = v1::ListAccountsResponse {
                    session: "corp".into(),
                    accounts: vec![account],
                    ..v1::ListAccountsResponse::default()
                };
                answers.send(Ok(page)).await.ok()?;
            }
            Some(())
        })))
    }
}

impl Job {
    fn told(&self, id: &str) -> v1::Job {
        use v1::{JobState, TaskState};
        let state = *self.state.borrow();
        let (task, exit_code) = match state {
            JobState::Running => (TaskState::Running, None),
            JobState::Succeeded => (TaskState::Succeeded, Some(0)),
            JobState::Failed => (TaskState::Denied, Some(254)),
            _ => (TaskState::Cancelled, None),
        };
        let printed = self.output().concat().len() as u64;
        let one = v1::Task {
            account_id: "111122223333".into(),
            account_name: "production".into(),
            role_name: "ReadOnly".into(),
            region: "eu-west-1".into(),
            state: task.into(),
            exit_code,
            output_id: id.replace("job", "out"),
            output_path: format!("/state/outputs/{}", id.replace("job", "out")),
            stdout_bytes: printed,
            other_roles: vec!["Admin".into()],
            ..v1::Task::default()
        };
        let of_account = |account: &String| v1::Task {
            account_id: account.clone(),
            account_name: String::new(),
            ..one.clone()
        };
        v1::Job {
            id: id.into(),
            state: state.into(),
            tasks: match self.accounts.as_slice() {
                [] => vec![one],
                several => several.iter().map(of_account).collect(),
            },
            ..v1::Job::default()
        }
    }

    fn output(&self) -> Vec<String> {
        match self.command.as_str() {
            "aws hang" => vec!["working\n".into()],
            "aws big" => vec!["123456789\n".repeat(3_000); 100],
            "aws denied" => vec![],
            command => vec![format!("{command}\n")],
        }
    }
}

impl Script {
    fn stored(&self, output_id: &str) -> Result<Vec<u8>, Status> {
        let jobs = self.jobs.lock().unwrap();
        let job = jobs.get(&output_id.replace("out", "job"));
        let job = job.ok_or_else(|| Failure::new(Reason::NotFound, "no such output"))?;
        Ok(job.output().concat().into_bytes())
    }
}

#[tonic::async_trait]
impl v1::jobs_server::Jobs for Script {
    type WatchStream = Answers<v1::WatchJobResponse>;

    async fn start(
        &self,
        request: tonic::Request<v1::StartJobRequest>,
    ) -> Result<Response<v1::StartJobResponse>, Status> {
        use v1::start_job_request::Work;
        let request = request.into_inner();
        let command = match &request.work {
            Some(Work::AwsCli(work)) => work.command.clone(),
            Some(Work::Ssm(work)) => work.command.clone(),
            None => return Err(Failure::new(Reason::InvalidArgument, "no work").into()),
        };
        let selection = request.selection.clone().unwrap_or_default();
        let job = Job {
            command,
            accounts: selection.accounts,
            state: watch::Sender::new(v1::JobState::Running),
        };
        let mut jobs = self.jobs.lock().unwrap();
        let id = format!("job_{}", jobs.len() + 1);
        let told = job.told(&id);
        jobs.insert(id, job);
        self.asked.send(Asked::Start(Box::new(request))).unwrap();
        Ok(Response::new(v1::StartJobResponse { job: Some(told) }))
    }

    async fn watch(
        &self,
        request: tonic::Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        use v1::{OutputChunk, OutputStream, watch_job_response::Event};
        let request = request.into_inner();
        let id = request.job_id;
        let job = self.jobs.lock().unwrap().get(&id).cloned();
        let job = job.ok_or_else(|| Failure::new(Reason::NotFound, "no such job"))?;
        self.asked.send(Asked::Watch).unwrap();
        Ok(Response::new(stream(async move |answers| {
            let answer = |event| Ok(v1::WatchJobResponse { event: Some(event) });
            answers.send(answer(Event::Job(job.told(&id)))).await.ok()?;
            let mut offset = 0;
            let output = if request.without_output {
                vec![]
            } else {
                job.output()
            };
            for text in output {
                let chunk = OutputChunk {
                    task: 0,
                    stream: OutputStream::Stdout.into(),
                    offset,
                    data: text.into_bytes(),
                };
                offset += chunk.data.len() as u64;
                answers.send(answer(Event::Output(chunk))).await.ok()?;
            }
            match job.command.as_str() {
                "aws hang" => {
                    let mut state = job.state.subscribe();
                    state.wait_for(|state| state.is_final()).await.ok()?;
                }
                "aws denied" => drop(job.state.send_replace(v1::JobState::Failed)),
                _ => drop(job.state.send_replace(v1::JobState::Succeeded)),
            }
            answers.send(answer(Event::Job(job.told(&id)))).await.ok()
        })))
    }

    async fn list(
        &self,
        _: tonic::Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel(
        &self,
        request: tonic::Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let id = request.into_inner().job_id;
        let job = self.jobs.lock().unwrap().get(&id).cloned();
        let job = job.ok_or_else(|| Failure::new(Reason::NotFound, "no such job"))?;
        job.state.send_replace(v1::JobState::Cancelled);
        let told = job.told(&id);
        self.asked.send(Asked::Cancel(id)).unwrap();
        Ok(Response::new(v1::CancelJobResponse { job: Some(told) }))
    }

    async fn read_output(
        &self,
        request: tonic::Request<v1::ReadOutputRequest>,
    ) -> Result<Response<v1::ReadOutputResponse>, Status> {
        let request = request.into_inner();
        let output = match request.stream() {
            v1::OutputStream::Stderr => vec![],
            _ => self.stored(&request.output_id)?,
        };
        let rest = output.get(usize::try_from(request.offset).unwrap()..);
        let rest = rest.unwrap_or_default();
        let most = usize::try_from(request.max_bytes).unwrap();
        Ok(Response::new(v1::ReadOutputResponse {
            data: rest[..rest.len().min(most)].to_vec(),
            offset: request.offset,
            total_bytes: output.len() as u64,
        }))
    }

    /// Every question has its own text for an answer.
    async fn query_output(
        &self,
        request: tonic::Request<v1::QueryOutputRequest>,
    ) -> Result<Response<v1::QueryOutputResponse>, Status> {
        use v1::query_output_request::Query;
        let request = request.into_inner();
        self.stored(&request.output_id)?;
        let data = match request.query {
            Some(Query::Grep(text)) => format!("lines with {text}\n"),
            Some(Query::Jq(_)) => "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n".to_owned(),
            Some(Query::Tail(lines)) => format!("the last {lines}\n"),
            None => return Err(Failure::new(Reason::InvalidArgument, "no question").into()),
        };
        Ok(Response::new(v1::QueryOutputResponse {
            data: data.into_bytes(),
            truncated: false,
        }))
    }
}
