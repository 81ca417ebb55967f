//! What the commands of the AWS CLI do: a table that `generate.py` writes from
//! the CLI's own command tables and from IAM's access levels, searched as the
//! text that it is. Nothing is parsed ahead; what is not in it is not known.

use super::action::Class;

static TABLE: &str = include_str!("table.txt");

/// Before each block of the table.
const BLOCK: &str = "\n= ";

/// A service of the AWS CLI.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// What IAM and the rules call it: `elasticloadbalancing` for `elbv2`.
    pub prefix: &'static str,
    /// Its lines.
    block: &'static str,
}

/// A command of a service.
#[derive(Debug, Clone)]
pub struct Command {
    /// The operation, as the API and the rules call it: `DescribeDBInstances`.
    pub name: String,
    pub class: Class,
    facts: &'static str,
}

/// What else is known of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// What it does in AWS, instead of an operation of its name.
    Does(&'static str),
    /// Another name of its operation: IAM's.
    Also(&'static str),
    /// This option names a file of this machine.
    File(&'static str),
    /// Its operand is a file that it writes.
    Writes,
    /// This option takes no value.
    Flag(&'static str),
    /// With this option, its answer is a credential.
    Credentials(&'static str),
    /// The value of this option is a URL, and version 1 does not fetch it.
    Url(&'static str),
    /// Not for agents.
    Never(Never),
}

/// Why a command is not for agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {
    /// It reads or writes files of this machine that its arguments do not name.
    Files,
    /// It needs a person at a terminal, or a connection that outlives it.
    Session,
    /// It is about the AWS CLI itself.
    Setup,
    Wizard,
}

/// The service of this name, which is the word that the AWS CLI takes.
pub fn service(word: &str) -> Option<Service> {
    let (mut low, mut high) = (TABLE.find(BLOCK)?, TABLE.len());
    // `low` is at a block or at its end, what is sought is not before it.
    while low < high {
        let middle = low + (high - low) / 2;
        let start = match TABLE[low..=middle].rfind(BLOCK) {
            Some(at) => low + at,
            // The block at `low` is a long one.
            None => low,
        };
        let block = &TABLE[start + BLOCK.len()..];
        let end = block.find(BLOCK).unwrap_or(block.len());
        let (head, lines) = block[..end].split_once('\n')?;
        let (name, prefix) = head.split_once(' ')?;
        match name.cmp(word) {
            std::cmp::Ordering::Equal => {
                return Some(Service {
                    prefix,
                    block: lines,
                });
            }
            std::cmp::Ordering::Less => low = start + BLOCK.len() + end,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

impl Service {
    /// The command of this name, which is the word that the AWS CLI takes.
    pub fn command(&self, word: &str) -> Option<Command> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !word.bytes().all(letter) {
            return None;
        }
        let (verb, rest) = word.split_once('-').unwrap_or((word, "."));
        let mut found = None;
        for line in self.block.lines() {
            let (kind, line) = line.split_once(' ')?;
            let (first, others) = line.split_once(' ')?;
            if kind == "+" {
                if let Some((name, class)) = found.take_if(|_| first == word) {
                    return Some(Command {
                        name,
                        class,
                        facts: others,
                    });
                }
            } else if found.is_none()
                && first.eq_ignore_ascii_case(verb)
                && let Some(other) = others
                    .split(' ')
                    .find(|other| other.eq_ignore_ascii_case(rest))
            {
                found = Some((camel_case(first, other), class(kind)));
            }
        }
        let (name, class) = found?;
        Some(Command {
            name,
            class,
            facts: "",
        })
    }
}

impl Command {
    pub fn facts(&self) -> impl Iterator<Item = Fact> {
        self.facts.split(' ').filter_map(fact)
    }
}

fn camel_case(verb: &str, rest: &str) -> String {
    let parts = std::iter::once(verb).chain(rest.split('-').filter(|part| *part != "."));
    let mut name = String::with_capacity(verb.len() + rest.len());
    for part in parts {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn class(letter: &str) -> Class {
    match letter {
        "r" => Class::Read,
        "l" => Class::List,
        "p" => Class::Permissions,
        "t" => Class::Tagging,
        "c" => Class::Credentials,
        _ => Class::Write,
    }
}

fn fact(text: &'static str) -> Option<Fact> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some(match key {
        "does" => Fact::Does(value),
        "also" => Fact::Also(value),
        "file" => Fact::File(value),
        "writes" => Fact::Writes,
        "flag" => Fact::Flag(value),
        "credentials" => Fact::Credentials(value),
        "url" => Fact::Url(value),
        "never" => Fact::Never(match value {
            "files" => Never::Files,
            "session" => Never::Session,
            "wizard" => Never::Wizard,
            _ => Never::Setup,
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
