//! `awsso exec-command`: one AWS CLI command, run by the daemon as if here.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason, environment,
    v1::{AwsCliWork, StartJobRequest, start_job_request::Work},
};

use crate::{args::ExecCommandArgs, context::Context, exit::Stop, run::order};

pub async fn run(context: &Context, args: ExecCommandArgs) -> Result<u8, Stop> {
    let work = work(args.command)?;
    let request = StartJobRequest {
        work: Some(Work::AwsCli(work)),
        time_limit: args.timeout.map(time_limit),
        ..StartJobRequest::default()
    };
    order(context, "exec-command", args.places, &args.run, request).await
}

/// A command, to be run in this folder and environment.
pub(super) fn work(command: String) -> Result<AwsCliWork, Failure> {
    Ok(AwsCliWork {
        command,
        working_directory: working_directory()?,
        environment: environment::listed(environment::FOR_AWS_CLI).collect(),
    })
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
