//! Where a session can come from, and which one a command means.

use awsso_e2e::{Run, World};
use serde_json::Value;

/// Names of `status --json`.
async fn names(world: &World) -> Vec<String> {
    let status = world
        .awsso_unnamed(&[], &["status", "--json"])
        .await
        .code(0)
        .json();
    let name = |session: &Value| session["name"].as_str().unwrap().to_owned();
    status["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect()
}

/// `corp` in `config.toml`, `dev` in the AWS config.
fn two_sessions(world: &World) {
    let (url, region) = (world.sandbox.start_url(), world.sandbox.region());
    world.configure(&format!(
            "[session.corp]\nstart_url = \"{url}\"\nregion = \"{region}\"\n[session.lab]\nstart_url = \"{url}\"\nregion = \"us-east-1\"\n"
        ),
    );
    world.write(
        ".aws/config",
        &format!(
            "[sso-session dev]\nsso_start_url = {url}\nsso_region = {region}\n\
             [profile web]\nsso_session = dev\nsso_account_id = 111122223333\n\
             sso_role_name = ReadOnly\nregion = eu-west-3\n"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_session_a_login_says_what_to_set() {
    let world = World::new().await;
    let run = world.awsso_unnamed(&[], &["login"]).await.code(1);
    let _ = run
        .says("no session is configured")
        .says("set AWS_SSO_START_URL and AWS_SSO_REGION");
    let status = world.awsso_unnamed(&[], &["status"]).await.code(0);
    let _ = status.says("No session is configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_url_that_cannot_be_one_is_refused_in_one_clear_line() {
    let world = World::new().await;
    for url in [
        "corp",
        "http://corp.awsapps.com/start",
        "ftp://corp",
        "https://",
    ] {
        let vars = [("AWS_SSO_START_URL", url), ("AWS_SSO_REGION", "eu-west-1")];
        let run = world.awsso_unnamed(&vars, &["login"]).await.code(2);
        let run = run.says(&format!("the start URL {url:?} is not an https URL"));
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
    let vars = [
        ("AWS_SSO_START_URL", "https://corp.awsapps.com/start"),
        ("AWS_SSO_REGION", "Europe/Ireland"),
    ];
    let _ = world
        .awsso_unnamed(&vars, &["login"])
        .await
        .code(2)
        .says("is not a region like eu-west-1");
    assert_eq!(
        world
            .sandbox
            .counts()
            .keys()
            .find(|key| key.starts_with("ssooidc")),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_url_that_aws_does_not_know_is_named() {
    let world = World::new().await;
    let url = format!("{}/elsewhere", world.sandbox.base_url());
    let vars = [
        ("AWS_SSO_START_URL", url.as_str()),
        ("AWS_SSO_REGION", "eu-west-1"),
    ];
    let run = world
        .awsso_unnamed(&vars, &["login", "--no-launch-browser"])
        .await;
    assert_ne!(run.code, Some(0), "{run:?}");
    let _ = run
        .says(&format!("AWS refuses the login at {url} in eu-west-1"))
        .says("check the start URL and the region");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_from_config_toml_and_from_the_aws_config() {
    let world = World::new().await;
    two_sessions(&world);
    assert_eq!(names(&world).await, ["corp", "dev", "lab"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_profile_is_a_session_also_with_the_consoles_form_of_the_url() {
    let world = World::new().await;
    let url = format!("{}/#/", world.sandbox.start_url());
    let profile = format!(
        "[profile old]\nsso_start_url = {url}\nsso_region = {}\n\
         sso_account_id = 111122223333\nsso_role_name = ReadOnly\n",
        world.sandbox.region()
    );
    world.write(".aws/config", &profile);
    let _ = world
        .awsso_unnamed(&[], &["login", "--no-launch-browser"])
        .await
        .ok();
    let run = world
        .awsso_unnamed(&[("AWS_PROFILE", "old")], &["env"])
        .await
        .ok();
    assert!(run.contains("AWS_ACCESS_KEY_ID"), "{run}");
    // The same place under its plain address is the same session.
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    assert_eq!(status["sessions"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["sessions"][0]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_of_the_mcp_file_is_a_session() {
    for key in [
        "aws-sso",
        "@aashari/mcp-server-aws-sso",
        "mcp-server-aws-sso",
    ] {
        let world = World::new().await;
        let text = serde_json::json!({key: {"environments": {
            "AWS_SSO_START_URL": world.sandbox.start_url(),
            "AWS_REGION": world.sandbox.region(),
        }}});
        world.write(".mcp/configs.json", &text.to_string());
        let status = world
            .awsso_unnamed(&[], &["status", "--json"])
            .await
            .code(0)
            .json();
        let session = &status["sessions"][0];
        assert_eq!(
            session["startUrl"],
            world.sandbox.start_url(),
            "{key}: {status}"
        );
        assert_eq!(session["region"], world.sandbox.region(), "{key}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_sessions_one_must_be_named() {
    let world = World::new().await;
    two_sessions(&world);
    let run = world.awsso_unnamed(&[], &["login"]).await.code(2);
    let run = run.says("several sessions are configured and none is named");
    for name in ["corp", "dev", "lab"] {
        assert!(run.stderr.contains(name), "{run:?}");
    }
    let _ = world
        .awsso_unnamed(&[], &["login", "nobody"])
        .await
        .code(1)
        .says("there is no session named \"nobody\"");

    let logged_in = |run: Run| run.ok().split(" until").next().unwrap().to_owned();
    let login = ["login", "--no-launch-browser"];
    let flag = world
        .awsso_unnamed(&[], &[&login[..], &["--session", "corp"]].concat())
        .await;
    assert_eq!(logged_in(flag), "Logged in to corp");
    let argument = world
        .awsso_unnamed(&[], &[&login[..], &["corp"]].concat())
        .await;
    assert_eq!(logged_in(argument), "Already logged in to corp");
    let variable = world
        .awsso_unnamed(&[("AWSSO_SESSION", "corp")], &login)
        .await;
    assert_eq!(logged_in(variable), "Already logged in to corp");
    let profile = world.awsso_unnamed(&[("AWS_PROFILE", "web")], &login).await;
    assert_eq!(logged_in(profile), "Logged in to dev");
    // The profile says the rest, too.
    let run = world
        .awsso_unnamed(&[("AWS_PROFILE", "web")], &["env"])
        .await
        .ok();
    assert!(run.contains("eu-west-3"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_config_toml_is_told_with_its_line_until_it_is_mended() {
    let world = World::new().await;
    two_sessions(&world);
    assert_eq!(names(&world).await, ["corp", "dev", "lab"]);
    let pid = world.daemon_pid().await;
    let whole = std::fs::read_to_string(world.home().join(".config/awsso/config.toml")).unwrap();
    for (text, line) in [
        (format!("{whole}[network\n"), 7),
        (format!("{whole}[limits]\nrun_seconds = \"long\"\n"), 8),
        ("[session.corp]\nstart_url = \"https://x\"\n".to_owned(), 1),
    ] {
        world.configure(&text);
        let run = world.awsso_unnamed(&[], &["status"]).await.code(2);
        let _ = run.says(&format!(".config/awsso/config.toml: line {line}: "));
    }
    world.configure(&whole);
    assert_eq!(names(&world).await, ["corp", "dev", "lab"]);
    assert_eq!(world.daemon_pid().await, pid);
}
