//! `awsso login`: shows what a person must do, opens the browser of this
//! terminal, and waits. The login itself is the daemon's and outlives us.

use std::pin::pin;

use awsso_proto::{
    Client, Failure, Reason,
    browser::Browser,
    ipc::Interrupts,
    v1::{LoginDone, LoginFlow, LoginPrompt, LoginRequest, LoginResponse, login_response::Event},
};
use tonic::Streaming;

use crate::{
    args::{Flow, LoginArgs},
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::{self, session::SessionView, time},
    terminal,
};

pub async fn run(context: &Context, args: LoginArgs) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let mut interrupts = Interrupts::new()?;
    tokio::select! {
        done = log_in(context, &client, args) => {
            print(context, &done?)?;
            Ok(exit::OK)
        }
        _ = interrupts.next() => {
            terminal::say("The login goes on in the daemon; awsso login shows its link again");
            Err(Stop::Interrupted)
        }
    }
}

async fn log_in(context: &Context, client: &Client, args: LoginArgs) -> Result<LoginDone, Stop> {
    let browser = Browser::find();
    let request = LoginRequest {
        session: Some(context.session_named(args.name)),
        flow: match args.flow {
            Flow::Auto => LoginFlow::Unspecified,
            Flow::Browser => LoginFlow::Browser,
            Flow::Device => LoginFlow::Device,
        }
        .into(),
        force: args.force,
        can_open_browser: !args.no_launch_browser && browser.is_here(),
        ..LoginRequest::default()
    };
    let progress = Progress::new("asking AWS");
    let mut sessions = client.session();
    let (mut events, mut next) = progress
        .over(async {
            let mut events = sessions.login(request).await?.into_inner();
            let next = step(&mut events).await?;
            Ok::<_, Stop>((events, next))
        })
        .await?;
    // Of a login that changes under way, the client that changed it opens the link.
    let mut opens = !args.no_launch_browser;
    loop {
        let prompt = match next {
            Event::Done(done) => return Ok(done),
            Event::Prompt(prompt) => prompt,
        };
        terminal::say(render::login::prompt(&prompt, context::now()));
        next = if opens && !prompt.joined {
            step_with_browser(&mut events, &prompt, browser).await?
        } else {
            Progress::new("waiting for you")
                .over(step(&mut events))
                .await?
        };
        opens = false;
    }
}

/// Waits for the next word of the daemon while the browser does what it does.
async fn step_with_browser(
    events: &mut Streaming<LoginResponse>,
    prompt: &LoginPrompt,
    browser: Browser,
) -> Result<Event, Stop> {
    let progress = Progress::new("waiting for you");
    let mut next = pin!(progress.over(step(events)));
    tokio::select! {
        biased;
        next = &mut next => return next,
        opened = browser.open(render::login::link(prompt)) => {
            if !opened {
                progress.pause(|| terminal::say(render::login::not_opened(prompt, browser)));
            }
        }
    }
    next.await
}

async fn step(events: &mut Streaming<LoginResponse>) -> Result<Event, Stop> {
    loop {
        let reply = events.message().await?.ok_or_else(|| {
            Failure::new(
                Reason::ShuttingDown,
                "the daemon left the login before its end",
            )
        })?;
        if let Some(event) = reply.event {
            return Ok(event);
        }
    }
}

fn print(context: &Context, done: &LoginDone) -> Result<(), Stop> {
    let status = done.status.clone().unwrap_or_default();
    if context.json {
        return terminal::json(&SessionView::from(&status));
    }
    let done = if done.already_valid {
        "Already logged in to"
    } else {
        "Logged in to"
    };
    match time::wire(status.access_token_expires_at.as_ref()) {
        Some(until) => terminal::line(format_args!("{done} {} until {until}", status.name)),
        None => terminal::line(format_args!("{done} {}", status.name)),
    }
}
