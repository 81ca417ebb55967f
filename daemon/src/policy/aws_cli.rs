//! A command line of the AWS CLI as an [`Action`]: which command it is by the
//! table. It reads words as the AWS CLI does (Python's argparse, which takes any
//! beginning of an option for the option); where the two might differ, and of all
//! that no agent may say, `agents.rs` objects.

mod agents;

use std::path::Path;

use super::{
    action::{Action, Class, Objection, Operation, holds_reference},
    commands::{self, Command, Fact},
    folder::Folder,
    instances::Instances,
    transfer,
};

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

/// What the words of a command, without the leading `aws`, would do. `folder`
/// is where an agent may have files.
pub fn action(words: &[String], folder: Option<&Folder>, directory: &Path) -> Action {
    let line = Line::read(words);
    let mut action = line.action();
    action.instances = Instances::of_words(words, action.operations[0].name());
    action.region = line.region().map(str::to_owned);
    if words.iter().any(|word| holds_reference(word)) {
        action.class = Class::Credentials;
    }
    action.local_files = !matches!(line.local_files(), Ok(files) if files.is_empty());
    action.objection = line.objection(folder, directory).err().map(Objection);
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
        Action::new(class, does)
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
}

#[cfg(test)]
mod tests;
