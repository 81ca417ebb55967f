//! `awsso.v1.Accounts`: the listing, in pages, as it comes.

use std::sync::Arc;

use awsso_proto::v1::{
    self, ListAccountsRequest, ListAccountsResponse, accounts_server::Accounts as Service,
    timestamp,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream};
use crate::accounts::{Account, Listing, Roles};

/// Accounts in one message.
const PAGE: usize = 500;

#[tonic::async_trait]
impl Service for Services {
    type ListStream = Stream<ListAccountsResponse>;

    async fn list(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let (_, files) = self.admit(&request)?;
        let request = request.into_inner();
        let session = self.session(request.session, &files)?;
        let listing = self.accounts.list(&session, request.refresh).await?;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let (closing, name) = (self.closing.clone(), session.name().to_owned());
        self.tracker.spawn(async move {
            tokio::select! {
                () = pages(listing, &name, &sender) => {}
                () = closing.cancelled() => {}
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Accounts as soon as they are known, then all of them with their roles.
async fn pages(
    mut listing: watch::Receiver<Arc<Listing>>,
    session: &str,
    to: &mpsc::Sender<Result<ListAccountsResponse, Status>>,
) {
    let mut sent = 0;
    loop {
        let current = Arc::clone(&listing.borrow_and_update());
        if let Some(failure) = &current.failure {
            let _ = to.send(Err(failure.clone().into())).await; // the client hung up
            return;
        }
        let (accounts, fetched_at) = match current.fetched_at {
            Some(at) => (&current.accounts[..], Some(timestamp(at))),
            None => (&current.accounts[sent..], None),
        };
        sent = current.accounts.len();
        let mut chunks: Vec<_> = accounts.chunks(PAGE).collect();
        if chunks.is_empty() && fetched_at.is_some() {
            chunks.push(&[]);
        }
        for chunk in chunks {
            let page = ListAccountsResponse {
                session: session.to_owned(),
                fetched_at,
                accounts: chunk.iter().map(encode).collect(),
                ..ListAccountsResponse::default()
            };
            if to.send(Ok(page)).await.is_err() {
                return;
            }
        }
        if current.is_final() || listing.changed().await.is_err() {
            return;
        }
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
            encoded.roles.clone_from(roles);
            encoded.roles_known = true;
        }
        Roles::Failed(failure) => encoded.roles_error.clone_from(&failure.message),
    }
    encoded
}
