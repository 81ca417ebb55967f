//! `awsso.v1.Accounts`: the listing, in pages, as it comes.

use std::sync::Arc;

use awsso_proto::v1::{
    self, AccountChanges, ListAccountsRequest, ListAccountsResponse, RecentRole,
    accounts_server::Accounts as Service, timestamp,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream};
use crate::{
    accounts::{Account, Accounts, Listing, Roles, Use, select},
    session::Session,
};

/// Accounts in one message.
const PAGE: usize = 500;
/// So many are asked for their roles one by one.
const FEW: usize = 5;

#[tonic::async_trait]
impl Service for Services {
    type ListStream = Stream<ListAccountsResponse>;

    async fn list(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let (principal, files) = self.admit(&request)?;
        let request = request.into_inner();
        if !request.known {
            self.admit_to_logins(principal)?;
        }
        let session = self.session(request.session, &files)?;
        let listing = if request.known {
            let known = self.accounts.known(&session).await;
            watch::channel(known.unwrap_or_default()).1
        } else {
            self.accounts.list(&session, request.refresh).await?
        };
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let pages = Pages {
            accounts: self.accounts.clone(),
            session: session.clone(),
            wanted: files.settings.account(&request.account).to_owned(),
            recent: self.accounts.recent.of(session.name()),
            to: sender.clone(),
        };
        let (closing, known) = (self.closing.clone(), request.known);
        self.tracker.spawn(async move {
            tokio::select! {
                () = pages.send(listing, known) => {}
                () = closing.cancelled() => {}
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// One listing on its way to one client.
struct Pages {
    accounts: Accounts,
    session: Session,
    /// Only the accounts that this means; empty: all.
    wanted: String,
    recent: Vec<Use>,
    to: mpsc::Sender<Result<ListAccountsResponse, Status>>,
}

impl Pages {
    /// Accounts as soon as they are known, then their roles as they come in.
    /// `known`: what is there now is the end.
    async fn send(self, mut listing: watch::Receiver<Arc<Listing>>, known: bool) {
        // Of each account that was sent: whether it was with its roles.
        let mut sent: Vec<bool> = Vec::new();
        loop {
            let current = Arc::clone(&listing.borrow_and_update());
            if let Some(failure) = &current.failure {
                let _ = self.to.send(Err(failure.clone().into())).await; // the client hung up
                return;
            }
            let last = known || current.is_final();
            let result = if self.wanted.is_empty() {
                let news = news(&current.accounts, &mut sent);
                self.pages(&current, &news, last).await
            } else if last {
                match select(&current.accounts, &self.wanted) {
                    Ok(meant) => self.pages(&current, &meant, last).await,
                    Err(failure) => self.to.send(Err(failure.into())).await.map_err(|_| Left),
                }
            } else if let Some(few) = self.few(&current).await {
                let few: Vec<_> = few.iter().collect();
                let _ = self.pages(&current, &few, true).await; // the client hung up
                return;
            } else {
                Ok(())
            };
            if last || result.is_err() || listing.changed().await.is_err() {
                return;
            }
        }
    }

    /// The accounts that are meant, with their roles, if they are few: nobody
    /// waits for the roles of thousands to see those of one. Which are meant can
    /// only be said of all accounts.
    async fn few(&self, listing: &Listing) -> Option<Vec<Account>> {
        if !listing.all_accounts {
            return None;
        }
        let meant = select(&listing.accounts, &self.wanted).ok()?;
        if meant.len() > FEW {
            return None;
        }
        let mut few: Vec<Account> = meant.into_iter().cloned().collect();
        for account in &mut few {
            if account.roles == Roles::NotAsked {
                let roles = self.accounts.roles(&self.session, &account.id).await;
                account.roles = match roles {
                    Ok(roles) => Roles::Known(roles.into()),
                    Err(failure) => Roles::Failed(failure.into()),
                };
            }
        }
        Some(few)
    }

    async fn pages(
        &self,
        listing: &Listing,
        accounts: &[&Account],
        last: bool,
    ) -> Result<(), Left> {
        let mut chunks: Vec<_> = accounts.chunks(PAGE).collect();
        if chunks.is_empty() && last {
            chunks.push(&[]);
        }
        let count = chunks.len();
        for (at, chunk) in chunks.into_iter().enumerate() {
            let mut page = ListAccountsResponse {
                session: self.session.name().to_owned(),
                fetched_at: listing.fetched_at.map(timestamp),
                accounts: chunk.iter().map(|account| encode(account)).collect(),
                ..ListAccountsResponse::default()
            };
            if last && at + 1 == count {
                let changes = listing.changes.as_ref().filter(|_| self.wanted.is_empty());
                page.changes = changes.map(|changes| AccountChanges {
                    since: Some(timestamp(changes.since)),
                    added: changes.added.iter().map(encode).collect(),
                    gone: changes.gone.iter().map(encode).collect(),
                });
                page.recent = self.recent.iter().map(recent_role).collect();
            }
            self.to.send(Ok(page)).await.map_err(|_| Left)?;
        }
        Ok(())
    }
}

/// The client hung up.
struct Left;

/// The accounts that were not sent as they are now.
fn news<'a>(accounts: &'a [Account], sent: &mut Vec<bool>) -> Vec<&'a Account> {
    let mut news = Vec::new();
    for (at, account) in accounts.iter().enumerate() {
        let complete = account.roles != Roles::NotAsked;
        match sent.get_mut(at) {
            Some(before) if *before == complete => {}
            Some(before) => {
                *before = complete;
                news.push(account);
            }
            None => {
                sent.push(complete);
                news.push(account);
            }
        }
    }
    news
}

fn recent_role(used: &Use) -> RecentRole {
    RecentRole {
        account_id: used.account.clone(),
        role_name: used.role.clone(),
    }
}

fn encode(account: &Account) -> v1::Account {
    let mut encoded = v1::Account {
        account_id: account.id.clone(),
        account_name: account.name.clone(),
        email_address: account.email.clone(),
        ..v1::Account::default()
    };
    match &account.roles {
        Roles::NotAsked => {}
        Roles::Known(roles) => {
            encoded.roles = roles.to_vec();
            encoded.roles_known = true;
        }
        Roles::Failed(failure) => encoded.roles_error.clone_from(&failure.message),
    }
    encoded
}
