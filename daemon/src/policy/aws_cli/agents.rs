//! What an agent may not say to the AWS CLI, whatever the rules are, and what it
//! says instead. Each text is read after "an agent may not".

use std::path::Path;

use super::{Line, WITHOUT_VALUE, may_mean, option};
use crate::{
    config::check_region,
    policy::{
        commands::{self, Fact, Never},
        folder::Folder,
        transfer::Transfer,
    },
};

/// Options of every command that agents do not get, and what they do instead.
const REFUSED: &[(&str, &str)] = &[
    ("--debug", "it prints signed requests"),
    ("--endpoint-url", "the daemon knows where AWS is"),
    ("--profile", "name the account and the role of the call"),
    ("--iam-endpoint", "the daemon knows where AWS is"),
    ("--ca-bundle", "the daemon knows whom to trust"),
    ("--no-verify-ssl", "the daemon knows whom to trust"),
    ("--no-sign-request", "requests are signed"),
    ("--cli-input-json", "give each value by its own option"),
    ("--cli-input-yaml", "give each value by its own option"),
    ("--cli-auto-prompt", "nobody is there to be prompted"),
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

impl<'a> Line<'a> {
    /// What an agent may not, as an error.
    pub fn objection(&self, folder: Option<&Folder>, directory: &Path) -> Result<(), String> {
        self.check_words()?;
        self.check_command()?;
        if self.asks_for_help() {
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
    pub fn local_files(&self) -> Result<Vec<String>, String> {
        if let ("s3", Some(what @ ("cp" | "mv" | "sync"))) =
            (self.service.unwrap_or_default(), self.operation)
        {
            return Transfer::read(what, self.rest).local();
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
