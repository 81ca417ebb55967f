//! Whose the folders and files are, who else may read or write them, and whether
//! a socket was left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use awsso_proto::{Endpoint, endpoint::config_file, ipc};

use super::{Check, Finding};
use crate::context;

/// Offenders that are named one by one.
const MANY: usize = 5;

/// The socket as it is before anybody starts a daemon.
pub async fn socket(endpoint: &Endpoint) -> Vec<Check> {
    let mut checks = Vec::new();
    for socket in endpoint.candidates() {
        let folder = ipc::folder_of(&socket);
        if folder.is_some_and(|folder| !folder.exists()) {
            continue;
        }
        if let Some(folder) = folder
            && let Err(failure) = ipc::check_private_dir(folder)
        {
            let cure = private(folder);
            checks.push(Check::fail(
                Finding::SocketFolderUnsafe,
                failure.message,
                cure,
            ));
            continue;
        }
        let shown = socket.display();
        match ipc::connect(&socket).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let summary = format!("{shown} was left behind by a daemon that was killed");
                let cure = "nothing: the next daemon replaces it; how the last one ended: awsso daemon logs";
                checks.push(Check::warn(Finding::SocketLeftBehind, summary, cure));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let summary = format!("{shown} is not yours: {error}");
                let cure = "remove it, or set AWSSO_SOCKET to one of your own";
                checks.push(Check::fail(Finding::SocketForeign, summary, cure));
            }
            Ok(_) | Err(_) => {}
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(Finding::SocketPrivate, "it is yours alone"));
    }
    checks
}

/// All that is ours, and what others' tokens lie in.
pub fn modes(state: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let sealed = state.join("sessions");
    for folder in [state, &sealed] {
        if folder.symlink_metadata().is_ok()
            && let Err(failure) = ipc::check_private_dir(folder)
        {
            checks.push(Check::fail(
                Finding::FolderUnsafe,
                failure.message,
                private(folder),
            ));
        }
    }
    let in_home = |rest: &str| context::home().map(|home| home.join(rest));
    let shared = in_home(".aws/sso/cache");
    let credentials = in_home(".aws/credentials");
    let of_folder = [Some(state.to_owned()), Some(sealed), shared];
    let files = of_folder.into_iter().flatten().flat_map(files_in);
    let open: Vec<_> = files
        .chain(credentials)
        .filter(|file| ipc::is_open_to_others(file).unwrap_or(false))
        .collect();
    checks.extend(open.iter().take(MANY).map(|file| {
        let summary = format!("{} is open to other users", file.display());
        Check::fail(Finding::FileOpen, summary, ipc::closing_command(file))
    }));
    if open.len() > MANY {
        let summary = format!("{} more files are open to other users", open.len() - MANY);
        checks.push(Check::fail(
            Finding::MoreFilesOpen,
            summary,
            "the same for each of them",
        ));
    }
    let config = config_file(&context::variable).ok();
    if let Some(config) = config
        && ipc::others_can_write(&config).unwrap_or(false)
    {
        let shown = config.display();
        let summary = format!("{shown} can be written by other users, so agents are refused");
        checks.push(Check::fail(
            Finding::ConfigurationWritable,
            summary,
            ipc::write_protecting_command(&config),
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            Finding::FilesPrivate,
            "what is secret is for you alone",
        ));
    }
    checks
}

fn files_in(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.is_file()).collect()
}

fn private(folder: &Path) -> String {
    format!(
        "if it is yours: {}; else remove it",
        ipc::closing_command(folder)
    )
}
