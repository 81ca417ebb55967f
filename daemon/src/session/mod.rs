//! Sessions: a handle for everybody, an actor that owns the time, a pure machine
//! that decides. One login at a time, joined by all who ask; renewal ahead of
//! the end; logout wins over whatever is in flight.

mod actor;
mod authorization_code;
mod aws_cache;
mod callback;
mod event;
mod lock;
mod oidc;
mod state;
mod store;
mod token;
mod vanity;
mod vault;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{self, LoginFlow, SessionState, StoreStatus, timestamp},
};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    aws::Aws,
    clock::Clock,
    config::{self, Config, SessionSpec},
    limiter::{Limiter, Limiters, chance},
    policy::Redactor,
};
use actor::Actor;
use aws_cache::AwsCache;
pub use lock::locked_failure;
use oidc::Oidc;
pub use state::Machine;
pub use store::Store;
use token::{Flow, Grant};
pub use vault::Vault;

/// Sessions beyond this many push out those that hold nothing.
const MAX_SESSIONS: usize = 256;
const COMMANDS: usize = 64; // a burst of clients; more means that the actor is stuck
/// Reading a few files takes a thousandth of that, unless the machine is very busy.
const RESTORE_LIMIT: Duration = Duration::from_secs(5);
/// A caller that needs a renewed token waits this long for it.
const RENEWAL_LIMIT: Duration = Duration::from_secs(30);

/// What every session needs.
#[derive(Debug, Clone)]
pub struct Parts {
    pub config: Arc<Config>,
    pub aws: Aws,
    pub clock: Clock,
    pub store: Store,
    pub limiters: Limiters,
    pub redactor: Redactor,
    pub tracker: TaskTracker,
    pub stop: CancellationToken,
}

/// All sessions of the daemon, by name.
#[derive(Debug, Clone)]
pub struct Sessions {
    parts: Parts,
    map: Arc<Mutex<Held>>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Held {
    by_name: HashMap<String, Session>,
    /// Theirs: every call asks for them.
    specs: Arc<[SessionSpec]>,
}

impl Sessions {
    /// Sessions that were logged in to when the daemon last ended go on at once.
    pub fn new(parts: Parts) -> Self {
        let sessions = Self {
            map: Arc::default(),
            revision: watch::Sender::default(),
            parts,
        };
        for spec in sessions.parts.store.sessions() {
            sessions.get(&spec);
        }
        sessions
    }

    /// Returns when the logins that only files are needed for have been read:
    /// whoever asks a daemon first sees them. A keyring is not waited for.
    pub async fn restored(&self) {
        let at_hand = self.parts.store.sessions_at_hand();
        let sessions = at_hand.iter().map(|spec| self.get(spec));
        join_all(sessions.map(async |session| session.loaded(RESTORE_LIMIT).await)).await;
    }

    /// The handle of a session. A name that now means another place gets a new
    /// actor; the old one ends.
    pub fn get(&self, spec: &SessionSpec) -> Session {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = map.by_name.get(&spec.name)
            && session.spec == *spec
        {
            return session.clone();
        }
        if map.by_name.len() >= MAX_SESSIONS {
            map.by_name.retain(|_, session| session.holds_something());
        }
        let session = Session::start(spec.clone(), &self.parts, self.revision.clone());
        map.by_name.insert(spec.name.clone(), session.clone());
        map.specs = map.by_name.values().map(|held| held.spec.clone()).collect();
        session
    }

    /// Those that have been used, in no order.
    pub fn all(&self) -> Vec<Session> {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.by_name.values().cloned().collect()
    }

    /// What those are that have been used.
    pub fn specs(&self) -> Arc<[SessionSpec]> {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&map.specs)
    }

    /// Changes with every change of any session.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Where logins are kept between two runs of the daemon.
    pub async fn store(&self) -> StoreStatus {
        self.parts.store.status().await
    }
}

/// A session: cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    spec: SessionSpec,
    clock: Clock,
    limiter: Arc<Limiter>,
    store: Store,
    commands: mpsc::Sender<Command>,
    machine: watch::Receiver<Arc<Machine>>,
}

#[derive(Debug)]
enum Command {
    /// Another tool may have logged in.
    Look {
        reply: oneshot::Sender<()>,
    },
    Login {
        how: Ask,
        flow: Flow,
        insist: bool,
        reply: oneshot::Sender<Ticket>,
    },
    Logout {
        reply: oneshot::Sender<bool>,
    },
    /// Forgets every secret; whether there was one.
    Lock {
        reply: oneshot::Sender<bool>,
    },
    Renew,
    Rejected {
        generation: u64,
        reply: oneshot::Sender<()>,
    },
}

/// How a login is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    IfNeeded,
    Anew,
    /// A login in progress is joined, none is started.
    OnlyJoin,
}

