//! The loop that performs what the machine decides, and publishes what came of it.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use awsso_proto::{Failure, Reason};
use futures_util::FutureExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Ask, Command, Ticket,
    aws_cache::AwsCache,
    event::{Effect, Event, LoginAnswer, RenewAnswer, Started},
    oidc::Oidc,
    state::Machine,
    store::{Record, SHUT, Store},
    token::{Grant, Token},
};
use crate::{
    config::Config,
    limiter::{Lane, Limiter, Repeat},
    os::notify,
    policy::{Known, Redactor},
};

/// The portal is told of a logout, but nobody waits longer for it.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// A renewal that is under way may hold the only refresh token that is still good.
const RENEWAL_LIMIT: Duration = Duration::from_secs(5);

/// The loop that performs what the machine decides.
pub(super) struct Actor {
    pub oidc: Oidc,
    pub limiter: Arc<Limiter>,
    pub config: Arc<Config>,
    pub store: Store,
    pub cache: AwsCache,
    pub machine: Machine,
    pub redactor: Redactor,
    /// The secrets that the machine holds.
    pub known: Vec<Known>,
    pub publish: watch::Sender<Arc<Machine>>,
    /// Told of every change, for those who watch all sessions.
    pub revision: watch::Sender<u64>,
    pub inbox: mpsc::Receiver<Command>,
    pub tasks: JoinSet<Event>,
    /// Answered when the portal has been told.
    pub logout_reply: Option<(oneshot::Sender<bool>, bool)>,
    /// Who waits for the browser, and for which attempt.
    pub browser: Option<(u64, AbortHandle)>,
    /// The keyring was locked when it was needed; its opening is waited for.
    pub awaits_keyring: bool,
    /// The store was shut when it was needed; its opening is waited for.
    pub is_shut_out: bool,
}

