//! `awsso approvals list|approve|deny|watch`: the person's part when an agent
//! wants more than it may. A yes needs a terminal and a code that is typed: no
//! script gives one by accident.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{BufRead as _, IsTerminal as _},
};

use awsso_proto::{
    Client, Failure, Reason,
    approval::card,
    error::key,
    v1::{Approval, ApprovalScope, DecideApprovalRequest, WatchApprovalsRequest},
};
use tokio::sync::mpsc;

use crate::{
    args::{ApprovalsCommand, ListArgs, Reach},
    context::{self, Context},
    exit::{self, Stop},
    render::{self, approvals},
    terminal,
};

/// Letters and digits that nobody takes for another.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_LENGTH: usize = 4;

pub async fn run(context: &Context, command: ApprovalsCommand) -> Result<u8, Stop> {
    if matches!(
        command,
        ApprovalsCommand::Approve { .. } | ApprovalsCommand::Watch
    ) {
        at_a_terminal()?;
    }
    let client = context.connect().await?;
    match command {
        ApprovalsCommand::List(args) => list(context, &client, &args).await,
        ApprovalsCommand::Approve { id, reach } => approve(&client, &id, reach).await,
        ApprovalsCommand::Deny { id } => {
            decide(&client, id, None).await?;
            terminal::say("Denied.");
            Ok(exit::OK)
        }
        ApprovalsCommand::Watch => watch(&client).await,
    }
}

async fn list(context: &Context, client: &Client, args: &ListArgs) -> Result<u8, Stop> {
    let waiting = waiting(client).await?;
    render::print_list(
        context.format(args),
        &approvals::View::new(&waiting),
        || approvals::rows(&waiting, context::now()),
        || approvals::csv(&waiting),
    )?;
    Ok(exit::OK)
}

async fn approve(client: &Client, id: &str, reach: Reach) -> Result<u8, Stop> {
    let waiting = waiting(client).await?;
    let Some(approval) = waiting.iter().find(|approval| approval.id == id) else {
        let what = format!("no approval {id:?} waits for an answer");
        return Err(Failure::new(Reason::NotFound, what)
            .with(key::HINT, "see: awsso approvals list")
            .into());
    };
    let code = code();
    terminal::say(format_args!("\n{}", card(approval)));
    terminal::say(format_args!(
        "To approve {}, type {code} and press Enter; anything else approves nothing.",
        reach.words()
    ));
    let mut lines = lines();
    match lines.recv().await {
        Some(line) if line.trim().eq_ignore_ascii_case(&code) => {
            decide(client, approval.id.clone(), Some(reach)).await?;
            terminal::say("Approved.");
            Ok(exit::OK)
        }
        _ => {
            terminal::complain("nothing was approved");
            Ok(exit::FAILED)
        }
    }
}

/// Shows each question as it comes, until the person leaves.
async fn watch(client: &Client) -> Result<u8, Stop> {
    let request = WatchApprovalsRequest { only_look: false };
    let mut lists = client.approvals().watch(request).await?.into_inner();
    let mut lines = lines();
    let mut put_off = BTreeSet::new();
    let mut current: Option<(Approval, String)> = None;
    terminal::say("Waiting for what agents ask for. Ctrl-C ends this.");
    loop {
        tokio::select! {
            list = lists.message() => {
                let Some(list) = list? else {
                    return Err(Failure::new(Reason::ShuttingDown, "the daemon stops").into());
                };
                let waits = |id: &str| list.waiting.iter().any(|approval| approval.id == id);
                if current.take_if(|(approval, _)| !waits(&approval.id)).is_some() {
                    terminal::say("\nAnswered elsewhere, or withdrawn.");
                }
                if current.is_none() {
                    let new = list.waiting.iter().find(|it| !put_off.contains(&it.id));
                    current = new.map(|approval| ask(approval.clone()));
                }
            }
            line = lines.recv() => {
                let Some(line) = line else { return Ok(exit::OK) };
                let Some((approval, code)) = current.take() else { continue };
                match Answer::read(&line, &code) {
                    Some(Answer::Approve(reach)) => tell(decide(client, approval.id, Some(reach)).await, "Approved."),
                    Some(Answer::Deny) => tell(decide(client, approval.id, None).await, "Denied."),
                    Some(Answer::Later) => {
                        terminal::say("Left waiting.");
                        put_off.insert(approval.id);
                    }
                    None => {
                        terminal::complain("that is none of the answers");
                        current = Some(ask(approval));
                    }
                }
                if current.is_none() {
                    // What came in the meantime.
                    let rest = waiting(client).await?;
                    let next = rest.into_iter().find(|it| !put_off.contains(&it.id));
                    current = next.map(ask);
                }
            }
        }
    }
}

