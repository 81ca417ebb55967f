//! `awsso policy test`: what the daemon would decide about a command, and why.

use awsso_proto::v1::{
    ClientKind, ExplainRequest, ExplainResponse, SsmWork, explain_request::Work,
};
use serde::Serialize;

use super::exec_command;
use crate::{
    args::{Asker, PolicyCommand, PolicyTestArgs},
    context::Context,
    exit::{self, Stop},
    render::printable,
    terminal,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecisionView<'a> {
    effect: &'static str,
    class: &'static str,
    operations: &'a [String],
    decided_by: &'a str,
    why: &'a str,
    #[serde(rename = "as")]
    asked_by: &'static str,
    session: &'a str,
    account_id: &'a str,
    account_name: &'a str,
    role_name: &'a str,
    region: &'a str,
}

pub async fn run(context: &Context, command: PolicyCommand) -> Result<u8, Stop> {
    match command {
        PolicyCommand::Test(args) => test(context, args).await,
    }
}

/// Whatever the decision is: it could be told, so all is well.
async fn test(context: &Context, args: PolicyTestArgs) -> Result<u8, Stop> {
    let shell = !(args.instance_ids.is_empty() && args.targets.is_empty());
    let work = if shell {
        Work::Ssm(SsmWork {
            command: args.command,
            instance_ids: args.instance_ids,
            targets: args.targets,
            ..SsmWork::default()
        })
    } else {
        Work::AwsCli(exec_command::work(args.command)?)
    };
    let asked_by = match args.asked_by {
        Asker::Agent => ClientKind::Shim,
        Asker::Person => ClientKind::Cli,
    };
    let request = ExplainRequest {
        target: Some(context.target("policy", args.target)?),
        asked_by: asked_by.into(),
        work: Some(work),
    };
    let client = context.connect().await?;
    let answer = client.policy().explain(request).await?.into_inner();
    let view = view(&answer);
    if context.json {
        terminal::json(&view)?;
    } else {
        terminal::line(text(&view))?;
    }
    Ok(exit::OK)
}

fn view(answer: &ExplainResponse) -> DecisionView<'_> {
    DecisionView {
        effect: answer.effect().word(),
        class: answer.class().word(),
        operations: &answer.operations,
        decided_by: &answer.decided_by,
        why: &answer.why,
        asked_by: match answer.asked_by() {
            ClientKind::Cli => "person",
            ClientKind::Shim | ClientKind::Unspecified => "agent",
        },
        session: &answer.session,
        account_id: &answer.account_id,
        account_name: &answer.account_name,
        role_name: &answer.role_name,
        region: &answer.region,
    }
}

fn text(view: &DecisionView<'_>) -> String {
    let account = match view.account_name {
        "" => view.account_id.to_owned(),
        name => format!("{name} ({})", view.account_id),
    };
    let rows = [
        ("decision", view.effect.to_owned()),
        ("why", view.why.to_owned()),
        ("decided by", view.decided_by.to_owned()),
        ("operation", view.operations.join(", ")),
        ("class", view.class.to_owned()),
        (
            "where",
            format!("{account} as {} in {}", view.role_name, view.region),
        ),
        (
            "for",
            format!(
                "{} {}",
                if view.asked_by == "agent" { "an" } else { "a" },
                view.asked_by
            ),
        ),
    ];
    let lines = rows.map(|(name, value)| format!("{name:<11} {}", printable(&value)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_told_in_words_and_as_data() {
        let mut answer = ExplainResponse {
            operations: vec!["s3:PutObject".into()],
            decided_by: "preset guarded".into(),
            why: "s3:PutObject (write) changes something".into(),
            account_id: "111122223333".into(),
            account_name: "production".into(),
            role_name: "Admin".into(),
            region: "eu-west-1".into(),
            ..ExplainResponse::default()
        };
        answer.set_effect(awsso_proto::v1::Effect::Ask);
        answer.set_class(awsso_proto::v1::ActionClass::Write);
        let view = view(&answer);
        let text = text(&view);
        assert!(
            text.starts_with("decision    ask\nwhy         s3:PutObject"),
            "{text}"
        );
        assert!(
            text.contains("where       production (111122223333) as Admin in eu-west-1\n"),
            "{text}"
        );
        assert!(text.ends_with("for         an agent"), "{text}");
        let data = serde_json::to_value(&view).unwrap();
        assert_eq!(
            (&data["effect"], &data["class"], &data["as"]),
            (&"ask".into(), &"write".into(), &"agent".into())
        );
        assert_eq!(data["operations"][0], "s3:PutObject");
    }
}