/// What asking for a login came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticket {
    AlreadyValid,
    /// There is none to join.
    NoneInProgress,
    Attempt {
        number: u64,
        joined: bool,
    },
}

/// An access token, and which one it is.
#[derive(Debug, Clone)]
pub struct Access {
    token: SecretString,
    generation: u64,
    pub epoch: u64,
}

impl Access {
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }
}

impl Session {
    fn start(spec: SessionSpec, parts: &Parts, revision: watch::Sender<u64>) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let machine = Machine::new(chance());
        let (publish, watch) = watch::channel(Arc::new(machine.clone()));
        let place = config::canonical(&spec.start_url);
        let limiter = parts
            .limiters
            .of(&format!("portal {} {place}", spec.region));
        let oidc = Oidc {
            aws: parts.aws.clone(),
            clock: parts.clock.clone(),
            spec: spec.clone(),
        };
        let actor = Actor {
            oidc,
            limiter: Arc::clone(&limiter),
            config: Arc::clone(&parts.config),
            store: parts.store.clone(),
            cache: AwsCache::new(Arc::clone(&parts.config), spec.clone()),
            machine,
            redactor: parts.redactor.clone(),
            known: Vec::new(),
            publish,
            revision,
            inbox,
            tasks: JoinSet::new(),
            logout_reply: None,
            browser: None,
            awaits_keyring: false,
            is_shut_out: false,
        };
        parts.tracker.spawn(actor.run(parts.stop.clone()));
        Self {
            spec,
            clock: parts.clock.clone(),
            limiter,
            store: parts.store.clone(),
            commands,
            machine: watch,
        }
    }

    pub fn spec(&self) -> &SessionSpec {
        &self.spec
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Everybody who calls this session's portal goes through here.
    pub fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// The machine as it is, then every change.
    pub fn watch(&self) -> watch::Receiver<Arc<Machine>> {
        self.machine.clone()
    }

    fn current(&self) -> Arc<Machine> {
        Arc::clone(&self.machine.borrow())
    }

    /// Bumped by login and logout: what was loaded under an older one is void.
    pub fn epoch(&self) -> u64 {
        self.machine.borrow().epoch()
    }

    fn holds_something(&self) -> bool {
        let machine = self.current();
        machine.token().is_some() || machine.login_in_progress()
    }

    pub fn holds_token(&self) -> bool {
        self.current()
            .token()
            .is_some_and(|token| token.is_usable(self.clock.now()))
    }

    /// Waits until the store has been asked, at most `limit`.
    pub async fn loaded(&self, limit: Duration) {
        let mut machine = self.machine.clone();
        let loaded = machine.wait_for(|machine| machine.is_loaded());
        let _ = tokio::time::timeout(limit, loaded).await; // what is known then is answered
    }

    /// Takes over what another tool has logged in to since, at most for `limit`.
    pub async fn look(&self, limit: Duration) {
        self.loaded(limit).await;
        let machine = self.current();
        if !machine.is_loaded() || !(machine.wants_a_token(self.clock.now()) || machine.is_locked())
        {
            return;
        }
        let looked = async {
            let (reply, answer) = oneshot::channel();
            self.send(Command::Look { reply }).await?;
            answer.await.map_err(|_| stopping())
        };
        let _ = tokio::time::timeout(limit, looked).await; // what is known then is answered
    }

    /// `wanted` is what the person said, `setting` what their configuration says.
    pub async fn login(
        &self,
        how: Ask,
        wanted: LoginFlow,
        setting: config::LoginFlow,
        can_open_browser: bool,
    ) -> Result<Ticket, Failure> {
        let flow = match (wanted, setting) {
            (LoginFlow::Browser, _) | (LoginFlow::Unspecified, config::LoginFlow::Browser) => {
                Flow::Browser
            }
            (LoginFlow::Device, _) | (LoginFlow::Unspecified, config::LoginFlow::Device) => {
                Flow::Device
            }
            (LoginFlow::Unspecified, config::LoginFlow::Auto) if can_open_browser => Flow::Browser,
            (LoginFlow::Unspecified, config::LoginFlow::Auto) => Flow::Device,
        };
        let (reply, answer) = oneshot::channel();
        self.send(Command::Login {
            how,
            flow,
            insist: wanted != LoginFlow::Unspecified,
            reply,
        })
        .await?;
        answer.await.map_err(|_| stopping())
    }

    /// Drops the token and ends the portal session. `false` when there was
    /// neither a token nor a login in progress.
    pub async fn logout(&self) -> Result<bool, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Logout { reply }).await?;
        answer.await.map_err(|_| stopping())
    }

    /// A token that AWS should accept now, renewed first if need be.
    pub async fn token(&self) -> Result<Access, Failure> {
        self.loaded(RENEWAL_LIMIT).await;
        if let Some(access) = access(&self.current(), self.clock.now()) {
            return Ok(access);
        }
        self.look(RENEWAL_LIMIT).await;
        let machine = self.current();
        if let Some(access) = access(&machine, self.clock.now()) {
            return Ok(access);
        }
        if !machine.is_refreshable(self.clock.now()) {
            return Err(self.no_token(&machine));
        }
        let tried = machine.renewals_tried();
        let mut watch = self.machine.clone();
        self.send(Command::Renew).await?;
        let decided = watch.wait_for(|machine| {
            machine.renewals_tried() != tried || access(machine, self.clock.now()).is_some()
        });
        match tokio::time::timeout(RENEWAL_LIMIT, decided).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(stopping()),
            Err(_) => return Err(self.no_token(&self.current())),
        }
        let machine = self.current();
        access(&machine, self.clock.now()).ok_or_else(|| self.no_token(&machine))
    }

    /// AWS said 401 to this token: one renewal is tried, then a person is needed.
    pub async fn rejected(&self, access: &Access) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let generation = access.generation;
        self.send(Command::Rejected { generation, reply }).await?;
        answer.await.map_err(|_| stopping())
    }

    pub fn status(&self) -> v1::SessionStatus {
        let machine = self.current();
        let now = self.clock.now();
        v1::SessionStatus {
            name: self.spec.name.clone(),
            start_url: self.spec.start_url.clone(),
            region: self.spec.region.clone(),
            state: machine.state(now).into(),
            access_token_expires_at: machine.token().map(|token| timestamp(token.expires_at)),
            refreshable: machine.is_refreshable(now),
            last_error: machine
                .last_error()
                .map(|failure| failure.message.clone())
                .unwrap_or_default(),
            pending_login: self.prompt(&machine, false),
            why: machine.why(now).unwrap_or_default(),
            taken_over: machine.token().is_some_and(token::Token::is_taken_over),
            renewals: u32::try_from(machine.renewals()).unwrap_or(u32::MAX),
            credentials: 0,
        }
    }

    pub fn flow_in_progress(&self) -> Option<LoginFlow> {
        self.current().grant().map(|grant| grant.flow().into())
    }

    /// What a person needs to finish the login in progress.
    pub fn prompt(&self, machine: &Machine, joined: bool) -> Option<v1::LoginPrompt> {
        let grant = machine.grant()?;
        let (uri, complete, code) = match grant {
            Grant::Browser(grant) => (&grant.authorization_uri, &grant.authorization_uri, ""),
            Grant::Device(grant) => (
                &grant.verification_uri,
                &grant.verification_uri_complete,
                grant.user_code.as_str(),
            ),
        };
        Some(v1::LoginPrompt {
            session: self.spec.name.clone(),
            verification_uri: uri.clone(),
            verification_uri_complete: complete.clone(),
            user_code: code.to_owned(),
            expires_at: Some(timestamp(grant.expires_at())),
            joined,
            flow: LoginFlow::from(grant.flow()).into(),
        })
    }

    fn no_token(&self, machine: &Machine) -> Failure {
        let name = &self.spec.name;
        if self.store.is_shut() {
            return locked_failure().with(key::SESSION, name);
        }
        let failure = match machine.state(self.clock.now()) {
            // It could be renewed, but AWS was not there.
            SessionState::Expired => machine.last_error().cloned().unwrap_or_else(|| {
                Failure::new(
                    Reason::AwsUnavailable,
                    "the session could not be renewed yet",
                )
            }),
            SessionState::LoginPending => Failure::new(
                Reason::LoginRequired,
                format!("a login to {name} waits for a person to confirm it in the browser"),
            ),
            _ => match machine.last_error() {
                Some(ended) if ended.reason == Reason::LoginExpired => Failure::new(
                    Reason::LoginExpired,
                    format!("the login to {name} has ended: {}", ended.message),
                ),
                _ if machine.token().is_some() => Failure::new(
                    Reason::LoginExpired,
                    format!("the login to {name} has expired"),
                ),
                _ if machine.is_locked() => Failure::new(
                    Reason::LoginRequired,
                    format!(
                        "not logged in to {name}: {}",
                        machine.why(self.clock.now()).unwrap_or_default()
                    ),
                ),
                _ => Failure::new(Reason::LoginRequired, format!("not logged in to {name}")),
            },
        };
        failure.with(key::SESSION, name)
    }

    async fn send(&self, command: Command) -> Result<(), Failure> {
        self.commands.send(command).await.map_err(|_| stopping())
    }
}

fn access(machine: &Machine, now: SystemTime) -> Option<Access> {
    let token = machine.token().filter(|token| token.is_usable(now))?;
    Some(Access {
        token: token.access.clone(),
        generation: machine.generation(),
        epoch: machine.epoch(),
    })
}

fn stopping() -> Failure {
    Failure::new(Reason::ShuttingDown, "the daemon is stopping")
}
