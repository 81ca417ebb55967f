//! What an agent may do only when a person says yes, and who counts as one.

use awsso_e2e::{
    Answer, Desktop, OnTerminal, Shim, World,
    known::{ADMIN, LINUX, PRODUCTION},
};
use serde_json::{Value, json};

const SENT: &str = "ssm.SendCommand";
const CTRL_D: &str = "\x04";

async fn ask(agent: &mut Shim) -> Answer {
    let arguments = json!({
        "accountId": PRODUCTION, "roleName": ADMIN, "instanceId": LINUX, "command": "hostname"
    });
    agent.call("aws_sso_ec2_exec_command", arguments).await
}

async fn waiting(world: &World) -> Vec<Value> {
    let mut list = world.awsso(&["approvals", "list", "--json"]).await.json();
    serde_json::from_value(list["approvals"].take()).unwrap()
}

/// The code that the person reads on the screen.
async fn code(terminal: &OnTerminal<'_>, before: &str, after: &str) -> String {
    let look = |screen: &str| {
        let (rest, _) = screen.rsplit_once(after)?;
        let start = rest.rfind(before)? + before.len();
        rest.get(start..start + 4).map(str::to_owned)
    };
    terminal.finds("a code", look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_approves_at_a_terminal_runs_once() {
    let world = World::logged_in().await;
    let mut agent = world.hosted_shim().await;
    let refused = ask(&mut agent).await.error().to_owned();
    assert!(refused.contains("APPROVAL_REQUIRED"), "{refused}");
    let approval = waiting(&world).await.remove(0);
    let id = approval["id"].as_str().unwrap();
    assert!(refused.contains(id), "{refused}");
    assert_eq!(approval["argv"], json!(["hostname"]));
    assert_eq!(approval["kind"], "ssm");
    let place = &approval["places"][0];
    assert_eq!(place["accountName"], "production");
    assert_eq!(
        (&place["roleName"], &place["instanceId"]),
        (&json!(ADMIN), &json!(LINUX))
    );
    assert_eq!(world.sandbox.count(SENT), 0);

    let mut terminal = OnTerminal::start(&world, &format!("approvals approve {id}"));
    let typed = code(&terminal, "type ", " and press").await;
    terminal.types(&format!("{typed}\r"));
    let _ = terminal.end().await.code(0).says("Approved.");
    assert!(ask(&mut agent).await.ok().contains("web-1"));
    let again = ask(&mut agent).await.error().to_owned();
    assert!(
        again.contains("APPROVAL_REQUIRED") && !again.contains(id),
        "{again}"
    );
    assert_eq!(world.sandbox.count(SENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_or_no_terminal_approves_nothing_and_a_no_is_told() {
    let world = World::logged_in().await;
    let mut agent = world.hosted_shim().await;
    let _ = ask(&mut agent).await.error();
    let approval = waiting(&world).await.remove(0);
    let id = approval["id"].as_str().unwrap();
    let _ = world
        .awsso(&["approvals", "approve", id])
        .await
        .code(5)
        .says("needs a terminal");
    let _ = OnTerminal::start(&world, &format!("approvals approve {id}"))
        .at("press Enter", "yes\r")
        .await
        .end()
        .await
        .code(1)
        .says("nothing was approved");
    assert_eq!(waiting(&world).await.len(), 1);
    let _ = world.awsso(&["approvals", "deny", id]).await.code(0);
    let refused = ask(&mut agent).await.error().to_owned();
    assert!(refused.contains("said no"), "{refused}");
    assert!(waiting(&world).await.is_empty());
    let _ = world
        .awsso(&["approvals", "deny", id])
        .await
        .code(1)
        .says("approvals list");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_shell_is_not_heard_as_a_person() {
    let world = World::logged_in().await;
    // The test itself is the host of this shim, and starts what follows.
    let mut agent = world.legacy_shim().await;
    let _ = ask(&mut agent).await.error();
    let approval = waiting(&world).await.remove(0);
    let id = approval["id"].as_str().unwrap();
    let mut terminal = OnTerminal::start(&world, &format!("approvals approve {id}"));
    let typed = code(&terminal, "type ", " and press").await;
    terminal.types(&format!("{typed}\r"));
    let _ = terminal.end().await.code(5).says("also runs an agent");
    let deny = world.awsso(&["approvals", "deny", id]).await;
    let _ = deny.code(5);
    assert_eq!(world.sandbox.count(SENT), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_watches_answers_the_call_that_waits() {
    let world = World::logged_in().await;
    let mut agent = world.hosted_shim().await;
    let mut terminal = OnTerminal::start(&world, "approvals watch")
        .at("Waiting", "")
        .await;
    let answers = async {
        let typed = code(&terminal, "\n", " approves it once").await;
        terminal.types(&format!("{typed} session\r"));
        terminal
    };
    let (answer, terminal) = tokio::join!(ask(&mut agent), answers);
    assert!(answer.ok().contains("web-1"));
    assert!(
        ask(&mut agent).await.ok().contains("web-1"),
        "for the session"
    );
    let _ = terminal.at("Approved.", CTRL_D).await.end().await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_on_the_desktop() {
    let world = World::logged_in().await;
    let desktop = Desktop::start(&world).await;
    let notifications = desktop.notifications().await;
    let stop = world.awsso(&["daemon", "restart"]).await;
    let _ = stop.code(0);
    let mut agent = world.hosted_shim().await;
    let answers = async {
        let shown = notifications.say("hostname").await;
        assert!(shown.summary.contains("production"), "{shown:?}");
        notifications.press(&shown, "Approve once").await;
    };
    let (answer, ()) = tokio::join!(ask(&mut agent), answers);
    assert!(answer.ok().contains("web-1"));
    let denies = async {
        let shown = notifications.after(1).await;
        notifications.press(&shown, "Deny").await;
    };
    let (answer, ()) = tokio::join!(ask(&mut agent), denies);
    assert!(answer.error().contains("said no"), "{answer:?}");
}
