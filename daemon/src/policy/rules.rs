//! `[policy]` in `config.toml`: a preset, and before it rules, of which the
//! first that fits decides. What a rule leaves out, it does not ask about.

mod agent_session;
mod file;

use awsso_proto::v1;
use serde::Deserialize;

pub use agent_session::AgentSession;

use super::{action::Class, folder::Folder};

/// `[policy]`, checked. By default: `guarded`, no rules, and a person may be
/// asked in the agent's own window.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub preset: Preset,
    pub rules: Vec<Rule>,
    /// The role of agents, by account; the longest pattern counts.
    pub agent_roles: Vec<(Pattern, String)>,
    /// What agents go on to from there.
    pub agent_session: Option<AgentSession>,
    /// Where agents may have files.
    pub agent_folder: Option<Folder>,
    /// Whether a shim may pass on what its client's person answered.
    pub elicitation: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            rules: Vec::new(),
            agent_roles: Vec::new(),
            agent_session: None,
            agent_folder: None,
            elicitation: true,
        }
    }
}

/// What is decided for agents where no rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Reads are allowed, writes are asked about.
    #[default]
    Guarded,
    /// All is allowed but credentials.
    Open,
    /// Reads are allowed, and nothing else.
    ReadOnly,
}

impl Preset {
    pub fn word(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Open => "open",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Ordered: the later, the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Allow,
    Ask,
    Deny,
}

impl From<Effect> for v1::Effect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::Allow,
            Effect::Ask => Self::Ask,
            Effect::Deny => Self::Deny,
        }
    }
}

/// `[[policy.rule]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where it stands in the file; the first line is 1.
    pub line: usize,
    pub principal: Who,
    pub session: Any<Pattern>,
    pub account: Any<Pattern>,
    pub role: Any<Pattern>,
    pub action: Any<Pattern>,
    pub class: Any<Class>,
    pub region: Any<Pattern>,
    pub instance_tag: Any<TagPattern>,
    pub effect: Effect,
    /// Told to whoever is asked or refused.
    pub reason: Option<String>,
}

/// Whom a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Who {
    /// A person is ruled only where a rule says so.
    #[default]
    #[serde(rename = "agent")]
    Agent,
    #[serde(rename = "person")]
    Person,
    #[serde(rename = "*")]
    Anyone,
}

/// One or several alternatives; none is no question.
pub type Any<T> = Vec<T>;

/// A text with `*` (any characters) and `?` (any one), in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<[u8]>);

/// `KEY=VALUE`: the key as it is, the value a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern {
    pub key: String,
    pub value: Pattern,
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into_bytes().into())
    }

    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (&*self.0, text.as_bytes());
        // Most that do not fit differ in their last letter already.
        if let (Some(&end), Some(last)) = (pattern.last(), text.last())
            && !matches!(end, b'*' | b'?')
            && end != last.to_ascii_lowercase()
        {
            return false;
        }
        let (mut p, mut t) = (0, 0);
        // After the last `*`, and what it has taken so far.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    retry = Some((p, t));
                }
                Some(&c) if c == b'?' || c == text[t].to_ascii_lowercase() => {
                    p += 1;
                    t += 1;
                }
                _ => match &mut retry {
                    Some((after, taken)) => {
                        *taken += 1;
                        (p, t) = (*after, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }

    /// Whether only ids of accounts fit.
    pub fn is_account_id(&self) -> bool {
        self.0.len() == 12 && self.0.iter().all(u8::is_ascii_digit)
    }

    /// Whether everything fits.
    pub fn is_all(&self) -> bool {
        self.0.iter().all(|c| *c == b'*')
    }
}

impl Rules {
    /// Whether the name of an account makes a difference.
    pub fn ask_about_names(&self) -> bool {
        let of_rules = self.rules.iter().flat_map(|rule| &rule.account);
        let accounts = self.agent_roles.iter().map(|(account, _)| account);
        let mut patterns = of_rules.chain(accounts);
        patterns.any(|pattern| !pattern.is_account_id() && !pattern.is_all())
    }

    /// The role that agents have in an account, whatever they ask for.
    pub fn agent_role(&self, account_id: &str, account_name: &str) -> Option<&str> {
        let fits = |(pattern, _): &&(Pattern, String)| {
            pattern.matches(account_id) || pattern.matches(account_name)
        };
        self.agent_roles
            .iter()
            .find(fits)
            .map(|(_, role)| role.as_str())
    }
}

#[cfg(test)]
mod tests;
