//! What a profile is called: the template, and how two names are told apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use awsso_proto::{Failure, Reason, error::key};

/// What one profile is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    pub account_id: &'a str,
    pub account_name: &'a str,
    pub role: &'a str,
}

/// How a profile's name is made of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Account,
    AccountId,
    Role,
    Session,
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some(placeholder) = rest.strip_prefix('{') else {
                let (plain, next) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                if !plain.chars().all(fits) {
                    return Err(format!(
                        "{plain:?} has more than letters, digits and -_./@:+"
                    ));
                }
                parts.push(Part::Text(plain.to_owned()));
                rest = next;
                continue;
            };
            let (name, next) = placeholder
                .split_once('}')
                .ok_or("a placeholder has no end")?;
            parts.push(match name {
                "account" => Part::Account,
                "accountId" => Part::AccountId,
                "role" => Part::Role,
                "session" => Part::Session,
                _ => {
                    return Err(format!(
                        "{{{name}}} is none of {{account}}, {{accountId}}, {{role}}, {{session}}"
                    ));
                }
            });
            rest = next;
        }
        if parts.is_empty() {
            return Err("a name cannot be empty".to_owned());
        }
        Ok(Self(parts))
    }
}

impl Template {
    /// Every target under a name of its own, and none under one of `taken`.
    pub fn names<'a>(
        &self,
        session: &str,
        targets: &[Target<'a>],
        taken: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Target<'a>>, Failure> {
        let plain: Vec<_> = targets
            .iter()
            .map(|target| self.name(session, target, &account(target)))
            .collect();
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &plain {
            *uses.entry(name).or_default() += 1;
        }
        let mut names = BTreeMap::new();
        for (name, target) in plain.iter().zip(targets) {
            let name = if uses[name.as_str()] == 1 && !taken.contains(name.as_str()) {
                name.clone()
            } else {
                self.name_with_id(session, target)
            };
            if taken.contains(name.as_str()) || names.contains_key(&name) {
                return Err(Failure::new(
                    Reason::InvalidArgument,
                    format!("the template gives two roles the name {name:?}"),
                )
                .with(key::HINT, "put {accountId} and {role} into it"));
            }
            names.insert(name, target.clone());
        }
        Ok(names)
    }

    fn name_with_id(&self, session: &str, target: &Target<'_>) -> String {
        if self.0.contains(&Part::AccountId) {
            return self.name(session, target, &account(target));
        }
        let id = target.account_id;
        let name = self.name(session, target, &format!("{}-{id}", account(target)));
        if self.0.contains(&Part::Account) {
            name
        } else {
            format!("{name}-{id}")
        }
    }

    fn name(&self, session: &str, target: &Target<'_>, account: &str) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Account => account.to_owned(),
            Part::AccountId => target.account_id.to_owned(),
            Part::Role => target.role.to_owned(),
            Part::Session => plain(session),
        });
        parts.collect()
    }
}

/// The account's name as a word; its id when nothing is left of it.
fn account(target: &Target<'_>) -> String {
    let name = target.account_name.to_ascii_lowercase();
    let words: Vec<_> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        target.account_id.to_owned()
    } else {
        words.join("-")
    }
}

fn plain(session: &str) -> String {
    session
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

/// What the AWS tools allow in the name of a profile.
fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./@:+".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "111111111111";
    const TWO: &str = "222222222222";

    fn target<'a>(account_id: &'a str, account_name: &'a str, role: &'a str) -> Target<'a> {
        Target {
            account_id,
            account_name,
            role,
        }
    }

    fn names(template: &str, targets: &[Target<'_>], taken: &[&str]) -> Result<String, Failure> {
        let taken = taken.iter().copied().collect();
        let template: Template = template.parse().unwrap();
        let names = template.names("my corp", targets, &taken)?;
        Ok(names.into_keys().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_name_is_made_of_the_accounts_words_and_the_role() {
        let named = [
            target(ONE, "Data  Lake (EU)", "Admin"),
            target(TWO, "–", "Read@Only"),
        ];
        let default = names("{account}-{role}", &named, &[]).unwrap();
        assert_eq!(default, format!("{TWO}-Read@Only data-lake-eu-Admin"));
        let own = names("x/{session}.{accountId}", &named, &[]).unwrap();
        assert_eq!(own, format!("x/my-corp.{ONE} x/my-corp.{TWO}"));
    }

    #[test]
    fn names_that_would_collide_are_told_apart_by_the_account_id() {
        let twins = [target(ONE, "Dev", "A"), target(TWO, "dev", "A")];
        assert_eq!(
            names("{account}-{role}", &twins, &[]).unwrap(),
            format!("dev-{ONE}-A dev-{TWO}-A")
        );
        assert_eq!(
            names("{role}", &twins, &[]).unwrap(),
            format!("A-{ONE} A-{TWO}")
        );
        assert_eq!(
            names("{account}-{role}", &twins[..1], &["dev-A"]).unwrap(),
            format!("dev-{ONE}-A")
        );
    }

    #[test]
    fn two_roles_of_an_account_need_more_than_its_id() {
        let roles = [target(ONE, "dev", "A"), target(ONE, "dev", "B")];
        for template in ["{account}", "{accountId}"] {
            let refused = names(template, &roles, &[]).unwrap_err();
            assert_eq!(refused.reason, Reason::InvalidArgument);
            assert!(refused.hint().unwrap().contains("{role}"), "{refused}");
        }
    }

    #[test]
    fn a_template_that_is_no_name_is_refused() {
        for bad in ["", "{account", "{acount}", "a b", "{role}]", "a\n"] {
            assert!(bad.parse::<Template>().is_err(), "{bad:?}");
        }
    }
}
