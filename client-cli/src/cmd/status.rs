//! `awsso status`: once, again after every change, or as one line for a shell's
//! prompt.

use std::{convert::Infallible, time::Duration};

use awsso_proto::{
    Client, Failure, Reason,
    ipc::Interrupts,
    v1::{GetSessionRequest, GetSessionResponse, HelloResponse, WatchSessionRequest},
};
use tokio::time::Instant;

use crate::{
    args::{Format, StatusArgs},
    context::{self, Context},
    exit::{self, Stop},
    live::Live,
    render::{self, session::StatusView},
    terminal,
};

/// A shell's prompt must not be felt.
const PROMPT_LIMIT: Duration = Duration::from_millis(200);

/// Longer than a daemon takes to end, so that a restart is survived.
const RESTART_LIMIT: Duration = Duration::from_mins(1);

/// As fine as what a person sees tells how far away things are.
const MOVES_ON: Duration = Duration::from_secs(1);

/// Between two looks for the daemon that comes back.
const GLANCE: Duration = Duration::from_millis(250);

pub async fn run(context: &Context, args: StatusArgs) -> Result<u8, Stop> {
    let format = context.format(&args.list);
    if args.prompt {
        return prompt(context).await;
    }
    if args.watch {
        let mut interrupts = Interrupts::new()?;
        return tokio::select! {
            ended = watch(context, format) => match ended? {},
            _ = interrupts.next() => Err(Stop::Interrupted),
        };
    }
    let client = context.connect().await?;
    let reply = ask(context, &client).await?;
    print(format, client.server(), &reply)?;
    Ok(exit::OK)
}

async fn ask(context: &Context, client: &Client) -> Result<GetSessionResponse, Stop> {
    let request = GetSessionRequest {
        session: Some(context.session.clone()),
    };
    Ok(client.session().get(request).await?.into_inner())
}

fn print(format: Format, server: &HelloResponse, reply: &GetSessionResponse) -> Result<(), Stop> {
    render::print_list(
        format,
        &StatusView::new(server, reply),
        || render::session::table(&reply.sessions, context::now()),
        || render::session::csv(&reply.sessions),
    )?;
    if format == Format::Table {
        for note in render::session::notes(reply, context::now()) {
            terminal::say(note);
        }
    }
    Ok(())
}

/// Nothing at all when there is nothing to say: a prompt has no room for why.
async fn prompt(context: &Context) -> Result<u8, Stop> {
    let asked = tokio::time::timeout(PROMPT_LIMIT, async {
        let client = Client::connect(&context.endpoint, &context::identity()).await?;
        ask(context, &client).await
    });
    if let Ok(Ok(reply)) = asked.await
        && let Some(line) = render::session::prompt_line(&reply, context::now())
    {
        terminal::line(line)?;
    }
    Ok(exit::OK)
}

async fn watch(context: &Context, format: Format) -> Result<Infallible, Stop> {
    let mut display = Display::new(format);
    let mut client = context.connect().await?;
    loop {
        let Err(gone) = follow(context, &client, &mut display).await;
        client = back(context, gone, &mut display).await?;
    }
}

/// Shows every change, until the daemon goes away.
async fn follow(
    context: &Context,
    client: &Client,
    display: &mut Display,
) -> Result<Infallible, Stop> {
    let request = WatchSessionRequest {
        session: Some(context.session.clone()),
    };
    let mut changes = client.session().watch(request).await?.into_inner();
    loop {
        let change = tokio::select! {
            change = changes.message() => change?,
            () = tokio::time::sleep(MOVES_ON) => {
                display.refresh()?;
                continue;
            }
        };
        let reply = change
            .ok_or_else(|| Failure::new(Reason::ShuttingDown, "the daemon has stopped"))?
            .status
            .unwrap_or_default();
        display.show(client.server(), reply)?;
    }
}

/// The daemon that takes the place of the one that is gone. One that crashed is
/// started again; one that was told to stop stays so, unless whoever told it
/// starts another.
async fn back(context: &Context, gone: Stop, display: &mut Display) -> Result<Client, Stop> {
    let crashed = match &gone {
        Stop::Failure(failure) if is_gone(failure) => failure.reason != Reason::ShuttingDown,
        _ => return Err(gone),
    };
    display.is_of_the_past()?;
    let deadline = Instant::now() + RESTART_LIMIT;
    loop {
        tokio::time::sleep(GLANCE).await;
        let connected = if crashed {
            context.connect().await
        } else {
            Client::connect(&context.endpoint, &context::identity()).await
        };
        match connected {
            Err(failure) if is_gone(&failure) && Instant::now() < deadline => {}
            connected => return Ok(connected?),
        }
    }
}

fn is_gone(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::ShuttingDown | Reason::DaemonUnreachable
    )
}

/// Where the changes go.
enum Display {
    /// To a person: one text that is always the present.
    Live {
        text: Live,
        last: Option<GetSessionResponse>,
    },
    /// To a program: one document after the other.
    Stream(Format),
}

impl Display {
    fn new(format: Format) -> Self {
        match Live::new() {
            Some(text) if format == Format::Table => Self::Live { text, last: None },
            _ => Self::Stream(format),
        }
    }

    fn show(&mut self, server: &HelloResponse, reply: GetSessionResponse) -> Result<(), Stop> {
        match self {
            Self::Live { last, .. } => {
                *last = Some(reply);
                self.refresh()
            }
            Self::Stream(Format::Json) => terminal::json_line(&StatusView::new(server, &reply)),
            Self::Stream(format) => print(*format, server, &reply),
        }
    }

    /// The present moves on, also when nothing changes.
    fn refresh(&mut self) -> Result<(), Stop> {
        self.present("")
    }

    /// A program learns that by what comes next.
    fn is_of_the_past(&mut self) -> Result<(), Stop> {
        self.present("\n(awssod has stopped; waiting for it to come back)")
    }

    fn present(&mut self, below: &str) -> Result<(), Stop> {
        match self {
            Self::Live {
                text,
                last: Some(last),
            } => text.show(render::session::page(last, context::now()) + below),
            Self::Live { last: None, .. } | Self::Stream(_) => Ok(()),
        }
    }
}
