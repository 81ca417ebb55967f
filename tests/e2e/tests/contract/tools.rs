//! The tools of `awsso-mcp`: their names and arguments, and what they answer: text,
//! and facts beside it where the contract says so.
//!
//! Over HTTP, with limits, and in every era of the protocol: the shim's own tests,
//! `mcp_clients` and `mcp_http`. What a cut answer says: `mcp_commands`.

use std::collections::BTreeSet;

use awsso_e2e::{
    Shim, World, assert_shape,
    known::{ADMIN, LINUX, PRODUCTION},
};
use serde_json::{Map, Value, json};

const COMMAND: &str = "command accountId roleName accounts roles region regions session \
                       timeoutSeconds waitSeconds maxChars";

/// A tool, the arguments that it cannot do without, the others, and whether it has
/// facts beside its text.
const TOOLS: [(&str, &str, &[&str], bool); 9] = [
    (
        "aws_sso_login",
        "",
        &["launchBrowser session force waitSeconds"],
        true,
    ),
    ("aws_sso_status", "", &["session waitSeconds"], true),
    (
        "aws_sso_ls_accounts",
        "",
        &["session filter cursor refresh"],
        true,
    ),
    (
        "aws_sso_read_command",
        "",
        &[COMMAND, "args filter format"],
        false,
    ),
    (
        "aws_sso_exec_command",
        "",
        &[COMMAND, "args filter format"],
        false,
    ),
    (
        "aws_sso_ec2_exec_command",
        "command",
        &[
            COMMAND,
            "instanceId instanceIds targets shell strict workingDirectory",
        ],
        false,
    ),
    (
        "aws_sso_job",
        "jobId",
        &["action waitSeconds maxChars"],
        false,
    ),
    (
        "aws_sso_output",
        "outputId",
        &["stream offset tail grep jq format maxChars"],
        false,
    ),
    ("aws_sso_logout", "confirm", &["session all"], true),
];

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect()
}

async fn tool(shim: &mut Shim, name: &str) -> Value {
    let mut tools = shim.tools().await.into_iter();
    tools.find(|tool| tool["name"] == name).unwrap()
}

