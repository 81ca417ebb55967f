//! The decision: (who, what, where, rules) → allow, ask or deny, and why. Pure.
//!
//! What is not known is decided in both ways, and the stricter one counts: a rule
//! that may or may not fit takes effect only where it restricts.

use super::{
    Principal,
    action::{Action, Class, Operation},
    instances::Seen,
    rules::{Effect, Pattern, Preset, Rule, Rules, Who},
};

/// Where it is to be done, and as what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    pub session: &'a str,
    pub account: &'a str,
    /// Empty: not known.
    pub account_name: &'a str,
    pub role: &'a str,
    pub region: &'a str,
    /// Of the instances that the action names; `None`: nobody has looked.
    pub instances: Option<&'a Seen>,
}

/// What is to be done with a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub effect: Effect,
    pub by: By,
    pub why: String,
}

impl Decision {
    /// For an agent, as long as `[policy]` cannot be trusted.
    pub fn mistake(why: String) -> Self {
        Self {
            effect: Effect::Deny,
            by: By::Mistake,
            why,
        }
    }
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// No agent may, whatever the rules say.
    Always,
    /// `[policy]` cannot be trusted.
    Mistake,
    Rule {
        number: usize,
        line: usize,
    },
    Preset(Preset),
    /// It is a person's own business.
    Person,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("what agents never may"),
            Self::Mistake => f.write_str("a mistake in [policy]"),
            Self::Rule { number, line } => write!(f, "rule {number} (line {line} of config.toml)"),
            Self::Preset(preset) => write!(f, "preset {}", preset.word()),
            Self::Person => f.write_str("no rule is about persons here"),
        }
    }
}

/// How a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Maybe,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// Decides about one place.
pub fn decide(principal: Principal, action: &Action, place: &Place<'_>, rules: &Rules) -> Decision {
    if let (Principal::Agent, Some(objection)) = (principal, &action.objection) {
        return Decision {
            effect: Effect::Deny,
            by: By::Always,
            why: objection.to_string(),
        };
    }
    let place = Place {
        region: action.region.as_deref().unwrap_or(place.region),
        ..*place
    };
    let (mut decision, doubted) = first_that_fits(principal, action, &place, rules);
    if doubted && let Some(doubt) = action.instances.doubt(place.instances) {
        decision.why = format!("{}; {doubt}", decision.why);
    }
    decision
}

/// Whether the tags of instances may make a difference: they are looked up only
/// where the rules do not decide without them.
pub fn turns_on_tags(
    principal: Principal,
    action: &Action,
    place: &Place<'_>,
    rules: &Rules,
) -> bool {
    let place = Place {
        region: action.region.as_deref().unwrap_or(place.region),
        instances: None,
        ..*place
    };
    for rule in &rules.rules {
        let fit = fit(rule, principal, action, &place);
        match (fit, rule.effect) {
            (Fit::Maybe, _) if tags_fit(rule, action, &place) == Fit::Maybe => return true,
            (Fit::Yes, _) | (Fit::Maybe, Effect::Deny) => return false,
            (Fit::No, _) | (Fit::Maybe, Effect::Allow | Effect::Ask) => {}
        }
    }
    false
}

/// What the rules and the preset say, and whether tags that are not known had a part in it.
fn first_that_fits(
    principal: Principal,
    action: &Action,
    place: &Place<'_>,
    rules: &Rules,
) -> (Decision, bool) {
    // The strictest of the rules that may fit.
    let mut held: Option<(usize, &Rule)> = None;
    let mut doubted = false;
    for (at, rule) in rules.rules.iter().enumerate() {
        let fit = fit(rule, principal, action, place);
        doubted |= fit == Fit::Maybe && tags_fit(rule, action, place) == Fit::Maybe;
        match (fit, rule.effect) {
            (Fit::No, _) | (Fit::Maybe, Effect::Allow) => {}
            (Fit::Maybe, Effect::Ask) => held = held.or(Some((at, rule))),
            (Fit::Maybe, Effect::Deny) => return (by_rule(at, rule, action, place), doubted),
            (Fit::Yes, effect) => {
                let (at, rule) = held
                    .filter(|(_, held)| held.effect > effect)
                    .unwrap_or((at, rule));
                return (by_rule(at, rule, action, place), doubted);
            }
        }
    }
    let preset = by_preset(principal, action, rules.preset);
    let decision = match held {
        Some((at, rule)) if rule.effect > preset.effect => by_rule(at, rule, action, place),
        _ => preset,
    };
    (decision, doubted)
}

