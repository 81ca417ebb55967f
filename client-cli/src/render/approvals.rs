//! What waits for a person's yes: exactly what would run, where, and who asks.

use std::time::SystemTime;

use awsso_proto::v1::{Approval, ApprovalPlace, instant};
use serde::Serialize;

use super::{Rows, printable, time};

#[derive(Debug, Serialize)]
pub struct View<'a> {
    approvals: Vec<ApprovalView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApprovalView<'a> {
    id: &'a str,
    asked_at: Option<String>,
    expires_at: Option<String>,
    client_name: &'a str,
    pid: u32,
    kind: &'static str,
    class: &'a str,
    why: &'a str,
    argv: &'a [String],
    detail: &'a str,
    targets: u32,
    places: Vec<PlaceView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceView<'a> {
    account_id: &'a str,
    account_name: &'a str,
    role_name: &'a str,
    region: &'a str,
    instance_id: Option<&'a str>,
}

impl<'a> View<'a> {
    pub fn new(waiting: &'a [Approval]) -> Self {
        let approvals = waiting.iter().map(ApprovalView::from).collect();
        Self { approvals }
    }
}

impl<'a> From<&'a Approval> for ApprovalView<'a> {
    fn from(approval: &'a Approval) -> Self {
        Self {
            id: &approval.id,
            asked_at: time::wire(approval.asked_at.as_ref()),
            expires_at: time::wire(approval.expires_at.as_ref()),
            client_name: &approval.client_name,
            pid: approval.pid,
            kind: approval.kind().word(),
            class: &approval.class,
            why: &approval.why,
            argv: &approval.argv,
            detail: &approval.detail,
            targets: approval.targets,
            places: approval.places.iter().map(PlaceView::from).collect(),
        }
    }
}

impl<'a> From<&'a ApprovalPlace> for PlaceView<'a> {
    fn from(place: &'a ApprovalPlace) -> Self {
        Self {
            account_id: &place.account_id,
            account_name: &place.account_name,
            role_name: &place.role_name,
            region: &place.region,
            instance_id: Some(place.instance_id.as_str()).filter(|id| !id.is_empty()),
        }
    }
}

pub fn rows(waiting: &[Approval], now: SystemTime) -> Rows {
    let mut rows = Rows::new(&["ID", "WHO", "CLASS", "WHERE", "LEFT", "COMMAND"]);
    for approval in waiting {
        let left = approval.expires_at.as_ref().and_then(instant);
        let left = left.and_then(|at| at.duration_since(now).ok());
        rows.push([
            approval.id.clone(),
            who(approval),
            approval.class.clone(),
            places(approval, 1),
            left.map(time::span).unwrap_or_default(),
            command(approval),
        ]);
    }
    rows
}

/// One question, with all that decides it.
pub fn card(approval: &Approval) -> String {
    let mut lines = vec![
        format!(
            "\n{} asks for approval ({}: {}):",
            who(approval),
            approval.class,
            approval.why
        ),
        format!("\n    {}\n", command(approval)),
        format!("  in {}", places(approval, approval.places.len())),
    ];
    if !approval.detail.is_empty() {
        lines.push(format!("  {}", printable(&approval.detail)));
    }
    lines.join("\n")
}

fn who(approval: &Approval) -> String {
    let name = match approval.client_name.as_str() {
        "" => "an agent".to_owned(),
        name => printable(name),
    };
    match approval.pid {
        0 => name,
        pid => format!("{name} (pid {pid})"),
    }
}

fn places(approval: &Approval, most: usize) -> String {
    let shown = approval.places.iter().take(most).map(|place| {
        let account = match place.account_name.as_str() {
            "" => place.account_id.clone(),
            name => format!("{} ({})", printable(name), place.account_id),
        };
        let place = [&place.role_name, &place.region, &place.instance_id];
        let rest = place.into_iter().filter(|part| !part.is_empty());
        let rest: Vec<_> = rest.map(|part| printable(part)).collect();
        format!("{account} {}", rest.join(" "))
    });
    let shown: Vec<_> = shown.collect();
    let rest = usize::try_from(approval.targets)
        .unwrap_or_default()
        .saturating_sub(shown.len());
    match rest {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// As it could be typed into bash: no two commands look the same.
fn command(approval: &Approval) -> String {
    let words: Vec<_> = approval.argv.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    // Control characters, and those that turn the direction of writing.
    let unseen = |c: char| !"'\"\\".contains(c) && c.escape_debug().count() > 1;
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if word.contains(unseen) {
        format!("$'{}'", word.escape_debug())
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            id: "apr_1".into(),
            client_name: "editor/2\u{1b}[2J".into(),
            pid: 7,
            class: "write".into(),
            why: "preset guarded".into(),
            argv: [
                "aws",
                "ec2",
                "stop-instances",
                "a b",
                "it's",
                "--x=\u{1b}[1A",
            ]
            .map(str::to_owned)
            .into(),
            places: vec![ApprovalPlace {
                account_id: "111122223333".into(),
                account_name: "prod".into(),
                role_name: "Admin".into(),
                region: "eu-west-1".into(),
                ..ApprovalPlace::default()
            }],
            targets: 3,
            ..Approval::default()
        }
    }

    #[test]
    fn a_person_reads_what_would_run_and_where_and_no_more_than_that_moves_the_terminal() {
        let card = card(&approval());
        assert!(
            card.contains("aws ec2 stop-instances 'a b' 'it'\\''s' "),
            "{card}"
        );
        assert!(
            card.contains("prod (111122223333) Admin eu-west-1 and 2 more"),
            "{card}"
        );
        assert!(card.contains("(write: preset guarded)"), "{card}");
        assert!(!card.contains('\u{1b}'), "{card}");
        assert_ne!(quoted("a\nb"), quoted("a b"));
        assert_eq!(quoted("a\u{202e}b"), r"$'a\u{202e}b'");
        assert_eq!(quoted("ü and \"o\""), "'ü and \"o\"'");
    }

    #[test]
    fn a_program_reads_the_words_as_they_are() {
        let waiting = [approval()];
        let view = serde_json::to_value(View::new(&waiting)).unwrap();
        let first = &view["approvals"][0];
        assert_eq!(first["argv"][5], "--x=\u{1b}[1A");
        assert_eq!(first["places"][0]["accountName"], "prod");
        assert_eq!(first["places"][0]["instanceId"], serde_json::Value::Null);
        assert_eq!(first["targets"], 3);
    }
}
