//! `awsso audit`.

use std::time::Duration;

use clap::Subcommand;

use super::ListArgs;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show what was asked for, by whom, and what came of it; newest last
    Show(AuditShowArgs),
    /// Check that no line was changed, removed, inserted or moved
    Verify,
}

#[derive(Debug, clap::Args)]
pub struct AuditShowArgs {
    /// Only what is not older, for example 1h, 30m or 7d
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Only what agents asked for
    #[arg(long, conflicts_with = "person")]
    pub agent: bool,
    /// Only what people asked for
    #[arg(long)]
    pub person: bool,
    /// Go on showing what is added; with --json, one line each
    #[arg(long, short, conflicts_with = "output")]
    pub follow: bool,
    #[command(flatten)]
    pub list: ListArgs,
}
