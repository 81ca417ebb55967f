//! What becomes of a request that is about one place or many: the strictest
//! decision counts for all, so that nothing is half done.

use awsso_proto::{Failure, Reason, error::key};

use super::{
    Principal,
    action::Action,
    decide::{Decision, Place, decide},
    rules::{Effect, Rules},
};

/// Places that a text names; of more it says how many.
const NAMED: usize = 5;

/// For a request as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// It waits for a person.
    Ask(Asking),
    Deny(Failure),
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// One line.
    pub why: String,
    /// In how many places it would be done.
    pub places: usize,
}

impl Verdict {
    pub fn of<'a>(
        principal: Principal,
        action: &Action,
        places: impl IntoIterator<Item = Place<'a>>,
        rules: &Rules,
    ) -> Self {
        let mut strictest: Option<Decision> = None;
        let mut concerned = Vec::new();
        let mut all = 0;
        for place in places {
            all += 1;
            let decision = decide(principal, action, &place, rules);
            let before = strictest.as_ref().map(|it| it.effect);
            if before < Some(decision.effect) {
                concerned.clear();
            }
            if before <= Some(decision.effect) {
                concerned.push(place.shown());
            }
            if before < Some(decision.effect) {
                strictest = Some(decision);
            }
        }
        let Some(decision) = strictest else {
            return Self::Allow;
        };
        let why = if all > 1 {
            format!("{}; {}", decision.why, count(&concerned, all))
        } else {
            decision.why
        };
        match decision.effect {
            Effect::Allow => Self::Allow,
            Effect::Ask => Self::Ask(Asking { why, places: all }),
            Effect::Deny => Self::Deny(Failure::new(Reason::DeniedByPolicy, why)),
        }
    }

    /// Whether the work may begin without asking anybody. A dry run does nothing
    /// that needs an approval.
    pub fn permit(self, dry_run: bool) -> Result<(), Failure> {
        match self {
            Self::Allow => Ok(()),
            Self::Ask(_) if dry_run => Ok(()),
            Self::Ask(asking) => Err(Failure::new(Reason::ApprovalRequired, asking.why).with(
                key::HINT,
                "a person can run it with the awsso command, or allow it by a rule in [policy] of config.toml",
            )),
            Self::Deny(failure) => Err(failure),
        }
    }
}

/// `2 of 3 targets: production (111122223333) as Admin, …`
fn count(concerned: &[String], all: usize) -> String {
    let mut names = concerned[..concerned.len().min(NAMED)].join(", ");
    if concerned.len() > NAMED {
        names.push_str(", …");
    }
    format!("{} of {all} targets: {names}", concerned.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::action::{Class, Operation};

    fn place(name: &str) -> Place<'_> {
        Place {
            account: "111122223333",
            account_name: name,
            role: "Admin",
            ..Place::default()
        }
    }

    #[test]
    fn of_many_places_the_strictest_counts_and_is_named() {
        let rules = Rules::parse(
            "[policy]\npreset = 'open'\n[[policy.rule]]\naccount = 'prod*'\neffect = 'deny'\n\
             [[policy.rule]]\naccount = 'stage'\neffect = 'ask'\n",
            &std::collections::BTreeMap::new(),
        )
        .unwrap();
        let action = Action::new(Class::Write, vec![Operation::new("ec2", "StopInstances")]);
        let verdict = |names: &[&'static str]| {
            let places = names.iter().map(|name| place(name));
            Verdict::of(Principal::Agent, &action, places, &rules)
        };
        assert_eq!(verdict(&[]), Verdict::Allow);
        assert_eq!(verdict(&["dev", "test"]), Verdict::Allow);
        let Verdict::Ask(asking) = verdict(&["dev", "stage", "test"]) else {
            panic!("nobody is asked");
        };
        assert_eq!(asking.places, 3);
        assert!(
            asking
                .why
                .ends_with("1 of 3 targets: stage (111122223333) as Admin"),
            "{asking:?}"
        );
        let refused = verdict(&["prod-1", "stage", "dev", "prod-2"])
            .permit(true)
            .unwrap_err();
        assert_eq!(refused.reason, Reason::DeniedByPolicy);
        assert!(
            refused.message.contains("2 of 4 targets: prod-1")
                && refused.message.contains("prod-2")
        );
        assert!(!refused.message.contains("stage"));
    }

    #[test]
    fn an_ask_that_nobody_answers_is_a_no_except_for_what_would_do_nothing() {
        let ask = || {
            Verdict::Ask(Asking {
                why: "it writes".into(),
                places: 1,
            })
        };
        assert_eq!(
            ask().permit(false).unwrap_err().reason,
            Reason::ApprovalRequired
        );
        assert_eq!(ask().permit(true), Ok(()));
    }
}
