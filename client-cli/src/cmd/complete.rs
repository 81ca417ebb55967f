//! `awsso complete`: what could stand at the cursor of a shell. Commands and
//! flags come from the parser, names from what the daemon knows already: AWS is
//! not asked, nobody is prompted, and what goes wrong is no completion.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    sync::{Arc, OnceLock},
    time::Duration,
};

use awsso_proto::v1::{Account, GetSessionRequest, ListAccountsRequest};
use clap::{Arg, Command, CommandFactory as _};
use clap_complete::{ArgValueCompleter, CompletionCandidate, engine};

use self::line::Line;
use crate::{
    args::{Args, CompleteArgs},
    context::Context,
    exit::{self, Stop},
    render::printable,
    terminal,
};

mod line;

/// A key must not hang, whatever the daemon does.
const LIMIT: Duration = Duration::from_secs(1);

/// What only the daemon knows the names of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noun {
    Account,
    Role,
    Session,
}

impl Noun {
    fn of(arg: &Arg) -> Option<Self> {
        match arg.get_id().as_str() {
            "account" | "accounts" => Some(Self::Account),
            "role" | "roles" => Some(Self::Role),
            "session" | "name" => Some(Self::Session),
            _ => None,
        }
    }
}

/// A name, and what tells it apart for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    text: String,
    help: Option<String>,
    /// Offered only where nothing else fits.
    last: bool,
}

pub async fn run(context: &Context, args: CompleteArgs) -> Result<u8, Stop> {
    let line = Line::new(args.shell, &args.line);
    // The engine cannot wait: it says first what it needs to know.
    let wanted = Arc::new(OnceLock::new());
    let note = Arc::clone(&wanted);
    let mut candidates = at_cursor(&line, move |noun| {
        let _ = note.set(noun); // one word is one noun
        Vec::new()
    });
    if let Some(noun) = wanted.get() {
        let asked = tokio::time::timeout(LIMIT, names(context, &line, *noun)).await;
        let names = asked.ok().and_then(Result::ok).unwrap_or_default();
        candidates = at_cursor(&line, move |_| names.clone());
    }
    let mut replies = String::new();
    for reply in candidates.iter().filter_map(|one| line.reply(one)) {
        replies.push_str(&reply);
        replies.push('\n');
    }
    terminal::data(replies.as_bytes())?;
    Ok(exit::OK)
}

fn at_cursor(
    line: &Line,
    names: impl Fn(Noun) -> Vec<Name> + Clone + Send + Sync + 'static,
) -> Vec<CompletionCandidate> {
    let words: Vec<_> = line.words.iter().map(OsString::from).collect();
    let last = words.len().saturating_sub(1);
    let mut command = with_names(Args::command(), &names);
    engine::complete(&mut command, words, last, None).unwrap_or_default()
}

