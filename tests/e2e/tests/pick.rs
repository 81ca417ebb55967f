//! The picker, on a terminal: what is seen, what the keys do, and that stdout
//! and the terminal are as they were.

use std::time::Duration;

use awsso_e2e::{
    OnTerminal, World,
    known::{ADMIN, PRODUCTION, READ_ONLY, STAGING},
    process::signal,
};

const DOWN: &str = "\x1b[B";
const ENTER: &str = "\r";
const ESCAPE: &str = "\x1b";
const CTRL_C: &str = "\x03";

async fn world() -> World {
    World::of_accounts(13).await
}

/// Of which account and role the keys on stdout are.
async fn assert_keys_of(world: &World, stdout: &str, account: &str, role: &str) {
    let told = [
        "env",
        "--shell",
        "bash",
        "--account",
        account,
        "--role",
        role,
    ];
    assert_eq!(world.awsso(&told).await.ok(), stdout, "{account} {role}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_and_then_a_role_are_found_by_a_few_letters() {
    let world = world().await;
    let ended = OnTerminal::start(&world, "env --shell bash")
        .at("Account:", "stag")
        .await
        .at("Account: stag ", ENTER)
        .await
        .at("Role:", "rdonl")
        .await
        .at("Role: rdonl ", ENTER)
        .await
        .end()
        .await
        .code(0);
    assert_keys_of(&world, &ended.stdout, STAGING, READ_ONLY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_found_by_its_id_and_by_its_e_mail_address() {
    let world = world().await;
    for letters in ["4444555", "aws+stag"] {
        let seen = format!("Account: {letters} ");
        let ended = OnTerminal::start(&world, "env --shell bash --role ReadOnly")
            .at("Account:", letters)
            .await
            .at(&seen, ENTER)
            .await
            .end()
            .await
            .code(0);
        assert_keys_of(&world, &ended.stdout, STAGING, READ_ONLY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_last_is_the_first_and_one_key_away() {
    let world = world().await;
    for (account, role) in [(PRODUCTION, ADMIN), (STAGING, READ_ONLY)] {
        let used = ["env", "--account", account, "--role", role];
        let _ = world.awsso(&used).await.ok();
    }
    let first = format!("staging ({STAGING}) · {READ_ONLY}");
    let ended = OnTerminal::start(&world, "env --shell bash")
        .at(&first, ENTER)
        .await
        .end()
        .await
        .code(0);
    assert_keys_of(&world, &ended.stdout, STAGING, READ_ONLY).await;

    let second = format!("production ({PRODUCTION}) · {ADMIN}");
    let ended = OnTerminal::start(&world, "env --shell bash")
        .at(&second, DOWN)
        .await
        .at(&format!("> {second}"), ENTER)
        .await
        .end()
        .await
        .code(0);
    assert_keys_of(&world, &ended.stdout, PRODUCTION, ADMIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_is_asked_for() {
    let world = world().await;
    let role = format!("env --shell bash --account {STAGING}");
    let ended = OnTerminal::start(&world, &role)
        .at("Role:", "rdonl")
        .await
        .at("Role: rdonl ", ENTER)
        .await
        .end()
        .await
        .code(0);
    assert!(!ended.stderr.contains("Account:"), "{ended:?}");
    assert_keys_of(&world, &ended.stdout, STAGING, READ_ONLY).await;

    let glob = "env --shell bash --account 'p*'";
    let ended = OnTerminal::start(&world, glob)
        .at("Account:", "rodu")
        .await
        .at("Account: rodu ", ENTER)
        .await
        .at("Role:", ENTER)
        .await
        .end()
        .await
        .code(0);
    assert!(!ended.stderr.contains("staging"), "{ended:?}");
    assert_keys_of(&world, &ended.stdout, PRODUCTION, ADMIN).await;

    // Only production has this role.
    let ended = OnTerminal::start(&world, "env --shell bash --role NoSSMInventory")
        .at("Account:", ENTER)
        .await
        .end()
        .await
        .code(0);
    assert!(!ended.stderr.contains("Role:"), "{ended:?}");
    assert!(!ended.stderr.contains("payments"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_no_account_has_is_left_to_the_configuration() {
    let world = world().await;
    let ended = OnTerminal::start(&world, "env --role deploy");
    let ended = ended.end().await.code(2).says("--account");
    assert!(!ended.stderr.contains("Account:"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_offered_while_their_roles_come_in() {
    let world = World::of_accounts(400).await;
    world
        .sandbox
        .faults()
        .set_latency(Duration::from_millis(500));
    let _ = OnTerminal::start(&world, "env")
        .at("Account:", CTRL_C)
        .await
        .end()
        .await
        .code(130);
    let asked = world.sandbox.count("sso.ListAccountRoles");
    assert!(asked < 400, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn escape_and_ctrl_c_leave_nothing_behind() {
    let world = world().await;
    for (keys, args) in [
        (ESCAPE, "env"),
        (CTRL_C, "env"),
        (CTRL_C, "exec -- touch ran"),
        (
            CTRL_C,
            "ec2-exec-command --instance-id i-0a1b2c3d4e5f60001 --command id",
        ),
        (
            ESCAPE,
            "exec-command --command 'aws sts get-caller-identity'",
        ),
    ] {
        let ended = OnTerminal::start(&world, args)
            .at("Account:", keys)
            .await
            .end()
            .await
            .code(130);
        assert_eq!(ended.stdout, "", "{args}");
        assert!(!ended.stderr.contains("awsso:"), "{ended:?}");
    }
    assert!(!world.home().join("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_question_and_leaves_the_terminal_as_it_was() {
    let world = world().await;
    for name in ["TERM", "INT"] {
        let terminal = OnTerminal::start(&world, "env").at("Account:", "").await;
        signal(terminal.pid(), name);
        // Its mode is compared at the end.
        let ended = terminal.end().await.code(130);
        assert_eq!(ended.stdout, "", "{name}");
        let (_, last) = ended.stderr.rsplit_once("\u{1b}[?25").unwrap();
        assert!(last.starts_with('h'), "the cursor is shown: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_never_asked() {
    let world = world().await;
    for args in ["env --json", "credential-process", "exec --json -- true"] {
        let ended = OnTerminal::start(&world, args).end().await.code(2);
        assert!(!ended.stderr.contains("Account:"), "{args}");
    }
    // Nobody is at the keyboard.
    for args in [
        &["env"][..],
        &["env", "--account", STAGING],
        &["exec", "--", "true"],
    ] {
        let _ = world.awsso(args).await.code(2).says("--role");
    }
    for args in [
        &["env", "--role", READ_ONLY][..],
        &["credential-process", "--role", READ_ONLY],
        &["exec", "--role", READ_ONLY, "--", "true"],
        &["exec-command", "--role", READ_ONLY, "--command", "aws x"],
    ] {
        let _ = world.awsso(args).await.code(2).says("--account");
    }
}
