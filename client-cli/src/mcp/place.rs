//! Where each client keeps its settings, on each system. Pure.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::Client;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    Macos,
    Windows,
}

impl System {
    /// As `std::env::consts::OS` names it; every other Unix keeps its files as Linux does.
    pub fn named(os: &str) -> Self {
        match os {
            "macos" => Self::Macos,
            "windows" => Self::Windows,
            _ => Self::Linux,
        }
    }
}

/// What decides where files are.
pub struct Machine {
    pub system: System,
    pub home: PathBuf,
    pub variables: HashMap<String, String>,
    /// Windows: the folder of Claude Desktop's package, where it came as one.
    pub claude_package: Option<PathBuf>,
}

/// Where a client's settings are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// The client is there when one of these is.
    pub signs: Vec<PathBuf>,
    /// A second file in which it may find servers; never written.
    pub elsewhere: Option<PathBuf>,
}

impl Place {
    pub fn has_client(&self) -> bool {
        self.signs.iter().any(|sign| sign.exists())
    }
}

impl Machine {
    pub fn place(&self, client: Client) -> Place {
        let in_folder = |folder: PathBuf, file: &str| Place {
            file: folder.join(file),
            signs: vec![folder],
            elsewhere: None,
        };
        match client {
            Client::ClaudeDesktop => {
                let packaged = self.claude_package.as_ref();
                let folder = packaged.map(|it| it.join("LocalCache/Roaming/Claude"));
                let folder = folder.unwrap_or_else(|| self.settings("Claude"));
                in_folder(folder, "claude_desktop_config.json")
            }
            Client::ClaudeCode => {
                let folder = self.folder("CLAUDE_CONFIG_DIR");
                let file = folder.as_ref().unwrap_or(&self.home).join(".claude.json");
                let folder = folder.unwrap_or_else(|| self.home.join(".claude"));
                Place {
                    signs: vec![file.clone(), folder],
                    file,
                    elsewhere: None,
                }
            }
            Client::Cursor => in_folder(self.home.join(".cursor"), "mcp.json"),
            Client::Vscode => {
                let portable = self.folder("VSCODE_PORTABLE");
                let folder = portable.map(|it| it.join("user-data"));
                let folder = folder.unwrap_or_else(|| self.settings("Code"));
                in_folder(folder, "User/mcp.json")
            }
            Client::Continue => {
                let folder = self.folder("CONTINUE_GLOBAL_DIR");
                let folder = folder.unwrap_or_else(|| self.home.join(".continue"));
                Place {
                    file: folder.join("mcpServers/awsso.json"),
                    elsewhere: Some(folder.join("config.yaml")),
                    signs: vec![folder],
                }
            }
            Client::Zed => {
                let folder = match self.system {
                    System::Linux => self.settings("zed"),
                    System::Macos => self.home.join(".config/zed"),
                    System::Windows => self.settings("Zed"),
                };
                in_folder(folder, "settings.json")
            }
            Client::Windsurf => in_folder(self.home.join(".codeium/windsurf"), "mcp_config.json"),
            Client::Codex => {
                let folder = self.folder("CODEX_HOME");
                in_folder(
                    folder.unwrap_or_else(|| self.home.join(".codex")),
                    "config.toml",
                )
            }
            Client::Gemini => {
                let home = self.folder("GEMINI_CLI_HOME");
                let home = home.as_ref().unwrap_or(&self.home);
                in_folder(home.join(".gemini"), "settings.json")
            }
        }
    }

    /// A program's folder among the settings of the desktop's programs.
    fn settings(&self, program: &str) -> PathBuf {
        let settings = match self.system {
            System::Linux => self
                .folder("XDG_CONFIG_HOME")
                .unwrap_or_else(|| self.home.join(".config")),
            System::Macos => self.home.join("Library/Application Support"),
            System::Windows => self
                .folder("APPDATA")
                .unwrap_or_else(|| self.home.join("AppData/Roaming")),
        };
        settings.join(program)
    }

