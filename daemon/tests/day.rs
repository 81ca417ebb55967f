//! A day in the life of one login, on a clock that runs fast: renewals, a
//! laptop that sleeps, AWS that fails, a clock that is set, and one
//! administrator who ends the session. The only thing that a person is asked
//! for is the login after that.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource, TimeSource};
use awsso_proto::{
    Client, Endpoint, Failure, Reason,
    client::Identity,
    v1::{
        ClientKind, GetCredentialsRequest, LoginRequest, SessionRef, SessionState, Target,
        WatchSessionRequest, login_response::Event,
    },
};
use awsso_sandbox::{Config as SandboxConfig, Sandbox};
use awssod::{
    Vault,
    clock::Clock,
    config::{Config, Environment},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const MINUTE: Duration = Duration::from_mins(1);
/// What a minute of the day takes here.
const TICK: Duration = Duration::from_millis(10);
const CLIENTS: usize = 5;

const SLEEPS: u64 = 3 * 60;
const SLEPT: Duration = Duration::from_hours(3);
const FAILS: u64 = 9 * 60;
const RECOVERS: u64 = FAILS + 10;
const REVOKED: u64 = 15 * 60;
const SET_BACK: u64 = 20 * 60;
const DAY: u64 = 24 * 60;

/// The host's time, and what the day has run ahead of it.
#[derive(Debug, Clone, Default)]
struct FastClock(Arc<AtomicI64>);

impl FastClock {
    fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl TimeSource for FastClock {
    fn now(&self) -> SystemTime {
        let ahead = Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs());
        SystemTimeSource::new().now() + ahead
    }
}

/// The daemon in this process, and AWS.
struct Machine {
    sandbox: Sandbox,
    clock: FastClock,
    session: SessionRef,
    endpoint: Endpoint,
    stop: CancellationToken,
    daemon: tokio::task::JoinHandle<Result<(), Failure>>,
    _home: tempfile::TempDir,
}

impl Machine {
    async fn start() -> Self {
        let sandbox = Sandbox::start(SandboxConfig {
            auto_approve: Some(Duration::ZERO),
            interval: Duration::from_secs(1),
            session_lifetime: Duration::from_hours(48),
            ..SandboxConfig::default()
        })
        .await
        .unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        let environment = Environment::new([
            ("HOME".to_owned(), path.to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), sandbox.base_url().to_owned()),
        ]);
        let run = home.path().join("run");
        awsso_proto::ipc::private_dir(&run).unwrap();
        let endpoint = Endpoint {
            socket: run.join("awssod.sock"),
            explicit: true,
            state: home.path().join("state"),
        };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let (clock, stop) = (FastClock::default(), CancellationToken::new());
        let daemon = tokio::spawn(awssod::run(
            Config::new(endpoint.clone(), environment.unwrap()),
            Clock::of(
                SharedTimeSource::new(clock.clone()),
                Duration::from_millis(1),
            ),
            Vault::without("a test has none"),
            None,
            Box::new(move |_| ready.send(()).unwrap()),
            stop.clone(),
        ));
        is_ready.await.unwrap();
        Self {
            session: SessionRef {
                start_url: sandbox.start_url(),
                sso_region: sandbox.region().to_owned(),
                ..SessionRef::default()
            },
            sandbox,
            clock,
            endpoint,
            stop,
            daemon,
            _home: home,
        }
    }

    async fn client(&self) -> Client {
        let who = Identity {
            kind: ClientKind::Cli,
            name: "day".to_owned(),
            form_elicitation: false,
        };
        Client::connect(&self.endpoint, &who).await.unwrap()
    }

    fn advance(&self, by: Duration) {
        self.sandbox.advance(by);
        self.clock.advance(i64::try_from(by.as_millis()).unwrap());
    }

    async fn end(self) {
        self.stop.cancel();
        self.daemon.await.unwrap().unwrap();
        self.sandbox.stop().await;
    }
}

