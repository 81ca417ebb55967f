//! What scripts rely on around the answers: what is on which stream, what an argument
//! may look like. The exit codes: `contract`.

use awsso_e2e::{World, bin, finish, known};

#[tokio::test(flavor = "multi_thread")]
async fn data_is_on_stdout_words_on_stderr_and_a_pipe_sees_no_colour() {
    let world = World::logged_in().await;
    let run = world
        .fake_aws("echo out; echo err >&2")
        .run("aws sts x")
        .await;
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (Some(0), "out\n", "err\n")
    );

    let mut runs = vec![world.awsso(&["jobs", "watch", "nothing"]).await.code(1)];
    runs.push(world.awsso(&["nonsense"]).await.code(2));
    runs.push(world.awsso(&["ls-accounts", "--role"]).await.code(2));
    for run in &runs {
        assert_eq!(run.stdout, "");
    }
    // On this machine there is no keyring.
    let status = world.awsso(&["status"]).await.code(0);
    assert_eq!(status.stderr.lines().count(), 1, "{status:?}");
    runs.push(status.says("Logins are kept in a sealed file"));
    for args in [&["ls-accounts"][..], &["jobs", "list"], &["--help"]] {
        let run = world.awsso(args).await.code(0);
        assert_eq!(run.stderr, "", "{run:?}");
        runs.push(run);
    }
    for run in runs {
        assert!(
            !run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'),
            "{run:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_sees_colour_unless_no_color_is_set() {
    let world = World::new().await;
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    let on_a_terminal = async |no_color: &str| {
        let line = format!("{} jobs watch nothing", bin("awsso").display());
        let mut script = world.program("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm-256color");
        if !no_color.is_empty() {
            script.env("NO_COLOR", no_color);
        }
        finish(script, line).await.code(1).stdout
    };
    let plain = on_a_terminal("1").await;
    assert!(plain.contains("awsso: there is no job"), "{plain}");
    assert!(!plain.contains('\x1b'), "{plain:?}");
    assert!(on_a_terminal("").await.contains("\x1b["));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_argument_ends_with_code_2_and_its_own_words_before_anything_starts() {
    let world = World::new().await;
    let exec = ["exec-command", "--command", "aws sts x", "--role", "R"];
    let ssm = [
        "ec2-exec-command",
        "--command",
        "id",
        "--account",
        "production",
        "--role",
        "R",
    ];
    for (base, more, words) in [
        (
            &exec[..],
            &["--account", "12345"][..],
            "'12345' is not an account id (12 digits) or name",
        ),
        (
            &exec,
            &["--account-id", "1111222233334"],
            "'1111222233334' is not an account id",
        ),
        (&exec, &["--account", " "], "is not an account id"),
        (
            &exec,
            &["--account", "prod", "--region", "eu west"],
            "'eu west' is not a region",
        ),
        (
            &exec,
            &["--account", "prod", "--region", "evil.com/x"],
            "'evil.com/x' is not a region",
        ),
        (&exec, &["--account", "prod", "--role", ""], "--role"),
        (&exec, &["--account", "prod", "--timeout", "0"], "--timeout"),
        (
            &exec,
            &["--account", "prod", "--all-accounts"],
            "cannot be used with",
        ),
        (&exec, &["--role", "S"], "--account"),
        (&exec[..3], &["--all-accounts"], "--role"),
        (&exec, &["--account", "p*", "--parallel", "0"], "--parallel"),
        (&exec[..3], &[], "--account"),
        (&exec[..3], &["--account", "prod"], "--role"),
        (
            &ssm,
            &["--instance-id", "i-xyz"],
            "'i-xyz' is not an instance id",
        ),
        (
            &ssm,
            &["--instance-id", "i-0a1b2c3d;id"],
            "is not an instance id",
        ),
        (
            &ssm,
            &["--targets", "Name=web"],
            "is not of the form tag:KEY=VALUE",
        ),
        (&ssm, &[], "--instance-id"),
    ] {
        let run = world
            .awsso(&[base, more].concat())
            .await
            .code(2)
            .says(words);
        assert_eq!(run.stdout, "");
    }
    let none = world.awsso(&["daemon", "status"]).await.ok();
    assert_eq!(none, "awssod is not running\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_and_a_role_have_two_names_each_and_mean_the_same() {
    let world = World::logged_in().await;
    let id = async |account: &str, role: &str, name: &str| {
        let args = ["credential-process", account, name, role, known::READ_ONLY];
        world.awsso(&args).await.code(0).json()["AccessKeyId"].clone()
    };
    let first = id("--account", "--role", known::PRODUCTION).await;
    assert_eq!(
        id("--account-id", "--role-name", known::PRODUCTION).await,
        first
    );
    assert_eq!(id("--account", "--role-name", "production").await, first);
}

/// Finding, mapping and relocating libraries would be a third of its time.
#[test]
fn the_program_that_sdks_start_loads_no_library() {
    let ldd = std::process::Command::new("ldd").arg(bin("awsso")).output();
    let libraries = String::from_utf8(ldd.unwrap().stdout).unwrap();
    assert_eq!(libraries.trim(), "statically linked");
}

/// A stream that is closed at the start stays one that nobody reads: what is written to it never reaches a file or
/// the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_started_without_streams_does_what_it_was_asked() {
    let world = World::logged_in().await;
    for closed in ["<&-", ">&-", "<&- >&- 2>&-"] {
        let line = format!("exec {} ls-accounts {closed}", bin("awsso").display());
        let mut shell = world.program("sh");
        shell.args(["-c", &line]);
        let run = finish(shell, line).await.code(0);
        assert_eq!(run.stdout.is_empty(), closed.contains('>'), "{run:?}");
    }
}
