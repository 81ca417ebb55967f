//! What is made of the command line itself: completion and manual pages.

use std::{ffi::OsString, path::PathBuf};

use clap::ValueEnum;

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell that is to evaluate the script
    pub shell: CompletionShell,
}

#[derive(Debug, clap::Args)]
pub struct CompleteArgs {
    pub shell: CompletionShell,
    /// The line up to the cursor, as the script of the shell gives it
    #[arg(last = true)]
    pub line: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder, which is made when it is not there
    pub folder: PathBuf,
}
