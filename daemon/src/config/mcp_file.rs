//! `~/.mcp/configs.json`, where the settings of MCP servers are kept.

use std::path::PathBuf;

use serde::Deserialize;
use tracing::warn;

use super::{SessionSettings, sessions::DEFAULT_SSO_REGION};

/// The keys of `~/.mcp/configs.json` that are ours, best first.
const MCP_KEYS: [&str; 3] = [
    "aws-sso",
    "@aashari/mcp-server-aws-sso",
    "mcp-server-aws-sso",
];

/// The session that it names, as the peer reads it: the first of three keys that
/// has `environments`.
pub fn read(path: &PathBuf) -> Option<SessionSettings> {
    #[derive(Deserialize)]
    struct Entry {
        environments: serde_json::Map<String, serde_json::Value>,
    }
    let text = super::read(path).ok().flatten()?;
    let table: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            warn!(file = %path.display(), %error, "passed over: not a JSON object");
            return None;
        }
    };
    let entry = MCP_KEYS
        .iter()
        .filter_map(|key| table.get(*key))
        .find_map(|value| Entry::deserialize(value).ok())?;
    let text = |name: &str| {
        entry
            .environments
            .get(name)
            .and_then(serde_json::Value::as_str)
            .filter(|value| !value.is_empty())
    };
    Some(SessionSettings {
        start_url: text("AWS_SSO_START_URL")?.to_owned(),
        region: text("AWS_SSO_REGION")
            .or_else(|| text("AWS_REGION"))
            .unwrap_or(DEFAULT_SSO_REGION)
            .to_owned(),
        login_flow: None,
    })
}
