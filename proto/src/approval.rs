//! An approval in words, the same wherever a person is asked: exactly what would
//! run, where, and who asks. What an agent has written moves no cursor in it, turns
//! no line around, and looks like nothing else.

use crate::v1::{Approval, ApprovalPlace};

/// One question, with all that decides it.
pub fn card(approval: &Approval) -> String {
    let mut lines = vec![
        format!(
            "{} asks for approval ({}: {}):",
            who(approval),
            approval.class,
            plain(&approval.why)
        ),
        format!("\n    {}\n", command(approval)),
        format!("  in {}", places(approval, approval.places.len())),
    ];
    if !approval.detail.is_empty() {
        lines.push(format!("  {}", plain(&approval.detail)));
    }
    lines.join("\n")
}

pub fn who(approval: &Approval) -> String {
    let name = match approval.client_name.as_str() {
        "" => "an agent".to_owned(),
        name => plain(name),
    };
    match approval.pid {
        0 => name,
        pid => format!("{name} (pid {pid})"),
    }
}

/// The first few places, and how many more there are.
pub fn places(approval: &Approval, most: usize) -> String {
    let shown: Vec<_> = approval.places.iter().take(most).map(place).collect();
    let rest = usize::try_from(approval.targets)
        .unwrap_or_default()
        .saturating_sub(shown.len());
    match rest {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

fn place(place: &ApprovalPlace) -> String {
    let account = match place.account_name.as_str() {
        "" => place.account_id.clone(),
        name => format!("{} ({})", plain(name), place.account_id),
    };
    let rest = [&place.role_name, &place.region, &place.instance_id];
    let rest = rest.into_iter().filter(|part| !part.is_empty());
    let rest: Vec<_> = rest.map(|part| plain(part)).collect();
    format!("{account} {}", rest.join(" "))
}

/// As it could be typed into bash: no two commands look the same.
pub fn command(approval: &Approval) -> String {
    let words: Vec<_> = approval.argv.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        word.to_owned()
    } else if word.contains(is_unseen) {
        format!("$'{}'", word.escape_debug())
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Control characters, and those that turn the direction of writing.
fn is_unseen(c: char) -> bool {
    !"'\"\\".contains(c) && c.escape_debug().count() > 1
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            client_name: "editor/2\u{1b}[2J\u{202e}".into(),
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
        assert!(!card.contains(['\u{1b}', '\u{202e}']), "{card}");
    }

    #[test]
    fn no_command_looks_like_another_or_like_a_line_of_the_card() {
        assert_ne!(quoted("a\nb"), quoted("a b"));
        assert_eq!(quoted("a\u{202e}b"), r"$'a\u{202e}b'");
        assert_eq!(quoted("ü and \"o\""), "'ü and \"o\"'");
        let forged = Approval {
            argv: vec!["hostname\n\n  in sandbox (1) ReadOnly".into()],
            ..approval()
        };
        assert_eq!(card(&forged).lines().count(), 5, "{}", card(&forged));
    }
}
