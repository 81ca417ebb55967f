//! The machine under every order of events that matters.

mod browser;
mod sharing;

use std::time::Duration;

use super::*;
use crate::session::{
    event::{LoginAnswer, RenewAnswer, Started},
    token::DeviceGrant,
};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn registration() -> Registration {
    Registration {
        client_id: "id".into(),
        client_secret: "secret".to_owned().into(),
        expires_at: at(90 * 24 * 3600),
    }
}

fn registered() -> Registrations {
    Registrations {
        device: Some(registration()),
        browser: None,
    }
}

fn grant() -> DeviceGrant {
    DeviceGrant {
        device_code: "device".to_owned().into(),
        user_code: "ABCD-EFGH".into(),
        verification_uri: "https://x/device".into(),
        verification_uri_complete: "https://x/device?c".into(),
        expires_at: at(600),
        interval: Duration::from_secs(5),
    }
}

fn token(from: u64, life: u64, refresh: Option<&str>) -> Token {
    Token {
        access: "access".to_owned().into(),
        refresh: refresh.map(|text| text.to_owned().into()),
        issued_at: at(from),
        expires_at: at(from + life),
        origin: Origin::Login(Flow::Device),
    }
}

fn asked(force: bool) -> Event {
    Event::LoginAsked {
        force,
        flow: Flow::Device,
        insist: false,
    }
}

fn waiting() -> Machine {
    let mut machine = Machine::default();
    machine.on(asked(false), at(0));
    machine.on(
        Event::LoginStarted {
            attempt: 1,
            result: Ok(Started::Device(registration(), grant())),
        },
        at(0),
    );
    machine
}

fn active(refresh: Option<&str>) -> Machine {
    let mut machine = waiting();
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Token(token(0, 3600, refresh)),
        },
        at(0),
    );
    machine
}

fn polls(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Poll { .. }))
        .count()
}

fn renewals(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Renew { .. }))
        .count()
}

#[test]
fn polls_come_at_the_interval_and_slow_down_adds_five_seconds() {
    let mut machine = waiting();
    assert_eq!(polls(&machine.on(Event::Tick, at(4))), 0);
    assert_eq!(polls(&machine.on(Event::Tick, at(5))), 1);
    assert_eq!(
        polls(&machine.on(Event::Tick, at(6))),
        0,
        "one poll at a time"
    );
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::SlowDown,
        },
        at(6),
    );
    assert_eq!(machine.next_wake(at(6)), Some(at(16)));
    assert_eq!(polls(&machine.on(Event::Tick, at(15))), 0);
    assert_eq!(polls(&machine.on(Event::Tick, at(16))), 1);
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Pending,
        },
        at(16),
    );
    assert_eq!(
        machine.next_wake(at(16)),
        Some(at(26)),
        "the longer interval stays"
    );
}

#[test]
fn a_connection_that_drops_does_not_end_a_login() {
    let mut machine = waiting();
    machine.on(Event::Tick, at(5));
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::NotNow("reset".into()),
        },
        at(5),
    );
    assert!(machine.login_in_progress());
    assert_eq!(polls(&machine.on(Event::Tick, at(10))), 1);
}

#[test]
fn a_login_ends_denied_expired_or_done_and_says_so() {
    let mut machine = waiting();
    let denied = Failure::new(Reason::LoginDenied, "no");
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Failed(denied.clone()),
        },
        at(5),
    );
    assert_eq!(machine.outcome(), Some(&Err(denied)));
    assert_eq!(machine.state(at(5)), SessionState::LoginRequired);

    let mut machine = waiting();
    machine.on(Event::Tick, at(600));
    assert_eq!(
        machine.outcome().unwrap().as_ref().unwrap_err().reason,
        Reason::LoginExpired
    );

    let machine = active(Some("r"));
    assert_eq!(machine.outcome(), Some(&Ok(())));
    assert_eq!(machine.state(at(1)), SessionState::Active);
}

#[test]
fn a_second_login_joins_and_a_valid_session_wants_none() {
    let mut machine = waiting();
    assert!(machine.on(asked(true), at(1)).is_empty());
    assert_eq!(machine.attempt(), 1);
    let mut machine = active(None);
    assert!(machine.on(asked(false), at(1)).is_empty());
    assert!(!machine.login_in_progress());
    assert_eq!(machine.on(asked(true), at(1)).len(), 1);
    assert_eq!(
        machine.state(at(1)),
        SessionState::Active,
        "the old token stays in use meanwhile"
    );
}

