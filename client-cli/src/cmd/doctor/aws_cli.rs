//! The AWS CLI that `exec-command` runs, and its plug-in for interactive sessions.

use std::{io, time::Duration};

use super::{Check, Finding};
use crate::version;

/// Version 1 starts a whole Python.
const LIMIT: Duration = Duration::from_secs(6);
/// Older ones do not know `sso_session` in a profile. Version 2 says so in its changes
/// of 2.9.0 (aws/aws-cli, `.changes/2.9.0.json`: "Add support for loading sso-session
/// profiles"); version 1 has it from botocore 1.29.10 (`.changes/1.29.10.json`), which
/// came with 1.27.10.
const OLDEST: [Version; 2] = [(1, 27, 10), (2, 9, 0)];

type Version = (u32, u32, u32);

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
            Check::warn(Finding::AwsCliMissing, summary, install)
        }
        Said::Nothing => {
            let summary = "aws in PATH does not say its version";
            Check::warn(Finding::AwsCliSilent, summary, "run: aws --version")
        }
        Said::Text(text) => match parsed(&text) {
            None => {
                let summary = format!("aws in PATH is not the AWS CLI: it says {text:?}");
                Check::warn(Finding::AwsCliForeign, summary, install)
            }
            Some(found) if is_too_old(found) => {
                let (major, minor, patch) = found;
                let summary = format!(
                    "the AWS CLI is {major}.{minor}.{patch}: it does not know profiles with an sso_session"
                );
                Check::warn(Finding::AwsCliOld, summary, install)
            }
            Some(_) => {
                let version = text.split_whitespace().next().unwrap_or_default();
                Check::ok(Finding::AwsCliUsable, version.replace('/', " "))
            }
        },
    }
}

/// Nothing of ours needs it.
async fn plugin() -> Check {
    match version("session-manager-plugin").await {
        Said::Text(_) | Said::Nothing => Check::ok(Finding::PluginPresent, "it is there"),
        Said::Missing => Check::ok(
            Finding::PluginAbsent,
            "it is not there: only aws ssm start-session needs it",
        ),
    }
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
fn parsed(text: &str) -> Option<Version> {
    let version = text.strip_prefix("aws-cli/")?.split_whitespace().next()?;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some((next()?, next()?, next()?))
}

fn is_too_old(found: Version) -> bool {
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
            ("aws-cli/1.27.9 Python/3.8", true),
            ("aws-cli/1.27.10 Python/3.8", false),
            ("aws-cli/2.8.13 Python/3.9", true),
            ("aws-cli/2.9.0 Python/3.9", false),
            ("aws-cli/3.0.0 x", false),
        ] {
            assert_eq!(is_too_old(parsed(text).unwrap()), old, "{text}");
        }
        assert_eq!(parsed("usage: aws"), None);
    }
}
