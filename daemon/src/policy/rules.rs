//! `[policy]` in `config.toml`: a preset, and before it rules, of which the
//! first that fits decides. What a rule leaves out, it does not ask about.

use std::{collections::BTreeMap, path::PathBuf};

use awsso_proto::v1;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{action::Class, folder::Folder};

/// `[policy]`, checked. By default: `guarded`, and no rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    pub preset: Preset,
    pub rules: Vec<Rule>,
    /// The role of agents, by account; the longest pattern counts.
    pub agent_roles: Vec<(Pattern, String)>,
    /// Where agents may have files.
    pub agent_folder: Option<Folder>,
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
    /// From the whole text of `config.toml`; an error says where it is.
    pub fn parse(text: &str, aliases: &BTreeMap<String, String>) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error
                .span()
                .map_or(String::new(), |span| place(text, span.start));
            format!("{at}{}", error.message())
        })?;
        let table = file.policy.unwrap_or_default();
        let named = |account: Pattern| {
            // An alias and what it stands for are the same account.
            let stands_for = aliases
                .iter()
                .filter(|(alias, _)| Pattern::new(alias) == account);
            let others: Vec<_> = stands_for.map(|(_, id)| Pattern::new(id)).collect();
            std::iter::once(account).chain(others)
        };
        let rules = table.rule.into_iter().map(|rule| {
            let line = line_of(text, rule.span().start);
            let rule = rule.into_inner();
            Rule {
                line,
                principal: rule.principal,
                session: rule.session.0,
                account: rule.account.0.into_iter().flat_map(named).collect(),
                role: rule.role.0,
                action: rule.action.0,
                class: rule.class.0,
                region: rule.region.0,
                instance_tag: rule.instance_tag.0,
                effect: rule.effect,
                reason: rule.reason,
            }
        });
        let by_account = table.agent_roles.into_iter();
        let mut agent_roles: Vec<_> = by_account
            .flat_map(|(account, role)| {
                named(Pattern::new(&account)).map(move |it| (it, role.clone()))
            })
            .collect();
        agent_roles.extend(table.agent_role.map(|role| (Pattern::new("*"), role)));
        agent_roles.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.0.len()));
        Ok(Self {
            preset: table.preset,
            rules: rules.collect(),
            agent_roles,
            agent_folder: table.agent_folder.map(|FolderForm(folder)| folder),
        })
    }

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

/// `line 3, column 9: `
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("line {}, column {column}: ", line_of(text, at))
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// Of the file, only this.
#[derive(Deserialize)]
struct File {
    policy: Option<Table>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table like [policy]")]
struct Table {
    preset: Preset,
    rule: Vec<Spanned<RuleForm>>,
    agent_role: Option<String>,
    agent_roles: BTreeMap<String, String>,
    agent_folder: Option<FolderForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    #[serde(default)]
    principal: Who,
    #[serde(default)]
    session: OneOrMany<Pattern>,
    #[serde(default)]
    account: OneOrMany<Pattern>,
    #[serde(default)]
    role: OneOrMany<Pattern>,
    #[serde(default)]
    action: OneOrMany<Pattern>,
    #[serde(default)]
    class: OneOrMany<Class>,
    #[serde(default)]
    region: OneOrMany<Pattern>,
    #[serde(default)]
    instance_tag: OneOrMany<TagPattern>,
    effect: Effect,
    reason: Option<String>,
}

struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| vec![one])
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = texts.next_element()? {
                    all.push(one);
                }
                if all.is_empty() {
                    // It would fit nothing to its reader, and everything to us.
                    return Err(de::Error::custom(
                        "an empty list; leave the key out to fit everything",
                    ));
                }
                Ok(all)
            }
        }
        deserializer
            .deserialize_any(Visitor(std::marker::PhantomData))
            .map(OneOrMany)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom(
                "an empty text fits nothing; * fits everything",
            ));
        }
        Ok(Self::new(&text))
    }
}

