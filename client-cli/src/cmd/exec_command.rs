//! `awsso exec-command`: one AWS CLI command, run by the daemon as if here.

use std::{collections::HashMap, ffi::OsString, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{AwsCliWork, StartJobRequest, start_job_request::Work},
};

use crate::{
    args::ExecCommandArgs,
    context::Context,
    exit::Stop,
    run::{self, Output},
};

/// What the AWS CLI gets to see of our environment: names, and prefixes that
/// end in `*`.
const SENT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TERM",
    "COLUMNS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_*",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_PAGER",
    "AWS_DEFAULT_OUTPUT",
    "AWS_CLI_*",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
];

pub async fn run(context: &Context, args: ExecCommandArgs) -> Result<u8, Stop> {
    let target = context.target("exec-command", args.target)?;
    let work = AwsCliWork {
        command: args.command,
        working_directory: working_directory()?,
        environment: sent(std::env::vars_os()),
    };
    let request = StartJobRequest {
        target: Some(target),
        work: Some(Work::AwsCli(work)),
        time_limit: args.timeout.map(time_limit),
    };
    let output = if context.json {
        Output::Kept
    } else {
        Output::Live
    };
    let client = context.connect().await?;
    let ended = run::start(&client, request, output).await?;
    ended.print(context.json)?;
    Ok(ended.exit_code())
}

pub(super) fn time_limit(seconds: u32) -> prost_types::Duration {
    prost_types::Duration::try_from(Duration::from_secs(seconds.into()))
        .expect("a u32 of seconds fits")
}

fn working_directory() -> Result<String, Failure> {
    let invalid = |why: &str| {
        Failure::new(
            Reason::InvalidArgument,
            format!("the working directory {why}"),
        )
    };
    let dir = std::env::current_dir().map_err(|error| invalid(&format!("is gone: {error}")))?;
    dir.into_os_string()
        .into_string()
        .map_err(|_| invalid("has a name that is not UTF-8"))
}

fn sent(vars: impl Iterator<Item = (OsString, OsString)>) -> HashMap<String, String> {
    vars.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            SENT.iter().any(|entry| match entry.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == entry,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aws_cli_gets_its_settings_and_no_keys() {
        let vars = [
            "PATH",
            "LC_ALL",
            "https_proxy",
            "AWS_CLI_AUTO_PROMPT",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_ENDPOINT_URL",
            "LD_PRELOAD",
        ];
        let mut names: Vec<_> = sent(vars.iter().map(|name| (name.into(), "x".into())))
            .into_keys()
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["AWS_CLI_AUTO_PROMPT", "LC_ALL", "PATH", "https_proxy"]
        );
    }
}
