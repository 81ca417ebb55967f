//! One profile in the AWS config file per account and role of a session. Pure:
//! from the text of the file to its next text. A name stands in it once, and no
//! profile has both `sso_*` keys and a `credential_process`.

mod block;
pub mod ini;
mod name;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use awsso_proto::{
    Failure, Reason,
    error::key,
    v1::{Account, SessionStatus},
};
use serde::Serialize;

use self::ini::{Heading, Section};
pub use self::name::{Target, Template};

/// What a profile is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// What the AWS tools look up in the login that they share with us.
    Native,
    /// The command that they are to run instead: this program, as a word.
    CredentialProcess(String),
}

/// What the block of a session is to be.
pub struct Plan<'a> {
    pub session: &'a SessionStatus,
    pub accounts: &'a [Account],
    pub template: &'a Template,
    pub form: Form,
    pub region: &'a str,
    /// Profiles of accounts and roles that are gone go, too.
    pub prune: bool,
}

/// Names of profiles, by what became of them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// AWS does not name their account or role, or did not say.
    pub kept: Vec<String>,
    /// Somebody else's profile has the name.
    pub skipped: Vec<String>,
    /// Of `kept`: AWS names their account or role no more.
    #[serde(skip)]
    pub gone: Vec<String>,
    /// The file knew the session before.
    #[serde(skip)]
    pub session_known: bool,
}

/// One line each, as they stand below a heading.
type Settings = Vec<String>;