impl<'de> Deserialize<'de> for TagPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: Pattern::new(value),
            }),
            _ => Err(de::Error::custom("not of the form KEY=VALUE")),
        }
    }
}

struct FolderForm(Folder);

impl<'de> Deserialize<'de> for FolderForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        Folder::new(path).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rules, String> {
        let aliases = BTreeMap::from([("prod".to_owned(), "111122223333".to_owned())]);
        Rules::parse(text, &aliases)
    }

    #[test]
    fn a_pattern_has_wildcards_and_no_case() {
        for (pattern, text, fits) in [
            ("s3:Get*", "s3:GetObject", true),
            ("s3:get*", "S3:GETOBJECT", true),
            ("s3:Get*", "s3:PutObject", false),
            ("*:Describe*", "ec2:DescribeInstances", true),
            ("*Object", "s3:GetObjectTagging", false),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("eu-?est-1", "eu-west-1", true),
            ("eu-?est-1", "eu-est-1", false),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("", "a", false),
            ("a**", "a", true),
            ("é*", "é1", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                fits,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_full_table_is_understood() {
        let rules = parse(
            "region = 'eu-west-1'\n[policy]\npreset = 'read-only'\nagent_role = 'ReadOnly'\nagent_folder = '/srv/agent'\n\
             agent_roles = { 'sandbox-*' = 'Developer', 'prod' = 'Audit' }\n\n[[policy.rule]]\naccount = 'prod'\n\
             class = ['write', 'permissions']\neffect = 'deny'\nreason = 'change freeze'\n\n[[policy.rule]]\n\
             principal = 'person'\ninstance_tag = 'Environment=prod*'\neffect = 'ask'\n",
        )
        .unwrap();
        assert_eq!(rules.preset, Preset::ReadOnly);
        assert_eq!(rules.rules.len(), 2);
        assert_eq!(rules.rules[0].line, 8);
        assert_eq!(
            rules.rules[0].account.len(),
            2,
            "an alias is its account, too"
        );
        assert_eq!(rules.rules[0].class, [Class::Write, Class::Permissions]);
        assert_eq!(rules.rules[1].principal, Who::Person);
        assert_eq!(rules.rules[1].instance_tag[0].key, "Environment");
        for (id, name, role) in [
            ("111122223333", "production", "Audit"),
            ("444455556666", "sandbox-1", "Developer"),
            ("444455556666", "", "ReadOnly"),
        ] {
            assert_eq!(rules.agent_role(id, name), Some(role), "{name}");
        }
        assert_eq!(parse("").unwrap(), Rules::default());
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_column() {
        for (text, place, words) in [
            (
                "[policy]\npresett = 'open'",
                "line 2, column 1: ",
                "presett",
            ),
            (
                "[policy]\npreset = 'opened'",
                "line 2, column 10: ",
                "opened",
            ),
            (
                "[[policy.rule]]\naccount = 'x'",
                "line 1, column 1: ",
                "effect",
            ),
            (
                "[[policy.rule]]\neffect = 'maybe'",
                "line 2, column 10: ",
                "maybe",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\nacount = 'x'",
                "line 3, column 1: ",
                "acount",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\nclass = 'writes'",
                "line 3, column 9: ",
                "writes",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\naccount = []",
                "line 3, column 11: ",
                "empty list",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\naccount = 5",
                "line 3, column 11: ",
                "a text or a list",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\nrole = ''",
                "line 3, column 8: ",
                "empty text",
            ),
            (
                "[[policy.rule]]\neffect = 'deny'\ninstance_tag = 'x'",
                "line 3, column 16: ",
                "KEY=VALUE",
            ),
            (
                "[policy]\nagent_folder = 'here'",
                "line 2, column 16: ",
                "not absolute",
            ),
            (
                "policy = 'open'",
                "line 1, column 10: ",
                "a table like [policy]",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(place) && error.contains(words),
                "{text}: {error}"
            );
        }
    }
}
