//! The AWS CLI that `exec-command` runs, and its plug-in for interactive sessions.

use std::{io, time::Duration};

use super::Check;
use crate::version;

const ID: &str = "aws-cli";
/// Version 1 starts a whole Python.
const LIMIT: Duration = Duration::from_secs(6);
/// Older ones do not know `sso_session` in a profile.
const OLDEST: [(u32, u32); 2] = [(1, 27), (2, 9)];

pub async fn checks() -> Vec<Check> {
    let (aws, plugin) = tokio::join!(aws(), plugin());
    vec![aws, plugin]
}

async fn aws() -> Check {
    let install =
        "install version 2: docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
    match version("aws").await {
        Said::Missing => {
            let summary = "no AWS CLI is in PATH: exec-command has nothing to run";
            Check::warn(ID, summary, install)
        }
        Said::Nothing => {
            let summary = "aws in PATH does not say its version";
            Check::warn(ID, summary, "run: aws --version")
        }
        Said::Text(text) => match parsed(&text) {
            None => {
                let summary = format!("aws in PATH is not the AWS CLI: it says {text:?}");
                Check::warn(ID, summary, install)
            }
            Some(found) if is_too_old(found) => {
                let (major, minor) = found;
                let summary = format!(
                    "the AWS CLI is {major}.{minor}: it does not know profiles with an sso_session"
                );
                Check::warn(ID, summary, install)
            }
            Some(_) => {
                let version = text.split_whitespace().next().unwrap_or_default();
                Check::ok(ID, version.replace('/', " "))
            }
        },
    }
}

/// Nothing of ours needs it.
async fn plugin() -> Check {
    const ID: &str = "session-manager-plugin";
    Check::ok(
        ID,
        match version("session-manager-plugin").await {
            Said::Text(_) | Said::Nothing => "it is there",
            Said::Missing => "it is not there: only aws ssm start-session needs it",
        },
    )
}

enum Said {
    Text(String),
    Nothing,
    Missing,
}

async fn version(program: &str) -> Said {
    match version::printed(program, LIMIT).await {
        Ok(text) => match text.lines().next() {
            Some(line) => Said::Text(line.chars().take(100).collect()),
            None => Said::Nothing,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Said::Missing,
        Err(_) => Said::Nothing,
    }
}

/// `aws-cli/2.15.30 Python/3.11.8 …`
fn parsed(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("aws-cli/")?.split_whitespace().next()?;
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn is_too_old(found: (u32, u32)) -> bool {
    let of_its_line = OLDEST.iter().find(|oldest| oldest.0 == found.0);
    of_its_line.is_some_and(|oldest| found < *oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_versions_has_its_oldest() {
        for (text, old) in [
            ("aws-cli/1.45.11 Python/3.11.2 Linux/6.1", false),
            ("aws-cli/1.26.9 Python/3.8", true),
            ("aws-cli/2.8.13 Python/3.9", true),
            ("aws-cli/2.9.0 Python/3.9", false),
            ("aws-cli/3.0.0 x", false),
        ] {
            assert_eq!(is_too_old(parsed(text).unwrap()), old, "{text}");
        }
        assert_eq!(parsed("usage: aws"), None);
    }
}