async fn log_in(client: &Client, session: &SessionRef) {
    let request = LoginRequest {
        session: Some(session.clone()),
        ..LoginRequest::default()
    };
    let mut events = client.session().login(request).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        if let Some(Event::Done(_)) = event.event {
            return;
        }
    }
    panic!("the login has no end");
}

/// A tool that needs credentials all day; returns how often it got them, and
/// every error with the minute that it came in.
async fn tool(
    client: Client,
    session: SessionRef,
    minute: watch::Receiver<u64>,
    stop: CancellationToken,
) -> (u64, Vec<(u64, Failure)>) {
    let request = GetCredentialsRequest {
        target: Some(Target {
            session: Some(session),
            account: "111122223333".to_owned(),
            role: "ReadOnly".to_owned(),
            region: String::new(),
        }),
        unattended: true,
    };
    let (mut served, mut failed) = (0, Vec::new());
    while !stop.is_cancelled() {
        let asked = *minute.borrow();
        match client.credentials().get(request.clone()).await {
            Ok(_) => served += 1,
            Err(status) => failed.push((asked, Failure::from(status))),
        }
        tokio::time::sleep(TICK / 3).await;
    }
    (served, failed)
}

/// A person: logs in once, and again whenever the status says that only they
/// can help. Returns how often it did.
async fn person(client: Client, session: SessionRef, stop: CancellationToken) -> u32 {
    let request = WatchSessionRequest {
        session: Some(session.clone()),
    };
    let mut changes = client.session().watch(request).await.unwrap().into_inner();
    let mut asked = 0;
    loop {
        let change = tokio::select! {
            change = changes.message() => change.unwrap().unwrap(),
            () = stop.cancelled() => return asked,
        };
        let status = change.status.unwrap();
        if status.sessions[0].state() == SessionState::LoginRequired {
            asked += 1;
            log_in(&client, &session).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_with_sleep_outage_and_a_revocation_asks_for_one_login() {
    let machine = Machine::start().await;
    log_in(&machine.client().await, &machine.session).await;
    let (tracker, evening) = (TaskTracker::new(), CancellationToken::new());
    let (now, minute) = watch::channel(0);
    let person = tracker.spawn(person(
        machine.client().await,
        machine.session.clone(),
        evening.clone(),
    ));
    let mut tools = Vec::new();
    for _ in 0..CLIENTS {
        let client = machine.client().await;
        let (session, minute, evening) = (machine.session.clone(), minute.clone(), evening.clone());
        tools.push(tracker.spawn(tool(client, session, minute, evening)));
    }

    let mut tick = tokio::time::interval(TICK);
    let mut at = 0;
    while at < DAY {
        tick.tick().await;
        let mut step = MINUTE;
        match at {
            SLEEPS => step = SLEPT,
            FAILS => machine.sandbox.faults().fail_next("*", u64::MAX, 503),
            RECOVERS => machine.sandbox.faults().clear(),
            REVOKED => {
                machine.sandbox.revoke_tokens();
                // Nobody would notice before the keys that they hold end.
                machine.sandbox.revoke_credentials();
            }
            SET_BACK => machine.clock.advance(-5 * 60 * 1000),
            _ => {}
        }
        machine.advance(step);
        at += step.as_secs() / 60;
        now.send_replace(at);
    }
    evening.cancel();
    let asked = person.await.unwrap();
    let (mut served, mut failed) = (0, Vec::new());
    for tool in tools {
        let (count, errors) = tool.await.unwrap();
        served += count;
        failed.extend(errors);
    }
    let renewals = machine.sandbox.count("ssooidc.CreateToken");
    println!(
        "a day: {asked} login asked for, {served} answers, {} errors, {renewals} CreateToken calls",
        failed.len()
    );
    for (at, failure) in &failed {
        assert!(
            *at >= REVOKED
                && matches!(failure.reason, Reason::LoginExpired | Reason::LoginRequired),
            "minute {at}: {failure}"
        );
    }
    assert_eq!(asked, 1);
    assert!(served > 1_000, "{served}");
    // The first login and the second one, and a renewal about each 45 minutes.
    assert!((20..200).contains(&renewals), "{renewals}");
    machine.end().await;
}
