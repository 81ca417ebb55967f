//! `awsso mcp`: its commands and flags.

use clap::Subcommand;

use super::{ListArgs, value};
use crate::mcp::Client;

#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// Write awsso-mcp into a client's settings; everything else in them stays
    Install(McpInstallArgs),
    /// Take awsso-mcp out of a client's settings
    Remove(McpRemoveArgs),
    /// Say which clients are here, which start awsso-mcp, and what is wrong
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub struct McpInstallArgs {
    /// The client whose settings are meant, for this user
    pub client: Client,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write although the client does not seem to be installed
    #[arg(long)]
    pub force: bool,
    /// What awsso-mcp finds in its environment, for example `AWS_SSO_REGION=eu-west-1`; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::shim_variable)]
    pub env: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub struct McpRemoveArgs {
    /// The client whose settings are meant, for this user
    pub client: Client,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