#[test]
fn an_answer_to_a_login_that_is_over_changes_nothing() {
    let mut machine = waiting();
    machine.on(Event::LogoutAsked, at(1));
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Token(token(0, 3600, None)),
        },
        at(2),
    );
    assert!(machine.token().is_none());
}

#[test]
fn renewal_starts_a_quarter_hour_ahead_and_keeps_the_old_refresh_token() {
    let mut machine = active(Some("r1"));
    assert_eq!(machine.next_wake(at(0)), Some(at(2700)));
    let effects = machine.on(Event::Tick, at(2700));
    assert_eq!(renewals(&effects), 1);
    assert_eq!(
        renewals(&machine.on(Event::Tick, at(2701))),
        0,
        "one at a time"
    );
    let generation = machine.generation();
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Token(token(2701, 3600, None)),
        },
        at(2701),
    );
    assert!(machine.is_refreshable(at(2702)));
    assert_eq!(machine.next_wake(at(2702)), Some(at(2701 + 2700)));
}

#[test]
fn a_renewal_that_cannot_reach_aws_backs_off_and_logs_nobody_out() {
    let mut machine = active(Some("r1"));
    machine.on(Event::Tick, at(2700));
    let generation = machine.generation();
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::NotNow("503".into()),
        },
        at(2700),
    );
    assert_eq!(machine.state(at(2700)), SessionState::Active);
    assert_eq!(machine.next_wake(at(2700)), Some(at(2710)));
    assert_eq!(
        machine.state(at(4000)),
        SessionState::Expired,
        "not decided yet"
    );
    assert_eq!(
        renewals(&machine.on(Event::RenewalAsked, at(4000))),
        1,
        "a caller does not wait for the pause"
    );
}

#[test]
fn a_caller_that_asks_just_after_a_renewal_causes_no_second_one() {
    let mut machine = active(Some("r1"));
    assert_eq!(renewals(&machine.on(Event::RenewalAsked, at(3600))), 1);
    let generation = machine.generation();
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Token(token(3600, 3600, Some("r2"))),
        },
        at(3600),
    );
    assert_eq!(renewals(&machine.on(Event::RenewalAsked, at(3601))), 0);
}

#[test]
fn a_refused_renewal_leaves_what_is_left_of_the_token() {
    let mut machine = active(Some("r1"));
    machine.on(Event::Tick, at(2700));
    let generation = machine.generation();
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Refused("invalid_grant".into()),
        },
        at(2700),
    );
    assert_eq!(machine.state(at(2701)), SessionState::Expiring);
    assert_eq!(machine.state(at(3600)), SessionState::LoginRequired);
    assert_eq!(
        machine.next_wake(at(3600)),
        None,
        "nothing more will happen by itself"
    );
}

#[test]
fn a_401_gets_one_renewal_then_a_person_is_needed() {
    let mut machine = active(Some("r1"));
    let generation = machine.generation();
    assert_eq!(
        renewals(&machine.on(Event::Rejected { generation }, at(10))),
        1
    );
    assert_eq!(machine.state(at(10)), SessionState::Expired);
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Refused("ended".into()),
        },
        at(11),
    );
    assert_eq!(machine.state(at(11)), SessionState::LoginRequired);
    assert_eq!(machine.last_error().unwrap().reason, Reason::LoginExpired);

    let mut machine = active(None);
    let old = machine.generation() - 1;
    machine.on(Event::Rejected { generation: old }, at(10));
    assert_eq!(
        machine.state(at(10)),
        SessionState::Active,
        "an old 401 is not about this token"
    );
    let generation = machine.generation();
    machine.on(Event::Rejected { generation }, at(10));
    assert_eq!(machine.state(at(10)), SessionState::LoginRequired);
}

#[test]
fn logout_forgets_tells_the_portal_and_beats_a_renewal_in_flight() {
    let mut machine = active(Some("r1"));
    machine.on(Event::Tick, at(2700));
    let (generation, epoch) = (machine.generation(), machine.epoch());
    let effects = machine.on(Event::LogoutAsked, at(2701));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::EndPortalSession(_)))
    );
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Token(token(2701, 3600, None)),
        },
        at(2702),
    );
    assert!(machine.token().is_none());
    assert_ne!(machine.epoch(), epoch);
}

