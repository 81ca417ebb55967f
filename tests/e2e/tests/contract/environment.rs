//! Variables, files and sockets by their names, and which of several sources is heard.
//!
//! Modes and owners: `trust`; where the daemon is looked for: `daemon`; the region:
//! `target`; each source of a session by itself: `sources`; what a child gets: `child`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use awsso_e2e::{
    Run, Shim, World, bin, finish,
    known::{ADMIN, PRODUCTION},
};
use serde_json::json;

/// A file of sessions of these names, all of them in the sandbox.
fn sessions(world: &World, names: &[&str]) -> String {
    let (url, region) = (world.sandbox.start_url(), world.sandbox.region());
    let session =
        |name: &&str| format!("[session.{name}]\nstart_url = \"{url}\"\nregion = \"{region}\"\n");
    names.iter().map(session).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_comes_from_two_variables_and_its_region_from_aws_region_if_need_be() {
    let world = World::new().await;
    let (url, region) = (world.sandbox.start_url(), world.sandbox.region());
    let url = url.as_str();
    for vars in [
        [
            ("AWS_SSO_START_URL", url),
            ("AWS_SSO_REGION", region),
            ("AWS_REGION", "us-east-2"),
        ],
        [
            ("AWS_SSO_START_URL", url),
            ("AWS_SSO_REGION", ""),
            ("AWS_REGION", region),
        ],
    ] {
        let status = world
            .awsso_unnamed(&vars, &["status", "--json"])
            .await
            .code(0)
            .json();
        let listed = status["sessions"].as_array().unwrap();
        let ours = |session: &&serde_json::Value| {
            session["startUrl"] == url && session["region"] == region
        };
        assert_eq!(listed.iter().filter(ours).count(), 1, "{status:#}");
    }
    let login = ["login", "--no-launch-browser"];
    let vars = [("AWS_SSO_START_URL", url), ("AWS_REGION", region)];
    let _ = world.awsso_unnamed(&vars, &login).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let world = World::new().await;
    let file = sessions(&world, &["by-flag", "by-variable", "by-file"]);
    world.configure(&format!("default_session = \"by-file\"\n{file}"));
    let variable = [("AWSSO_SESSION", "by-variable")];
    for (vars, flags, meant) in [
        (&variable[..], &["--session", "by-flag"][..], "by-flag"),
        (&variable, &[], "by-variable"),
        (&[], &[], "by-file"),
    ] {
        let run = world
            .awsso_unnamed(vars, &[&["ls-accounts"], flags].concat())
            .await;
        let _ = run.code(3).says(&format!("run: awsso login {meant}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn awsso_config_names_the_file_and_awsso_socket_the_socket() {
    let world = World::new().await;
    world.configure(&sessions(&world, &["usual"]));
    let file = world.dir().join("elsewhere.toml");
    fs::write(&file, sessions(&world, &["elsewhere"])).unwrap();
    let socket = world.dir().join("place/s");
    let vars = [
        ("AWSSO_CONFIG", file.to_str().unwrap()),
        ("AWSSO_SOCKET", socket.to_str().unwrap()),
    ];
    let status = world
        .awsso_unnamed(&vars, &["status", "--json"])
        .await
        .code(0)
        .json();
    let names: Vec<_> = status["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["elsewhere"]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&socket), mode(socket.parent().unwrap())),
        (0o600, 0o700)
    );
    assert!(!world.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_and_no_file_of_its_folder_says_where_aws_is() {
    let world = World::logged_in().await;
    let folder = world.dir().join("project");
    fs::create_dir_all(folder.join(".aws")).unwrap();
    let nowhere = "http://127.0.0.1:9";
    for (name, text) in [
        (".env", format!("AWS_ENDPOINT_URL={nowhere}\n")),
        (
            "config.toml",
            "[network]\nproxy = \"http://127.0.0.1:9\"\n".to_owned(),
        ),
        (
            ".aws/config",
            format!("[default]\nendpoint_url = {nowhere}\n"),
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let mut awsso = world.program(bin("awsso"));
    awsso
        .args(["ls-accounts", "--refresh"])
        .current_dir(&folder)
        .env("AWS_ENDPOINT_URL", nowhere)
        .env("AWS_ENDPOINT_URL_SSO", nowhere)
        .env("AWS_ENDPOINT_URL_SSO_OIDC", nowhere)
        .env("HTTPS_PROXY", nowhere)
        .env("AWS_CA_BUNDLE", "/nowhere")
        .env("AWS_USE_FIPS_ENDPOINT", "true");
    let listed = finish(awsso, "ls-accounts".into()).await.ok();
    assert!(listed.contains(PRODUCTION), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_never_gives_its_own_keys() {
    let world = World::logged_in().await;
    world.write(
        ".aws/config",
        &format!(
            "[profile mine]\nsso_start_url = {}\nsso_region = {}\nsso_account_id = {PRODUCTION}\n\
             sso_role_name = {ADMIN}\naws_access_key_id = AKIAOWN\naws_secret_access_key = own\n",
            world.sandbox.start_url(),
            world.sandbox.region()
        ),
    );
    let vars = [("AWS_PROFILE", "mine"), ("AWS_ACCESS_KEY_ID", "AKIAOWN")];
    let keys = world
        .awsso_unnamed(&vars, &["credential-process"])
        .await
        .code(0)
        .json();
    assert!(
        keys["AccessKeyId"].as_str().unwrap().starts_with("ASIA"),
        "{keys}"
    );
    assert_eq!(keys["AccountId"], PRODUCTION);
}

/// What stands in the log of the only shim.
fn log_of_shim(world: &World) -> String {
    let logs = fs::read_dir(world.state().join("logs")).unwrap().flatten();
    let mut ours = logs.filter(|it| it.file_name().to_string_lossy().starts_with("awsso-mcp-"));
    let log = fs::read_to_string(ours.next().unwrap().path()).unwrap();
    assert!(ours.next().is_none());
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn awsso_log_and_debug_raise_the_levels_of_the_logs() {
    for (variable, value) in [
        ("DEBUG", "true"),
        ("DEBUG", "1"),
        ("AWSSO_LOG", "debug"),
        ("DEBUG", "0"),
    ] {
        let world = World::new().await;
        let mut command = world.program(bin("awsso-mcp"));
        command.env(variable, value);
        let mut shim = Shim::legacy(command).await;
        let _ = shim.call("aws_sso_status", json!({})).await.ok();
        drop(shim);
        let is_raised = value != "0";
        assert_eq!(
            log_of_shim(&world).contains("DEBUG"),
            is_raised,
            "{variable}={value}"
        );
        let daemon = fs::read_to_string(world.state().join("logs/awssod.log")).unwrap();
        assert_eq!(
            daemon.contains("DEBUG"),
            variable == "AWSSO_LOG",
            "{variable}={value}"
        );
    }
}

/// Names of what is in a folder, in order.
fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|it| it.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_their_names_and_places() {
    let world = World::logged_in().await;
    let _ = world.fake_aws("echo out").run("aws x").await.ok();
    let http = world.http_shim(&[]).await;
    let answer = http.call(1, "aws_sso_status", json!({})).await;
    assert_eq!(answer["result"]["isError"], false, "{answer:#}");
    let state = names(&world.state());
    for name in [
        "audit.jsonl",
        "journal",
        "logs",
        "mcp-http.token",
        "outputs",
        "sessions",
    ] {
        assert!(state.iter().any(|it| it == name), "no {name} in {state:?}");
    }
    let logs = names(&world.state().join("logs"));
    assert!(logs.iter().any(|it| it == "awssod.log"), "{logs:?}");
    assert!(
        logs.iter().any(|it| it.starts_with("awsso-mcp-")),
        "{logs:?}"
    );
    assert!(names(&world.runtime().join("awsso")).contains(&"awssod.sock".to_owned()));
    let token = fs::metadata(world.state().join("mcp-http.token")).unwrap();
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_of_the_configuration_is_a_warning_and_no_failure() {
    let world = World::new().await;
    world.configure("colour = \"red\"\n[session.corp]\nstart_url = \"https://corp.awsapps.com/start\"\nregion = \"eu-west-1\"\nshade = 3\n[limits]\nrun_seconds = 60\n[aliases]\nprod = \"111122223333\"\n[store]\nkind = \"file\"\n[network]\n");
    let status: Run = world.awsso_unnamed(&[], &["status", "--json"]).await;
    assert_eq!(status.code(0).json()["sessions"][0]["name"], "corp");
    let log = world.awsso(&["daemon", "logs"]).await.ok();
    for key in ["colour", "shade"] {
        let warned = |line: &&str| line.contains("WARN") && line.contains(key);
        assert!(log.lines().any(|line| warned(&line)), "{key}: {log}");
    }
}
