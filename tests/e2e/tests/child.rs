//! The AWS CLI's process: its streams, its end, and what it gets to see.

use std::collections::BTreeMap;

use awsso_e2e::{FakeAws, World, finish};

/// The environment that the AWS CLI was started with.
const SHOW_ENVIRONMENT: &str = "tr '\\0' '\\n' < /proc/$$/environ";

fn variables(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(|line| line.split_once('=').unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_streams_come_byte_for_byte_however_long() {
    let world = World::logged_in().await;
    // Binary, no UTF-8, and of a length that no buffer has.
    let bytes = |factor: u32| -> Vec<u8> {
        (0..10_000_003_u32)
            .map(|at| at.wrapping_mul(factor).to_le_bytes()[2])
            .collect()
    };
    let (out, err) = (bytes(2_654_435_761), bytes(40_503));
    std::fs::write(world.dir().join("out"), &out).unwrap();
    std::fs::write(world.dir().join("err"), &err).unwrap();
    let dir = world.dir().display();
    let aws = world.fake_aws(&format!("cat {dir}/err >&2 & cat {dir}/out; wait"));
    let output = aws.output("aws x").await;
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == out, "{} bytes", output.stdout.len());
    assert!(output.stderr == err, "{} bytes", output.stderr.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_the_childs_and_a_signal_is_128_and_its_number() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("eval \"$1\"");
    for code in [0, 1, 2, 3, 100, 124, 125, 126, 127, 128, 130, 254, 255] {
        let ended = aws.run(&format!("aws 'exit {code}'")).await.code(code);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        let _ = aws
            .run(&format!("aws 'kill -{signal} $$'"))
            .await
            .code(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_is_null_the_folder_is_the_clients_and_the_group_its_own() {
    let world = World::logged_in().await;
    let here = world.dir().join("a folder");
    std::fs::create_dir(&here).unwrap();
    let aws = world.fake_aws(
        "readlink /proc/$$/fd/0; readlink /proc/$$/cwd; echo $$; cut -d' ' -f5 /proc/$$/stat; ls /proc/$$/fd",
    );
    let mut exec = aws.exec("aws x");
    exec.current_dir(&here).stdin(std::process::Stdio::piped());
    let printed = finish(exec, "aws x".into()).await.ok();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "/dev/null");
    assert_eq!(lines[1], here.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(lines[2], lines[3], "it leads its process group");
    // 10: the shell's own hold on its script.
    let inherited: Vec<_> = lines[4..].iter().filter(|fd| **fd != "10").collect();
    assert_eq!(
        inherited,
        [&"0", &"1", &"2"],
        "no descriptor of the daemon's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_the_allowed_part_of_the_clients_and_the_keys() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(SHOW_ENVIRONMENT);
    let mut exec = aws.exec("aws x");
    exec.env("LC_ALL", "C.UTF-8")
        .env("AWS_CA_BUNDLE", "/some/ca.pem")
        .env("AWS_CLI_FILE_ENCODING", "UTF-8")
        .env("NO_PROXY", "127.0.0.1")
        // None of these may get there.
        .env("AWS_PROFILE", "mine")
        .env("AWS_DEFAULT_PROFILE", "mine")
        .env("AWS_ACCESS_KEY_ID", "AKIACLIENT")
        .env("AWS_SECRET_ACCESS_KEY", "client")
        .env("AWS_SESSION_TOKEN", "client")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9")
        .env("AWS_PAGER", "less")
        .env("AWSSO_LOG", "info")
        .env("GITHUB_TOKEN", "ghp")
        .env("PYTHONPATH", "/evil")
        .env("BASH_ENV", "/evil");
    let printed = finish(exec, "aws x".into()).await.ok();
    let seen = variables(&printed);
    let names: Vec<_> = seen.keys().copied().collect();
    assert_eq!(
        names,
        [
            "AWS_ACCESS_KEY_ID",
            "AWS_CA_BUNDLE",
            "AWS_CLI_FILE_ENCODING",
            "AWS_DEFAULT_REGION",
            "AWS_EC2_METADATA_DISABLED",
            "AWS_ENDPOINT_URL",
            "AWS_PAGER",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "HOME",
            "LANG",
            "LC_ALL",
            "NO_PROXY",
            "PATH",
        ]
    );
    let secrets = world.sandbox.issued_secrets();
    assert!(secrets.iter().any(|s| s == seen["AWS_SECRET_ACCESS_KEY"]));
    assert!(secrets.iter().any(|s| s == seen["AWS_SESSION_TOKEN"]));
    assert_ne!(seen["AWS_ACCESS_KEY_ID"], "AKIACLIENT");
    assert_eq!(seen["AWS_ENDPOINT_URL"], world.sandbox.base_url());
    assert_eq!(seen["AWS_PAGER"], "");
    assert_eq!(seen["AWS_REGION"], world.sandbox.region());
    assert_eq!(seen["AWS_DEFAULT_REGION"], world.sandbox.region());
    assert_eq!(seen["HOME"], world.home().to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grandchild_that_holds_the_pipe_does_not_hold_up_the_end() {
    let world = World::logged_in().await;
    let aws = world.fake_aws("sleep 600 & echo done");
    let started = std::time::Instant::now();
    let ended = aws.run("aws x").await;
    assert_eq!(ended.ok(), "done\n");
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_repeated_shows_nothing_of_the_first_try() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(&refused_once(&world, "RunInstances"));
    let ended = aws.run("aws ec2 run-instances --count 1").await.code(0);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("second\n", "")
    );
    assert_eq!(tries(&world), 2);
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_may_have_done_something_runs_once() {
    let world = World::logged_in().await;
    once(
        &world,
        &world.fake_aws(&refused_once(&world, "PutObject")),
        "aws s3 cp a s3://b",
    )
    .await;
    once(
        &world,
        &world.fake_aws(&refused_once(&world, "DescribeStacks")),
        "aws cloudformation deploy --stack-name x",
    )
    .await;
    let printed_before = format!("echo begun\n{}", refused_once(&world, "RunInstances"));
    once(
        &world,
        &world.fake_aws(&printed_before),
        "aws ec2 run-instances",
    )
    .await;
    let another_code =
        refused_once(&world, "RunInstances").replace("ExpiredToken", "SignatureDoesNotMatch");
    once(
        &world,
        &world.fake_aws(&another_code),
        "aws ec2 run-instances",
    )
    .await;
    assert_eq!(world.sandbox.count("sso.GetRoleCredentials"), 1);
}

async fn once(world: &World, aws: &FakeAws<'_>, command: &str) {
    let _ = std::fs::remove_file(world.dir().join("tries")); // not there at first
    let _ = aws.run(command).await.code(254).says("An error occurred (");
    assert_eq!(tries(world), 1, "{command}");
}

/// Says at first that AWS did not take the keys, then that all went well.
fn refused_once(world: &World, operation: &str) -> String {
    format!(
        "echo x >> {tries}; [ $(wc -l < {tries}) = 2 ] && echo second && exit 0\n\
         echo >&2; echo 'An error occurred (ExpiredToken) when calling the {operation} operation: old' >&2\n\
         exit 254",
        tries = world.dir().join("tries").display()
    )
}

fn tries(world: &World) -> usize {
    let tries = std::fs::read_to_string(world.dir().join("tries")).unwrap();
    tries.lines().count()
}
