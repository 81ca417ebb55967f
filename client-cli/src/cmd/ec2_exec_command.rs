//! `awsso ec2-exec-command`: a shell command on instances, over SSM.

use awsso_proto::v1::{SsmWork, StartJobRequest, start_job_request::Work};

use super::exec_command::time_limit;
use crate::{
    args::Ec2ExecCommandArgs,
    context::Context,
    exit::Stop,
    pick,
    run::{self, Output},
};

pub async fn run(context: &Context, args: Ec2ExecCommandArgs) -> Result<u8, Stop> {
    let target = pick::target(context, "ec2-exec-command", args.target).await?;
    let output = if args.instance_ids.len() == 1 && !context.json {
        Output::Live
    } else {
        Output::Kept
    };
    let work = SsmWork {
        command: args.command,
        instance_ids: args.instance_ids,
        targets: args.targets,
    };
    let request = StartJobRequest {
        target: Some(target),
        work: Some(Work::Ssm(work)),
        time_limit: args.timeout.map(time_limit),
    };
    let client = context.connect().await?;
    let ended = run::start(&client, request, output).await?;
    ended.print(context.json)?;
    Ok(ended.exit_code())
}
