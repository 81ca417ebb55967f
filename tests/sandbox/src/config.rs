//! What a sandbox is started with. Owns the defaults, which are AWS's where AWS documents one.

use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

/// The settings of one sandbox; everything here is fixed once it runs. What tests change while it runs is in
/// [`crate::Faults`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// How many accounts the organisation has, 1 to 5,000.
    pub accounts: usize,
    /// How many roles each account has at least; the organisation's own are two to four.
    pub least_roles: usize,
    /// How many more instances the first account has; see [`Organization::with_fleet`].
    ///
    /// [`Organization::with_fleet`]: crate::Organization::with_fleet
    pub fleet: usize,
    /// The home region: of the portal, of every instance and bucket. Other regions are empty.
    pub region: String,
    /// Start URLs accepted besides `<base url>/start`.
    pub start_urls: Vec<String>,
    /// How long an access token is good for.
    pub token_lifetime: Duration,
    /// How long a sign-in can be refreshed.
    pub session_lifetime: Duration,
    /// How long role credentials are good for: the session duration of the permission sets.
    pub credential_lifetime: Duration,
    /// How long a device code waits for its user.
    pub device_code_lifetime: Duration,
    /// How long a client registration lives.
    pub registration_lifetime: Duration,
    /// The pause a device client has to keep between polls. On the wire in whole seconds, at least 1.
    pub interval: Duration,
    /// Approve each device code this long after it was asked for, and each browser login at once.
    pub auto_approve: Option<Duration>,
    /// Whether a refresh token is replaced when it is used.
    pub rotate_refresh_tokens: bool,
    /// Added to every answer.
    pub latency: Duration,
    /// Requests per second the portal takes before it says 429; `None` is no limit.
    pub portal_rate: Option<u32>,
    /// The largest page of the portal's lists.
    pub page_size: usize,
    /// How long a command stays `Pending` before an online instance picks it up.
    pub pickup_delay: Duration,
    /// How long a new invocation is invisible to its readers (`InvocationDoesNotExist`, an empty list).
    pub visibility_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            accounts: 3,
            least_roles: 0,
            fleet: 0,
            region: "eu-west-1".into(),
            start_urls: Vec::new(),
            token_lifetime: HOUR,
            session_lifetime: 8 * HOUR,
            credential_lifetime: HOUR,
            device_code_lifetime: Duration::from_mins(10),
            registration_lifetime: 90 * 24 * HOUR,
            interval: Duration::from_secs(5),
            auto_approve: None,
            rotate_refresh_tokens: true,
            latency: Duration::ZERO,
            portal_rate: None,
            page_size: 100,
            pickup_delay: Duration::from_millis(50),
            visibility_delay: Duration::ZERO,
        }
    }
}
