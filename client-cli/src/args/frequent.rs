//! The command that is called hundreds of times a minute.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::{Args, Globals, TargetArgs, Verb};

impl Args {
    /// Parses `line`, the program's name first.
    ///
    /// SDKs call `credential-process` hundreds of times a minute, and clap needs longer to build the tree of all
    /// commands than the daemon needs to answer: so that command is tried alone first. What it does not take, a
    /// mistake or a request for the help included, the whole tree parses.
    pub fn of_line(line: &[OsString]) -> Result<Self, clap::Error> {
        let named = line.iter().any(|word| word == "credential-process");
        match named.then(|| Frequent::try_parse_from(line)) {
            Some(Ok(Frequent { globals, verb })) => {
                let FrequentVerb::CredentialProcess(target) = verb;
                let verb = Verb::CredentialProcess(target);
                Ok(Self { globals, verb })
            }
            Some(Err(_)) | None => Self::try_parse_from(line),
        }
    }
}

/// The part of the command line that must be parsed at once.
#[derive(Parser)]
#[command(disable_help_flag = true, disable_help_subcommand = true)]
struct Frequent {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: FrequentVerb,
}

#[derive(Subcommand)]
enum FrequentVerb {
    CredentialProcess(TargetArgs),
}