/// What the schema of a tool's facts promises, as a shape.
fn shape_of(schema: &Value) -> Value {
    match schema["type"].as_str().unwrap() {
        "object" => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = schema["properties"].as_object().unwrap().iter();
            let fields = fields.map(|(name, schema)| {
                let may_be_missing = if required.contains(&json!(name)) {
                    ""
                } else {
                    "?"
                };
                (format!("{name}{may_be_missing}"), shape_of(schema))
            });
            Value::Object(fields.collect())
        }
        "array" => json!([shape_of(&schema["items"])]),
        "integer" => json!("number"),
        "boolean" => json!("bool"),
        "string" => match schema["enum"].as_array() {
            None => json!("string"),
            Some(words) => {
                let words = words.iter().map(|word| word.as_str().unwrap());
                json!(words.collect::<Vec<_>>().join("|"))
            }
        },
        other => panic!("no shape for {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_is_listed_with_its_arguments_and_no_other_is() {
    let world = World::new().await;
    let mut shim = world.legacy_shim().await;
    let listed = shim.tools().await;
    let names: Vec<_> = listed
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, TOOLS.map(|(name, ..)| name));
    for ((name, required, others, has_facts), tool) in TOOLS.iter().zip(&listed) {
        let arguments = &tool["inputSchema"];
        let all: BTreeSet<_> = others
            .iter()
            .flat_map(|it| words(it))
            .chain(words(required))
            .collect();
        assert_eq!(keys(&arguments["properties"]), all, "{name}");
        let needed: BTreeSet<String> =
            serde_json::from_value(arguments["required"].clone()).unwrap_or_default();
        assert_eq!(needed, words(required).collect(), "{name}");
        assert_eq!(tool["outputSchema"].is_object(), *has_facts, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_a_status_and_a_list_answer_text_and_the_facts_of_their_schemas() {
    let world = World::waiting().await;
    let mut shim = world.legacy_shim().await;
    let mut facts = async |name: &str, arguments: Value, certain: Value| {
        let mut shape = shape_of(&tool(&mut shim, name).await["outputSchema"]);
        for (key, value) in certain.as_object().unwrap() {
            shape.as_object_mut().unwrap().remove(&format!("{key}?"));
            shape[key] = value.clone();
        }
        let answer = shim.call(name, arguments).await;
        assert_ne!(answer.ok(), "", "{name}");
        assert_shape(answer.facts(), &shape);
        answer.facts().clone()
    };
    let arguments = json!({"launchBrowser": false});
    let pending = json!({
        "state": "pending", "userCode": "string", "verificationUri": "string",
        "verificationUriComplete": "string", "expiresAt": "instant", "flow": "device",
    });
    let _ = facts("aws_sso_login", arguments.clone(), pending.clone()).await;
    let status = facts("aws_sso_status", json!({}), json!({})).await;
    assert_eq!(status["sessions"][0]["state"], "login_pending");
    let mut prompt = pending;
    prompt.as_object_mut().unwrap().remove("state");
    assert_shape(&status["sessions"][0]["pendingLogin"], &prompt);

    assert!(world.sandbox.approve());
    let status = facts("aws_sso_status", json!({"waitSeconds": 40}), json!({})).await;
    assert_eq!(status["sessions"][0]["state"], "active");
    assert_shape(
        &status["sessions"][0]["accessTokenExpiresAt"],
        &json!("instant"),
    );
    let done = json!({"state": "logged_in", "expiresAt": "instant"});
    let _ = facts("aws_sso_login", json!({}), done).await;
    let listed = facts(
        "aws_sso_ls_accounts",
        json!({}),
        json!({"fetchedAt": "instant"}),
    )
    .await;
    assert_eq!(
        (&listed["complete"], &listed["remaining"]),
        (&json!(true), &json!(0))
    );
    let _ = facts("aws_sso_logout", json!({"confirm": true}), json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_printed_and_every_failure_are_text_only() {
    let world = World::logged_in().await;
    world.open_to_agents();
    let mut shim = world.legacy_shim().await;
    let target = |more: Value| {
        let mut arguments = json!({"accountId": PRODUCTION, "roleName": ADMIN});
        let fields = arguments.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        arguments
    };
    let sts = target(json!({"command": "aws sts get-caller-identity"}));
    let uptime = target(json!({"command": "uptime", "instanceId": LINUX}));
    let mut handles = Vec::new();
    for (name, arguments) in [
        ("aws_sso_exec_command", &sts),
        ("aws_sso_read_command", &sts),
        ("aws_sso_ec2_exec_command", &uptime),
    ] {
        let answer = shim.call(name, arguments.clone()).await;
        let last = answer.ok().lines().last().unwrap().to_owned();
        assert!(last.starts_with("[exit 0 | "), "{name}: {last}");
        assert!(answer.facts().is_null(), "{name}: {answer:?}");
        let (_, handle) = last.split_once("outputId ").unwrap();
        handles.push(handle.split([' ', ']']).next().unwrap().to_owned());
    }
    let read = shim
        .call("aws_sso_output", json!({"outputId": handles[0]}))
        .await;
    assert!(
        read.ok().contains(PRODUCTION) && read.facts().is_null(),
        "{read:?}"
    );
    let jobs = world
        .awsso(&["jobs", "list", "--json"])
        .await
        .code(0)
        .json();
    let job = json!({"jobId": jobs["jobs"][0]["id"]});
    let job = shim.call("aws_sso_job", job).await;
    assert!(
        job.ok().contains("[exit 0 | ") && job.facts().is_null(),
        "{job:?}"
    );

    for (name, arguments, begins) in [
        ("aws_sso_login", json!({"session": "nobody"}), "NOT_FOUND: "),
        (
            "aws_sso_status",
            json!({"waitSeconds": "long"}),
            "INVALID_ARGUMENT: ",
        ),
        (
            "aws_sso_ls_accounts",
            json!({"session": "nobody"}),
            "NOT_FOUND: ",
        ),
        (
            "aws_sso_exec_command",
            target(json!({"command": "ls"})),
            "INVALID_ARGUMENT: ",
        ),
        ("aws_sso_read_command", json!({}), "INVALID_ARGUMENT: "),
        (
            "aws_sso_ec2_exec_command",
            json!({"command": "id"}),
            "INVALID_ARGUMENT: ",
        ),
        ("aws_sso_job", json!({"jobId": "nothing"}), "NOT_FOUND: "),
        (
            "aws_sso_output",
            json!({"outputId": "nothing"}),
            "NOT_FOUND: ",
        ),
        (
            "aws_sso_logout",
            json!({"confirm": false}),
            "INVALID_ARGUMENT: ",
        ),
    ] {
        let answer = shim.call(name, arguments).await;
        assert!(answer.error().starts_with(begins), "{name}: {answer:?}");
    }
}
