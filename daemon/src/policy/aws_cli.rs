//! A command line of the AWS CLI as an [`Action`]: which command it is by the
//! table, and everything in it that no agent may say. It reads words as the AWS
//! CLI does (Python's argparse, which takes any prefix of an option for the
//! option), and where the two might differ it objects.

use std::path::Path;

use super::{
    action::{Action, Class, Objection, Operation, Tags, holds_reference},
    commands::{self, Command, Fact, Never},
    folder::Folder,
    transfer,
};
use crate::config::check_region;

/// Options of every command that agents do not get, and what they do instead.
const REFUSED: &[(&str, &str)] = &[
    ("--debug", "it prints signed requests"),
    ("--endpoint-url", "the daemon knows where AWS is"),
    ("--profile", "name the account and the role of the call"),
    ("--ca-bundle", "the daemon knows whom to trust"),
    ("--no-verify-ssl", "the daemon knows whom to trust"),
    ("--no-sign-request", "requests are signed"),
    ("--cli-input-json", "give each value by its own option"),
    ("--cli-input-yaml", "give each value by its own option"),
    ("--cli-auto-prompt", "nobody is there to be prompted"),
];

/// Options of every command that take a value.
pub const WITH_VALUE: &[&str] = &[
    "--region",
    "--output",
    "--query",
    "--color",
    "--cli-read-timeout",
    "--cli-connect-timeout",
    "--cli-binary-format",
    "--profile",
    "--endpoint-url",
    "--ca-bundle",
];

/// Options of every command that take none, or not always.
pub const WITHOUT_VALUE: &[&str] = &[
    "--no-paginate",
    "--no-cli-pager",
    "--no-cli-auto-prompt",
    "--cli-auto-prompt",
    "--debug",
    "--no-verify-ssl",
    "--no-sign-request",
    "--v2-debug",
    "--version",
    "--generate-cli-skeleton",
];

/// Words in the place of a service that are about the AWS CLI itself.
const SETUP: &[&str] = &[
    "cli-dev",
    "configure",
    "history",
    "login",
    "logout",
    "sso",
    "wizard",
];

/// What the words of a command, without the leading `aws`, would do. `folder`
/// is where an agent may have files.
pub fn action(words: &[String], folder: Option<&Folder>, directory: &Path) -> Action {
    let line = Line::read(words);
    let mut action = line.action();
    action.region = line.region().map(str::to_owned);
    if words.iter().any(|word| holds_reference(word)) {
        action.class = Class::Credentials;
    }
    action.objection = line
        .objection(&mut action, folder, directory)
        .err()
        .map(Objection);
    action
}

/// The words that name the command: what an alias could be.
pub fn named(words: &[String]) -> Vec<&str> {
    let line = Line::read(words);
    let third = line.rest.first().map(String::as_str);
    [line.service, line.operation, third]
        .into_iter()
        .flatten()
        .collect()
}

/// The words, told apart.
struct Line<'a> {
    words: &'a [String],
    service: Option<&'a str>,
    operation: Option<&'a str>,
    /// What follows the operation.
    rest: &'a [String],
    /// An option before the operation that not every command has.
    stray: Option<&'a str>,
    command: Option<(&'static str, Command)>,
}