#[test]
fn a_lock_leaves_no_secret_changes_nothing_elsewhere_and_the_store_brings_all_back() {
    for mut machine in [active(Some("refresh")), waiting()] {
        machine.on(Event::RenewalAsked, at(3_600));
        let (epoch, number, generation) = (machine.epoch(), machine.number(), machine.generation());
        let effects = machine.on(Event::LockAsked("locked".into()), at(3_600));
        assert!(effects.is_empty(), "{effects:?}");
        assert_eq!(machine.secrets().count(), 0);
        assert!(!machine.login_in_progress() && machine.grant().is_none());
        assert_ne!(machine.epoch(), epoch, "what was loaded is void");
        assert_eq!(machine.why(at(3_600)).as_deref(), Some("locked"));
        assert_eq!(machine.next_wake(at(3_600)), None, "it wakes nobody");

        // What was under way comes too late.
        let answer = RenewAnswer::Token(token(3_600, 3_600, None));
        machine.on(Event::Renewed { generation, answer }, at(3_601));
        let answer = LoginAnswer::Token(token(3_600, 3_600, None));
        let attempt = number;
        machine.on(Event::Answered { attempt, answer }, at(3_601));
        assert_eq!(machine.secrets().count(), 0);

        let stored = Loaded {
            registrations: registered(),
            token: Some(token(3_600, 3_600, Some("refresh"))),
            ..Loaded::default()
        };
        machine.on(Event::Loaded(stored), at(3_602));
        assert_eq!(machine.state(at(3_602)), SessionState::Active);
        assert!(machine.is_refreshable(at(3_602)) && !machine.is_locked());
    }
}

#[test]
fn a_restart_goes_on_with_a_login_in_progress() {
    let mut machine = Machine::default();
    let effects = machine.on(
        Event::Loaded(Loaded {
            registrations: registered(),
            grant: Some(grant()),
            ..Loaded::default()
        }),
        at(100),
    );
    assert_eq!(
        polls(&effects),
        0,
        "the last poll may have been a moment ago"
    );
    assert_eq!(machine.state(at(100)), SessionState::LoginPending);
    assert_eq!(polls(&machine.on(Event::Tick, at(105))), 1);
    let mut late = Machine::default();
    late.on(
        Event::Loaded(Loaded {
            registrations: registered(),
            grant: Some(grant()),
            ..Loaded::default()
        }),
        at(700),
    );
    assert!(!late.login_in_progress());
}

#[test]
fn an_expired_registration_cannot_renew_and_wakes_nobody() {
    let mut machine = active(Some("r1"));
    machine.registrations.device.as_mut().unwrap().expires_at = at(100);
    assert!(!machine.is_refreshable(at(200)));
    // Near the end another tool's token is looked for.
    assert_eq!(machine.next_wake(at(200)), Some(at(2700)));
    assert_eq!(renewals(&machine.on(Event::Tick, at(2800))), 0);
    assert_eq!(machine.next_wake(at(4000)), None);
}

#[test]
fn a_clock_that_steps_back_does_not_panic_or_spin() {
    let mut machine = active(Some("r1"));
    let before = SystemTime::UNIX_EPOCH;
    machine.on(Event::Tick, before);
    assert_eq!(machine.state(before), SessionState::Active);
    assert!(machine.next_wake(before).unwrap() > before);
}

#[test]
fn a_login_and_a_logout_void_what_was_loaded_and_a_renewal_does_not() {
    let mut machine = active(Some("refresh"));
    let epoch = machine.epoch();
    machine.on(Event::Tick, at(3000));
    let generation = machine.generation();
    machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Token(token(3000, 3600, None)),
        },
        at(3000),
    );
    assert_eq!(machine.epoch(), epoch);
    machine.on(asked(true), at(3001));
    let later = DeviceGrant {
        expires_at: at(3600),
        ..grant()
    };
    machine.on(
        Event::LoginStarted {
            attempt: 2,
            result: Ok(Started::Device(registration(), later)),
        },
        at(3001),
    );
    assert_eq!(machine.epoch(), epoch, "not before it succeeds");
    machine.on(
        Event::Answered {
            attempt: 2,
            answer: LoginAnswer::Token(token(3001, 3600, None)),
        },
        at(3001),
    );
    assert_ne!(machine.epoch(), epoch);
    let epoch = machine.epoch();
    machine.on(Event::LogoutAsked, at(3002));
    assert_ne!(machine.epoch(), epoch);
}
