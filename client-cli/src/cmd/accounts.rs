//! `awsso ls-accounts`.

use std::{collections::BTreeMap, time::Duration};

use awsso_proto::v1::{Account, ListAccountsRequest, instant};

use crate::{
    args::{Format, LsAccountsArgs},
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::{self, accounts::AccountsView, time},
    terminal,
};

/// Of a younger answer nobody wants to know its age.
const FRESH: Duration = Duration::from_mins(1);

pub async fn list(context: &Context, args: &LsAccountsArgs) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let request = ListAccountsRequest {
        session: Some(context.session.clone()),
        refresh: args.refresh,
        ..ListAccountsRequest::default()
    };
    let progress = Progress::new("asking AWS for the accounts");
    let mut session = String::new();
    let mut fetched_at = None;
    let mut accounts = BTreeMap::new();
    let collect = async {
        let mut pages = client.accounts().list(request).await?.into_inner();
        while let Some(page) = pages.message().await? {
            session = page.session;
            fetched_at = page.fetched_at.or(fetched_at);
            for account in page.accounts {
                accounts.insert(account.account_id.clone(), account);
            }
            progress.say(counts(&accounts));
        }
        Ok::<_, Stop>(())
    };
    progress.over(collect).await?;

    let fetched = time::wire(fetched_at.as_ref());
    let view = AccountsView::new(session, fetched, accounts.into_values());
    let format = context.format(&args.list);
    render::print_list(format, &view, || view.table(), || view.csv())?;
    let now = context::now();
    if format == Format::Table
        && let Some(at) = fetched_at.as_ref().and_then(instant)
        && now.duration_since(at).is_ok_and(|age| age > FRESH)
    {
        terminal::say(format_args!(
            "AWS said so {}; to ask again: awsso ls-accounts --refresh",
            time::relative(at, now)
        ));
    }
    Ok(exit::OK)
}

fn counts(accounts: &BTreeMap<String, Account>) -> String {
    let known = accounts
        .values()
        .filter(|account| account.roles_known || !account.roles_error.is_empty());
    format!("{} accounts, roles of {}", accounts.len(), known.count())
}
