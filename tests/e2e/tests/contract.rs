//! What scripts read: the shapes of the JSON, key by key, and the forms of a list.

use awsso_e2e::{World, finish, known};
use serde_json::Value;

/// Every key that is there, with the type of its value; keys in order.
fn shape(value: &Value) -> String {
    let fields = value.as_object().unwrap_or_else(|| panic!("{value}"));
    let fields = fields.iter().map(|(key, value)| {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        format!("{key}:{kind}")
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    fields.join(" ")
}

#[track_caller]
fn assert_instant(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    let digits = text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "0000-00-00T00:00:00Z", "RFC 3339, UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_has_its_keys_before_during_and_after_a_login() {
    let world = World::new().await;
    world.sandbox.set_auto_approve(None);
    let status = || async { world.awsso(&["status", "--json"]).await.code(0).json() };

    let before = status().await;
    assert_eq!(shape(&before), "daemon:object sessions:array store:object");
    assert_eq!(
        shape(&before["store"]),
        "kind:string wanted:string why:string"
    );
    assert_eq!(
        shape(&before["daemon"]),
        "pid:number protocol:number startedAt:string version:string"
    );
    assert_instant(&before["daemon"]["startedAt"]);
    let session = &before["sessions"][0];
    assert_eq!(
        shape(session),
        "accessTokenExpiresAt:null credentials:number lastError:null name:string \
         pendingLogin:null refreshable:bool region:string renewals:number startUrl:string \
         state:string takenOver:bool why:string"
    );
    assert_eq!(session["state"], "login_required");
    assert_eq!(session["startUrl"], world.sandbox.start_url());

    let login = world.awsso_in_background(&["login", "--no-launch-browser"]);
    login
        .says(&world.sandbox.device_code_requested().await)
        .await;
    let during = status().await["sessions"][0].clone();
    assert_eq!(during["state"], "login_pending");
    assert_eq!(
        shape(&during["pendingLogin"]),
        "expiresAt:string flow:string userCode:string verificationUri:string \
         verificationUriComplete:string"
    );
    assert_instant(&during["pendingLogin"]["expiresAt"]);

    assert!(world.sandbox.approve());
    let _ = login.end().await.ok();
    let after = status().await["sessions"][0].clone();
    assert_eq!(
        (&after["state"], &after["refreshable"]),
        (&"active".into(), &true.into())
    );
    assert_instant(&after["accessTokenExpiresAt"]);
    assert_eq!(after["pendingLogin"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_have_their_keys_and_an_error_in_the_place_of_roles() {
    let world = World::logged_in().await;
    let list = world.awsso(&["ls-accounts", "--json"]).await.code(0).json();
    assert_eq!(
        shape(&list),
        "accounts:array fetchedAt:string session:string"
    );
    assert_instant(&list["fetchedAt"]);
    for account in list["accounts"].as_array().unwrap() {
        assert_eq!(
            shape(account),
            "accountId:string accountName:string emailAddress:string roles:array rolesError:null"
        );
        assert!(account["roles"][0].is_string());
    }

    world
        .sandbox
        .faults()
        .fail_next("sso.ListAccountRoles", 1_000, 500);
    let list = world.awsso(&["ls", "--refresh", "--output", "json"]).await;
    for account in list.code(0).json()["accounts"].as_array().unwrap() {
        assert!(account["rolesError"].is_string(), "{account}");
        assert_eq!(account["roles"], Value::Array(Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_four_forms() {
    let world = World::logged_in().await;
    let form = async |form: &str| world.awsso(&["ls-accounts", "--output", form]).await.ok();

    let table = form("table").await;
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("ACCOUNT ID"), "{table}");
    assert_eq!(lines.count(), 3);
    assert_eq!(table, world.awsso(&["ls-accounts"]).await.ok());

    let json: Value = serde_json::from_str(&form("json").await).unwrap();
    assert_eq!(
        json,
        world.awsso(&["ls-accounts", "--json"]).await.code(0).json()
    );
    assert_eq!(json["accounts"].as_array().unwrap().len(), 3);

    let csv = form("csv").await;
    assert!(
        csv.starts_with("accountId,accountName,emailAddress,role,rolesError\n"),
        "{csv}"
    );
    assert!(
        csv.contains("\n111122223333,production,aws+production@example.com,ReadOnly,\n"),
        "{csv}"
    );

    let toon = form("toon").await;
    assert!(toon.contains("accounts[3]"), "{toon}");
    assert!(
        toon.contains("production") && toon.contains("ReadOnly"),
        "{toon}"
    );

    let both = world
        .awsso(&["ls-accounts", "--json", "--output", "csv"])
        .await;
    let _ = both.code(2).says("cannot be used with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_job_with_its_output_and_the_list_has_it_without() {
    const TASK: &str = "accountId:string exitCode:number instanceId:null outputId:string \
                        region:string roleName:string state:string stderr:string stdout:string truncated:bool";
    let world = World::logged_in().await;
    let aws = world.fake_aws("echo out; echo err >&2; exit 7");
    let mut command = aws.exec("aws sts x");
    command.arg("--json");
    let run = finish(command, "exec-command".into()).await.code(7).json();
    let job_shape =
        "endedAt:string id:string kind:string startedAt:string state:string tasks:array";
    assert_eq!(shape(&run), job_shape);
    assert_eq!(
        (&run["kind"], &run["state"]),
        (&"aws_cli".into(), &"failed".into())
    );
    assert_instant(&run["startedAt"]);
    assert_instant(&run["endedAt"]);
    let task = &run["tasks"][0];
    assert_eq!(shape(task), TASK);
    assert_eq!(
        (&task["stdout"], &task["stderr"]),
        (&"out\n".into(), &"err\n".into())
    );
    assert_eq!(
        (&task["exitCode"], &task["state"]),
        (&7.into(), &"failed".into())
    );

    let target = ["--account", known::PRODUCTION, "--role", known::ADMIN];
    let on = [
        "--instance-id",
        known::LINUX,
        "--command",
        "echo hi",
        "--json",
    ];
    let ssm = [&["ec2-exec-command"], &target[..], &on].concat();
    let ssm = world.awsso(&ssm).await.code(0).json();
    assert_eq!(shape(&ssm), job_shape);
    assert_eq!(
        (&ssm["kind"], &ssm["state"]),
        (&"ssm".into(), &"succeeded".into())
    );
    let task = &ssm["tasks"][0];
    assert_eq!(
        shape(task),
        TASK.replace("instanceId:null", "instanceId:string")
    );
    assert_eq!(
        (&task["stdout"], &task["exitCode"]),
        (&"hi\n".into(), &0.into())
    );

    let list = world
        .awsso(&["jobs", "list", "--json"])
        .await
        .code(0)
        .json();
    assert_eq!(shape(&list), "jobs:array");
    let ids: Vec<_> = list["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["id"])
        .collect();
    assert_eq!(ids, [&ssm["id"], &run["id"]], "newest first");
    assert_eq!(shape(&list["jobs"][0]), job_shape);
    assert_eq!(
        shape(&list["jobs"][1]["tasks"][0]),
        "accountId:string exitCode:number instanceId:null region:string roleName:string \
         state:string truncated:bool"
    );
}