/// An option and the value that is part of the same word.
pub fn option(word: &str) -> Option<(&str, Option<&str>)> {
    if !word.starts_with("--") {
        return None;
    }
    Some(match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

/// argparse takes any beginning of an option's name for the option.
fn may_mean(given: &str, option: &str) -> bool {
    given.len() > 2 && option.starts_with(given)
}

impl<'a> Line<'a> {
    fn read(words: &'a [String]) -> Self {
        let mut line = Self {
            words,
            service: None,
            operation: None,
            rest: &[],
            stray: None,
            command: None,
        };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            match option(word) {
                Some((name, None)) if WITH_VALUE.contains(&name) => at += 1,
                Some((name, _)) if WITH_VALUE.contains(&name) || WITHOUT_VALUE.contains(&name) => {}
                Some((name, _)) => line.stray = line.stray.or(Some(name)),
                None if word.starts_with('-') => line.stray = line.stray.or(Some(word)),
                None if line.service.is_none() => line.service = Some(word),
                None => {
                    line.operation = Some(word);
                    line.rest = &words[at..];
                    break;
                }
            }
        }
        line.command = line.service.and_then(|service| {
            let service = commands::service(service)?;
            Some((service.prefix, service.command(line.operation?)?))
        });
        line
    }

    fn action(&self) -> Action {
        if self.asks_for_help() {
            return Action::new(Class::Read, vec![Operation::new("awscli", "Help")]);
        }
        let (Some(service), Some((prefix, command))) = (self.service, &self.command) else {
            // Not known: it writes.
            let operation = Operation::new(
                self.service.unwrap_or_default(),
                self.operation.unwrap_or_default(),
            );
            return Action::new(Class::Write, vec![operation]);
        };
        if let ("s3", Some(what @ ("cp" | "mv" | "sync"))) = (service, self.operation) {
            return transfer::Transfer::read(what, self.rest).action();
        }
        let mut names = vec![format!("{prefix}:{}", command.name)];
        let mut does = Vec::new();
        let mut class = command.class;
        for fact in command.facts() {
            match fact {
                Fact::Does(operation) => does.push(Operation(vec![operation.to_owned()])),
                Fact::Also(name) => names.push(name.to_owned()),
                Fact::Credentials(option) if self.has(option) => class = Class::Credentials,
                Fact::Credentials(_)
                | Fact::File(_)
                | Fact::Writes
                | Fact::Flag(_)
                | Fact::Url(_)
                | Fact::Never(_) => {}
            }
        }
        if does.is_empty() {
            does.push(Operation(names));
        }
        let mut action = Action::new(class, does);
        if matches!(
            action.operations[0].name(),
            "ssm:SendCommand" | "ssm:StartSession"
        ) {
            action.tags = Tags::Some(Vec::new());
        }
        action
    }

    /// `aws help`, `aws ec2 help`, `aws ec2 describe-instances help`, `aws --version`
    fn asks_for_help(&self) -> bool {
        let known = |service| commands::service(service).is_some();
        match (self.service, self.operation, self.rest) {
            (None, None, _) => self.words.iter().any(|word| word == "--version"),
            (Some("help"), None, _) => true,
            (Some(service), Some("help"), []) => known(service),
            (Some(_), Some(_), [help]) => self.command.is_some() && help == "help",
            _ => false,
        }
    }

    fn has(&self, wanted: &str) -> bool {
        self.options()
            .any(|(_, name, _)| may_mean(name, &format!("--{wanted}")))
    }

    /// Options, each with its place and the value in the same word.
    fn options(&self) -> impl Iterator<Item = (usize, &'a str, Option<&'a str>)> {
        let words = self.words.iter().enumerate();
        words.filter_map(|(at, word)| option(word).map(|(name, value)| (at, name, value)))
    }

    /// argparse takes the last one.
    fn region(&self) -> Option<&'a str> {
        let given = self.options().filter(|(_, name, _)| *name == "--region");
        let (at, _, value) = given.last()?;
        value.or_else(|| self.words.get(at + 1).map(String::as_str))
    }

    /// What an agent may not; the action is told what else it does.
    fn objection(
        &self,
        action: &mut Action,
        folder: Option<&Folder>,
        directory: &Path,
    ) -> Result<(), String> {
        self.check_words()?;
        self.check_command()?;
        if action.operations[0].name() == "awscli:Help" {
            return Ok(());
        }
        if let Some(region) = self.region() {
            check_region(region)
                .map_err(|_| format!("use the region {region:?}; there is none of this name"))?;
        }
        self.check_urls()?;
        let files = self.local_files()?;
        for file in files {
            match folder {
                Some(folder) if folder.holds(&file, directory) => {}
                Some(folder) => {
                    return Err(format!(
                        "use the file {file:?}; its files are in {}",
                        folder.root().display()
                    ));
                }
                None => {
                    return Err(format!(
                        "read or write files of this machine ({file:?}); a result goes to /dev/stdout or -, \
                         and a person can set agent_folder in [policy] of config.toml"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What no word may be, in any command.
    fn check_words(&self) -> Result<(), String> {
        for word in self.words {
            if let Some(bad) = word
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
            {
                return Err(format!("put the control character {bad:?} into a command"));
            }
            if word == "--" {
                return Err("use -- in a command; leave it out".to_owned());
            }
            let lower = word.to_ascii_lowercase();
            if lower.contains("file://") || lower.contains("fileb://") {
                return Err(
                    "use file:// or fileb://; give the content itself as the value".to_owned(),
                );
            }
        }
        for (_, name, _) in self.options() {
            if let Some((refused, instead)) =
                REFUSED.iter().find(|(option, _)| may_mean(name, option))
            {
                let short = if name == *refused {
                    String::new()
                } else {
                    format!(" (as {name})")
                };
                return Err(format!("use {refused}{short}; {instead}"));
            }
            if name != "--region" && may_mean(name, "--region") {
                return Err(format!("shorten --region to {name}; write it out"));
            }
        }
        Ok(())
    }

    /// Which command it is must be certain.
    fn check_command(&self) -> Result<(), String> {
        if let Some(word) = self.service
            && SETUP.contains(&word)
        {
            return Err(format!(
                "use aws {word}; the daemon keeps the login and the settings"
            ));
        }
        if self.asks_for_help() {
            return Ok(());
        }
        if let Some(stray) = self.stray {
            return Err(format!(
                "put {stray} before the command; options follow it, as in aws SERVICE COMMAND {stray}"
            ));
        }
        let Some(service) = self.service else {
            return Err("run aws without a command; as in aws SERVICE COMMAND".to_owned());
        };
        if commands::service(service).is_none() {
            return Err(format!(
                "use aws {service:?}, which is no service that is known here"
            ));
        }
        let Some(operation) = self.operation else {
            return Err(format!(
                "use aws {service} without a command; aws {service} help lists them"
            ));
        };
        match &self.command {
            None => Err(format!(
                "use aws {service} {operation:?}, which is no command that is known here; aws {service} help lists them"
            )),
            Some((_, command)) => match command.facts().find_map(|fact| match fact {
                Fact::Never(why) => Some(why),
                _ => None,
            }) {
                Some(why) => Err(format!("use aws {service} {operation}; {}", instead(why))),
                None => Ok(()),
            },
        }
    }

    /// Version 1 fetches a URL that is a value, from this machine.
    fn check_urls(&self) -> Result<(), String> {
        let exempt = |name: &str| {
            let command = self.command.iter();
            let mut facts = command.flat_map(|(_, command)| command.facts());
            facts.any(
                |fact| matches!(fact, Fact::Url(option) if name.strip_prefix("--") == Some(option)),
            )
        };
        for (at, word) in self.words.iter().enumerate() {
            let (name, value) = if let Some((name, value)) = option(word) {
                (Some(name), value.unwrap_or_default())
            } else {
                let before = at.checked_sub(1).and_then(|at| option(&self.words[at]));
                let name = before.and_then(|(name, value)| value.is_none().then_some(name));
                (name, word.as_str())
            };
            let value = value.to_ascii_lowercase();
            if (value.starts_with("http://") || value.starts_with("https://"))
                && !name.is_some_and(exempt)
            {
                return Err(
                    "give a URL as a value, which AWS CLI v1 would fetch; where the option takes a list, \
                     write it as JSON: '[\"https://…\"]'"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// The files of this machine that the command reads or writes.
    fn local_files(&self) -> Result<Vec<String>, String> {
        if let ("s3", Some(what @ ("cp" | "mv" | "sync"))) =
            (self.service.unwrap_or_default(), self.operation)
        {
            return transfer::Transfer::read(what, self.rest).local();
        }
        let Some((_, command)) = &self.command else {
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        let mut flags: Vec<String> = Vec::new();
        let mut writes = false;
        for fact in command.facts() {
            match fact {
                Fact::File(wanted) => files.extend(self.values(wanted)),
                Fact::Writes => writes = true,
                Fact::Flag(flag) => {
                    flags.push(format!("--{flag}"));
                    flags.push(format!("--no-{flag}"));
                }
                Fact::Does(_)
                | Fact::Also(_)
                | Fact::Credentials(_)
                | Fact::Url(_)
                | Fact::Never(_) => {}
            }
        }
        if writes {
            let operand = self.operand(&flags)?;
            if !matches!(operand, "-" | "/dev/stdout" | "/dev/null") {
                files.push(operand.to_owned());
            }
        }
        Ok(files)
    }

    /// The values of an option that names a file.
    fn values(&self, wanted: &str) -> Vec<String> {
        let wanted = format!("--{wanted}");
        let given = self
            .options()
            .filter(|(_, name, _)| may_mean(name, &wanted));
        given
            .filter_map(|(at, _, value)| {
                value.or_else(|| self.words.get(at + 1).map(String::as_str))
            })
            .map(str::to_owned)
            .collect()
    }

    /// The one word after the operation that is neither an option nor its value.
    /// With two the AWS CLI itself refuses; with one there is no other way to
    /// read it, because flags are known.
    fn operand(&self, flags: &[String]) -> Result<&'a str, String> {
        let mut found = Vec::new();
        let mut of_option = false;
        for word in self.rest {
            match option(word) {
                Some((name, value)) => {
                    let flag = WITHOUT_VALUE.iter().any(|flag| may_mean(name, flag))
                        || flags.iter().any(|flag| may_mean(name, flag));
                    of_option = value.is_none() && !flag;
                }
                None if of_option => of_option = false,
                None => found.push(word.as_str()),
            }
        }
        match found[..] {
            [one] => Ok(one),
            _ => Err(
                "leave it open where the result goes; end the command with one file name, /dev/stdout to see it"
                    .to_owned(),
            ),
        }
    }
}

fn instead(why: Never) -> &'static str {
    match why {
        Never::Files => "it reads or writes files of this machine, and a person can run it",
        Never::Session => {
            "it needs a terminal or stays connected; a shell command on an instance runs as an SSM command"
        }
        Never::Setup => "the daemon keeps the login and the settings",
        Never::Wizard => "it asks a person; give each value by its own option",
    }
}

#[cfg(test)]
mod tests;
