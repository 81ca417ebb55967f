//! Asking the portal: all pages of accounts, then the roles of all of them at
//! the same time, as many as the limiter lets through.

use std::{sync::Arc, time::Duration};

use awsso_proto::Failure;
use futures_util::{StreamExt as _, stream};
use tokio::{sync::watch, time::Instant};

use super::{Account, Listing, RoleLists, Roles};
use crate::{aws::Aws, clock::Clock, limiter::Lane, portal, session::Session};

/// The portal's own maximum.
const PAGE: i32 = 100;
/// More accounts than an organisation can have; a portal that pages for ever ends here.
const MAX_PAGES: usize = 1_000;
/// Role lists waiting for the limiter at the same time.
const AT_ONCE: usize = 64;
/// Roles as they come in, for who looks on: a copy of thousands of accounts.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// The whole listing; what is known so far is published on the way.
pub(super) async fn everything(
    aws: &Aws,
    clock: &Clock,
    session: &Session,
    publish: &watch::Sender<Arc<Listing>>,
) -> Listing {
    let mut listing = Listing::default();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let page = match accounts_page(aws, session, token.take()).await {
            Ok(page) => page,
            Err(failure) => {
                listing.failure = Some(failure);
                return listing;
            }
        };
        listing.accounts.extend(page.0);
        token = page.1.filter(|token| !token.is_empty());
        listing.all_accounts = token.is_none();
        publish.send_replace(Arc::new(listing.clone()));
        if listing.all_accounts {
            break;
        }
    }
    let ids: Vec<String> = listing
        .accounts
        .iter()
        .map(|account| account.id.clone())
        .collect();
    let mut answers = stream::iter(ids.into_iter().enumerate())
        .map(|(at, id)| async move { (at, roles(aws, session, &id, Lane::Bulk).await) })
        .buffer_unordered(AT_ONCE);
    let mut published = Instant::now();
    let mut lists = RoleLists::default();
    while let Some((at, answer)) = answers.next().await {
        listing.accounts[at].roles = match answer {
            Ok(roles) => Roles::Known(lists.shared(roles)),
            Err(failure) => Roles::Failed(failure.into()),
        };
        // One receiver is the entry's own: nobody looks at it.
        if published.elapsed() >= PUBLISH_EVERY && publish.receiver_count() > 1 {
            publish.send_replace(Arc::new(listing.clone()));
            published = Instant::now();
        }
    }
    drop(answers);
    listing.accounts.shrink_to_fit();
    listing.fetched_at = Some(clock.now());
    listing
}

async fn accounts_page(
    aws: &Aws,
    session: &Session,
    token: Option<String>,
) -> Result<(Vec<Account>, Option<String>), Failure> {
    let (page, _) = portal::call(
        aws,
        session,
        "ListAccounts",
        Lane::Person,
        |client, access| {
            client
                .list_accounts()
                .access_token(access)
                .max_results(PAGE)
                .set_next_token(token.clone())
                .send()
        },
    )
    .await?;
    let accounts = page
        .account_list
        .unwrap_or_default()
        .into_iter()
        .filter_map(|info| {
            Some(Account {
                id: info.account_id?,
                name: info.account_name.unwrap_or_default(),
                email: info.email_address.unwrap_or_default(),
                roles: Roles::NotAsked,
            })
        })
        .collect();
    Ok((accounts, page.next_token))
}

/// All roles of one account, sorted.
pub(super) async fn roles(
    aws: &Aws,
    session: &Session,
    account_id: &str,
    lane: Lane,
) -> Result<Vec<String>, Failure> {
    let mut roles = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let (page, _) = portal::call(aws, session, "ListAccountRoles", lane, |client, access| {
            client
                .list_account_roles()
                .access_token(access)
                .account_id(account_id)
                .max_results(PAGE)
                .set_next_token(token.clone())
                .send()
        })
        .await?;
        roles.extend(
            page.role_list
                .unwrap_or_default()
                .into_iter()
                .filter_map(|role| role.role_name),
        );
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    roles.sort();
    roles.dedup();
    Ok(roles)
}