/// The command, and those below it, with names where names stand.
fn with_names(
    command: Command,
    names: &(impl Fn(Noun) -> Vec<Name> + Clone + Send + Sync + 'static),
) -> Command {
    command
        .mut_args(|arg| match Noun::of(&arg) {
            None => arg,
            Some(noun) => {
                let names = names.clone();
                arg.add(ArgValueCompleter::new(move |begun: &OsStr| {
                    beginning_with(names(noun), &begun.to_string_lossy())
                }))
            }
        })
        .mut_subcommands(|command| with_names(command, names))
}

fn beginning_with(names: Vec<Name>, begun: &str) -> Vec<CompletionCandidate> {
    let begun = begun.to_lowercase();
    names
        .into_iter()
        .filter(|name| name.text.to_lowercase().starts_with(&begun))
        .map(|name| {
            CompletionCandidate::new(name.text)
                .help(name.help.map(Into::into))
                .hide(name.last)
        })
        .collect()
}

async fn names(context: &Context, line: &Line, noun: Noun) -> Result<Vec<Name>, Stop> {
    Ok(match noun {
        Noun::Account => account_names(&accounts(context, line, None).await?),
        Noun::Role => {
            let account = line.value_of(&["account", "account-id"]);
            role_names(accounts(context, line, account).await?)
        }
        Noun::Session => session_names(context).await?,
    })
}

async fn accounts(
    context: &Context,
    line: &Line,
    account: Option<&str>,
) -> Result<Vec<Account>, Stop> {
    let request = ListAccountsRequest {
        session: Some(context.session_named(line.value_of(&["session"]).map(str::to_owned))),
        known: true,
        account: account.unwrap_or_default().to_owned(),
        ..ListAccountsRequest::default()
    };
    let client = context.connect().await?;
    let mut pages = client.accounts().list(request).await?.into_inner();
    let mut accounts = Vec::new();
    while let Some(page) = pages.message().await? {
        accounts.extend(page.accounts);
    }
    Ok(accounts)
}

/// Names; and ids, for whoever begins one, and where a name does not say which account.
fn account_names(accounts: &[Account]) -> Vec<Name> {
    let mut bearers: HashMap<String, usize> = HashMap::new();
    for account in accounts {
        *bearers
            .entry(account.account_name.to_lowercase())
            .or_default() += 1;
    }
    let mut names: Vec<_> = accounts
        .iter()
        .flat_map(|account| {
            let (id, name) = (&account.account_id, &account.account_name);
            let is_clear = bearers.get(&name.to_lowercase()) == Some(&1) && can_be_typed(name);
            let by_id = Name {
                text: id.clone(),
                help: Some(printable(name)),
                last: is_clear,
            };
            let by_name = is_clear.then(|| Name {
                text: name.clone(),
                help: Some(id.clone()),
                last: false,
            });
            [Some(by_id), by_name].into_iter().flatten()
        })
        .collect();
    names.sort_by_cached_key(|name| name.text.to_lowercase());
    names
}

/// As an argument it is neither a flag nor an id, and it has no end of line in it.
fn can_be_typed(name: &str) -> bool {
    !name.starts_with('-')
        && !name.chars().all(|c| c.is_ascii_digit())
        && !name.contains(char::is_control)
}

fn role_names(accounts: Vec<Account>) -> Vec<Name> {
    let mut roles: Vec<_> = accounts.into_iter().flat_map(|one| one.roles).collect();
    roles.sort();
    roles.dedup();
    let named = |text| Name {
        text,
        help: None,
        last: false,
    };
    roles.into_iter().map(named).collect()
}

async fn session_names(context: &Context) -> Result<Vec<Name>, Stop> {
    let request = GetSessionRequest {
        session: Some(context.session.clone()),
    };
    let client = context.connect().await?;
    let reply = client.session().get(request).await?.into_inner();
    let named = |session: awsso_proto::v1::SessionStatus| Name {
        text: session.name,
        help: Some(printable(&session.start_url)),
        last: false,
    };
    Ok(reply.sessions.into_iter().map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CompletionShell;

    fn at(text: &str, names: &[Name]) -> Vec<String> {
        let line = Line::new(CompletionShell::Bash, &[text.into(), "=".into()]);
        let names = names.to_vec();
        let found = at_cursor(&line, move |_| names.clone());
        found.iter().filter_map(|one| line.reply(one)).collect()
    }

    fn wanted(text: &str) -> Option<Noun> {
        let line = Line::new(CompletionShell::Bash, &[text.into(), "=".into()]);
        let wanted = Arc::new(OnceLock::new());
        let note = Arc::clone(&wanted);
        at_cursor(&line, move |noun| {
            let _ = note.set(noun); // only the first counts
            Vec::new()
        });
        wanted.get().copied()
    }

    fn account(id: &str, name: &str) -> Account {
        Account {
            account_id: id.into(),
            account_name: name.into(),
            ..Account::default()
        }
    }

    #[test]
    fn commands_and_flags_come_from_the_parser_and_plumbing_does_not() {
        assert_eq!(at("awsso ls-", &[]), ["ls-accounts"]);
        assert_eq!(at("awsso exec --acc", &[]), ["--account"]);
        assert_eq!(at("awsso env --shell f", &[]), ["fish"]);
        assert_eq!(at("awsso complet", &[]), ["completions"]);
        assert_eq!(at("awsso status --s", &[]), ["--session"]);
    }

    #[test]
    fn the_daemon_is_asked_only_where_a_name_stands() {
        for (text, noun) in [
            ("awsso ", None),
            ("awsso exec --", None),
            ("awsso exec --region ", None),
            ("awsso exec --account ", Some(Noun::Account)),
            ("awsso env --account-id 1", Some(Noun::Account)),
            ("awsso env --account=p", Some(Noun::Account)),
            ("awsso ls-accounts p", Some(Noun::Account)),
            ("awsso env --account a --role ", Some(Noun::Role)),
            (
                "awsso exec-command --account a --account ",
                Some(Noun::Account),
            ),
            ("awsso exec-command --role a --role ", Some(Noun::Role)),
            ("awsso status --session ", Some(Noun::Session)),
            ("awsso login ", Some(Noun::Session)),
            ("awsso logout c", Some(Noun::Session)),
        ] {
            assert_eq!(wanted(text), noun, "{text}");
        }
    }

    #[test]
    fn a_name_is_found_in_either_case_and_after_an_equals_sign() {
        let names = account_names(&[
            account("1", "Prod"),
            account("2", "production"),
            account("3", "Staging"),
        ]);
        assert_eq!(
            at("awsso env --account PRO", &names),
            ["Prod", "production"]
        );
        assert_eq!(at("awsso env --account=s", &names), ["Staging"]);
    }

    #[test]
    fn an_account_whose_name_says_nothing_clear_is_told_by_its_id() {
        let accounts = [
            account("111", "web"),
            account("222", "Twin"),
            account("333", "twin"),
            account("444", "--help"),
            account("555", "1234"),
            account("666", "a\nb"),
        ];
        let names = account_names(&accounts);
        let at = |begun: &str| at(&format!("awsso env --account {begun}"), &names);
        assert_eq!(at(""), ["222", "333", "444", "555", "666", "web"]);
        assert_eq!(at("1"), ["111"]);
        assert_eq!(at("tw"), Vec::<String>::new());
    }
}
