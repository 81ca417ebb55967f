//! The handle a test holds: starts the sandbox, flips its switches, reads what "AWS" saw.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloud::Cloud;
use crate::config::Config;
use crate::faults::Faults;
use crate::keys::IssuedKeys;
use crate::listener;
use crate::login::Choice;
use crate::organization::Organization;
use crate::portal;

/// A running sandbox. Its listener and connections end when this is dropped; [`Sandbox::stop`] also waits for them.
pub struct Sandbox {
    cloud: Arc<Cloud>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves from then on, in tasks of the current runtime.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let cloud = Arc::new(Cloud::new(config, base_url));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(listener::run(
            listener,
            Arc::clone(&cloud),
            tasks.clone(),
            stop.clone(),
        ));
        Ok(Self { cloud, stop, tasks })
    }

    /// Ends every connection and waits until the tasks are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// `http://127.0.0.1:<port>`, the endpoint of every service.
    pub fn base_url(&self) -> &str {
        &self.cloud.base_url
    }

    pub fn start_url(&self) -> String {
        format!("{}/start", self.cloud.base_url)
    }

    pub fn region(&self) -> &str {
        &self.cloud.config.region
    }

    pub fn organization(&self) -> &Organization {
        &self.cloud.organization
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.cloud.faults
    }

    /// Lets time pass in the model: codes, tokens and credentials age, commands go on. Signatures are still compared
    /// with the host's clock; see [`Sandbox::set_clock_skew_seconds`].
    pub fn advance(&self, by: Duration) {
        self.cloud.clock.advance(by);
    }

    /// The time of the model.
    pub fn now(&self) -> SystemTime {
        self.cloud.now()
    }

    /// Makes AWS's clock differ from the host's, in the `Date` header and for signatures.
    pub fn set_clock_skew_seconds(&self, seconds: i64) {
        self.cloud.clock.set_skew_seconds(seconds);
    }

    /// Waits until a client has asked for a device code, and gives its user code.
    pub async fn device_code_requested(&self) -> String {
        self.cloud.login.pending(|| self.cloud.now()).await
    }

    /// Allows the newest pending device code; `false` when none is pending.
    pub fn approve(&self) -> bool {
        self.decide_newest(Choice::Allow)
    }

    /// Denies the newest pending device code; `false` when none is pending.
    pub fn deny(&self) -> bool {
        self.decide_newest(Choice::Deny)
    }

    /// `false` when this code is not pending.
    pub fn approve_code(&self, user_code: &str) -> bool {
        self.cloud
            .login
            .decide(user_code, Choice::Allow, self.cloud.now())
    }

    /// `false` when this code is not pending.
    pub fn deny_code(&self, user_code: &str) -> bool {
        self.cloud
            .login
            .decide(user_code, Choice::Deny, self.cloud.now())
    }

    /// Approves each device code this long after it was asked for, and each browser login at once.
    pub fn set_auto_approve(&self, after: Option<Duration>) {
        self.cloud.faults.set_auto_approve(after);
    }

    /// AWS no longer knows any access or refresh token.
    pub fn revoke_tokens(&self) {
        self.cloud.login.revoke_tokens();
    }

    /// Every access token is past its end; refresh tokens still work.
    pub fn expire_tokens(&self) {
        self.cloud.login.expire_tokens(self.cloud.now());
    }

    /// AWS no longer knows any role credentials.
    pub fn revoke_credentials(&self) {
        self.cloud.keys.revoke_all();
    }

    /// AWS no longer knows any client registration.
    pub fn forget_clients(&self) {
        self.cloud.login.forget_clients();
    }

    /// When Systems Manager shows, or showed, that an instance has ended its newest command: by instance id.
    pub fn command_ends(&self) -> BTreeMap<String, SystemTime> {
        self.cloud.commands.ends()
    }

    /// An access token of a new portal session, without the dance.
    pub fn sign_in(&self) -> String {
        self.cloud.login.sign_in(&self.cloud.mint, self.cloud.now())
    }

    /// Role credentials without a login; `None` when there is no such role.
    pub fn issue_credentials(&self, account: &str, role: &str) -> Option<IssuedKeys> {
        portal::issue(
            &self.cloud,
            account,
            role,
            self.cloud.config.credential_lifetime,
        )
    }

    /// Calls per operation (`ssm.SendCommand`), refusals for rate (`throttled.ssm.SendCommand`), the most that were in
    /// flight at once (`inflight.max`, `inflight.max.ssm`), and roles assumed per session name
    /// (`sts.AssumeRole as alice`).
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.cloud.tally.counts()
    }

    /// One of [`Sandbox::counts`], 0 when it never happened.
    pub fn count(&self, key: &str) -> u64 {
        self.counts().get(key).copied().unwrap_or(0)
    }

    /// Waits until a count has reached a number.
    pub async fn reached(&self, key: &str, at_least: u64) {
        let mut changes = self.cloud.tally.watch();
        while self.count(key) < at_least {
            changes
                .changed()
                .await
                .expect("the tally lives as long as this sandbox");
        }
    }

    pub fn reset_counts(&self) {
        self.cloud.tally.reset();
    }

    /// Every access token, refresh token, client secret, device code, authorization code, secret access key, session
    /// token and sign-in token ever issued, and every code verifier ever shown: to be looked for where they must not
    /// be.
    pub fn issued_secrets(&self) -> Vec<String> {
        self.cloud.mint.issued()
    }

    fn decide_newest(&self, choice: Choice) -> bool {
        let now = self.cloud.now();
        self.cloud
            .login
            .newest_pending(now)
            .is_some_and(|code| self.cloud.login.decide(&code, choice, now))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
