//! Where a command is to run, and what is shown of it: the flags that
//! `exec-command` and `ec2-exec-command` share.

use clap::{ValueEnum, builder::NonEmptyStringValueParser};

use super::{TargetArgs, value};

/// One account that is named plainly, with one role and one region at most, is one
/// target; anything else stands for many.
#[derive(Debug, Default, clap::Args)]
pub struct PlacesArgs {
    /// An account: its id, alias, name or e-mail, or a glob of names ('prod-*'); may be given several times
    #[arg(long = "account", visible_alias = "account-id", value_name = "ACCOUNT", value_parser = value::account)]
    pub accounts: Vec<String>,
    /// Every account of the session
    #[arg(long, conflicts_with = "accounts")]
    pub all_accounts: bool,
    /// The role; of several, in each account the first that you have there
    #[arg(long = "role", visible_alias = "role-name", value_name = "ROLE", value_parser = NonEmptyStringValueParser::new())]
    pub roles: Vec<String>,
    /// The region, or several [default: `AWS_REGION`, `AWS_DEFAULT_REGION`, then the configuration]
    #[arg(long = "region", value_name = "REGION", value_parser = value::region)]
    pub regions: Vec<String>,
    /// How many run at the same time [default: as the configuration says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel: Option<u32>,
    /// Begin no more once more than N have failed
    #[arg(long, value_name = "N")]
    pub max_errors: Option<u32>,
}

impl PlacesArgs {
    /// The target, when there can be only one.
    pub fn one(&self) -> Option<TargetArgs> {
        let is_one = !self.all_accounts
            && self.accounts.len() <= 1
            && self.roles.len() <= 1
            && self.regions.len() <= 1
            && !self.accounts.iter().any(|account| value::is_glob(account));
        is_one.then(|| TargetArgs {
            account: self.accounts.first().cloned(),
            role: self.roles.first().cloned(),
            region: self.regions.first().cloned(),
        })
    }
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The form of what is printed; `jsonl`: a line for each task, as soon as it has ended [default: text]
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    pub output: Option<RunFormat>,
    /// Show where it would run, and start nothing
    #[arg(long, conflicts_with_all = ["detach", "output"])]
    pub dry_run: bool,
    /// Start it, print the id of the job, and leave
    #[arg(long, conflicts_with = "output")]
    pub detach: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    Text,
    Json,
    Jsonl,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Args, ExecCommandArgs, Verb};

    fn parse(flags: &str) -> Result<ExecCommandArgs, clap::Error> {
        let line = format!("awsso exec-command --command x {flags}");
        match Args::try_parse_from(line.split_whitespace())?.verb {
            Verb::ExecCommand(args) => Ok(args),
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn one_plain_account_one_role_and_one_region_are_one_target() {
        for flags in [
            "",
            "--role R",
            "--account prod --role R --region eu-west-1",
            "--account 111122223333 --role R --parallel 3 --max-errors 0",
        ] {
            assert!(parse(flags).unwrap().places.one().is_some(), "{flags}");
        }
        for flags in [
            "--account prod-* --role R",
            "--account a --account b --role R",
            "--all-accounts --role R",
            "--account a --role R --role S",
            "--account a --role R --region eu-west-1 --region eu-west-2",
        ] {
            assert!(parse(flags).unwrap().places.one().is_none(), "{flags}");
        }
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for flags in [
            "--all-accounts --account a",
            "--dry-run --detach",
            "--dry-run --output jsonl",
            "--detach --output jsonl",
            "--json --output jsonl",
            "--parallel 0",
        ] {
            assert!(parse(flags).is_err(), "{flags}");
        }
    }
}
