//! The documents about sessions, accounts and the daemon.

use std::time::Duration;

use awsso_e2e::{
    World, assert_shape,
    known::{ADMIN, PRODUCTION},
    sandbox::Config,
};
use serde_json::{Value, json};

const TOKENS: &str = "ssooidc.CreateToken";

/// A session, as `status`, `status --watch` and `login` tell it.
fn session() -> Value {
    json!({
        "name": "string",
        "startUrl": "string",
        "region": "string",
        "state": "active|expiring|expired|login_pending|login_required",
        "accessTokenExpiresAt": "instant?",
        "refreshable": "bool",
        "lastError": "string?",
        "pendingLogin": "string?",
        "why": "string?",
        "takenOver": "bool",
        "renewals": "number",
        "credentials": "number",
    })
}

/// The same, with some of it certain.
fn session_with(certain: &Value) -> Value {
    let mut session = session();
    for (field, shape) in certain.as_object().unwrap() {
        assert!(session.get(field).is_some(), "{field} is no field");
        session[field] = shape.clone();
    }
    session
}

fn status(session: &Value) -> Value {
    json!({
        "daemon": {"version": "string", "protocol": "number", "pid": "number", "startedAt": "instant"},
        "sessions": [session],
        "store": {"kind": "keyring|file|memory", "wanted": "keyring|file|memory", "why": "string?"},
    })
}

/// What an agent has to be allowed.
fn write() -> Value {
    json!({"accountId": PRODUCTION, "roleName": ADMIN, "command": "aws ec2 stop-instances"})
}

