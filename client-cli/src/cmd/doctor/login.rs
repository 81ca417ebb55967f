//! What the daemon says of the configuration, the sessions and the store.

use awsso_proto::v1::{DiagnoseResponse, SessionState, SessionStatus, StoreKind, StoreStatus};

use super::{Check, Finding};
use crate::{context, render::time};

pub fn configuration(answer: &DiagnoseResponse) -> Vec<Check> {
    let check = match (
        answer.configuration_error.as_str(),
        answer.agents_refused.as_str(),
    ) {
        ("", "") => Check::ok(
            Finding::ConfigurationUsable,
            "the configuration can be used",
        ),
        ("", refused) => Check::fail(Finding::AgentsRefused, refused, "correct what it names"),
        (error, _) => Check::fail(
            Finding::ConfigurationUnusable,
            format!("{error}; everything is refused until then"),
            "correct the file; it is read again by itself",
        ),
    };
    let unheard = (!answer.screen_lock_unheard.is_empty()).then(|| {
        let why = &answer.screen_lock_unheard;
        Check::warn(
            Finding::ScreenLockUnheard,
            format!("a locked screen does not lock awsso: {why}"),
            "on_idle = \"30m\" in [lock] of config.toml works everywhere; else: on_screen_lock = false",
        )
    });
    [Some(check), unheard].into_iter().flatten().collect()
}

pub fn sessions(answer: &DiagnoseResponse) -> Vec<Check> {
    if answer.locked {
        let summary = "awsso is locked: no session has its login in memory";
        return vec![Check::warn(
            Finding::SessionsLocked,
            summary,
            "awsso unlock",
        )];
    }
    let Some(status) = &answer.status else {
        return Vec::new();
    };
    if status.sessions.is_empty() && answer.configuration_error.is_empty() {
        let cure = "set AWS_SSO_START_URL and AWS_SSO_REGION, or add [session.NAME] to config.toml, or run: aws configure sso-session";
        return vec![Check::fail(
            Finding::SessionsNone,
            "no session is configured",
            cure,
        )];
    }
    let mut checks: Vec<_> = status
        .sessions
        .iter()
        .map(|session| of_one(session, session.name == status.current))
        .collect();
    if status.current.is_empty() && status.sessions.len() > 1 {
        let summary = "several sessions are configured, and nothing says which one is meant";
        let cure = "--session NAME, AWSSO_SESSION, or default_session in config.toml";
        checks.push(Check::warn(Finding::SessionAmbiguous, summary, cure));
    }
    checks
}

fn of_one(session: &SessionStatus, is_meant: bool) -> Check {
    let name = &session.name;
    let until = time::both(session.access_token_expires_at.as_ref(), context::now());
    let login = format!("awsso login {name}");
    match session.state() {
        SessionState::Active => {
            let summary = format!("{name} is logged in, until {until}");
            Check::ok(Finding::SessionActive, summary)
        }
        SessionState::Expiring => Check::warn(
            Finding::SessionExpiring,
            format!("{name} ends {until} and cannot be renewed"),
            format!("{login} --force"),
        ),
        SessionState::Expired => {
            let why = match session.last_error.as_str() {
                "" => "it was not renewed yet",
                error => error,
            };
            let summary = format!("the login to {name} has run out: {why}");
            Check::warn(Finding::SessionExpired, summary, login)
        }
        SessionState::LoginPending => Check::warn(
            Finding::SessionLoginPending,
            format!("a login to {name} waits for a person"),
            format!("confirm it in the browser, or: {login}"),
        ),
        SessionState::Unspecified | SessionState::LoginRequired => {
            let summary = format!("not logged in to {name}: {}", session.why);
            if is_meant {
                Check::fail(Finding::SessionLoginRequired, summary, login)
            } else {
                Check::warn(Finding::OtherSessionLoginRequired, summary, login)
            }
        }
    }
}

pub fn store(answer: &DiagnoseResponse) -> Vec<Check> {
    let store = answer.status.as_ref().and_then(|it| it.store.as_ref());
    let Some(store) = store else {
        let cure = "unlock or restart the keyring, or write store = \"file\" into config.toml";
        let summary = "the keyring does not answer";
        return vec![Check::warn(Finding::StoreSilent, summary, cure)];
    };
    if let Some(shortfall) = StoreStatus::shortfall(store) {
        let cure =
            "unlock or start the keyring; or, if a file will do: store = \"file\" in config.toml";
        return vec![Check::warn(Finding::StoreFallback, shortfall, cure)];
    }
    let (finding, summary) = match store.kind() {
        StoreKind::Keyring => (
            Finding::StoreKeyring,
            "logins are sealed with a key that the keyring holds",
        ),
        StoreKind::File => (
            Finding::StoreFile,
            "logins are sealed with a key in a file beside them, as config.toml wants it",
        ),
        StoreKind::Unspecified | StoreKind::Memory => (
            Finding::StoreMemory,
            "logins are kept in memory only, as config.toml wants it",
        ),
    };
    vec![Check::ok(finding, summary)]
}

#[cfg(test)]
mod tests {
    use awsso_proto::v1::{GetSessionResponse, timestamp};

    use super::{super::Status, *};

    #[test]
    fn each_state_of_a_session_has_its_line() {
        for (state, is_meant, status, words) in [
            (
                SessionState::Active,
                true,
                Status::Ok,
                "is logged in, until",
            ),
            (
                SessionState::Expiring,
                true,
                Status::Warn,
                "cannot be renewed",
            ),
            (
                SessionState::Expired,
                true,
                Status::Warn,
                "has run out: AWS is down",
            ),
            (
                SessionState::LoginPending,
                true,
                Status::Warn,
                "waits for a person",
            ),
            (
                SessionState::LoginRequired,
                true,
                Status::Fail,
                "not logged in to corp: logged out",
            ),
            (
                SessionState::LoginRequired,
                false,
                Status::Warn,
                "logged out",
            ),
        ] {
            let mut session = SessionStatus {
                name: "corp".into(),
                why: "logged out".into(),
                last_error: "AWS is down".into(),
                access_token_expires_at: Some(timestamp(context::now())),
                ..SessionStatus::default()
            };
            session.set_state(state);
            let check = of_one(&session, is_meant);
            assert_eq!(check.status, status, "{state:?}");
            assert!(check.summary.contains(words), "{}", check.summary);
            assert_eq!(check.cure.is_some(), status != Status::Ok);
        }
    }

    #[test]
    fn a_broken_configuration_is_not_taken_for_one_without_sessions() {
        let answer = DiagnoseResponse {
            status: Some(GetSessionResponse::default()),
            configuration_error: "config.toml: line 1: no value".into(),
            ..DiagnoseResponse::default()
        };
        assert_eq!(sessions(&answer), []);
        assert_eq!(configuration(&answer)[0].status, Status::Fail);
    }

    #[test]
    fn a_keyring_that_said_nothing_is_a_finding() {
        let found = store(&DiagnoseResponse::default());
        assert_eq!(found[0].status, Status::Warn);
    }
}
