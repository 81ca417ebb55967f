//! `aws_sso_ls_accounts`: the accounts and roles of a session, filtered, in
//! answers of a size that every client passes on.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use awsso_proto::{
    Failure, Reason,
    v1::{Account, ListAccountsRequest},
};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout_at;

use crate::{answer, arguments, call::Call};

pub(crate) const NAME: &str = "aws_sso_ls_accounts";

/// Characters of data in one answer.
const ANSWER_CHARS: usize = 20_000;

const DESCRIPTION: &str = "\
Lists the AWS accounts that the person may use, with their names, e-mail addresses and role names: the \
accountId and roleName that aws_sso_exec_command needs. Use filter to find an account or role by a part \
of its id, name, e-mail or role. A long list comes in pages: pass nextCursor as cursor. Answers from memory \
when it is younger than ten minutes; refresh asks AWS.";

pub(super) fn tool() -> Tool {
    let input = arguments::schema(
        json!({
            "filter": {
                "type": "string",
                "description": "Only accounts whose id, name, e-mail or a role contains this, in any case.",
            },
            "refresh": {
                "type": "boolean",
                "description": "Ask AWS instead of answering from memory.",
            },
            "cursor": {
                "type": "string",
                "minLength": 1,
                "description": "nextCursor of the answer before, with the same filter.",
            },
            "session": super::session_argument(),
        }),
        &[],
    );
    let account = arguments::schema(
        json!({
            "accountId": {"type": "string"},
            "accountName": {"type": "string"},
            "emailAddress": {"type": "string"},
            "roles": {"type": "array", "items": {"type": "string"}},
            "rolesError": {"type": "string"},
        }),
        &["accountId", "accountName", "emailAddress", "roles"],
    );
    let output = arguments::schema(
        json!({
            "session": {"type": "string"},
            "fetchedAt": {"type": "string"},
            "accounts": {"type": "array", "items": account},
            "complete": {
                "type": "boolean",
                "description": "False while AWS is still being asked: call again for the rest.",
            },
            "remaining": {"type": "integer", "description": "Accounts on later pages."},
            "nextCursor": {"type": "string"},
        }),
        &["session", "accounts", "complete", "remaining"],
    );
    Tool::new(NAME, DESCRIPTION, Arc::new(input))
        .with_raw_output_schema(Arc::new(output))
        .with_title("List AWS accounts and roles")
        .with_annotations(ToolAnnotations::new().read_only(true).open_world(true))
}

#[derive(Debug, Default, Deserialize)]
struct Args {
    filter: Option<String>,
    #[serde(default)]
    refresh: bool,
    cursor: Option<String>,
    session: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_at: Option<String>,
    accounts: Vec<Row>,
    complete: bool,
    remaining: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    account_id: String,
    account_name: String,
    email_address: String,
    roles: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    roles_error: String,
}

/// What the daemon said, as far as it came.
#[derive(Debug, Default)]
struct Listing {
    session: String,
    fetched_at: Option<String>,
    accounts: BTreeMap<String, Account>,
    complete: bool,
}

pub(super) async fn call(
    call: &Call<'_>,
    schema: &JsonObject,
    arguments: JsonObject,
) -> Result<CallToolResult, Failure> {
    let args: Args = arguments::read(schema, arguments)?;
    let request = ListAccountsRequest {
        session: Some(call.context().session(args.session.clone())),
        refresh: args.refresh,
        ..ListAccountsRequest::default()
    };
    let mut listing = Listing::default();
    match timeout_at(call.deadline(None), list(call, request, &mut listing)).await {
        Ok(listed) => listed?,
        Err(_) if listing.accounts.is_empty() => {
            return Err(Failure::new(
                Reason::AwsUnavailable,
                "AWS has not listed any account yet",
            ));
        }
        Err(_) => {}
    }
    let facts = page(listing, &args)?;
    Ok(answer::facts(text(&facts), &facts))
}

async fn list(
    call: &Call<'_>,
    request: ListAccountsRequest,
    listing: &mut Listing,
) -> Result<(), Failure> {
    let mut pages = call
        .ask(|client| {
            let request = request.clone();
            async move { client.accounts().list(request).await }
        })
        .await?;
    while let Some(page) = pages.message().await? {
        listing.session = page.session;
        listing.fetched_at = answer::instant(page.fetched_at.as_ref());
        // An account may come again, with its roles: the last word counts.
        for account in page.accounts {
            listing.accounts.insert(account.account_id.clone(), account);
        }
    }
    listing.complete = true;
    Ok(())
}

/// The part of the listing that fits one answer.
fn page(listing: Listing, args: &Args) -> Result<Facts, Failure> {
    let mut rows: Vec<Row> = listing.accounts.into_values().map(Row::from).collect();
    if let Some(filter) = &args.filter {
        let filter = filter.to_lowercase();
        rows.retain(|row| row.contains(&filter));
    }
    rows.sort_by_cached_key(|row| (row.account_name.to_lowercase(), row.account_id.clone()));
    let start = match &args.cursor {
        None => 0,
        Some(cursor) => rows
            .iter()
            .position(|row| row.account_id == *cursor)
            .map(|last| last + 1)
            .ok_or_else(|| {
                Failure::new(
                    Reason::InvalidArgument,
                    "this cursor does not belong to this list any more; leave cursor out to start again",
                )
            })?,
    };
    let mut accounts = rows.split_off(start);
    let mut size = 0;
    let fits = accounts
        .iter()
        .take_while(|row| {
            size += row.size();
            size <= ANSWER_CHARS
        })
        .count()
        .max(1)
        .min(accounts.len());
    let remaining = accounts.len() - fits;
    accounts.truncate(fits);
    Ok(Facts {
        session: listing.session,
        fetched_at: listing.fetched_at,
        complete: listing.complete,
        remaining,
        next_cursor: accounts
            .last()
            .filter(|_| remaining > 0)
            .map(|row| row.account_id.clone()),
        accounts,
    })
}

