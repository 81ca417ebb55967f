//! The command line: every command, flag and value, and what a value must look
//! like. It guarantees that whatever is malformed ends here, with exit code 2.

use std::{ffi::OsString, fmt::Display, path::PathBuf};

use awsso_proto::v1::SsmTarget;
use clap::{
    CommandFactory as _, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser,
    error::ErrorKind,
};

use crate::{
    exit::{Family, Stop},
    profiles::Template,
};

mod audit;
mod frequent;
mod generated;
mod mcp;
mod outputs;
mod places;
mod value;

pub use audit::{AuditCommand, AuditShowArgs};
pub use generated::{CompleteArgs, CompletionShell, CompletionsArgs, ManArgs};
pub use mcp::{McpCommand, McpInstallArgs, McpRemoveArgs};
pub use outputs::OutputArgs;
pub use places::{PlacesArgs, RunArgs, RunFormat};

/// In a help text, after what a command has of its own.
const LAST: usize = 900;

/// One AWS IAM Identity Center login for every terminal, script, editor and assistant
#[derive(Debug, Parser)]
#[command(name = "awsso", version, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that stand before or after the command.
#[derive(Debug, Default, clap::Args)]
pub struct Globals {
    /// The session to use [default: `AWSSO_SESSION`, then the configuration]
    #[arg(long, global = true, display_order = LAST, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,
    /// The daemon's socket
    #[arg(long, global = true, hide = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, display_order = LAST)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Log in, and wait until it is done
    Login(LoginArgs),
    /// End the login
    Logout(LogoutArgs),
    /// Show the sessions and how long they last
    Status(StatusArgs),
    /// List the accounts and the roles in them
    #[command(visible_alias = "ls")]
    LsAccounts(LsAccountsArgs),
    /// Run one AWS CLI command in the daemon
    ExecCommand(ExecCommandArgs),
    /// Run a shell command on EC2 instances over SSM
    Ec2ExecCommand(Ec2ExecCommandArgs),
    /// Run a program here, with credentials in its environment
    Exec(ExecArgs),
    /// Print credentials for `credential_process` in the AWS config
    CredentialProcess(TargetArgs),
    /// Print credentials as lines for a shell to evaluate
    Env(EnvArgs),
    /// Open the AWS console in the browser, as a role of an account
    Console(ConsoleArgs),
    /// Write the accounts and roles into the AWS config file
    #[command(subcommand)]
    Profiles(ProfilesCommand),
    /// List, watch and cancel jobs, and read what they printed
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Answer what agents may do only when a person says yes
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Explain what the policy decides
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show and check the log of what people and agents have asked for
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Connect AI assistants and editors: Claude, Cursor, VS Code and others
    #[command(subcommand)]
    Mcp(McpCommand),
    /// Start, stop and look at the daemon
    #[command(subcommand)]
    Daemon(DaemonCommand),
    /// Find what is wrong on this machine, and say what helps; changes nothing
    Doctor(DoctorArgs),
    /// Forget every secret in memory; the logins stay sealed on disk
    Lock,
    /// Read the logins again after `awsso lock`
    Unlock,
    /// Print a script that completes commands, flags, accounts and roles in a shell
    Completions(CompletionsArgs),
    /// What that script asks
    #[command(hide = true)]
    Complete(CompleteArgs),
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(ManArgs),
}

