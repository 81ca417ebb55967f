//! `awsso.v1.Session`: status, login, logout.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{
        GetSessionRequest, GetSessionResponse, LoginDone, LoginFlow, LoginRequest, LoginResponse,
        LogoutRequest, LogoutResponse, login_response::Event, session_server::Session as Service,
    },
};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream};
use crate::{
    config,
    session::{Ask, Machine, Session, Ticket},
};

/// A status right after the daemon's start waits this long for the store.
const STORE_LIMIT: Duration = Duration::from_millis(500);

#[tonic::async_trait]
impl Service for Services {
    async fn get(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let (_, files) = self.admit(&request)?;
        let reference = request.into_inner().session.unwrap_or_default();
        // What cannot be resolved is not listed: a status answers whenever it can.
        let current = config::resolve(&reference, &files, &self.sessions.specs())
            .ok()
            .map(|resolved| resolved.spec);
        let mut sessions: BTreeMap<String, Session> = config::known(&files)
            .iter()
            .chain(&current)
            .map(|spec| (spec.name.clone(), self.sessions.get(spec)))
            .collect();
        for session in self.sessions.all() {
            sessions.entry(session.name().to_owned()).or_insert(session);
        }
        join_all(sessions.values().map(|session| session.loaded(STORE_LIMIT))).await;
        Ok(Response::new(GetSessionResponse {
            sessions: sessions.values().map(Session::status).collect(),
            current: current.map(|spec| spec.name).unwrap_or_default(),
        }))
    }

    type LoginStream = Stream<LoginResponse>;

    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<Self::LoginStream>, Status> {
        let (_, files) = self.admit(&request)?;
        let request = request.into_inner();
        if request.flow() == LoginFlow::Browser {
            return Err(Failure::new(
                Reason::InvalidArgument,
                "the browser flow is not part of this version yet",
            )
            .with(key::HINT, "leave --flow out, or use --flow device")
            .into());
        }
        let session = self.session(request.session, &files)?;
        session.loaded(STORE_LIMIT).await;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let machine = session.watch();
        let how = match (request.only_join, request.force) {
            (true, _) => Ask::OnlyJoin,
            (false, true) => Ask::Anew,
            (false, false) => Ask::IfNeeded,
        };
        let ticket = session.login(how).await?;
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let outcome = tokio::select! {
                outcome = follow(&session, machine, ticket, &sender) => outcome,
                () = stop.cancelled() => Err(Failure::new(
                    Reason::ShuttingDown,
                    "the daemon is stopping; the login goes on when it is back",
                )),
                () = sender.closed() => return,
            };
            let last = outcome.map_err(|failure| failure.with(key::SESSION, session.name()).into());
            let _ = sender.send(last).await; // the client hung up
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn logout(
        &self,
        request: Request<LogoutRequest>,
    ) -> Result<Response<LogoutResponse>, Status> {
        let (_, files) = self.admit(&request)?;
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
        Ok(Response::new(LogoutResponse { sessions: ended }))
    }
}

/// Sends the prompt when there is one, and returns how the login ended.
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
    let mut prompted = false;
    loop {
        let current = Arc::clone(&machine.borrow_and_update());
        if current.attempt() != number {
            return Err(Failure::new(
                Reason::LoginRequired,
                "the login was given up by a logout",
            ));
        }
        if let Some(prompt) = session.prompt(&current, joined).filter(|_| !prompted) {
            prompted = true;
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
