//! The AI client: the same work through `awsso-mcp`, as a model asks for it.

use anyhow::ensure;
use awsso_e2e::known::{ADMIN, NO_S3, PRODUCTION, READ_ONLY, WINDOWS};
use serde_json::{Value, json};

use crate::{
    mcp::Client,
    stage::{Stage, bold, heading, line},
};

/// What a client finds without having been told.
const TOOLS: [&str; 5] = [
    "aws_sso_login",
    "aws_sso_status",
    "aws_sso_ls_accounts",
    "aws_sso_exec_command",
    "aws_sso_ec2_exec_command",
];

pub async fn play(stage: &Stage) -> anyhow::Result<()> {
    heading("An AI client that starts awsso-mcp")?;
    let mut client = Client::start(stage.program("awsso-mcp")).await?;
    introduce(&mut client).await?;
    for scene in scenes() {
        act(&mut client, scene).await?;
    }
    client.stop().await
}

async fn introduce(client: &mut Client) -> anyhow::Result<()> {
    line("")?;
    line(bold("-> initialize"))?;
    let server = &client.server;
    line(format_args!(
        "<- {} {}, protocol {}",
        text(&server["serverInfo"]["name"]),
        text(&server["serverInfo"]["version"]),
        text(&server["protocolVersion"])
    ))?;
    line("")?;
    line(bold("-> tools/list"))?;
    let list = client.request("tools/list", json!({})).await?;
    let tools = list["tools"].as_array().cloned().unwrap_or_default();
    for tool in &tools {
        let (name, title) = (text(&tool["name"]), text(&tool["title"]));
        line(format_args!("<- {name}: {title}"))?;
    }
    for name in TOOLS {
        let listed = tools.iter().any(|tool| tool["name"] == name);
        ensure!(listed, "tools/list: no {name}");
    }
    Ok(())
}

/// A tool call and what its answer must hold.
struct Scene {
    tool: &'static str,
    arguments: Value,
    says: &'static [&'static str],
    fails: bool,
}

fn scenes() -> [Scene; 6] {
    let [login, status, accounts, exec, ec2] = TOOLS;
    let scene = |tool, arguments, says| Scene {
        tool,
        arguments,
        says,
        fails: false,
    };
    let list = |role| json!({"accountId": PRODUCTION, "roleName": role, "command": "aws s3 ls"});
    let on_windows = json!({
        "instanceId": WINDOWS,
        "accountId": PRODUCTION,
        "roleName": ADMIN,
        "command": "hostname",
    });
    [
        scene(login, json!({"launchBrowser": false}), &["user_code="]),
        scene(status, json!({"waitSeconds": 20}), &["active"]),
        scene(accounts, json!({}), &[PRODUCTION, NO_S3]),
        scene(exec, list(READ_ONLY), &["111122223333-data", "exit 0"]),
        // A shell command changes something: a person decides about it.
        Scene {
            fails: true,
            ..scene(ec2, on_windows, &["APPROVAL_REQUIRED", "ssm:SendCommand"])
        },
        Scene {
            fails: true,
            ..scene(exec, list(NO_S3), &["AccessDenied", READ_ONLY, "exit 255"])
        },
    ]
}

async fn act(client: &mut Client, scene: Scene) -> anyhow::Result<()> {
    let Scene {
        tool,
        arguments,
        says,
        fails,
    } = scene;
    line("")?;
    line(bold(format_args!("-> {tool} {arguments}")))?;
    let call = json!({"name": tool, "arguments": arguments});
    let answer = client.request("tools/call", call).await?;
    let told = text(&answer["content"][0]["text"]);
    let failed = answer["isError"] == true;
    let mark = if failed { "<- (isError)" } else { "<-" };
    for (number, row) in told.lines().enumerate() {
        let mark = if number == 0 { mark } else { "  " };
        line(format!("{mark} {row}").trim_end())?;
    }
    ensure!(failed == fails, "{tool}: isError is {failed}");
    for word in says {
        ensure!(told.contains(word), "{tool}: did not say {word:?}");
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
