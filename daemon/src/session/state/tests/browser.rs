//! The login in a browser.

use super::*;
use crate::session::{callback::Callback, token::BrowserGrant};

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
