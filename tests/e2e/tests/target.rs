//! Which account, role and region a command means when it does not say.

use awsso_e2e::{
    World, finish,
    known::{ADMIN, PRODUCTION, READ_ONLY, STAGING},
    sandbox::Config,
};

/// A profile of the AWS CLI, and the session that it belongs to.
fn write_profile(world: &World) {
    let aws = world.home().join(".aws");
    std::fs::create_dir_all(&aws).unwrap();
    let text = format!(
        "[sso-session corp]\nsso_start_url = {}\nsso_region = {}\n\n\
         [profile dev]\nsso_session = corp\nsso_account_id = {STAGING}\nsso_role_name = {READ_ONLY}\n\
         region = ca-central-1\n",
        world.sandbox.start_url(),
        world.sandbox.region(),
    );
    std::fs::write(aws.join("config"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_region_comes_from_the_nearest_that_names_one() {
    let world = World::new().await;
    write_profile(&world);
    world.login().await;
    let aws = world.fake_aws("echo $AWS_REGION $AWS_DEFAULT_REGION");
    let flag = ["--region", "sa-east-1"];
    let variables = [
        ("AWS_REGION", "us-east-2"),
        ("AWS_DEFAULT_REGION", "us-west-1"),
        ("AWS_PROFILE", "dev"),
    ];
    let region = |flags: &'static [&'static str], skipped: usize| {
        let mut exec = aws.exec("aws x");
        exec.args(flags).envs(variables[skipped..].iter().copied());
        finish(exec, format!("{flags:?} {:?}", &variables[skipped..]))
    };
    let twice = |region: &str| format!("{region} {region}\n");

    assert_eq!(region(&[], 3).await.ok(), twice(world.sandbox.region()));
    let config = world.home().join(".config/awsso");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "region = \"ap-south-1\"\n").unwrap();
    assert_eq!(region(&[], 3).await.ok(), twice("ap-south-1"));
    assert_eq!(region(&[], 2).await.ok(), twice("ca-central-1"));
    assert_eq!(region(&[], 1).await.ok(), twice("us-west-1"));
    assert_eq!(region(&[], 0).await.ok(), twice("us-east-2"));
    assert_eq!(
        region(&["--region", "sa-east-1"], 0).await.ok(),
        twice(flag[1])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_gives_the_account_and_the_role_that_no_flag_names() {
    let world = World::new().await;
    write_profile(&world);
    world.login().await;
    let aws = world.fake_aws("true");
    let task = async |flags: &[&str]| {
        let mut exec = aws.awsso(&["exec-command", "--json", "--command", "aws x"]);
        exec.args(flags).env("AWS_PROFILE", "dev");
        let run = finish(exec, format!("{flags:?}")).await.code(0);
        run.json()["tasks"][0].take()
    };
    let by_profile = task(&[]).await;
    assert_eq!(by_profile["accountId"], STAGING);
    assert_eq!(by_profile["roleName"], READ_ONLY);
    assert_eq!(by_profile["region"], "ca-central-1");
    let by_flag = task(&["--account", PRODUCTION, "--role", ADMIN]).await;
    assert_eq!(by_flag["accountId"], PRODUCTION);
    assert_eq!(by_flag["roleName"], ADMIN);

    let without = finish(
        aws.awsso(&["exec-command", "--command", "aws x"]),
        "no profile".into(),
    );
    let _ = without.await.code(2).says("--account").says("--role");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_a_name_and_one_that_fits_several_lists_them() {
    let world = World::with(Config {
        accounts: 13,
        auto_approve: Some(std::time::Duration::ZERO),
        interval: std::time::Duration::from_secs(1),
        ..Config::default()
    })
    .await;
    world.login().await;
    let aws = world.fake_aws("true");
    let run = |account: &'static str| {
        let mut exec = aws.awsso(&["exec-command", "--json", "--command", "aws x"]);
        exec.args(["--role", ADMIN, "--account", account]);
        finish(exec, account.to_owned())
    };
    let id = |number: usize| world.sandbox.organization().accounts()[number].id.clone();
    for (name, meant) in [
        ("production", PRODUCTION.to_owned()),
        ("PRODUCTION", PRODUCTION.to_owned()),
        ("aws+staging@example.com", STAGING.to_owned()),
        ("Büro-IT 0004", id(4)),
        // Two names differ in their case only: the exact one is meant.
        ("payments 0006", id(6)),
    ] {
        let job = run(name).await.code(0).json();
        assert_eq!(job["tasks"][0]["accountId"], meant, "{name}");
    }
    let _ = run("PAYMENTS 0006")
        .await
        .code(125)
        .says("several accounts are named")
        .says(&id(6))
        .says(&id(12));
    let _ = run("prod")
        .await
        .code(125)
        .says("there is no account named \"prod\"")
        .says("production (111122223333)");
}