impl Actor {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.load().await;
        self.look_if_needed().await;
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
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => warn!(session = %self.oidc.spec.name, %error, "a call of the session failed"),
                },
                () = clock.wait_until(wake) => self.on(Event::Tick).await,
                () = self.store.keyring_opened(), if self.awaits_keyring => self.keyring_opened().await,
                () = self.store.until_shut(false), if self.is_shut_out => self.come_back().await,
            }
        }
    }

    async fn load(&mut self) {
        self.is_shut_out = self.store.is_shut();
        let loaded = self.store.load(&self.oidc.spec).await;
        self.awaits_keyring = loaded.locked.is_some() && !self.is_shut_out;
        self.on(Event::Loaded(loaded)).await;
    }

    /// What could not be opened is opened now; what was kept in the file since
    /// moves to the keyring.
    async fn keyring_opened(&mut self) {
        self.awaits_keyring = false;
        if self.machine.is_locked() {
            self.load().await;
        } else {
            self.save().await;
        }
    }

    /// What the store keeps is read again as soon as a person has opened it.
    async fn come_back(&mut self) {
        if self.is_shut_out && !self.store.is_shut() {
            self.load().await;
        }
    }

    /// Forgets every secret.
    async fn lock(&mut self) {
        let finished = async {
            while self.machine.is_renewing()
                && let Some(done) = self.tasks.join_next().await
            {
                if let Ok(event) = done {
                    self.on(event).await;
                }
            }
        };
        let _ = tokio::time::timeout(RENEWAL_LIMIT, finished).await; // then it is given up
        self.tasks.abort_all();
        self.on(Event::LockAsked(SHUT.to_owned())).await;
        self.is_shut_out = true;
        self.awaits_keyring = false;
    }

    /// Before a person is asked: whatever could spare them that.
    async fn look_if_needed(&mut self) {
        if self.machine.is_locked() && self.store.keyring_opens().await {
            self.keyring_opened().await;
        }
        if !self.machine.wants_a_token(self.oidc.clock.now()) {
            return;
        }
        if let Some(event) = self.found().await {
            self.on(event).await;
        }
    }

    /// The token of another tool that has logged in to the same place.
    async fn found(&self) -> Option<Event> {
        if self.store.is_shut() {
            return None;
        }
        let (cache, now) = (self.cache.clone(), self.oidc.clock.now());
        let found = tokio::task::spawn_blocking(move || cache.find(now)).await;
        let token = found.ok().flatten()?;
        self.machine
            .would_take(&token, now)
            .then_some(Event::Found(token))
    }

    async fn command(&mut self, command: Command) {
        self.come_back().await;
        match command {
            Command::Look { reply } => {
                self.look_if_needed().await;
                let _ = reply.send(()); // the client hung up
            }
            Command::Login {
                how,
                flow,
                insist,
                reply,
            } => {
                if how != Ask::Anew {
                    self.look_if_needed().await;
                }
                let (waited, attempt) = (self.machine.login_in_progress(), self.machine.attempt());
                let ask = |force| Event::LoginAsked {
                    force,
                    flow,
                    insist,
                };
                match how {
                    Ask::IfNeeded => self.on(ask(false)).await,
                    Ask::Anew => self.on(ask(true)).await,
                    Ask::OnlyJoin => {}
                }
                let ticket = if self.machine.login_in_progress() {
                    Ticket::Attempt {
                        number: self.machine.number(),
                        joined: waited && self.machine.attempt() == attempt,
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
            Command::Lock { reply } => {
                let held = self.machine.token().is_some() || self.machine.login_in_progress();
                self.lock().await;
                let _ = reply.send(held); // the client hung up
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
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.oidc.clock.now();
            let before = self.machine.state(now);
            let effects = self.machine.on(event, now);
            let after = self.machine.state(now);
            if before != after {
                info!(
                    session = %self.oidc.spec.name,
                    from = before.word(),
                    to = after.word(),
                    error = self.machine.last_error().map(|failure| failure.reason.name()),
                    "session state"
                );
            }
            for effect in effects {
                events.extend(self.perform(effect).await);
            }
        }
        self.leave_the_browser();
        let secrets = self.machine.secrets();
        let know = |secret: &SecretString| self.redactor.know(&[secret.expose_secret()], None);
        self.known = secrets.map(know).collect();
        self.publish.send_replace(Arc::new(self.machine.clone()));
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Closes the port of a login that has ended or goes on in another way.
    fn leave_the_browser(&mut self) {
        let awaited = self
            .machine
            .login_in_progress()
            .then(|| self.machine.attempt());
        if let Some((_, task)) = self
            .browser
            .take_if(|(attempt, _)| Some(*attempt) != awaited)
        {
            task.abort();
        }
    }

    /// Returns what came of it, where that is known at once.
    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        let (oidc, limiter) = (self.oidc.clone(), Arc::clone(&self.limiter));
        match effect {
            Effect::StartInBrowser { attempt } => {
                self.tasks.spawn(async move {
                    let started = oidc.start_in_browser(&limiter);
                    let started = guarded(started, Err).await;
                    let result = started.map(Started::Browser);
                    Event::LoginStarted { attempt, result }
                });
            }
            Effect::StartOnDevice { attempt, cached } => {
                self.tasks.spawn(async move {
                    let started = oidc.start_on_a_device(&limiter, cached);
                    let started = guarded(started, Err).await;
                    let result = started.map(|(client, grant)| Started::Device(client, grant));
                    Event::LoginStarted { attempt, result }
                });
            }
            Effect::AwaitBrowser { attempt, grant } => {
                let task = self.tasks.spawn(async move {
                    let answer = oidc.finish_in_browser(&grant);
                    let answer = guarded(answer, LoginAnswer::Failed).await;
                    Event::Answered { attempt, answer }
                });
                self.browser = Some((attempt, task));
            }
            Effect::Poll {
                attempt,
                registration,
                grant,
            } => {
                self.tasks.spawn(async move {
                    let answer = oidc.poll(&registration, &grant);
                    let answer = guarded(answer, LoginAnswer::Failed).await;
                    Event::Answered { attempt, answer }
                });
            }
            Effect::Renew {
                generation,
                registration,
                token,
            } => {
                self.tasks.spawn(async move {
                    let answer = oidc.renew(&registration, &token);
                    let not_now = |failure: Failure| RenewAnswer::NotNow(failure.message);
                    let answer = guarded(answer, not_now).await;
                    Event::Renewed { generation, answer }
                });
            }
            Effect::Save => self.save().await,
            Effect::Share { login } => self.share(login).await,
            Effect::Unshare(token) => {
                let cache = self.cache.clone();
                let _ = tokio::task::spawn_blocking(move || cache.withdraw(token)).await; // it logs
            }
            Effect::LookAround => return Some(self.found().await.unwrap_or(Event::Tick)),
            Effect::WarnOfEnd(end) => self.warn_of_end(end),
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
        None
    }

    async fn save(&mut self) {
        // What cannot be opened is not overwritten before a login takes its place.
        if self.machine.is_locked() {
            return;
        }
        let grant = match self.machine.grant() {
            Some(Grant::Device(grant)) => Some(grant.clone()),
            // A listener does not outlive the daemon.
            Some(Grant::Browser(_)) | None => None,
        };
        let record = Record {
            registrations: self.machine.registrations().clone(),
            token: self
                .machine
                .token()
                .filter(|token| !token.is_taken_over())
                .cloned(),
            grant,
            declined: self.machine.declined(),
        };
        match self.store.save(&self.oidc.spec, record).await {
            Ok(in_its_place) => self.awaits_keyring = !in_its_place,
            Err(failure) => {
                warn!(session = %self.oidc.spec.name, %failure, "the session lives in memory only");
            }
        }
    }

    async fn share(&self, login: bool) {
        let Some(token) = self.machine.token().cloned() else {
            return;
        };
        let (cache, now) = (self.cache.clone(), self.oidc.clock.now());
        let left = move || cache.leave(&token, login, now);
        let _ = tokio::task::spawn_blocking(left).await; // it logs
    }

    /// Opt-in: `notify = true`.
    fn warn_of_end(&mut self, end: SystemTime) {
        let wanted = self.config.files().is_ok_and(|files| files.settings.notify);
        info!(session = %self.oidc.spec.name, notify = wanted, "the session ends soon and cannot be renewed");
        if !wanted {
            return;
        }
        let name = self.oidc.spec.name.clone();
        let left = end
            .duration_since(self.oidc.clock.now())
            .unwrap_or_default();
        let minutes = left.as_secs().div_ceil(60);
        self.tasks.spawn(async move {
            let summary = format!("The AWS login to {name} ends in {minutes} min");
            let body = format!("It cannot be renewed. To log in again: awsso login {name} --force");
            if let Err(error) = notify::notify(&summary, &body).await {
                warn!(session = %name, error, "no notification was shown");
            }
            Event::Tick
        });
    }
}

/// A call that panics has failed: whoever waits for it must not wait for ever.
async fn guarded<T>(call: impl Future<Output = T>, failed: impl FnOnce(Failure) -> T) -> T {
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        let message = "an error in awsso itself ended the call; awsso daemon logs has more";
        failed(Failure::new(Reason::Internal, message))
    })
}

/// `docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_Logout.html`
async fn end_portal_session(oidc: &Oidc, limiter: &Limiter, token: &Token) {
    let Ok(portal) = oidc.aws.portal(&oidc.spec.region) else {
        return;
    };
    let call = limiter.call("Logout", Lane::Person, Repeat::Freely, || {
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
