//! Device codes: asked for by a client, decided by a person, polled until then.

use std::time::{Duration, SystemTime};

use super::Login;
use crate::answer::Refusal;
use crate::mint::{self, Mint};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Allow,
    Deny,
}

pub(super) struct Device {
    code: String,
    user_code: String,
    client_id: String,
    asked: SystemTime,
    expires: SystemTime,
    choice: Option<Choice>,
    used: bool,
    polled: Option<SystemTime>,
}

pub(crate) struct Asked {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) lifetime: Duration,
    pub(crate) interval_seconds: u64,
}

/// What the device page says of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Pending,
    Decided(Choice),
}

impl Login {
    pub(super) fn start_device(&self, client_id: &str, mint: &Mint, now: SystemTime) -> Asked {
        let device = Device {
            code: mint.device_code(),
            user_code: mint::user_code(),
            client_id: client_id.to_owned(),
            asked: now,
            expires: now + self.lifetimes.device_code,
            choice: None,
            used: false,
            polled: None,
        };
        let asked = Asked {
            device_code: device.code.clone(),
            user_code: device.user_code.clone(),
            lifetime: self.lifetimes.device_code,
            interval_seconds: self.lifetimes.interval.as_secs().max(1),
        };
        self.lock().devices.push(device);
        self.asked.send_replace(Some(asked.user_code.clone()));
        asked
    }

    /// The newest code that waits for a decision.
    pub(crate) fn newest_pending(&self, now: SystemTime) -> Option<String> {
        let state = self.lock();
        let pending = state
            .devices
            .iter()
            .rev()
            .find(|device| device.choice.is_none() && device.expires > now)?;
        Some(pending.user_code.clone())
    }

    /// Waits until a client has asked for a device code that is still undecided.
    pub(crate) async fn pending(&self, now: impl Fn() -> SystemTime) -> String {
        let mut asked = self.asked.subscribe();
        loop {
            asked.mark_unchanged();
            if let Some(code) = self.newest_pending(now()) {
                return code;
            }
            asked
                .changed()
                .await
                .expect("the sender lives as long as this login");
        }
    }

    /// `false` when no such code waits for a decision.
    pub(crate) fn decide(&self, user_code: &str, choice: Choice, now: SystemTime) -> bool {
        let user_code = normal(user_code);
        let mut state = self.lock();
        let waiting = state.devices.iter_mut().find(|device| {
            device.user_code == user_code && device.choice.is_none() && device.expires > now
        });
        let Some(device) = waiting else { return false };
        device.choice = Some(choice);
        true
    }

    pub(crate) fn device_standing(&self, user_code: &str, now: SystemTime) -> Standing {
        let user_code = normal(user_code);
        let state = self.lock();
        match state
            .devices
            .iter()
            .find(|device| device.user_code == user_code)
        {
            Some(Device {
                choice: Some(choice),
                ..
            }) => Standing::Decided(*choice),
            Some(device) if device.expires > now => Standing::Pending,
            _ => Standing::Unknown,
        }
    }

    /// One poll of the client. Takes the code when it was allowed.
    pub(super) fn poll_device(
        &self,
        device_code: &str,
        client_id: &str,
        auto_approve: Option<Duration>,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let interval = self.lifetimes.interval;
        let mut state = self.lock();
        let device = state
            .devices
            .iter_mut()
            .find(|device| {
                device.code == device_code && device.client_id == client_id && !device.used
            })
            .ok_or_else(|| Refusal::bad("InvalidGrantException", "Invalid device code provided"))?;
        if device.expires <= now {
            return Err(Refusal::bad(
                "ExpiredTokenException",
                "Device code has expired",
            ));
        }
        // A tenth of leeway: a client that waits exactly the interval must not lose to the network's jitter.
        let too_fast = device
            .polled
            .is_some_and(|last| last + interval - interval / 10 > now);
        device.polled = Some(now);
        if too_fast {
            return Err(Refusal::bad("SlowDownException", "Polling too frequently"));
        }
        if device.choice.is_none() && auto_approve.is_some_and(|after| device.asked + after <= now)
        {
            device.choice = Some(Choice::Allow);
        }
        match device.choice {
            None => Err(Refusal::bad(
                "AuthorizationPendingException",
                "Device authorization is still pending",
            )),
            Some(Choice::Deny) => Err(Refusal::bad(
                "AccessDeniedException",
                "The user denied the request",
            )),
            Some(Choice::Allow) => {
                device.used = true;
                Ok(())
            }
        }
    }
}

/// People type codes in lower case and without the dash.
fn normal(user_code: &str) -> String {
    let mut code: String = user_code
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    if code.len() == 8 {
        code.insert(4, '-');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::time::UNIX_EPOCH;

    const T0: SystemTime = UNIX_EPOCH;

    fn seconds(count: u64) -> SystemTime {
        T0 + Duration::from_secs(count)
    }

    fn asked() -> (Login, Asked) {
        let login = Login::new(&Config::default());
        let asked = login.start_device("client", &Mint::default(), T0);
        (login, asked)
    }

    fn poll(login: &Login, asked: &Asked, at: u64) -> Result<(), &'static str> {
        login
            .poll_device(&asked.device_code, "client", None, seconds(at))
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_code_is_pending_until_it_is_allowed_and_works_once() {
        let (login, asked) = asked();
        assert_eq!(
            poll(&login, &asked, 5),
            Err("AuthorizationPendingException")
        );
        assert!(login.decide(
            &asked.user_code.to_lowercase().replace('-', ""),
            Choice::Allow,
            seconds(6)
        ));
        assert_eq!(poll(&login, &asked, 10), Ok(()));
        assert_eq!(poll(&login, &asked, 15), Err("InvalidGrantException"));
    }

    #[test]
    fn polling_faster_than_the_interval_is_slowed_down() {
        let (login, asked) = asked();
        assert_eq!(
            poll(&login, &asked, 5),
            Err("AuthorizationPendingException")
        );
        assert_eq!(poll(&login, &asked, 7), Err("SlowDownException"));
        assert_eq!(
            poll(&login, &asked, 12),
            Err("AuthorizationPendingException")
        );
    }

    #[test]
    fn a_denied_and_an_expired_code_say_so() {
        let (login, asked) = asked();
        assert_eq!(poll(&login, &asked, 600), Err("ExpiredTokenException"));
        assert!(!login.decide(&asked.user_code, Choice::Allow, seconds(600)));
        assert!(login.decide(&asked.user_code, Choice::Deny, seconds(1)));
        assert_eq!(poll(&login, &asked, 20), Err("AccessDeniedException"));
    }

    #[test]
    fn a_code_is_only_good_for_the_client_that_asked() {
        let (login, asked) = asked();
        let other = login.poll_device(&asked.device_code, "another", Some(Duration::ZERO), T0);
        assert_eq!(other.unwrap_err().code, "InvalidGrantException");
    }
}
