//! `awsso ls-accounts`. A person sees accounts as soon as they are known; a
//! program gets one answer, at the end.

use std::{collections::BTreeMap, future::pending, time::Duration};

use awsso_proto::{
    Client,
    ipc::Interrupts,
    v1::{Account, AccountChanges, ListAccountsRequest, ListAccountsResponse, instant},
};
use prost_types::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    args::{Format, LsAccountsArgs},
    context::{self, Context},
    exit::{self, Stop},
    live::Live,
    progress::Progress,
    render::{
        self,
        accounts::{AccountsView, changes},
        time,
    },
    terminal,
};

/// Of a younger answer nobody wants to know its age.
const FRESH: Duration = Duration::from_mins(1);

/// Between two looks at what has come in; a list that takes less shows none.
const FRAME: Duration = Duration::from_millis(100);

pub async fn list(context: &Context, args: &LsAccountsArgs) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let request = ListAccountsRequest {
        session: Some(context.session.clone()),
        refresh: args.refresh,
        account: args.account.clone().unwrap_or_default(),
        ..ListAccountsRequest::default()
    };
    let format = context.format(&args.list);
    let mut live = Live::new().filter(|_| format == Format::Table);
    let listed = ask(&client, request, live.as_mut()).await?;
    let view = listed.view();
    if let Some(live) = &mut live {
        live.show(view.table().into_table().trim_end().to_owned())?;
    } else {
        render::print_list(format, &view, || view.table(), || view.csv())?;
    }
    if format == Format::Table {
        listed.tell();
    }
    Ok(exit::OK)
}

/// The whole list. On the way there a person sees its beginning, of which
/// nothing is left when there will be no list.
async fn ask(
    client: &Client,
    request: ListAccountsRequest,
    mut live: Option<&mut Live>,
) -> Result<Listed, Stop> {
    let mut interrupts = match &live {
        Some(_) => Some(Interrupts::new()?),
        None => None,
    };
    let interrupted = async {
        match &mut interrupts {
            Some(interrupts) => interrupts.next().await,
            None => pending().await,
        }
    };
    let progress = Progress::new("asking AWS for the accounts");
    let listed = tokio::select! {
        listed = progress.over(collect(client, request, &progress, live.as_deref_mut())) => listed,
        _ = interrupted => Err(Stop::Interrupted),
    };
    progress.end();
    if listed.is_err()
        && let Some(live) = live
    {
        live.clear()?;
    }
    listed
}

async fn collect(
    client: &Client,
    request: ListAccountsRequest,
    progress: &Progress,
    mut live: Option<&mut Live>,
) -> Result<Listed, Stop> {
    let mut frames = interval_at(Instant::now() + FRAME, FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listed = Listed::default();
    let mut pages = client.accounts().list(request).await?.into_inner();
    loop {
        tokio::select! {
            page = pages.message() => match page? {
                Some(page) => listed.take(page),
                None => return Ok(listed),
            },
            _ = frames.tick(), if listed.grows() => {
                let view = listed.view();
                match &mut live {
                    Some(live) => {
                        progress.end();
                        live.show(view.glimpse(live.room()))?;
                    }
                    None => progress.say(view.progress()),
                }
            }
        }
    }
}

/// What the daemon has told by now.
#[derive(Default)]
struct Listed {
    session: String,
    fetched_at: Option<Timestamp>,
    accounts: BTreeMap<String, Account>,
    changes: Option<AccountChanges>,
}

impl Listed {
    fn take(&mut self, page: ListAccountsResponse) {
        self.session = page.session;
        self.fetched_at = page.fetched_at.or(self.fetched_at);
        self.changes = page.changes.or(self.changes.take());
        for account in page.accounts {
            self.accounts.insert(account.account_id.clone(), account);
        }
    }

    /// There is something to show, and AWS has not said everything.
    fn grows(&self) -> bool {
        self.fetched_at.is_none() && !self.accounts.is_empty()
    }

    fn view(&self) -> AccountsView<'_> {
        let fetched_at = time::wire(self.fetched_at.as_ref());
        AccountsView::new(&self.session, fetched_at, self.accounts.values())
    }

    /// What a table has no room for.
    fn tell(&self) {
        let now = context::now();
        for line in self.changes.iter().flat_map(|seen| changes(seen, now)) {
            terminal::say(line);
        }
        if let Some(at) = self.fetched_at.as_ref().and_then(instant)
            && now.duration_since(at).is_ok_and(|age| age > FRESH)
        {
            terminal::say(format_args!(
                "AWS said so {}; to ask again: awsso ls-accounts --refresh",
                time::relative(at, now)
            ));
        }
    }
}
