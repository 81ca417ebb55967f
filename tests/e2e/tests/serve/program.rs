//! The program beside which `awsso` stays: its SDKs, environment, terminal,
//! signals and end.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use awsso_e2e::{
    World, finish,
    known::{ADMIN, PRODUCTION},
    sandbox::Config,
};

use super::{ASKED, Known, Waiting, python, serve};

/// For a shell: waits until the process that started it catches SIGHUP, the last of its signals.
const READY: &str = "until grep -q '^SigCgt:.*[13579bdf]$' /proc/$PPID/status; do :; done";

#[tokio::test(flavor = "multi_thread")]
async fn sdks_go_on_over_three_lifetimes_of_their_credentials() {
    let world = World::logged_in_to(Config {
        credential_lifetime: Duration::from_secs(8),
        ..Config::default()
    })
    .await;
    let calls = "import boto3\n\
        session = boto3.Session()\n\
        sts, keys = session.client('sts'), set()\n\
        while len(keys) < 4:\n \
        arn = sts.get_caller_identity()['Arn']\n \
        keys.add(session.get_credentials().get_frozen_credentials().access_key)\n\
        print(arn)";
    let script = "set -e\n\
        aws sts get-caller-identity --query Arn --output text\n\
        \"$1\" -c \"$2\"\n\
        aws sts get-caller-identity --query Arn --output text";
    let run = serve(&world, &["sh", "-c", script, "sh", &python(), calls]);
    let run = finish(run, "exec --serve".into()).await.code(0);
    let arns: Vec<_> = run.stdout.lines().collect();
    assert_eq!(arns.len(), 3, "{run:#?}");
    for arn in arns {
        assert!(arn.contains(PRODUCTION) && arn.contains(ADMIN), "{arn}");
    }
    assert_eq!(run.stderr, "");
    assert!(world.sandbox.count(ASKED) >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_has_the_endpoint_and_nothing_that_wins_over_it() {
    let world = World::logged_in().await;
    let aws = world.home().join(".aws");
    std::fs::create_dir_all(&aws).unwrap();
    let mine = "[default]\naws_access_key_id = AKIAMINE\naws_secret_access_key = x\n";
    std::fs::write(aws.join("credentials"), mine).unwrap();
    let line = [
        "sh",
        "-c",
        "aws sts get-caller-identity && cat \"$AWS_CONFIG_FILE\" >&2 && env >&2",
    ];
    let mut command = serve(&world, &line);
    command
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAMINE")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/mine")
        .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/mine");
    let run = finish(command, "exec --serve".into()).await.code(0);
    assert_eq!(run.json()["Account"], PRODUCTION);
    let (config, environment) = run.stderr.split_at("[default]\nregion = eu-west-1\n".len());
    assert_eq!(config, "[default]\nregion = eu-west-1\n");
    assert!(!environment.contains("/mine") && !environment.contains("AKIAMINE"));
    for secret in world.sandbox.issued_secrets() {
        assert!(!environment.contains(&secret), "keys in the environment");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_and_its_files_are_there_as_long_as_the_program() {
    let world = World::logged_in().await;
    let child = Waiting::start(&world, "exit 7").await;
    assert_eq!(child.known.get().await.0, 200);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&child.config), 0o600);
    assert_eq!(mode(child.config.parent().unwrap()), 0o700);
    let (host, token) = (child.known.host.clone(), child.known.token.clone());
    let config = child.config.clone();
    let run = child.end().await.code(7);
    assert_eq!(run.stderr, "");
    Known { host, token }.is_closed().await;
    assert!(!config.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_signals_are_those_of_the_program() {
    let world = World::logged_in().await;
    let run = async |line: &[&str]| finish(serve(&world, line), format!("{line:?}")).await;
    let _ = run(&["sh", "-c", "exit 3"]).await.code(3);
    let _ = run(&["sh", "-c", "kill -KILL $$"]).await.code(128 + 9);
    // To us, not to the program: it is handed on.
    for (name, code) in [("TERM", 31), ("HUP", 32)] {
        let script =
            format!("trap 'exit {code}' {name}\n{READY}; kill -{name} $PPID; while :; do :; done");
        let _ = run(&["sh", "-c", &script]).await.code(code);
    }
    // Ctrl-C is the program's own business.
    let script = format!("trap 'echo interrupted' INT\n{READY}; kill -INT $PPID $$; echo goes on");
    let told = run(&["sh", "-c", &script]).await.ok();
    assert_eq!(told, "interrupted\ngoes on\n");
    let _ = run(&["no-such-program"]).await.code(127).says("not found");
    let _ = world.awsso(&["logout"]).await.ok();
    let _ = run(&["echo", "ran"]).await.code(125).says("awsso login");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_and_its_ctrl_c_are_the_programs() {
    let world = World::logged_in().await;
    let press = "import os, pty, sys\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])\n\
        shown = b''\n\
        while b'ready' not in shown: shown += os.read(terminal, 1024)\n\
        os.write(terminal, b'\\x03')\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let script = format!(
        "trap 'exit 7' INT\n{READY}; for fd in 0 1 2; do test -t $fd || exit 9; done\n\
         echo ready; while :; do :; done"
    );
    let line = serve(&world, &["sh", "-c", &script]);
    let mut python = world.program(python());
    python
        .args(["-c", press])
        .arg(line.as_std().get_program())
        .args(line.as_std().get_args());
    let _ = finish(python, "a terminal".into()).await.code(7);
}
