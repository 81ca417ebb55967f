//! `awsso ec2-exec-command`: a shell command on instances, over SSM.

use awsso_proto::v1::{SsmTarget, SsmWork, StartJobRequest, start_job_request::Work};

use super::exec_command::time_limit;
use crate::{
    args::{Ec2ExecCommandArgs, RemoteShell},
    context::Context,
    exit::Stop,
    run::order,
    terminal,
};

/// The SSM agent takes these codes for a wish, on Linux and macOS and on Windows.
const REBOOT_CODES: [&str; 2] = ["194", "3010"];

pub async fn run(context: &Context, args: Ec2ExecCommandArgs) -> Result<u8, Stop> {
    if let Some(code) = reboots_with(&args.command) {
        terminal::say(format_args!(
            "Warning: after \"exit {code}\" the SSM agent reboots the instance and runs the command again"
        ));
    }
    let mut targets = args.targets;
    if !args.names.is_empty() {
        targets.push(SsmTarget {
            key: "tag:Name".to_owned(),
            values: args.names,
        });
    }
    let shell = match args.shell {
        None => "",
        Some(RemoteShell::Bash) => "bash",
        Some(RemoteShell::Sh) => "sh",
    };
    let work = SsmWork {
        command: args.command,
        instance_ids: args.instance_ids,
        targets,
        shell: shell.to_owned(),
        strict: args.strict,
        working_directory: args.working_directory.unwrap_or_default(),
        delivery_limit: args.delivery_timeout.map(time_limit),
    };
    let request = StartJobRequest {
        work: Some(Work::Ssm(work)),
        time_limit: args.timeout.map(time_limit),
        ..StartJobRequest::default()
    };
    order(context, "ec2-exec-command", args.places, &args.run, request).await
}

/// A code with which the text may end, and which means more to the agent than to it.
fn reboots_with(text: &str) -> Option<&str> {
    let is_between = |c: char| c.is_whitespace() || ";&|(){}".contains(c);
    let mut words = text.split(is_between).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word == "exit" {
            let code = words.next().filter(|code| REBOOT_CODES.contains(code));
            if code.is_some() {
                return code;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_reboot_the_instance_is_noticed() {
        assert_eq!(reboots_with("make || exit 194"), Some("194"));
        assert_eq!(reboots_with("if ($x) {exit 3010}"), Some("3010"));
        for harmless in ["exit 1", "echo 194", "exit; 194x", "exited 194", ""] {
            assert_eq!(reboots_with(harmless), None, "{harmless}");
        }
    }
}