impl Verb {
    /// Which exit codes a failure has.
    pub fn family(&self) -> Family {
        match self {
            Self::ExecCommand(_) | Self::Ec2ExecCommand(_) | Self::Exec(_) => Family::Runs,
            Self::Login(_) => Family::Login,
            Self::CredentialProcess(_) => Family::CredentialProcess,
            Self::Logout(_)
            | Self::Status(_)
            | Self::LsAccounts(_)
            | Self::Env(_)
            | Self::Console(_)
            | Self::Profiles(_)
            | Self::Jobs(_)
            | Self::Approvals(_)
            | Self::Policy(_)
            | Self::Audit(_)
            | Self::Mcp(_)
            | Self::Daemon(_)
            | Self::Doctor(_)
            | Self::Lock
            | Self::Unlock
            | Self::Completions(_)
            | Self::Complete(_)
            | Self::Man(_) => Family::Plain,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Toon,
    Csv,
}

#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Only say what is looked for
    #[arg(long)]
    pub list: bool,
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The form of the list [default: table]
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    pub output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flow {
    Auto,
    Browser,
    Device,
}

#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// The session to log in to
    #[arg(value_name = "SESSION", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Only print the link
    #[arg(long)]
    pub no_launch_browser: bool,
    /// How to log in: with a browser on this machine, or with a code on any
    #[arg(long, default_value = "auto")]
    pub flow: Flow,
    /// Log in anew although the session is valid
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, clap::Args)]
pub struct LogoutArgs {
    /// The session to end
    #[arg(value_name = "SESSION", conflicts_with = "all", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// End every session
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub list: ListArgs,
    /// Go on showing what changes; with --json, one line each
    #[arg(long)]
    pub watch: bool,
    /// Print one short line for a shell's prompt, and start nothing
    #[arg(long, conflicts_with_all = ["watch", "json", "output"])]
    pub prompt: bool,
}

#[derive(Debug, clap::Args)]
pub struct LsAccountsArgs {
    /// Only these: an id, an alias, a name, a glob ('prod-*') or an e-mail
    #[arg(value_parser = value::account)]
    pub account: Option<String>,
    /// Ask AWS, whatever is known
    #[arg(long)]
    pub refresh: bool,
    #[command(flatten)]
    pub list: ListArgs,
}

/// The account and the role to act as. `AWS_PROFILE` may name what is missing.
#[derive(Debug, Default, clap::Args)]
pub struct TargetArgs {
    /// The account: its id, alias, name or e-mail, or a glob of its name
    #[arg(long, visible_alias = "account-id", value_parser = value::account)]
    pub account: Option<String>,
    /// The role, as `awsso ls-accounts` shows it
    #[arg(long, visible_alias = "role-name", value_parser = NonEmptyStringValueParser::new())]
    pub role: Option<String>,
    /// The region [default: `AWS_REGION`, `AWS_DEFAULT_REGION`, then the configuration]
    #[arg(long, value_parser = value::region)]
    pub region: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ExecCommandArgs {
    #[command(flatten)]
    pub places: PlacesArgs,
    #[command(flatten)]
    pub run: RunArgs,
    /// The whole command, for example "aws s3 ls"
    #[arg(long, allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub command: String,
    /// How long it may run
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub struct Ec2ExecCommandArgs {
    #[command(flatten)]
    pub places: PlacesArgs,
    #[command(flatten)]
    pub run: RunArgs,
    /// An instance; may be given several times
    #[arg(long = "instance-id", value_name = "ID", value_parser = value::instance_id,
          required_unless_present_any = ["targets", "names"], conflicts_with_all = ["targets", "names"])]
    pub instance_ids: Vec<String>,
    /// Every instance with this name (its tag `Name`); may be given several times
    #[arg(long = "name", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub names: Vec<String>,
    /// Every instance with this tag; may be given several times
    #[arg(long, value_name = "tag:KEY=VALUE[,VALUE]", value_parser = value::ssm_target)]
    pub targets: Vec<SsmTarget>,
    /// The shell command; its lines reach the instance as they are
    #[arg(long, allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub command: String,
    /// What runs it on Linux and macOS [default: bash where it is there, else sh]
    #[arg(long)]
    pub shell: Option<RemoteShell>,
    /// End it at the first command that fails (set -euo pipefail; sh may lack pipefail, and then says so)
    #[arg(long)]
    pub strict: bool,
    /// Where it runs on the instance, as an absolute path
    #[arg(long, value_name = "DIR", value_parser = NonEmptyStringValueParser::new())]
    pub working_directory: Option<String>,
    /// How long AWS tries to deliver it, apart from how long it may run [default: 600]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(30..=2_592_000))]
    pub delivery_timeout: Option<u32>,
    /// How long it may run on each instance
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,
}

/// A shell of Linux and macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemoteShell {
    Bash,
    Sh,
}

#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Keep the credentials fresh for as long as the program runs
    #[arg(long)]
    pub serve: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Cmd,
}

#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Whose syntax to print [default: the shell that SHELL names]
    #[arg(long)]
    pub shell: Option<Shell>,
}