fn fit(rule: &Rule, principal: Principal, action: &Action, place: &Place<'_>) -> Fit {
    let who = match (rule.principal, principal) {
        (Who::Anyone, _) | (Who::Agent, Principal::Agent) | (Who::Person, Principal::Person) => {
            Fit::Yes
        }
        (Who::Agent, Principal::Person) | (Who::Person, Principal::Agent) => Fit::No,
    };
    // The cheap and telling questions first.
    let questions: [&dyn Fn() -> Fit; 7] = [
        &|| any(&rule.class, |class| class_fits(*class, action.class)),
        &|| account_fits(&rule.account, place),
        &|| any(&rule.role, |role| role.matches(place.role).into()),
        &|| any(&rule.region, |region| region.matches(place.region).into()),
        &|| {
            any(&rule.session, |session| {
                session.matches(place.session).into()
            })
        },
        &|| actions_fit(&rule.action, &action.operations),
        &|| tags_fit(rule, action, place),
    ];
    let mut fit = who;
    for question in questions {
        if fit == Fit::No {
            break;
        }
        fit = fit.min(question());
    }
    fit
}

/// Nothing asked fits everything.
fn any<T>(alternatives: &[T], fits: impl Fn(&T) -> Fit) -> Fit {
    if alternatives.is_empty() {
        return Fit::Yes;
    }
    alternatives.iter().map(fits).max().unwrap_or(Fit::No)
}

/// A list is a read. A change of permissions or tags is a write, but who allows
/// writes has not said that he means those.
fn class_fits(asked: Class, class: Class) -> Fit {
    match (asked, class) {
        (Class::Read, Class::List) => Fit::Yes,
        (Class::Write, Class::Permissions | Class::Tagging) => Fit::Maybe,
        (asked, class) => (asked == class).into(),
    }
}

fn account_fits(accounts: &[Pattern], place: &Place<'_>) -> Fit {
    any(accounts, |account| {
        if account.matches(place.account)
            || (!place.account_name.is_empty() && account.matches(place.account_name))
        {
            Fit::Yes
        } else if place.account_name.is_empty() && !account.is_account_id() {
            Fit::Maybe
        } else {
            Fit::No
        }
    })
}

/// Of a command that does several things, a rule about some of them fits maybe.
fn actions_fit(patterns: &[Pattern], operations: &[Operation]) -> Fit {
    if patterns.is_empty() {
        return Fit::Yes;
    }
    let fits = |operation: &&Operation| {
        patterns
            .iter()
            .any(|pattern| operation.0.iter().any(|name| pattern.matches(name)))
    };
    match operations.iter().filter(fits).count() {
        0 => Fit::No,
        count if count == operations.len() => Fit::Yes,
        _ => Fit::Maybe,
    }
}

fn tags_fit(rule: &Rule, action: &Action, place: &Place<'_>) -> Fit {
    action.instances.fit(&rule.instance_tag, place.instances)
}

fn by_rule(at: usize, rule: &Rule, action: &Action, place: &Place<'_>) -> Decision {
    let by = By::Rule {
        number: at + 1,
        line: rule.line,
    };
    let verb = match rule.effect {
        Effect::Allow => "is allowed",
        Effect::Ask => "needs a person's approval",
        Effect::Deny => "is denied",
    };
    let what = action.shown();
    let reason = rule
        .reason
        .as_deref()
        .map_or(String::new(), |reason| format!(": {reason}"));
    Decision {
        effect: rule.effect,
        by,
        why: format!("{what} {verb} in {} by {by}{reason}", place.shown()),
    }
}

fn by_preset(principal: Principal, action: &Action, preset: Preset) -> Decision {
    let what = action.shown();
    if principal == Principal::Person {
        return Decision {
            effect: Effect::Allow,
            by: By::Person,
            why: format!("{what} is allowed: no rule is about persons here"),
        };
    }
    let by = By::Preset(preset);
    let (effect, why) = match (action.class, preset) {
        (Class::Credentials, _) => (
            Effect::Deny,
            format!("{what} answers with a credential, which agents do not get ({by})"),
        ),
        (Class::Read | Class::List, _) => (Effect::Allow, format!("{what} only reads ({by})")),
        (Class::Write | Class::Permissions | Class::Tagging, Preset::Open) => {
            (Effect::Allow, format!("{what} is allowed ({by})"))
        }
        (Class::Write | Class::Permissions | Class::Tagging, Preset::Guarded) => (
            Effect::Ask,
            format!("{what} changes something and needs a person's approval ({by})"),
        ),
        (Class::Write | Class::Permissions | Class::Tagging, Preset::ReadOnly) => (
            Effect::Deny,
            format!("{what} changes something, and agents may only read ({by})"),
        ),
    };
    Decision { effect, by, why }
}

impl Place<'_> {
    /// `production (111122223333) as AdministratorAccess`
    pub fn shown(&self) -> String {
        match self.account_name {
            "" => format!("{} as {}", self.account, self.role),
            name => format!("{name} ({}) as {}", self.account, self.role),
        }
    }
}

#[cfg(test)]
mod tests;
