//! Looks at the settings of MCP clients on this machine, and changes nothing.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use awsso_proto::{Failure, Reason, error::key};

use super::{
    Client, NAME, Server,
    check::{self, Finding, Problem},
    place::{Machine, Place, System},
    program,
};
use crate::{context, settings_file::SettingsFile};

/// How a client stands.
pub struct Report {
    pub client: Client,
    pub file: PathBuf,
    pub is_installed: bool,
    /// Ours, whatever it is called; the one that is called as we call it first.
    pub entry: Option<Server>,
    pub findings: Vec<Finding>,
}

impl Machine {
    /// This one, as the environment of this process tells it.
    pub fn this() -> Result<Self, Failure> {
        let home = context::home().ok_or_else(|| {
            Failure::new(Reason::NotFound, "nothing says where your home folder is")
                .with(key::HINT, "set HOME")
        })?;
        let pair = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables: HashMap<_, _> = std::env::vars_os().filter_map(pair).collect();
        let system = System::named(std::env::consts::OS);
        let local = variables
            .get("LOCALAPPDATA")
            .filter(|_| system == System::Windows);
        Ok(Self {
            claude_package: local.and_then(|local| claude_package(Path::new(local))),
            system,
            home,
            variables,
        })
    }
}

fn claude_package(local: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(local.join("Packages")).ok()?;
    let mut packages = packages.filter_map(|package| Some(package.ok()?.path()));
    packages.find(|it| {
        let name = it.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("Claude_"))
    })
}

/// Looks at one client. Programs that are ours by name are asked for their version.
pub async fn survey(machine: &Machine, client: Client) -> Report {
    let Place {
        file, elsewhere, ..
    } = machine.place(client);
    let is_installed = machine.place(client).has_client();
    let text = SettingsFile::new(file.clone()).read();
    let servers = match &text {
        Ok(text) => client.servers(text).map_err(|it| it.to_string()),
        Err(failure) => Err(failure.message.clone()),
    };
    let servers = match servers {
        Ok(servers) => servers,
        Err(message) => {
            let finding = Finding {
                problem: Problem::UnreadableFile,
                entry: None,
                message,
                cure: format!("correct {}", file.display()),
            };
            return Report {
                client,
                file,
                is_installed,
                entry: None,
                findings: vec![finding],
            };
        }
    };
    let mut answers = HashMap::new();
    for server in servers.iter().filter(|it| check::is_ours(it)) {
        let command = &server.entry.command;
        if check::is_program(command) {
            answers.insert(command.clone(), program::answer(command).await);
        }
    }
    let answer = |command: &str| {
        answers
            .get(command)
            .cloned()
            .unwrap_or(check::Answer::Nothing)
    };
    let text = elsewhere
        .as_ref()
        .and_then(|path| fs::read_to_string(path).ok());
    let elsewhere = elsewhere.as_deref().zip(text.as_deref());
    let findings = check::findings(client, &file, &servers, elsewhere, &answer);
    let mut ours: Vec<_> = servers.into_iter().filter(check::is_ours).collect();
    ours.sort_by_key(|server| server.name != NAME);
    Report {
        client,
        file,
        is_installed,
        entry: ours.into_iter().next(),
        findings,
    }
}