async fn json(world: &World, args: &[&str]) -> Value {
    world
        .awsso(&[args, &["--json"]].concat())
        .await
        .code(0)
        .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_has_its_fields_before_during_and_after_a_login() {
    let world = World::waiting().await;
    let logged_out = session_with(&json!({
        "state": "login_required", "accessTokenExpiresAt": null, "refreshable": "bool", "why": "string",
        "pendingLogin": null,
    }));
    let before = json(&world, &["status"]).await;
    assert_shape(&before, &status(&logged_out));
    assert_eq!(before["sessions"][0]["startUrl"], world.sandbox.start_url());

    let login = world.awsso_in_background(&["login", "--no-launch-browser", "--json"]);
    let code = world.sandbox.device_code_requested().await;
    login.says(&code).await;
    let during = json(&world, &["status"]).await;
    let pending = json!({
        "verificationUri": "string",
        "verificationUriComplete": "string",
        "userCode": code,
        "expiresAt": "instant",
        "flow": "device",
    });
    let waiting = session_with(&json!({"state": "login_pending", "pendingLogin": pending}));
    assert_shape(&during, &status(&waiting));

    assert!(world.sandbox.approve());
    let active = session_with(&json!({
        "state": "active", "accessTokenExpiresAt": "instant", "refreshable": "bool",
        "lastError": null, "pendingLogin": null, "why": null,
    }));
    assert_shape(&login.end().await.code(0).json(), &active);
    let after = json(&world, &["status"]).await;
    assert_shape(&after, &status(&active));
    assert_eq!(after["sessions"][0]["refreshable"], true);
    // A line of the watching one is the same document.
    let watch = world.awsso_in_background(&["status", "--watch", "--json"]);
    assert_shape(
        &watch.document("the present", |_| true).await,
        &status(&active),
    );

    let mut logout = json(&world, &["logout", "--all"]).await;
    assert_shape(&logout, &json!({"sessions": ["string"]}));
    logout = json(&world, &["logout"]).await;
    assert_shape(&logout, &json!({"sessions": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_past_its_end_is_expired_until_its_renewal_is_decided() {
    let lifetime = Duration::from_secs(3);
    let world = World::logged_in_to(Config {
        token_lifetime: lifetime,
        ..Config::default()
    })
    .await;
    world.sandbox.faults().fail_next(TOKENS, 1_000, 503);
    let is_expired = |status: &Value| status["sessions"][0]["state"] == "expired";
    let expired = world.status("the end of the token", is_expired).await;
    let shape = session_with(&json!({
        "state": "expired", "accessTokenExpiresAt": "instant", "lastError": "string?",
    }));
    assert_shape(&expired["sessions"][0], &shape);
    // `expiring`, which is near its end and cannot be renewed: in `status`.
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_accounts_has_its_fields_and_an_error_in_the_place_of_roles() {
    let world = World::logged_in().await;
    let accounts = |roles: Value, error: &str| {
        let account = json!({
            "accountId": "string", "accountName": "string", "emailAddress": "string",
            "roles": roles, "rolesError": error,
        });
        json!({"session": "string", "fetchedAt": "instant", "accounts": [account]})
    };
    let list = world.awsso(&["ls-accounts", "--json"]).await.code(0).json();
    let mut shape = accounts(json!(["string"]), "string");
    shape["accounts"][0]["rolesError"] = Value::Null;
    assert_shape(&list, &shape);

    let faults = world.sandbox.faults();
    faults.fail_next("sso.ListAccountRoles", 1_000, 500);
    let list = world.awsso(&["ls", "--refresh", "--output", "json"]).await;
    assert_shape(&list.code(0).json(), &accounts(json!([]), "string"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_has_four_forms() {
    let world = World::logged_in().await;
    let _ = world.fake_aws("true").run("aws sts x").await.ok();
    let mut agent = world.hosted_shim().await;
    let _ = agent.call("aws_sso_exec_command", write()).await.error();
    for (list, heading, columns, name) in [
        (
            "status",
            "SESSION",
            "name startUrl region state accessTokenExpiresAt refreshable lastError why takenOver \
             renewals credentials",
            "sessions[1]",
        ),
        (
            "ls-accounts",
            "ACCOUNT ID",
            "accountId accountName emailAddress role rolesError",
            "accounts[3]",
        ),
        (
            "jobs list",
            "JOB",
            "id kind state startedAt endedAt accountId roleName region instanceId taskState exitCode \
             truncated",
            "jobs[1]",
        ),
        (
            "approvals list",
            "ID",
            "id askedAt expiresAt clientName pid kind class why command targets accountId \
             accountName roleName region instanceId",
            "approvals[1]",
        ),
        (
            "audit show",
            "TIME",
            "seq at who pid client exe verb command session accountId accountName roleName region \
             instances decision rule result message job count",
            "lines[",
        ),
        (
            "mcp list",
            "CLIENT",
            "client file installed configured command findings",
            "clients[9]",
        ),
    ] {
        let words: Vec<_> = list.split(' ').collect();
        let form = async |form: &[&str]| world.awsso(&[&words[..], form].concat()).await.ok();
        let table = form(&[]).await;
        assert!(table.starts_with(heading), "{list}: {table}");
        let again = form(&["--output", "table"]).await;
        assert_eq!(again.lines().next(), table.lines().next(), "{list}");
        let csv = form(&["--output", "csv"]).await;
        let (header, rows) = csv.split_once('\n').unwrap();
        assert_eq!(header.replace(',', " "), columns, "{list}");
        assert!(!rows.is_empty(), "{list}");
        let toon = form(&["--output", "toon"]).await;
        assert!(toon.contains(name), "{list}: {toon}");
        let json: Value = serde_json::from_str(&form(&["--output", "json"]).await).unwrap();
        let short: Value = serde_json::from_str(&form(&["--json"]).await).unwrap();
        let keys = |document: &Value| {
            let fields = document.as_object().unwrap();
            fields.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&json), keys(&short), "{list}");
        let both = [&words[..], &["--json", "--output", "csv"]].concat();
        let _ = world.awsso(&both).await.code(2).says("cannot be used with");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_commands_have_one_document() {
    let world = World::new().await;
    let none = json!({
        "running": false, "version": null, "protocol": null, "pid": null, "startedAt": null,
        "socket": "string", "runningJobs": null, "activeSessions": null,
    });
    let running = json!({
        "running": true, "version": "string", "protocol": "number", "pid": "number",
        "startedAt": "instant", "socket": "string", "runningJobs": "number",
        "activeSessions": "number",
    });
    for (verb, shape) in [
        ("status", &none),
        ("start", &running),
        ("status", &running),
        ("restart", &running),
        ("stop", &none),
        ("stop", &none),
    ] {
        let document = json(&world, &["daemon", verb]).await;
        assert_shape(&document, shape);
        assert_eq!(document["socket"], world.socket().to_str().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_and_an_unlock_say_what_changed() {
    let world = World::logged_in().await;
    let (shut, open) = (json!(true), json!(false));
    for (verb, locked, changed) in [
        ("lock", &shut, true),
        ("lock", &shut, false),
        ("unlock", &open, true),
        ("unlock", &open, false),
    ] {
        let document = json(&world, &[verb]).await;
        assert_eq!(
            document,
            json!({"locked": locked, "changed": changed, "lost": []})
        );
    }
}
