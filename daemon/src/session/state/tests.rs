//! The machine under every order of events that matters.

use super::*;
use crate::session::{
    callback::Callback,
    token::{BrowserGrant, DeviceGrant},
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

fn browser_grant() -> BrowserGrant {
    BrowserGrant {
        registration: registration(),
        authorization_uri: "https://x/authorize".into(),
        expires_at: at(600),
        callback: std::sync::Arc::new(Callback::bind().unwrap()),
    }
}

fn asked_in(flow: Flow, insist: bool) -> Event {
    Event::LoginAsked {
        force: false,
        flow,
        insist,
    }
}

fn in_browser() -> Machine {
    let mut machine = Machine::default();
    let effects = machine.on(asked_in(Flow::Browser, false), at(0));
    assert!(matches!(
        effects[..],
        [Effect::StartInBrowser { attempt: 1 }]
    ));
    let effects = machine.on(
        Event::LoginStarted {
            attempt: 1,
            result: Ok(Started::Browser(browser_grant())),
        },
        at(0),
    );
    assert!(matches!(
        effects[..],
        [Effect::AwaitBrowser { attempt: 1, .. }]
    ));
    machine
}

fn browser_token() -> Token {
    Token {
        origin: Origin::Login(Flow::Browser),
        ..token(0, 3600, Some("refresh"))
    }
}

#[test]
fn a_login_in_the_browser_is_not_polled_and_its_client_renews_it() {
    let mut machine = in_browser();
    assert_eq!(polls(&machine.on(Event::Tick, at(300))), 0);
    assert!(
        machine.registrations().browser.is_none(),
        "not before it succeeds"
    );
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Token(browser_token()),
        },
        at(300),
    );
    assert_eq!(machine.state(at(300)), SessionState::Active);
    assert!(machine.is_refreshable(at(300)));
    assert_eq!(renewals(&machine.on(Event::Tick, at(3500))), 1);
}

#[test]
fn a_browser_that_never_comes_back_ends_the_login() {
    let mut machine = in_browser();
    assert_eq!(machine.next_wake(at(0)), Some(at(600)));
    machine.on(Event::Tick, at(600));
    assert!(!machine.login_in_progress());
    assert!(
        machine
            .why(at(600))
            .unwrap()
            .contains("in the browser in time")
    );
}

#[test]
fn a_login_in_progress_is_joined_in_its_flow_unless_a_person_names_another() {
    let mut machine = in_browser();
    let number = machine.number();
    assert!(machine.on(asked_in(Flow::Device, false), at(1)).is_empty());
    assert!(machine.on(asked_in(Flow::Browser, true), at(1)).is_empty());
    let effects = machine.on(asked_in(Flow::Device, true), at(1));
    assert!(matches!(
        effects[..],
        [Effect::StartOnDevice { attempt: 2, .. }]
    ));
    assert_eq!(machine.number(), number, "those who wait go on waiting");
    // What the first attempt still says is not about the second one.
    machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Failed(Failure::new(Reason::LoginDenied, "closed")),
        },
        at(2),
    );
    assert!(machine.login_in_progress());
    machine.on(
        Event::LoginStarted {
            attempt: 2,
            result: Ok(Started::Device(registration(), grant())),
        },
        at(2),
    );
    assert!(matches!(machine.grant(), Some(Grant::Device(_))));
}

fn foreign(name: &str, from: u64, life: u64) -> Token {
    Token {
        access: name.to_owned().into(),
        refresh: None,
        origin: Origin::TakenOver,
        ..token(from, life, None)
    }
}

#[test]
fn another_tools_login_spares_a_login_and_ends_one_that_waits() {
    let mut machine = waiting();
    machine.on(Event::Found(foreign("cli", 0, 3600)), at(1));
    assert_eq!(machine.state(at(1)), SessionState::Active);
    assert_eq!(machine.outcome(), Some(&Ok(())));
    assert!(
        !machine.is_refreshable(at(1)),
        "its refresh token is not ours to spend"
    );
}

#[test]
fn another_tools_login_replaces_only_what_ends_before_it() {
    let mut ours = active(Some("refresh"));
    ours.on(Event::Found(foreign("cli", 0, 99_999)), at(1));
    assert!(!ours.token().unwrap().is_taken_over());
    let mut ends = active(None);
    ends.on(Event::Found(foreign("cli", 0, 3000)), at(1));
    assert!(!ends.token().unwrap().is_taken_over());
    ends.on(Event::Found(foreign("cli", 0, 7200)), at(1));
    assert!(ends.token().unwrap().is_taken_over());
}