#[derive(Debug, clap::Args)]
pub struct ConsoleArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print the link and open nothing; whoever has the link is signed in
    #[arg(long)]
    pub print: bool,
    /// Where to begin: a page of the console, or the name of a service
    #[arg(long, value_name = "URL|SERVICE", value_parser = NonEmptyStringValueParser::new())]
    pub destination: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ProfilesCommand {
    /// Write one profile per account and role; what others wrote stays
    Sync(ProfilesSyncArgs),
}

#[derive(Debug, clap::Args)]
pub struct ProfilesSyncArgs {
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove the profiles whose account or role is gone
    #[arg(long)]
    pub prune: bool,
    /// Profile names, made of {account}, {accountId}, {role} and {session}
    #[arg(long, default_value = "{account}-{role}")]
    pub template: Template,
    /// Write profiles that ask awsso, not the shared login
    #[arg(long)]
    pub credential_process: bool,
    /// The region of the profiles [default: the session's]
    #[arg(long, value_parser = value::region)]
    pub region: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs, newest first
    List(ListArgs),
    /// Follow a job to its end; leaving does not end the job
    Watch { id: String },
    /// Cancel a job
    Cancel { id: String },
    /// Print what a job printed
    Output(OutputArgs),
}

#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List what waits for an answer
    List(ListArgs),
    /// Approve one, at a terminal
    Approve {
        id: String,
        /// How far it reaches
        #[arg(long = "for", value_name = "REACH", default_value = "once")]
        reach: Reach,
    },
    /// Deny one
    Deny { id: String },
    /// Show each as it comes, and take the answers
    Watch,
}

/// How far an approval reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// One run
    Once,
    /// What this client asks for in the same accounts and roles, of the same class, until it ends
    Session,
    /// Exactly this, whichever agent asks, for 8 hours
    Command,
}

impl Reach {
    pub fn words(self) -> &'static str {
        match self {
            Self::Once => "one run",
            Self::Session => "this and its like for this client, until it ends",
            Self::Command => "exactly this for all agents, for 8 hours",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say what would be decided about a command, and why; nothing is run
    Test(PolicyTestArgs),
}

#[derive(Debug, clap::Args)]
pub struct PolicyTestArgs {
    /// The whole command, for example "aws s3 ls"
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub command: String,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Whom to decide for
    #[arg(long = "as", value_name = "WHO", default_value = "agent")]
    pub asked_by: Asker,
    /// It is a shell command for this instance; may be given several times
    #[arg(long = "instance-id", value_name = "ID", value_parser = value::instance_id)]
    pub instance_ids: Vec<String>,
    /// It is a shell command for every instance with this tag; may be given several times
    #[arg(long, value_name = "tag:KEY=VALUE[,VALUE]", value_parser = value::ssm_target, conflicts_with = "instance_ids")]
    pub targets: Vec<SsmTarget>,
}

/// Who may be told apart by a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Asker {
    Agent,
    Person,
}

#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Start the daemon, unless it runs
    Start,
    /// Stop the daemon
    Stop(StopArgs),
    /// Stop the daemon and start it again
    Restart(StopArgs),
    /// Say whether the daemon runs
    Status,
    /// Print the daemon's log
    Logs {
        /// How many lines from the end
        #[arg(long, value_name = "N", default_value_t = 200)]
        lines: usize,
        /// Go on printing what is logged
        #[arg(long, short)]
        follow: bool,
    },
    /// Have the system's service manager start the daemon: systemd, launchd,
    /// the Task Scheduler
    Install(ServiceArgs),
    /// Undo that: clients start the daemon again
    Uninstall(ServiceArgs),
}

#[derive(Debug, clap::Args)]
pub struct ServiceArgs {
    /// Only show what would be written and run
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Stop although running jobs would be lost
    #[arg(long)]
    pub force: bool,
}

/// What the parser itself cannot see, said as the parser says it.
pub fn refuse(command: &str, kind: ErrorKind, text: impl Display) -> Stop {
    let mut cli = Args::command();
    cli.build();
    let cli = cli
        .find_subcommand_mut(command)
        .expect("a command refuses its own arguments");
    Stop::Usage(cli.error(kind, text))
}

#[cfg(test)]
mod tests;