impl From<Account> for Row {
    fn from(account: Account) -> Self {
        Self {
            account_id: account.account_id,
            account_name: account.account_name,
            email_address: account.email_address,
            roles: account.roles,
            roles_error: account.roles_error,
        }
    }
}

impl Row {
    /// `filter` is in lower case.
    fn contains(&self, filter: &str) -> bool {
        [&self.account_id, &self.account_name, &self.email_address]
            .into_iter()
            .chain(&self.roles)
            .any(|text| text.to_lowercase().contains(filter))
    }

    fn size(&self) -> usize {
        serde_json::to_string(self).map_or(0, |json| json.chars().count())
    }
}

fn text(facts: &Facts) -> String {
    let mut text = String::from("accountId  name  email  roles\n");
    for row in &facts.accounts {
        let roles = if row.roles_error.is_empty() {
            row.roles.join(", ")
        } else {
            format!("(unknown: {})", row.roles_error)
        };
        let _ = writeln!(
            text,
            "{}  {}  {}  {roles}",
            row.account_id, row.account_name, row.email_address
        );
    }
    let _ = write!(
        text,
        "{} shown, session {}",
        accounts(facts.accounts.len()),
        facts.session
    );
    if let Some(at) = &facts.fetched_at {
        let _ = write!(text, ", as of {at}");
    }
    if let Some(cursor) = &facts.next_cursor {
        let _ = write!(
            text,
            "; {} left: call again with cursor {cursor}, or with a filter",
            accounts(facts.remaining)
        );
    }
    if !facts.complete {
        text.push_str("; AWS is still being asked: call again for the rest");
    }
    text
}

fn accounts(number: usize) -> String {
    match number {
        1 => "1 account".to_owned(),
        _ => format!("{number} accounts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(number: usize) -> Listing {
        let accounts = (0..number).map(|n| {
            let id = format!("{n:012}");
            let account = Account {
                account_id: id.clone(),
                account_name: format!("Team-{n}"),
                email_address: format!("team{n}@corp.example"),
                roles: vec!["ReadOnly".into(), "Admin".into()],
                roles_known: true,
                ..Account::default()
            };
            (id, account)
        });
        Listing {
            session: "corp".into(),
            fetched_at: Some("2026-11-22T10:00:00Z".into()),
            accounts: accounts.collect(),
            complete: true,
        }
    }

    #[test]
    fn a_small_organisation_is_one_answer() {
        let facts = page(listing(1), &Args::default()).unwrap();
        assert_eq!(
            text(&facts),
            "accountId  name  email  roles\n\
             000000000000  Team-0  team0@corp.example  ReadOnly, Admin\n\
             1 account shown, session corp, as of 2026-11-22T10:00:00Z"
        );
        assert_eq!(
            serde_json::to_value(&facts).unwrap(),
            json!({
                "session": "corp",
                "fetchedAt": "2026-11-22T10:00:00Z",
                "accounts": [{
                    "accountId": "000000000000",
                    "accountName": "Team-0",
                    "emailAddress": "team0@corp.example",
                    "roles": ["ReadOnly", "Admin"],
                }],
                "complete": true,
                "remaining": 0,
            })
        );
    }

    #[test]
    fn a_large_organisation_comes_in_pages_and_each_account_once() {
        let mut seen = Vec::new();
        let mut args = Args::default();
        loop {
            let facts = page(listing(1_000), &args).unwrap();
            assert!(text(&facts).chars().count() <= ANSWER_CHARS);
            assert!(serde_json::to_string(&facts).unwrap().len() < ANSWER_CHARS + 1_000);
            seen.extend(facts.accounts.into_iter().map(|row| row.account_id));
            assert_eq!(facts.remaining, 1_000 - seen.len());
            match facts.next_cursor {
                Some(cursor) => args.cursor = Some(cursor),
                None => break,
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn a_filter_finds_a_part_of_any_field_in_any_case() {
        let found = |filter: &str| {
            let args = Args {
                filter: Some(filter.into()),
                ..Args::default()
            };
            page(listing(20), &args).unwrap().accounts.len()
        };
        assert_eq!(found("TEAM-1"), 11);
        assert_eq!(found("000000000007"), 1);
        assert_eq!(found("team3@"), 1);
        assert_eq!(found("readonly"), 20);
        assert_eq!(found("nobody"), 0);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let args = Args {
            cursor: Some("999999999999".into()),
            ..Args::default()
        };
        let failure = page(listing(3), &args).unwrap_err();
        assert_eq!(failure.reason, Reason::InvalidArgument);
    }

    #[test]
    fn roles_that_could_not_be_listed_are_said_so() {
        let mut listing = listing(1);
        for account in listing.accounts.values_mut() {
            account.roles.clear();
            account.roles_error = "throttled".into();
        }
        let facts = page(listing, &Args::default()).unwrap();
        assert!(text(&facts).contains("(unknown: throttled)"));
    }
}
