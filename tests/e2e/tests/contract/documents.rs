//! The documents of every other command.

use awsso_e2e::{
    UserManager, World, assert_shape, bin, finish,
    known::{ADMIN, LINUX, PRODUCTION},
};
use serde_json::{Value, json};

const TARGET: [&str; 4] = ["--account", PRODUCTION, "--role", ADMIN];

async fn json(world: &World, words: &[&str], more: &[&str]) -> Value {
    let args = [words, more, &["--json"]].concat();
    world.awsso(&args).await.code(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brings_a_secret_out_has_these_fields_and_no_others() {
    let world = World::logged_in().await;
    // As the SDKs have laid it down; with the flag and without.
    let process = json!({
        "Version": "number", "AccessKeyId": "string", "SecretAccessKey": "string",
        "SessionToken": "string", "Expiration": "instant", "AccountId": PRODUCTION,
    });
    let words = ["credential-process"];
    let printed = json(&world, &words, &TARGET).await;
    assert_shape(&printed, &process);
    assert_eq!(printed["Version"], 1);
    let plain = world.awsso(&[&words[..], &TARGET].concat()).await;
    assert_shape(&plain.code(0).json(), &process);

    let environment = json!({
        "AWS_ACCESS_KEY_ID": "string", "AWS_SECRET_ACCESS_KEY": "string",
        "AWS_SESSION_TOKEN": "string", "AWS_CREDENTIAL_EXPIRATION": "instant",
        "AWS_REGION": "string", "AWS_DEFAULT_REGION": "string",
    });
    assert_shape(&json(&world, &["env"], &TARGET).await, &environment);

    let link = json!({
        "url": "string", "expiresAt": "instant?", "accountId": PRODUCTION, "roleName": ADMIN,
    });
    assert_shape(&json(&world, &["console", "--print"], &TARGET).await, &link);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_profiles_names_those_that_it_has_touched() {
    let world = World::logged_in().await;
    let synced = |added: Value| {
        json!({
            "file": "string", "added": added, "changed": [], "removed": [], "kept": [], "skipped": [],
        })
    };
    for (more, added) in [
        (&["--dry-run"][..], json!(["string"])),
        (&[], json!(["string"])),
        (&[], json!([])),
    ] {
        let document = json(&world, &["profiles", "sync"], more).await;
        assert_shape(&document, &synced(added));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_for_agents_and_for_persons() {
    let world = World::logged_in().await;
    for who in ["agent", "person"] {
        let args = [&["--as", who], &TARGET[..]].concat();
        let words = ["policy", "test", "aws ec2 stop-instances"];
        let decision = json!({
            "effect": "allow|ask|deny", "class": "read|list|write|permissions|tagging|credentials",
            "operations": ["string"], "decidedBy": "string", "why": "string", "as": who,
            "session": "string", "accountId": PRODUCTION, "accountName": "string",
            "roleName": ADMIN, "region": "string",
        });
        assert_shape(&json(&world, &words, &args).await, &decision);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_wait_for_and_what_was_asked_for_is_told_field_by_field() {
    let world = World::logged_in().await;
    let none = json(&world, &["approvals", "list"], &[]).await;
    assert_eq!(none, json!({"approvals": []}));
    let mut agent = world.hosted_shim().await;
    let arguments = json!({
        "accountId": PRODUCTION, "roleName": ADMIN, "instanceId": LINUX, "command": "hostname"
    });
    let refused = agent.call("aws_sso_ec2_exec_command", arguments).await;
    assert!(
        refused.error().starts_with("APPROVAL_REQUIRED"),
        "{refused:?}"
    );
    let place = json!({
        "accountId": PRODUCTION, "accountName": "string", "roleName": ADMIN, "region": "string",
        "instanceId": "string?",
    });
    let approval = json!({
        "id": "string", "askedAt": "instant", "expiresAt": "instant", "clientName": "string",
        "pid": "number", "kind": "aws_cli|ssm", "class": "string", "why": "string",
        "argv": ["string"], "detail": "string", "targets": "number", "places": [place],
    });
    let waiting = json(&world, &["approvals", "list"], &[]).await;
    assert_shape(&waiting, &json!({"approvals": [approval]}));
    let _ = world.fake_aws("exit 3").run("aws sts x").await.code(3);

    // What is not known of a request is left out.
    let place = json!({
        "session?": "string", "accountId?": "string", "accountName?": "string",
        "roleName?": "string", "region?": "string", "instances?": ["string"], "of?": "number",
    });
    let task = json!({
        "session?": "string", "accountId?": "string", "accountName?": "string",
        "roleName?": "string", "region?": "string", "instances?": ["string"], "of?": "number",
        "state": "string",
        "exitCode?": "number", "awsCommandId?": "string",
    });
    let line = json!({
        "seq": "number", "prev": "string", "at": "string",
        "who": {"kind": "person|agent|daemon", "pid?": "number", "exe?": "string", "client?": "string"},
        "verb": "string", "command?": ["string"], "target?": place, "decision?": "allow|ask|deny",
        "rule?": "string", "result?": "string", "message?": "string", "job?": "string",
        "output?": "string", "tasks?": [task], "count?": "number", "until?": "string",
    });
    let follow = world.awsso_in_background(&["audit", "show", "--follow", "--json"]);
    let is_end = |line: &Value| line["verb"] == "Job.ended";
    assert_shape(&follow.document("the end of the run", is_end).await, &line);
    let lines = json(&world, &["audit", "show"], &[]).await;
    assert_shape(&lines, &json!({"lines": [line]}));

    let verified = json(&world, &["audit", "verify"], &[]).await;
    let sound = json!({
        "ok": true, "lines": "number", "files": "number", "notes": [], "problem": null,
    });
    assert_shape(&verified, &sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_edited_is_told_with_its_place_and_code_1() {
    let world = World::logged_in().await;
    let _ = world.awsso(&["daemon", "stop"]).await.ok();
    let file = world.state().join("audit.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("person", "nobody", 1)).unwrap();
    let report = world
        .awsso(&["audit", "verify", "--json"])
        .await
        .code(1)
        .json();
    let problem = json!({"file": "string", "line": "number", "what": "string"});
    assert_shape(&report["problem"], &problem);
    assert_eq!(report["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_and_the_list_of_clients_have_their_findings() {
    let world = World::new().await;
    let checks = json(&world, &["doctor"], &[]).await;
    let check = json!({
        "id": "string", "finding": "string", "status": "ok|warn|fail", "summary": "string",
        "cure": "string?",
    });
    assert_shape(&checks, &json!({"checks": [check]}));
    let list = json(&world, &["doctor", "--list"], &[]).await;
    let finding = json!({"id": "string", "finding": "string", "meaning": "string"});
    assert_shape(&list, &json!({"findings": [finding]}));

    world.write(".claude.json", "{}");
    world.write(
        ".codex/config.toml",
        "[mcp_servers.awsso]\ncommand = \"/gone/awsso-mcp\"\n",
    );
    let outcome = |client: &str| json!({"client": client, "file": "string", "changed": "bool"});
    for words in [
        "mcp install claude-code --dry-run",
        "mcp install claude-code",
        "mcp remove claude-code",
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let document = json(&world, &words, &[]).await;
        assert_shape(&document, &outcome("claude-code"));
        assert_eq!(document["changed"], true);
    }
    let mut listed = json(&world, &["mcp", "list"], &[]).await;
    let client = |findings: Value| {
        json!({
            "client": "claude-desktop|claude-code|cursor|vscode|continue|zed|windsurf|codex|gemini",
            "file": "string", "installed": "bool", "configured": "bool", "command": "string?",
            "findings": findings,
        })
    };
    let clients = listed["clients"].as_array_mut().unwrap();
    assert_eq!(clients.len(), 9);
    let finding = json!({
        "problem": "missingProgram", "entry?": "string", "message": "string", "cure": "string",
    });
    let codex = clients.remove(
        clients
            .iter()
            .position(|it| it["client"] == "codex")
            .unwrap(),
    );
    assert_shape(&codex, &client(json!([finding])));
    assert_shape(&listed["clients"], &json!([client(json!([]))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_of_the_service_names_its_manager_and_its_files() {
    let world = World::new().await;
    let manager = UserManager::start(&world).await;
    let outcome = json!({"manager": "systemd", "files": ["string"], "changed": "bool"});
    for (words, changed) in [
        ("daemon install --dry-run", true),
        ("daemon install", true),
        ("daemon install", false),
        ("daemon uninstall", true),
    ] {
        let words: Vec<_> = words.split(' ').collect();
        let document = json(&world, &words, &[]).await;
        assert_shape(&document, &outcome);
        assert_eq!(document["changed"], changed);
    }
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_json_too_where_json_is_asked_for() {
    let world = World::new().await;
    let _ = world.awsso(&["daemon", "start"]).await.ok();
    let log = json(&world, &["daemon", "logs"], &["--lines", "1"]).await;
    assert_shape(&log, &json!({"lines": ["string"]}));
    assert_eq!(log["lines"].as_array().unwrap().len(), 1);
    let follow = world.awsso_in_background(&["daemon", "logs", "--follow", "--json"]);
    assert_shape(
        &follow.document("a line", |_| true).await,
        &json!({"line": "string"}),
    );
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let document = json(&world, &["completions", shell], &[]).await;
        assert_shape(&document, &json!({"shell": shell, "script": "string"}));
        let plain = world.awsso(&["completions", shell]).await.ok();
        assert_eq!(document["script"], plain);
    }
    // What `exec` prints is the program's, and `console` prints nothing unless told to.
    let exec = [&["exec", "--json"], &TARGET[..], &["--", "true"]].concat();
    let _ = world.awsso(&exec).await.code(2).says("--json");
    let console = [&["console", "--json"], &TARGET[..]].concat();
    let _ = world.awsso(&console).await.code(2).says("--print");
    let mut unheard = world.program(bin("awsso"));
    unheard.args(["approvals", "approve", "x", "--json"]);
    assert_eq!(finish(unheard, "approve".into()).await.code(5).stdout, "");
}
