//! Exit codes that are decided by what was run: one program, one instance, many.
//!
//! Signals and every code of a child: `child`, `exec`; what AWS denies the AWS CLI, and
//! an AWS CLI that is not there: `exec_command`.

use awsso_e2e::{
    World, finish,
    known::{ADMIN, LINUX, PRODUCTION, READ_ONLY, WINDOWS},
};

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_run_decides_and_126_and_127_say_that_it_was_not() {
    let world = World::logged_in().await;
    let not_run = async |exec: &[&str], program: &str| {
        let args = [exec, &TARGET, &["--", program]].concat();
        world.awsso(&args).await
    };
    let _ = not_run(&["exec"], "/etc").await.code(126);
    let _ = not_run(&["exec"], "/nowhere").await.code(127);
    let _ = not_run(&["exec", "--serve"], "/etc").await.code(126);
    let _ = not_run(&["exec", "--serve"], "/nowhere").await.code(127);
    for code in [0, 1, 2, 5, 42, 125] {
        let aws = world.fake_aws(&format!("exit {code}"));
        let _ = aws.run("aws sts x").await.code(code);
        let exit = format!("exit {code}");
        let here = [&["exec"], &TARGET[..], &["--", "sh", "-c", &exit]].concat();
        let _ = world.awsso(&here).await.code(code);
        let there = ["--instance-id", LINUX, "--command", &exit];
        let there = [&["ec2-exec-command"], &TARGET[..], &there].concat();
        let _ = world.awsso(&there).await.code(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_0_is_all_1_is_none_6_is_some() {
    let world = World::logged_in().await;
    let on = async |instances: &[&str], command: &str| {
        let mut args = [&["ec2-exec-command", "--command", command], &TARGET[..]].concat();
        for instance in instances {
            args.extend(["--instance-id", instance]);
        }
        world.awsso(&args).await
    };
    let _ = on(&[LINUX, WINDOWS], "hostname").await.code(0);
    let _ = on(&[LINUX, WINDOWS], "uptime").await.code(6);
    let _ = on(&[LINUX, WINDOWS], "nonsense-of-ours").await.code(1);

    let everywhere = [
        "exec-command",
        "--all-accounts",
        "--role",
        READ_ONLY,
        "--command",
        "aws x",
    ];
    let only = "[ $AWS_REGION = eu-west-1 ] || exit 9";
    for (script, code) in [("true", 0), ("exit 9", 1), (only, 6)] {
        let mut many = world.fake_aws(script).awsso(&everywhere);
        many.args(["--region", "eu-west-1", "--region", "us-east-1"]);
        let _ = finish(many, script.to_owned()).await.code(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_watched_tells_only_whether_it_succeeded() {
    let world = World::logged_in().await;
    for (script, code) in [("true", 0), ("exit 42", 1)] {
        let mut exec = world.fake_aws(script).exec("aws x");
        exec.arg("--detach");
        let id = finish(exec, script.to_owned()).await.ok();
        let _ = world.awsso(&["jobs", "watch", id.trim()]).await.code(code);
        let _ = world.awsso(&["jobs", "output", id.trim()]).await.code(0);
    }
}
