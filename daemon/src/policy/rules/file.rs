//! `[policy]` as it is written. A mistake is an error that says where it is: a
//! rule that is not understood must not be left out.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{
    Effect, Pattern, Preset, Rule, Rules, TagPattern, Who,
    agent_session::{self, ArnForm, PolicyForm, RoleForm},
};
use crate::policy::{action::Class, folder::Folder};

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
        let agent_session = agent_session::Form {
            role: table.agent_session_role,
            policy: table.agent_session_policy,
            policy_arns: table.agent_session_policy_arns,
        };
        let agent_session = agent_session.read().map_err(|(key, what)| {
            // A table that is spread over the file has no place of its own.
            let at = text.lines().position(|line| line.contains(key));
            format!("line {}: {what}", at.map_or(1, |at| at + 1))
        })?;
        Ok(Self {
            agent_session,
            preset: table.preset,
            rules: rules.collect(),
            agent_roles,
            agent_folder: table.agent_folder.map(|FolderForm(folder)| folder),
            elicitation: table.elicitation.unwrap_or(true),
        })
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
    elicitation: Option<bool>,
    agent_session_role: Option<RoleForm>,
    agent_session_policy: Option<PolicyForm>,
    agent_session_policy_arns: Vec<ArnForm>,
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
