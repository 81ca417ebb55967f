//! `awsso man`: the manual pages, a page for each command, for those who package awsso.

use clap::CommandFactory as _;

use crate::{
    args::{Args, ManArgs},
    exit::{self, Stop},
};

pub fn run(args: &ManArgs) -> Result<u8, Stop> {
    std::fs::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(Args::command(), &args.folder)?;
    Ok(exit::OK)
}
