//! The built shim beside what others have made for MCP: the official conformance
//! suite, the Inspector, and the Python, `FastMCP` and TypeScript clients.
//!
//! Left out of the conformance suite, and why:
//! - `server-stateless`, `completion-complete`, `tools-call-*`, `resources-read-*`,
//!   `resources-templates-read`, `prompts-get-*`, `elicitation-*`, `json-schema-2020-12`,
//!   `http-custom-header-server-validation`, `server-sse-polling` and the
//!   `input-required-result-*` that are not below call tools, resources and prompts of
//!   the suite's own example server by name;
//! - `logging-set-level`, `tools-call-sampling`, `resources-(un)subscribe`: not offered;
//! - `tasks-*`, `sep-2640-skills-*`: extensions that are not offered.

use awsso_e2e::{
    Client, World, bin,
    known::{PRODUCTION, READ_ONLY},
};
use futures_util::future::join_all;
use serde_json::json;

const LEGACY: &[&str] = &[
    "server-initialize",
    "server-session-lifecycle",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
];

const MODERN: &[&str] = &[
    "tools-list",
    "resources-list",
    "prompts-list",
    "caching",
    "dns-rebinding-protection",
    "http-header-validation",
    "sep-2164-resource-not-found",
    "server-sse-multiple-streams",
    "input-required-result-unsupported-methods",
    "input-required-result-missing-input-response",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
];

/// A scenario is a process of Node.js that mostly starts.
const AT_ONCE: usize = 3;

async fn conformance(scenarios: &[&str], version: &str) {
    let world = World::new().await;
    // The suite cannot send a token.
    let shim = world.http_shim(&["--no-token"]).await;
    let url = shim.url();
    let passes = async |scenario: &&str| {
        let args = ["server", "--url", &url, "--scenario", scenario];
        let args = [&args[..], &["--spec-version", version]].concat();
        let run = world.node("conformance", &args).await.code(0);
        assert!(run.stdout.contains(", 0 failed"), "{scenario}: {run:?}");
    };
    for together in scenarios.chunks(AT_ONCE) {
        join_all(together.iter().map(passes)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_in_the_older_era() {
    conformance(LEGACY, "2025-11-25").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_in_the_stateless_era() {
    conformance(MODERN, "2026-07-28").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_finds_nothing_to_complain_of() {
    let world = World::logged_in().await;
    let shim = bin("awsso-mcp");
    let shim = shim.to_str().unwrap();
    let inspect = async |args: &[&str]| {
        let args = [&["--cli"], args, &["--format", "json", "-q", shim]].concat();
        world.node("mcp-inspector", &args).await.code(0).json()
    };
    for (era, version) in [
        ("legacy", "2025-11-25"),
        ("modern", "2026-07-28"),
        ("auto", "2026-07-28"),
    ] {
        let hello = inspect(&["--protocol-era", era, "--method", "initialize"]).await;
        assert_eq!(hello["result"]["protocolVersion"], version, "{hello}");
    }
    // A schema that some model's API does not take would be a warning and exit code 6.
    let tools = inspect(&["--method", "tools/list", "--strict"]).await;
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 9);
    let status = ["--method", "tools/call", "--tool-name", "aws_sso_status"];
    let status = inspect(&status).await;
    let session = &status["result"]["structuredContent"]["sessions"][0];
    assert_eq!(session["state"], "active", "{status}");
}

/// A client is asked to show a link, its person logs in, and the call that asked
/// is answered with it; then it runs the real AWS CLI.
async fn logs_in(client: Client, era: &str, over_http: bool) {
    let world = World::waiting().await;
    let command = json!({
        "accountId": PRODUCTION, "roleName": READ_ONLY,
        "args": ["sts", "get-caller-identity", "--query", "Account", "--output", "text"],
    });
    let http = world.http_shim(&[]).await;
    let (url, stdio) = (http.url(), bin("awsso-mcp"));
    let server = if over_http {
        vec![url.as_str(), &http.token]
    } else {
        vec![stdio.to_str().unwrap()]
    };
    let running = world.client(client, era, &server, &command);
    let question = running.document("a question", |it| it["asked"].is_string());
    let (question, code) = tokio::join!(question, world.sandbox.device_code_requested());
    let link = question["asked"].as_str().unwrap();
    assert!(link.starts_with(world.sandbox.base_url()), "{link}");
    let message = question["message"].as_str().unwrap();
    assert!(
        message.contains(&code) && !link.contains(&code),
        "{question}"
    );
    assert!(world.sandbox.approve());
    let login = running
        .document("a login", |it| it["login"].is_object())
        .await;
    assert_eq!(login["login"]["state"], "logged_in", "{login}");
    let output = running.document("an output", |it| it["output"].is_string());
    let output = output.await["output"].to_string();
    assert!(
        output.contains(PRODUCTION) && output.contains("[exit 0 | "),
        "{output}"
    );
    let _ = running.end().await.code(0);
    assert_eq!(world.sandbox.count("ssooidc.StartDeviceAuthorization"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_drives_a_login_to_its_end_over_stdio() {
    let both = Client::ALL.map(|client| ["legacy", "auto"].map(|era| logs_in(client, era, false)));
    join_all(both.into_iter().flatten()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_drives_a_login_to_its_end_over_http() {
    let both = Client::ALL.map(|client| ["legacy", "auto"].map(|era| logs_in(client, era, true)));
    join_all(both.into_iter().flatten()).await;
}