#[test]
fn a_foreign_token_that_was_refused_or_logged_out_is_not_taken_again() {
    for how in ["refused", "logged out"] {
        let mut machine = Machine::default();
        machine.on(Event::Found(foreign("cli", 0, 7200)), at(0));
        let generation = machine.generation();
        let effects = match how {
            "refused" => machine.on(Event::Rejected { generation }, at(1)),
            _ => machine.on(Event::LogoutAsked, at(1)),
        };
        assert!(
            effects
                .iter()
                .any(|e| matches!(e, Effect::Unshare(Some(_))))
        );
        machine.on(Event::Found(foreign("cli", 0, 7200)), at(2));
        assert_eq!(machine.state(at(2)), SessionState::LoginRequired, "{how}");
        machine.on(Event::Found(foreign("newer", 0, 7200)), at(3));
        assert_eq!(machine.state(at(3)), SessionState::Active, "{how}");
    }
}

#[test]
fn near_its_end_another_tools_token_is_looked_for_again_before_a_person_is_warned() {
    let mut machine = Machine::default();
    machine.on(Event::Found(foreign("cli", 0, 7200)), at(0));
    let due = machine.next_wake(at(0)).unwrap();
    assert_eq!(due, at(7200 - 900));
    let effects = machine.on(Event::Tick, due);
    assert!(matches!(effects[..], [Effect::LookAround]), "{effects:?}");
    let effects = machine.on(Event::Tick, due);
    assert!(matches!(effects[..], [Effect::WarnOfEnd(end)] if end == at(7200)));
    assert!(machine.on(Event::Tick, due).is_empty(), "once");
    let effects = machine.on(Event::Tick, due + LOOK_AGAIN);
    assert!(matches!(effects[..], [Effect::LookAround]), "{effects:?}");
    // The AWS CLI has renewed its token meanwhile.
    machine.on(Event::Found(foreign("newer", 7000, 3600)), due + LOOK_AGAIN);
    assert_eq!(machine.next_wake(at(7000)), Some(at(7000 + 3600 - 900)));
}

#[test]
fn a_session_that_renews_itself_warns_nobody() {
    let mut machine = active(Some("refresh"));
    for second in (0..3600).step_by(60) {
        let effects = machine.on(Event::Tick, at(second));
        assert!(
            !effects
                .iter()
                .any(|e| matches!(e, Effect::WarnOfEnd(_) | Effect::LookAround))
        );
    }
}

#[test]
fn a_token_is_shared_when_it_comes_and_withdrawn_when_it_goes() {
    let shares = |effects: &[Effect]| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Share { .. }))
    };
    let mut machine = waiting();
    let effects = machine.on(
        Event::Answered {
            attempt: 1,
            answer: LoginAnswer::Token(token(0, 3600, Some("refresh"))),
        },
        at(0),
    );
    assert!(shares(&effects));
    machine.on(Event::Tick, at(3000));
    let generation = machine.generation();
    let effects = machine.on(
        Event::Renewed {
            generation,
            answer: RenewAnswer::Token(token(3000, 3600, None)),
        },
        at(3000),
    );
    assert!(shares(&effects));
    let effects = machine.on(Event::LogoutAsked, at(3001));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Unshare(Some(_))))
    );
}

#[test]
fn a_person_is_told_why_only_they_can_help() {
    let mut machine = Machine::default();
    machine.on(Event::Loaded(Loaded::default()), at(0));
    assert_eq!(machine.why(at(0)).unwrap(), "nobody has logged in yet");
    let mut locked = Machine::default();
    locked.on(
        Event::Loaded(Loaded {
            locked: Some("the keyring is locked".into()),
            ..Loaded::default()
        }),
        at(0),
    );
    assert_eq!(locked.why(at(0)).unwrap(), "the keyring is locked");
    let mut machine = active(None);
    assert_eq!(machine.why(at(0)), None);
    assert_eq!(machine.why(at(3600)).unwrap(), "the login has expired");
    machine.on(Event::LogoutAsked, at(3600));
    assert_eq!(machine.why(at(3600)).unwrap(), "logged out");
}

#[test]
fn a_store_that_opens_late_does_not_undo_a_login() {
    let late = || Loaded {
        token: Some(token(0, 9_000, Some("stored"))),
        registrations: registered(),
        ..Loaded::default()
    };
    let mut machine = Machine::default();
    machine.on(
        Event::Loaded(Loaded {
            locked: Some("the keyring is locked".into()),
            ..Loaded::default()
        }),
        at(0),
    );
    machine.on(Event::Loaded(late()), at(1));
    assert_eq!(machine.state(at(1)), SessionState::Active);
    let mut since = active(Some("new"));
    let generation = since.generation();
    since.on(Event::Loaded(late()), at(1));
    assert_eq!(since.generation(), generation);
}