impl Plan<'_> {
    /// The file's next text, and what is new in it; or what is wrong with it.
    pub fn apply(&self, text: &str) -> Result<(String, Outcome), Stopped> {
        let session = self.session.name.as_str();
        let sections = ini::sections(text).map_err(|error| Stopped::File(error.to_string()))?;
        let there = block::find(text, session).map_err(Stopped::File)?;
        let (inside, outside): (Vec<_>, Vec<_>) = sections.into_iter().partition(|section| {
            there
                .as_ref()
                .is_some_and(|block| block.contains(&section.range.start))
        });
        let defined = self.is_defined(&outside)?;
        let mut outcome = Outcome {
            session_known: defined || inside.iter().any(|section| self.defines(section)),
            ..Outcome::default()
        };
        // What follows the block is not its last profile's.
        let end = there.as_ref().map_or(text.len(), |block| block.end);
        let last = profiles(inside.into_iter().map(|section| section.before(end)));
        let next = self.profiles(&last, &profile_names(&outside), &mut outcome)?;
        for (name, settings) in &next {
            match last.get(name) {
                None => outcome.added.push(name.clone()),
                Some(last) if last != settings => outcome.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        let removed = last.keys().filter(|name| !next.contains_key(*name));
        outcome.removed = removed.cloned().collect();
        let definition = (!defined).then(|| self.definition());
        let profiles = next
            .iter()
            .map(|(name, settings)| section("profile", name, settings));
        let written: Vec<_> = definition.into_iter().chain(profiles).collect();
        Ok((block::put(text, there, session, &written), outcome))
    }

    /// Whether the session stands outside of the block, as the place it is.
    fn is_defined(&self, outside: &[Section<'_>]) -> Result<bool, Stopped> {
        let Some(section) = outside.iter().find(|section| self.defines(section)) else {
            return Ok(false);
        };
        let url = |url: &str| url.trim_end_matches(['/', '#']).to_ascii_lowercase();
        let same = section.get("sso_start_url").map(url) == Some(url(&self.session.start_url))
            && section.get("sso_region") == Some(&self.session.region);
        if self.form == Form::Native && !same {
            return Err(Stopped::File(format!(
                "its [sso-session {}] is another place than awsso's session of that name",
                self.session.name
            )));
        }
        Ok(true)
    }

    fn defines(&self, section: &Section<'_>) -> bool {
        section.heading == Heading::SsoSession(&self.session.name)
    }

    /// The profiles of the next block: those that stay, and one for each target.
    fn profiles(
        &self,
        last: &BTreeMap<String, Settings>,
        foreign: &BTreeSet<&str>,
        outcome: &mut Outcome,
    ) -> Result<BTreeMap<String, Settings>, Stopped> {
        let accounts: BTreeMap<_, _> = self
            .accounts
            .iter()
            .map(|account| (account.account_id.as_str(), account))
            .collect();
        let mut next = BTreeMap::new();
        for (name, settings) in last {
            let Some((account, role)) = target_of(settings) else {
                continue;
            };
            let listed = accounts.get(account);
            let unknown = listed.is_some_and(|account| !account.roles_known);
            let named = listed.is_some_and(|account| account.roles.iter().any(|r| r == role));
            let gone = !unknown && !named;
            if (unknown || gone && !self.prune) && !foreign.contains(name.as_str()) {
                next.insert(name.clone(), settings.clone());
                outcome.kept.push(name.clone());
                if gone {
                    outcome.gone.push(name.clone());
                }
            }
        }
        let taken = next.keys().map(String::as_str).collect();
        let names = self
            .template
            .names(&self.session.name, &targets(self.accounts), &taken)
            .map_err(Stopped::Template)?;
        for (name, target) in names {
            if foreign.contains(name.as_str()) {
                outcome.skipped.push(name);
            } else {
                next.insert(name, self.settings(&target));
            }
        }
        Ok(next)
    }

    fn settings(&self, target: &Target<'_>) -> Settings {
        let (session, id, role) = (&self.session.name, target.account_id, target.role);
        let mut settings = match &self.form {
            Form::Native => vec![
                format!("sso_session = {session}"),
                format!("sso_account_id = {id}"),
                format!("sso_role_name = {role}"),
            ],
            Form::CredentialProcess(program) => vec![format!(
                "credential_process = {program} credential-process --account {id} --role {role} --session {}",
                quoted(session)
            )],
        };
        settings.push(format!("region = {}", self.region));
        settings
    }

    fn definition(&self) -> String {
        let settings = [
            format!("sso_start_url = {}", self.session.start_url),
            format!("sso_region = {}", self.session.region),
            "sso_registration_scopes = sso:account:access".to_owned(),
        ];
        section("sso-session", &self.session.name, &settings)
    }
}

/// Why there is no next text.
#[derive(Debug)]
pub enum Stopped {
    /// The file is not as it should be.
    File(String),
    Template(Failure),
}

/// The file that the AWS CLI of this environment reads.
pub fn config_file(named: Option<&str>, home: Option<&Path>) -> Result<PathBuf, Failure> {
    let in_home = |rest: &str| home.map(|home| home.join(rest));
    let path = match named {
        None => in_home(".aws/config"),
        Some(named) => match named.strip_prefix("~/") {
            Some(rest) => in_home(rest),
            None => std::path::absolute(named).ok(),
        },
    };
    path.ok_or_else(|| {
        Failure::new(
            Reason::NotFound,
            "nothing says where the AWS config file is",
        )
        .with(key::HINT, "set HOME or AWS_CONFIG_FILE")
    })
}

/// A word of a `credential_process`, which some tools split by themselves and
/// others hand to a shell; `None` when they would not all read the same.
pub fn word(text: &str) -> Option<String> {
    let means_something = |c: char| {
        c.is_control() || "\"'$`!#;%[]".contains(c) || (c == '\\' && !std::path::is_separator('\\'))
    };
    (!text.is_empty() && !text.contains(means_something)).then(|| quoted(text))
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./@:+=,~".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

fn section(kind: &str, name: &str, settings: &[String]) -> String {
    format!("[{kind} {}]\n{}\n", quoted(name), settings.join("\n"))
}

fn targets(accounts: &[Account]) -> Vec<Target<'_>> {
    let targets = accounts.iter().flat_map(|account| {
        account.roles.iter().map(|role| Target {
            account_id: &account.account_id,
            account_name: &account.account_name,
            role,
        })
    });
    targets.collect()
}

/// The names that others have, and the one that would speak for all.
fn profile_names<'a>(sections: &[Section<'a>]) -> BTreeSet<&'a str> {
    let names = sections.iter().filter_map(|section| match section.heading {
        Heading::Profile(name) => Some(name),
        Heading::SsoSession(_) | Heading::Other => None,
    });
    names.chain(["default"]).collect()
}

fn profiles<'a>(sections: impl Iterator<Item = Section<'a>>) -> BTreeMap<String, Settings> {
    let settings = |body: &str| {
        let lines = body.lines().map(str::trim_end);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
            .map(str::to_owned)
            .collect()
    };
    let profiles = sections.filter_map(|section| match section.heading {
        Heading::Profile(name) => Some((name.to_owned(), settings(section.body))),
        Heading::SsoSession(_) | Heading::Other => None,
    });
    profiles.collect()
}

/// The account and the role of a profile, in either form that we write.
fn target_of(settings: &[String]) -> Option<(&str, &str)> {
    let value = |key: &str| {
        settings.iter().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim())
        })
    };
    if let Some(command) = value("credential_process") {
        let (_, arguments) = command.split_once(" credential-process --account ")?;
        let mut words = arguments.split(' ');
        let account = words.next()?;
        return words
            .next()
            .filter(|flag| *flag == "--role")
            .and_then(|_| Some((account, words.next()?)));
    }
    Some((value("sso_account_id")?, value("sso_role_name")?))
}

#[cfg(test)]
mod tests;
