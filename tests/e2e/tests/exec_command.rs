//! `exec-command` from the outside: the real AWS CLI, how a command line becomes
//! words, and what is refused before anything runs.

use awsso_e2e::{
    World, finish,
    known::{ADMIN, NO_S3, PRODUCTION, STAGING},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_real_aws_cli_runs_as_the_role_and_a_query_keeps_its_quotes() {
    let world = World::logged_in().await;
    let (who, buckets, data) = tokio::join!(
        world.aws(PRODUCTION, ADMIN, "aws sts get-caller-identity"),
        world.aws(PRODUCTION, ADMIN, "aws s3 ls"),
        world.aws(
            STAGING,
            ADMIN,
            "aws s3api list-buckets --output text --query \"Buckets[?contains(Name, 'data')].Name\"",
        ),
    );
    let who = who.code(0);
    assert_eq!(who.stderr, "");
    assert_eq!(who.json()["Account"], PRODUCTION);
    assert!(who.json()["Arn"].as_str().unwrap().contains(ADMIN));
    let buckets = buckets.ok();
    assert!(buckets.contains("111122223333-artifacts"), "{buckets}");
    assert!(buckets.contains("111122223333-data"), "{buckets}");
    assert_eq!(data.ok(), "444455556666-data\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_denies_names_the_accounts_other_roles() {
    let world = World::logged_in().await;
    let denied = world.aws(PRODUCTION, NO_S3, "aws s3 ls").await;
    // The AWS CLI's own code, of version 1 or 2.
    assert!(matches!(denied.code, Some(254 | 255)), "{denied:#?}");
    assert_eq!(denied.stdout, "");
    let _ = denied
        .says("An error occurred (AccessDenied) when calling the ListBuckets operation")
        .says("other roles in this account: AdministratorAccess, NoSSMInventory, ReadOnly");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_reach_the_aws_cli_as_a_posix_shell_would_make_them() {
    let world = World::logged_in().await;
    let aws = world.fake_aws(r#"printf '<%s>' "$@""#);
    for (command, words) in [
        ("aws s3  ls", "<s3><ls>"),
        (
            r#"aws x --query "R[?S=='a b'].[A]" '' "\"q\"" a\ b"#,
            r#"<x><--query><R[?S=='a b'].[A]><><"q"><a b>"#,
        ),
        (
            "aws x '$(id)|;&<>`id`' Values=web-* $HOME",
            "<x><$(id)|;&<>`id`><Values=web-*><$HOME>",
        ),
        ("aws x \\\n --y", "<x><--y>"),
    ] {
        assert_eq!(aws.run(command).await.ok(), words, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_shell_could_do_is_refused_with_a_hint_and_nothing_runs() {
    let world = World::logged_in().await;
    let ran = world.dir().join("ran");
    let aws = world.fake_aws(&format!("touch {}", ran.display()));
    for command in [
        "aws s3 ls | head",
        "aws s3 ls; id",
        "aws s3 ls && id",
        "aws s3 ls &",
        "aws s3 ls $(id)",
        "aws s3 ls \"`id`\"",
        "aws s3 ls\nid",
        "aws s3 ls > out",
        "aws s3 ls < in",
        "aws s3 ls 'x",
        "aws s3 ls \"x",
        "s3 ls",
        "/usr/bin/aws s3 ls",
        "A=1 aws s3 ls",
        "rm -r /",
    ] {
        let refused = aws.run(command).await.code(125).says("hint: ");
        assert_eq!(refused.stdout, "", "{command}");
    }
    assert!(!ran.exists());
    let listed = world.awsso(&["jobs", "list", "--json"]).await;
    assert_eq!(listed.json()["jobs"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_aws_cli_in_path_it_is_127_and_with_a_broken_one_126() {
    let world = World::logged_in().await;
    let empty = world.dir().join("empty");
    let broken = world.dir().join("broken");
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("aws"), "#!/bin/sh\n").unwrap();

    let aws = world.fake_aws("true");
    let with_path = |dir: &std::path::Path| {
        let mut exec = aws.exec("aws s3 ls");
        exec.env("PATH", dir);
        finish(exec, format!("PATH={}", dir.display()))
    };
    let _ = with_path(&empty).await.code(127).says("not in PATH");
    let _ = with_path(&broken)
        .await
        .code(126)
        .says("cannot be executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_or_an_account_that_is_not_there_is_told_with_what_would_be() {
    let world = World::logged_in().await;
    let _ = world
        .aws(PRODUCTION, "Adminn", "aws s3 ls")
        .await
        .code(125)
        .says("no role Adminn in account 111122223333")
        .says("AdministratorAccess, NoS3, NoSSMInventory, ReadOnly");
    let _ = world
        .aws("999999999999", ADMIN, "aws s3 ls")
        .await
        .code(125)
        .says("999999999999 is not among your accounts")
        .says("awsso ls-accounts");
}