fn ask(approval: Approval) -> (Approval, String) {
    let code = code();
    terminal::say(format_args!("\n{}", card(&approval)));
    terminal::say(format_args!(
        "{code} approves it once; {code} session, {code} command: further; n: no; Enter: later"
    ));
    (approval, code)
}

fn tell(result: Result<(), Stop>, done: &str) {
    match result {
        Ok(()) => terminal::say(done),
        Err(stop) => {
            exit::report(stop, exit::Family::Plain);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Approve(Reach),
    Deny,
    Later,
}

impl Answer {
    fn read(line: &str, code: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words[..] {
            [] => Some(Self::Later),
            ["n" | "no"] => Some(Self::Deny),
            [typed, ref reach @ ..] if typed.eq_ignore_ascii_case(code) => match reach {
                [] | ["once"] => Some(Self::Approve(Reach::Once)),
                ["session"] => Some(Self::Approve(Reach::Session)),
                ["command"] => Some(Self::Approve(Reach::Command)),
                _ => None,
            },
            _ => None,
        }
    }
}

async fn waiting(client: &Client) -> Result<Vec<Approval>, Stop> {
    let request = WatchApprovalsRequest { only_look: true };
    let mut lists = client.approvals().watch(request).await?.into_inner();
    Ok(lists.message().await?.unwrap_or_default().waiting)
}

/// No reach: a no.
async fn decide(client: &Client, id: String, reach: Option<Reach>) -> Result<(), Stop> {
    let scope = match reach {
        None => ApprovalScope::Unspecified,
        Some(Reach::Once) => ApprovalScope::Once,
        Some(Reach::Session) => ApprovalScope::Session,
        Some(Reach::Command) => ApprovalScope::Command,
    };
    let request = DecideApprovalRequest {
        id,
        approve: reach.is_some(),
        scope: scope.into(),
    };
    client.approvals().decide(request).await?;
    Ok(())
}

fn at_a_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    let what = "approving needs a terminal, where a person types a code";
    Err(Failure::new(Reason::DeniedByPolicy, what))
}

/// What the person types, line by line. A thread: it cannot be interrupted.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn code() -> String {
    let mut random = RandomState::new().build_hasher().finish();
    let letters = (0..CODE_LENGTH).map(|_| {
        let letter = ALPHABET[usize::try_from(random % 32).unwrap_or_default()];
        random /= 32;
        char::from(letter)
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_approves() {
        let read = |line: &str| Answer::read(line, "7QKD");
        assert_eq!(read("7qkd\n"), Some(Answer::Approve(Reach::Once)));
        assert_eq!(read("7QKD session"), Some(Answer::Approve(Reach::Session)));
        assert_eq!(
            read(" 7QKD  Command "),
            Some(Answer::Approve(Reach::Command))
        );
        assert_eq!(read("n"), Some(Answer::Deny));
        assert_eq!(read(""), Some(Answer::Later));
        for other in ["y", "yes", "session", "7QKE", "7QKD all", "7QKD session x"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn codes_differ_and_can_be_read() {
        assert_ne!(code(), code());
        assert!(code().bytes().all(|letter| ALPHABET.contains(&letter)));
        assert_eq!(code().len(), CODE_LENGTH);
    }
}