    /// What a variable names. A relative path would be another one in each folder.
    fn folder(&self, variable: &str) -> Option<PathBuf> {
        let value = self.variables.get(variable)?;
        let is_absolute = match self.system {
            System::Linux | System::Macos => value.starts_with('/'),
            System::Windows => {
                value
                    .get(1..3)
                    .is_some_and(|it| [":\\", ":/"].contains(&it))
                    || value.starts_with("\\\\")
            }
        };
        is_absolute.then(|| Path::new(value).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tables below say, in one form.
    fn file(system: System, client: Client, variables: &[(&str, &str)]) -> String {
        let home = match system {
            System::Linux => "/home/ann",
            System::Macos => "/Users/ann",
            System::Windows => "C:/Users/ann",
        };
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let machine = Machine {
            system,
            home: home.into(),
            variables: variables.collect(),
            claude_package: None,
        };
        machine
            .place(client)
            .file
            .to_string_lossy()
            .replace('\\', "/")
    }

    #[test]
    fn every_client_has_its_place_on_every_system() {
        let support = "/Users/ann/Library/Application Support";
        let roaming = "C:/Users/ann/AppData/Roaming";
        let desktop = "Claude/claude_desktop_config.json";
        for (client, linux, macos, windows) in [
            (
                Client::ClaudeDesktop,
                format!("/home/ann/.config/{desktop}"),
                format!("{support}/{desktop}"),
                format!("{roaming}/{desktop}"),
            ),
            (
                Client::Vscode,
                "/home/ann/.config/Code/User/mcp.json".to_owned(),
                format!("{support}/Code/User/mcp.json"),
                format!("{roaming}/Code/User/mcp.json"),
            ),
            (
                Client::Zed,
                "/home/ann/.config/zed/settings.json".to_owned(),
                "/Users/ann/.config/zed/settings.json".to_owned(),
                format!("{roaming}/Zed/settings.json"),
            ),
        ] {
            assert_eq!(file(System::Linux, client, &[]), linux);
            assert_eq!(file(System::Macos, client, &[]), macos);
            assert_eq!(file(System::Windows, client, &[]), windows);
        }
        for (client, rest) in [
            (Client::ClaudeCode, ".claude.json"),
            (Client::Cursor, ".cursor/mcp.json"),
            (Client::Continue, ".continue/mcpServers/awsso.json"),
            (Client::Windsurf, ".codeium/windsurf/mcp_config.json"),
            (Client::Codex, ".codex/config.toml"),
            (Client::Gemini, ".gemini/settings.json"),
        ] {
            for (system, home) in [
                (System::Linux, "/home/ann"),
                (System::Macos, "/Users/ann"),
                (System::Windows, "C:/Users/ann"),
            ] {
                assert_eq!(file(system, client, &[]), format!("{home}/{rest}"));
            }
        }
    }

    #[test]
    fn what_moves_a_clients_settings_moves_ours() {
        use System::{Linux, Macos, Windows};
        for (system, client, variable, value, expected) in [
            (
                Linux,
                Client::ClaudeDesktop,
                "XDG_CONFIG_HOME",
                "/x",
                "/x/Claude/claude_desktop_config.json",
            ),
            (
                Linux,
                Client::Zed,
                "XDG_CONFIG_HOME",
                "/x",
                "/x/zed/settings.json",
            ),
            (
                Macos,
                Client::Zed,
                "XDG_CONFIG_HOME",
                "/x",
                "/Users/ann/.config/zed/settings.json",
            ),
            (
                Linux,
                Client::Vscode,
                "VSCODE_PORTABLE",
                "/p",
                "/p/user-data/User/mcp.json",
            ),
            (
                Macos,
                Client::ClaudeCode,
                "CLAUDE_CONFIG_DIR",
                "/c",
                "/c/.claude.json",
            ),
            (Linux, Client::Codex, "CODEX_HOME", "/c", "/c/config.toml"),
            (
                Linux,
                Client::Codex,
                "CODEX_HOME",
                "c",
                "/home/ann/.codex/config.toml",
            ),
            (
                Windows,
                Client::Codex,
                "CODEX_HOME",
                "D:\\c",
                "D:/c/config.toml",
            ),
            (
                Windows,
                Client::Zed,
                "APPDATA",
                "\\\\files\\ann",
                "//files/ann/Zed/settings.json",
            ),
            (
                Linux,
                Client::Gemini,
                "GEMINI_CLI_HOME",
                "/g",
                "/g/.gemini/settings.json",
            ),
            (
                Linux,
                Client::Continue,
                "CONTINUE_GLOBAL_DIR",
                "/g",
                "/g/mcpServers/awsso.json",
            ),
        ] {
            assert_eq!(
                file(system, client, &[(variable, value)]),
                expected,
                "{variable}"
            );
        }
    }

    #[test]
    fn a_packaged_claude_desktop_reads_the_file_of_its_package() {
        let machine = Machine {
            system: System::Windows,
            home: "C:/Users/ann".into(),
            variables: HashMap::new(),
            claude_package: Some("C:/Users/ann/AppData/Local/Packages/Claude_pzs8sxrjxfjjc".into()),
        };
        let file = machine.place(Client::ClaudeDesktop).file;
        assert!(
            file.ends_with(
                "Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"
            ),
            "{}",
            file.display()
        );
    }
}
