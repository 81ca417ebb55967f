//! The loop that performs what the machine decides, and publishes what came of it.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Ask, Command, Ticket,
    event::{Effect, Event},
    oidc::Oidc,
    state::Machine,
    store::{Record, Store},
    token::Token,
};
use crate::limiter::{Limiter, Repeat};

/// The portal is told of a logout, but nobody waits longer for it.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// The loop that performs what the machine decides.
pub(super) struct Actor {
    pub oidc: Oidc,
    pub limiter: Arc<Limiter>,
    pub store: Store,
    pub machine: Machine,
    pub publish: watch::Sender<Arc<Machine>>,
    pub inbox: mpsc::Receiver<Command>,
    pub tasks: JoinSet<Event>,
    /// Answered when the portal has been told.
    pub logout_reply: Option<(oneshot::Sender<bool>, bool)>,
}

impl Actor {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.load().await;
        loop {
            let clock = self.oidc.clock.clone();
            let wake = self.machine.next_wake(clock.now());
            tokio::select! {
                () = stop.cancelled() => return,
                command = self.inbox.recv() => match command {
                    Some(command) => self.command(command).await,
                    // Nobody holds a handle: the name means another place now.
                    None => return,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(event) => self.on(event).await,
                    Err(error) => warn!(session = %self.oidc.spec.name, %error, "a call of the session failed"),
                },
                () = clock.wait_until(wake) => self.on(Event::Tick).await,
            }
        }
    }

    async fn load(&mut self) {
        let (store, spec) = (self.store.clone(), self.oidc.spec.clone());
        let record = tokio::task::spawn_blocking(move || store.load(&spec))
            .await
            .unwrap_or_default();
        self.on(Event::Loaded {
            registration: record.registration,
            token: record.token,
            grant: record.grant,
        })
        .await;
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Login { how, reply } => {
                let joined = self.machine.login_in_progress();
                match how {
                    Ask::IfNeeded => self.on(Event::LoginAsked { force: false }).await,
                    Ask::Anew => self.on(Event::LoginAsked { force: true }).await,
                    Ask::OnlyJoin => {}
                }
                let ticket = if self.machine.login_in_progress() {
                    Ticket::Attempt {
                        number: self.machine.attempt(),
                        joined,
                    }
                } else if how == Ask::OnlyJoin && !self.holds_usable_token() {
                    Ticket::NoneInProgress
                } else {
                    Ticket::AlreadyValid
                };
                let _ = reply.send(ticket); // the client hung up
            }
            Command::Logout { reply } => {
                let had = self.machine.token().is_some() || self.machine.login_in_progress();
                self.logout_reply = Some((reply, had));
                self.on(Event::LogoutAsked).await;
                // Not taken by a call to the portal: there was nothing to end.
                if let Some((reply, had)) = self.logout_reply.take() {
                    let _ = reply.send(had); // the client hung up
                }
            }
            Command::Renew => self.on(Event::RenewalAsked).await,
            Command::Rejected { generation, reply } => {
                self.on(Event::Rejected { generation }).await;
                let _ = reply.send(()); // the client hung up
            }
        }
    }

    fn holds_usable_token(&self) -> bool {
        let now = self.oidc.clock.now();
        self.machine
            .token()
            .is_some_and(|token| token.is_usable(now))
    }

    async fn on(&mut self, event: Event) {
        let name = &self.oidc.spec.name;
        let now = self.oidc.clock.now();
        let before = self.machine.state(now);
        let effects = self.machine.on(event, now);
        let after = self.machine.state(now);
        if before != after {
            info!(
                session = %name,
                from = before.word(),
                to = after.word(),
                error = self.machine.last_error().map(|failure| failure.reason.name()),
                "session state"
            );
        }
        for effect in effects {
            self.perform(effect).await;
        }
        self.publish.send_replace(Arc::new(self.machine.clone()));
    }

    async fn perform(&mut self, effect: Effect) {
        let (oidc, limiter) = (self.oidc.clone(), Arc::clone(&self.limiter));
        match effect {
            Effect::StartLogin {
                attempt,
                registration,
            } => {
                self.tasks.spawn(async move {
                    let result = oidc.start(&limiter, registration).await;
                    Event::LoginStarted { attempt, result }
                });
            }
            Effect::Poll {
                attempt,
                registration,
                grant,
            } => {
                self.tasks.spawn(async move {
                    let answer = oidc.poll(&registration, &grant).await;
                    Event::Polled { attempt, answer }
                });
            }
            Effect::Renew {
                generation,
                registration,
                token,
            } => {
                self.tasks.spawn(async move {
                    let answer = oidc.renew(&registration, &token).await;
                    Event::Renewed { generation, answer }
                });
            }
            Effect::Save => self.save().await,
            Effect::EndPortalSession(token) => {
                let reply = self.logout_reply.take();
                self.tasks.spawn(async move {
                    end_portal_session(&oidc, &limiter, &token).await;
                    if let Some((reply, had)) = reply {
                        let _ = reply.send(had); // the client hung up
                    }
                    Event::Tick
                });
            }
        }
    }

    async fn save(&self) {
        let (store, spec) = (self.store.clone(), self.oidc.spec.clone());
        let record = Record {
            registration: self.machine.registration().cloned(),
            token: self.machine.token().cloned(),
            grant: self.machine.grant().cloned(),
        };
        let saved = tokio::task::spawn_blocking(move || store.save(&spec, record)).await;
        if let Ok(Err(failure)) = saved {
            warn!(session = %self.oidc.spec.name, %failure, "the session lives in memory only");
        }
    }
}

/// `docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_Logout.html`
async fn end_portal_session(oidc: &Oidc, limiter: &Limiter, token: &Token) {
    let Ok(portal) = oidc.aws.portal(&oidc.spec.region) else {
        return;
    };
    let call = limiter.call("Logout", Repeat::Freely, || {
        portal
            .logout()
            .access_token(token.access.expose_secret())
            .send()
    });
    match tokio::time::timeout(LOGOUT_LIMIT, call).await {
        Ok(Ok(_)) => {}
        Ok(Err(fault)) => {
            info!(session = %oidc.spec.name, ?fault, "the portal session was not ended");
        }
        Err(_) => info!(session = %oidc.spec.name, "the portal did not answer the logout in time"),
    }
}
