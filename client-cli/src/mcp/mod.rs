//! Our entry in the settings of MCP clients: where they stand, in which form,
//! and what is wrong with what is there. Nothing but `survey` and `program` asks
//! the machine; texts go in, texts come out.

pub mod check;
mod codex;
mod json;
mod jsonc;
pub mod place;
pub mod program;
mod survey;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use clap::ValueEnum;

pub use survey::{Report, survey};

/// What our entry is called.
pub const NAME: &str = "awsso";

/// A program that starts MCP servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    Vscode,
    Continue,
    Zed,
    Windsurf,
    Codex,
    Gemini,
}

impl Client {
    /// As its makers write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
            Self::Continue => "Continue",
            Self::Zed => "Zed",
            Self::Windsurf => "Windsurf",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// As the command line knows it.
    pub fn word(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How its settings are written.
    fn form(self) -> Form {
        let json = |servers, fixed| Form::Json(json::Form { servers, fixed });
        match self {
            Self::ClaudeCode => json("mcpServers", Some(("type", "stdio"))),
            Self::Vscode => json("servers", Some(("type", "stdio"))),
            Self::Zed => json("context_servers", Some(("source", "custom"))),
            Self::ClaudeDesktop | Self::Cursor | Self::Continue | Self::Windsurf | Self::Gemini => {
                json("mcpServers", None)
            }
            Self::Codex => Form::Codex,
        }
    }

    /// Every server in its settings.
    pub fn servers(self, text: &str) -> Result<Vec<Server>, Unreadable> {
        let (_, text) = marked(text);
        match self.form() {
            Form::Json(form) => form.servers(text),
            Form::Codex => codex::servers(text),
        }
    }

    /// Its settings with our entry as this one; what else the entry has stays.
    pub fn put(self, text: &str, entry: &Entry) -> Result<String, Unreadable> {
        let (mark, text) = marked(text);
        let new = match self.form() {
            Form::Json(form) => form.put(text, entry),
            Form::Codex => codex::put(text, entry),
        }?;
        Ok(format!("{mark}{new}"))
    }

    /// Its settings without our entry. When `before`, put the same way, gives the
    /// text, then nothing has happened since: it is what there was, to the byte.
    pub fn take(self, text: &str, before: &str) -> Result<String, Unreadable> {
        let ours = |text| -> Result<_, Unreadable> {
            let servers = self.servers(text)?;
            Ok(servers.into_iter().find(|server| server.name == NAME))
        };
        if let Some(server) = ours(text)?
            && matches!(ours(before), Ok(None))
            && self.put(before, &server.entry).is_ok_and(|put| put == text)
        {
            return Ok(before.to_owned());
        }
        let (mark, text) = marked(text);
        let new = match self.form() {
            Form::Json(form) => form.take(text),
            Form::Codex => codex::take(text),
        }?;
        Ok(format!("{mark}{new}"))
    }
}

/// The mark that Windows programs begin a UTF-8 file with, and what follows it.
fn marked(text: &str) -> (&str, &str) {
    let text_alone = text.trim_start_matches('\u{feff}');
    text.split_at(text.len() - text_alone.len())
}

enum Form {
    Json(json::Form),
    Codex,
}

/// How a client starts a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
}

/// An entry that stands in some settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    /// Its command is empty when the server is reached in another way.
    pub entry: Entry,
    /// The client is told not to start it.
    pub is_off: bool,
}

/// Settings that make no sense, or not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    line: usize,
    column: usize,
    what: String,
}

impl Unreadable {
    fn at(text: &str, place: usize, what: impl Into<String>) -> Self {
        let before = text.get(..place).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            what: what.into(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, what } = self;
        write!(f, "line {line}, column {column}: {what}")
    }
}
