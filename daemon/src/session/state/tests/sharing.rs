//! Tokens of other tools, and ours for them; what a person is told at the end.

use super::*;
use crate::session::state::life::LOOK_AGAIN;

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
        // Their file is theirs.
        assert!(effects.iter().any(|e| matches!(e, Effect::Unshare(None))));
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
