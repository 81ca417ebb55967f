//! `awsso.v1.Session`: status, login, logout.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{
        GetSessionRequest, GetSessionResponse, LoginDone, LoginFlow, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, SessionRef, SessionStatus, WatchSessionRequest,
        WatchSessionResponse, login_response::Event, session_server::Session as Service,
    },
};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream};
use crate::{
    config::{self, Files},
    session::{Ask, Machine, Session, Ticket},
};

/// A status right after the daemon's start waits this long for the store.
const STORE_LIMIT: Duration = Duration::from_millis(500);
/// Somebody who watches sees the login of another tool this soon.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[tonic::async_trait]
impl Service for Services {
    async fn get(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let (_, files) = self.admit(&request)?;
        let reference = request.into_inner().session.unwrap_or_default();
        Ok(Response::new(self.snapshot(&reference, &files).await))
    }

    type WatchStream = Stream<WatchSessionResponse>;

    async fn watch(
        &self,
        request: Request<WatchSessionRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let _ = self.admit(&request)?;
        let reference = request.into_inner().session.unwrap_or_default();
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let services = self.clone();
        self.tracker.spawn(async move {
            let stop = services.stop.clone();
            let failure = tokio::select! {
                failure = services.keep_telling(&reference, &sender) => failure,
                () = stop.cancelled() => Some(Failure::new(
                    Reason::ShuttingDown,
                    "the daemon is stopping",
                )),
                () = sender.closed() => None,
            };
            if let Some(failure) = failure {
                let _ = sender.send(Err(failure.into())).await; // the client hung up
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type LoginStream = Stream<LoginResponse>;

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<Self::LoginStream>, Status> {
        let note = Self::note(&request);
        let (principal, files) = self.admit(&request)?;
        self.admit_to_logins(principal)?;
        let request = request.into_inner();
        let wanted = request.flow();
        let session = self.session(request.session, &files)?;
        note.session(session.name());
        session.loaded(STORE_LIMIT).await;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let machine = session.watch();
        let how = match (request.only_join, request.force) {
            (true, _) => Ask::OnlyJoin,
            (false, true) => Ask::Anew,
            (false, false) => Ask::IfNeeded,
        };
        let setting = files.settings.login_flow(session.name());
        let ticket = session
            .login(how, wanted, setting, request.can_open_browser)
            .await?;
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let outcome = tokio::select! {
                outcome = follow(&session, machine, ticket, &sender) => outcome,
                () = stop.cancelled() => Err(interrupted(&session)),
                () = sender.closed() => return,
            };
            note.ended(outcome.as_ref().map(|_| ()));
            let last = outcome.map_err(|failure| failure.with(key::SESSION, session.name()).into());
            let _ = sender.send(last).await; // the client hung up
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        let note = Self::note(&request);
        let (principal, files) = self.admit(&request)?;
        self.admit_to_logins(principal)?;
        let request = request.into_inner();
        let sessions = if request.all {
            self.sessions.all()
        } else {
            vec![self.session(request.session, &files)?]
        };
        let mut ended = Vec::new();
        for session in sessions {
            session.loaded(STORE_LIMIT).await;
            if session.logout().await? {
                ended.push(session.name().to_owned());
            }
            self.broker.forget(session.name());
            self.accounts.forget(session.name());
        }
        ended.sort();
        note.session(&ended.join(","));
        Ok(Response::new(LogoutResponse { sessions: ended }))
    }
}

impl Services {
    /// Every session that the files name, that is in use, or that the client means.
    pub(super) async fn snapshot(
        &self,
        reference: &SessionRef,
        files: &Files,
    ) -> GetSessionResponse {
        // What cannot be resolved is not listed: a status answers whenever it can.
        let current = config::resolve(reference, files, &self.sessions.specs())
            .ok()
            .map(|resolved| resolved.spec);
        let mut sessions: BTreeMap<String, Session> = files
            .known
            .iter()
            .chain(&current)
            .map(|spec| (spec.name.clone(), self.sessions.get(spec)))
            .collect();
        for session in self.sessions.all() {
            sessions.entry(session.name().to_owned()).or_insert(session);
        }
        let looks = join_all(sessions.values().map(|session| session.look(STORE_LIMIT)));
        let store = tokio::time::timeout(STORE_LIMIT, self.sessions.store());
        let (_, store) = tokio::join!(looks, store);
        let status = |session: &Session| SessionStatus {
            credentials: self.broker.held(session.name()),
            ..session.status()
        };
        GetSessionResponse {
            sessions: sessions.values().map(status).collect(),
            current: current.map(|spec| spec.name).unwrap_or_default(),
            store: store.ok(),
        }
    }

    /// Sends what is, then every change; returns why it cannot go on.
    async fn keep_telling(
        &self,
        reference: &SessionRef,
        to: &mpsc::Sender<Result<WatchSessionResponse, Status>>,
    ) -> Option<Failure> {
        let mut revision = self.sessions.revision();
        let mut told = None;
        loop {
            revision.mark_unchanged();
            let files = match self.config.files() {
                Ok(files) => files,
                Err(failure) => return Some(failure),
            };
            let status = Some(self.snapshot(reference, &files).await);
            if status != told {
                told.clone_from(&status);
                to.send(Ok(WatchSessionResponse { status })).await.ok()?;
            }
            // Other tools do not tell us when they log in.
            if let Ok(changed) = tokio::time::timeout(LOOK_EVERY, revision.changed()).await {
                changed.ok()?;
            }
        }
    }
}

/// What a client is told whose login the end of the daemon interrupts.
fn interrupted(session: &Session) -> Failure {
    let text = match session.flow_in_progress() {
        Some(LoginFlow::Browser) => "the daemon is stopping; log in again when it is back",
        _ => "the daemon is stopping; the login goes on when it is back",
    };
    Failure::new(Reason::ShuttingDown, text)
}

/// Sends what a person must do, anew when that changes, and returns how the
/// login ended.
async fn follow(
    session: &Session,
    mut machine: watch::Receiver<Arc<Machine>>,
    ticket: Ticket,
    to: &mpsc::Sender<Result<LoginResponse, Status>>,
) -> Result<LoginResponse, Failure> {
    let done = |already_valid| LoginResponse {
        event: Some(Event::Done(LoginDone {
            status: Some(session.status()),
            already_valid,
        })),
    };
    let (number, joined) = match ticket {
        Ticket::Attempt { number, joined } => (number, joined),
        Ticket::AlreadyValid => return Ok(done(true)),
        Ticket::NoneInProgress => {
            return Err(Failure::new(
                Reason::LoginRequired,
                "no login is in progress",
            ));
        }
    };
    let mut prompted = None;
    loop {
        let current = Arc::clone(&machine.borrow_and_update());
        if current.number() != number {
            return Err(Failure::new(
                Reason::LoginRequired,
                "the login was given up by a logout or a lock",
            ));
        }
        // A prompt that changes was changed by somebody else.
        let prompt = session.prompt(&current, joined || prompted.is_some());
        let is_new = |link: &String| prompted.as_ref() != Some(link);
        if let Some(prompt) = prompt.filter(|prompt| is_new(&prompt.verification_uri_complete)) {
            prompted = Some(prompt.verification_uri_complete.clone());
            let event = Some(Event::Prompt(prompt));
            if to.send(Ok(LoginResponse { event })).await.is_err() {
                // Nobody watches; the login goes on without.
                return Ok(done(false));
            }
        }
        if !current.login_in_progress()
            && let Some(outcome) = current.outcome()
        {
            return outcome.clone().map(|()| done(false));
        }
        if machine.changed().await.is_err() {
            return Err(Failure::new(Reason::ShuttingDown, "the daemon is stopping"));
        }
    }
}
