//! The audit log as a table, and as rows for a program.

use awsso_proto::audit::{Entry, Line, Target, Who};

use super::Rows;

/// Of a command; the whole of it is in the JSON.
const COMMAND_LETTERS: usize = 60;

pub fn table(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(&["TIME", "WHO", "WHAT", "TARGET", "DECISION", "RESULT"]);
    for Line { entry, .. } in lines {
        let decision = match entry.rule.as_str() {
            "" => entry.decision.to_string(),
            rule => format!("{} ({rule})", entry.decision),
        };
        rows.push([
            entry.at.clone(),
            who(&entry.who),
            what(entry),
            entry.target.as_ref().map(target).unwrap_or_default(),
            decision,
            result(entry),
        ]);
    }
    rows
}

/// One row per line of the log; what a task did is in the JSON.
pub fn csv(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(&[
        "seq",
        "at",
        "who",
        "pid",
        "client",
        "exe",
        "verb",
        "command",
        "session",
        "accountId",
        "accountName",
        "roleName",
        "region",
        "instances",
        "decision",
        "rule",
        "result",
        "message",
        "job",
        "count",
    ]);
    let number = |number: Option<u64>| number.map_or_else(String::new, |it| it.to_string());
    for Line { seq, entry, .. } in lines {
        let nowhere = Target::default();
        let target = entry.target.as_ref().unwrap_or(&nowhere);
        rows.push([
            seq.to_string(),
            entry.at.clone(),
            entry.who.kind.to_string(),
            number(entry.who.pid.map(u64::from)),
            entry.who.client.clone(),
            entry.who.exe.clone(),
            entry.verb.to_string(),
            entry.command.join(" "),
            target.session.clone(),
            target.account_id.clone(),
            target.account_name.clone(),
            target.role_name.clone(),
            target.region.clone(),
            target.instances.join(" "),
            entry.decision.to_string(),
            entry.rule.clone(),
            entry.result.to_string(),
            entry.message.clone(),
            entry.job.clone(),
            number(entry.count),
        ]);
    }
    rows
}

fn who(who: &Who) -> String {
    let program = who.exe.rsplit('/').next().unwrap_or_default();
    let program = match who.client.as_str() {
        "" => program,
        name => name,
    };
    let pid = who.pid.map(|pid| pid.to_string()).unwrap_or_default();
    joined([&who.kind, program, &pid])
}

fn what(entry: &Entry) -> String {
    let words = entry.command.join(" ");
    let about = [&words, &entry.job, &entry.output];
    let about = about.into_iter().find(|text| !text.is_empty());
    let about = about.map(|text| shortened(text)).unwrap_or_default();
    let times = entry.count.map(|count| format!("×{count}"));
    joined([&entry.verb, &about, &times.unwrap_or_default()])
}

fn target(target: &Target) -> String {
    let account = match target.account_name.as_str() {
        "" => &target.account_id,
        name => name,
    };
    let of = target.of.map(|of| format!("(1 of {of})"));
    let instances = target.instances.join(",");
    let of = of.unwrap_or_default();
    let place = joined([account, &target.role_name, &target.region, &instances, &of]);
    match place.as_str() {
        "" => target.session.clone(),
        _ => place,
    }
}

fn result(entry: &Entry) -> String {
    let exit = match &entry.tasks[..] {
        [only] => only.exit_code.map(|code| format!("(exit {code})")),
        _ => None,
    };
    joined([&entry.result, &exit.unwrap_or_default()])
}

fn joined<const N: usize>(parts: [&str; N]) -> String {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(COMMAND_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use awsso_proto::audit::Task;

    use super::*;

    #[test]
    fn a_line_tells_who_did_what_where_and_how_it_went() {
        let entry = Entry {
            at: "2026-11-22T19:40:18.000Z".into(),
            who: Who {
                kind: "agent".into(),
                pid: Some(7),
                exe: "/usr/bin/awsso-mcp".into(),
                client: "claude".into(),
            },
            verb: "Jobs.Start".into(),
            command: vec!["aws".into(), "s3".into(), "l".repeat(100)],
            target: Some(Target {
                account_id: "111122223333".into(),
                account_name: "production".into(),
                role_name: "ReadOnly".into(),
                region: "eu-west-1".into(),
                of: Some(3),
                ..Target::default()
            }),
            decision: "allow".into(),
            rule: "preset open".into(),
            result: "succeeded".into(),
            tasks: vec![Task {
                exit_code: Some(0),
                ..Task::default()
            }],
            count: Some(2),
            ..Entry::default()
        };
        let (seq, prev) = (1, String::new());
        let table = table(&[Line { seq, prev, entry }]).into_table();
        let line = table.lines().nth(1).unwrap();
        let command = format!("Jobs.Start aws s3 {}… ×2", "l".repeat(53));
        for part in [
            "agent claude 7",
            &command,
            "production ReadOnly eu-west-1 (1 of 3)",
            "allow (preset open)",
            "succeeded (exit 0)",
        ] {
            assert!(line.contains(part), "no {part:?} in {line}");
        }
    }
}
