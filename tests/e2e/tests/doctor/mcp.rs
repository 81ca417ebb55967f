//! What is wrong with awsso in the settings of MCP clients, one by one.

use awsso_e2e::{World, bin, finish, process::script};
use serde_json::{Value, json};

use super::{Checks, doctor, set_mode};

/// Cursor's settings, what doctor says of them, and how bad it is. `HOME` is the home.
type Trap = (&'static str, fn(&str) -> Value, &'static str, &'static str);

fn ours(command: &str) -> Value {
    json!({ "awsso": { "command": command } })
}

const TRAPS: &[Trap] = &[
    (
        "mcp-missing-program",
        |home| ours(&format!("{home}/gone/awsso-mcp")),
        "fail",
        "awsso-mcp is not there",
    ),
    (
        "mcp-not-executable",
        |home| ours(&format!("{home}/plain/awsso-mcp")),
        "fail",
        "cannot be executed",
    ),
    (
        "mcp-other-version",
        |home| ours(&format!("{home}/old/awsso-mcp")),
        "warn",
        "is version 0.0.1, this is",
    ),
    (
        "mcp-no-answer",
        |home| ours(&format!("{home}/silent/awsso-mcp")),
        "fail",
        "does not say its version",
    ),
    (
        "mcp-relative-path",
        |_| ours("awsso-mcp"),
        "warn",
        "is no absolute path",
    ),
    (
        "mcp-wrapper",
        |_| json!({ "awsso": { "command": "/usr/bin/env", "args": ["awsso-mcp"] } }),
        "warn",
        "through \"/usr/bin/env\"",
    ),
    (
        "mcp-other-program",
        |_| ours("/bin/true"),
        "warn",
        "it starts \"/bin/true\", not awsso-mcp",
    ),
    (
        "mcp-switched-off",
        |_| {
            let command = bin("awsso-mcp").display().to_string();
            json!({ "awsso": { "command": command, "disabled": true } })
        },
        "warn",
        "is told not to start it",
    ),
    (
        "mcp-several-entries",
        |_| {
            let entry = json!({ "command": bin("awsso-mcp").display().to_string() });
            json!({ "awsso": entry, "again": entry })
        },
        "warn",
        "every tool is there 2 times",
    ),
    (
        "mcp-old-server",
        |_| {
            let args = ["-y", "@aashari/mcp-server-aws-sso"];
            json!({ "sso": { "command": "npx", "args": args } })
        },
        "warn",
        "is still there, and its tools have the names of ours",
    ),
];

fn cursor(world: &World, servers: &Value) {
    let settings = json!({ "mcpServers": servers });
    world.write(".cursor/mcp.json", &settings.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_settings_of_a_client_is_told() {
    let world = World::new().await;
    let home = world.home();
    for (dir, body) in [
        ("plain", ""),
        ("old", "echo awsso-mcp 0.0.1"),
        ("silent", "exit 0"),
    ] {
        std::fs::create_dir(home.join(dir)).unwrap();
        script(&home.join(dir).join("awsso-mcp"), body);
    }
    set_mode(&home.join("plain/awsso-mcp"), 0o600);
    for (finding, servers, status, words) in TRAPS {
        cursor(&world, &servers(&home.display().to_string()));
        let checks = doctor(&world).await;
        checks.have((finding, status, words, "c"));
        let about = |check: &&&Value| check["id"] == "mcp";
        let complaints = checks.complaints();
        assert_eq!(complaints.iter().filter(about).count(), 1, "{checks:#?}");
    }
    world.write(".cursor/mcp.json", "{ no json");
    doctor(&world)
        .await
        .have(("mcp-unreadable-file", "fail", "Cursor: ", "correct"));
    cursor(&world, &ours(&bin("awsso-mcp").display().to_string()));
    doctor(&world)
        .await
        .have(("mcp-ready", "ok", "Cursor can start awsso-mcp", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_clients_that_hang_hold_doctor_up_for_a_while_only() {
    let world = World::new().await;
    let program = world.home().join("awsso-mcp");
    script(&program, "exec sleep 600");
    let entry = ours(&program.display().to_string());
    let settings = json!({ "mcpServers": entry }).to_string();
    for file in [
        ".cursor/mcp.json",
        ".codeium/windsurf/mcp_config.json",
        ".gemini/settings.json",
        ".claude.json",
    ] {
        world.write(file, &settings);
    }
    doctor(&world).await.have((
        "mcp-not-looked-at",
        "warn",
        "it took longer than 9 s",
        "once more",
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_home_that_is_said_and_the_rest_is_looked_at() {
    let world = World::new().await;
    let mut homeless = world.program(bin("awsso"));
    homeless
        .args(["doctor", "--json"])
        .env("HOME", "not-a-home")
        .env("XDG_STATE_HOME", world.home().join(".local/state"))
        .env("XDG_CONFIG_HOME", world.home().join(".config"));
    let run = finish(homeless, "doctor without a home".into()).await;
    let checks = Checks(run.code(0).json()["checks"].as_array().unwrap().clone());
    checks.have((
        "mcp-no-home",
        "warn",
        "nothing says where your home folder is",
        "set HOME",
    ));
    checks.have(("aws-cli-usable", "ok", "aws-cli", ""));
}
