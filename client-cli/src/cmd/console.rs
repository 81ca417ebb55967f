//! `awsso console`: a browser that is signed in to the AWS console as a role.
//! Its link is a secret: it goes to the browser, or to stdout when that is asked
//! for, and nowhere else.

use std::time::Duration;

use awsso_proto::{
    Failure, Reason,
    browser::Browser,
    error::key,
    v1::{SignInRequest, SignInResponse},
};
use clap::error::ErrorKind;
use serde::Serialize;

use super::credentials::exposed;
use crate::{
    args::{self, ConsoleArgs, TargetArgs},
    context::Context,
    exit::{self, Stop},
    pick,
    progress::Progress,
    render::time,
    terminal,
};

/// A browser that runs for so long, in the foreground, has taken the link.
const OPENS: Duration = Duration::from_secs(3);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkView<'a> {
    url: &'a str,
    expires_at: Option<String>,
    account_id: &'a str,
    role_name: &'a str,
}

pub async fn run(context: &Context, args: ConsoleArgs) -> Result<u8, Stop> {
    if context.json && !args.print {
        return Err(args::refuse(
            "console",
            ErrorKind::MissingRequiredArgument,
            "the argument '--json' needs '--print': without it nothing is printed",
        ));
    }
    let browser = Browser::find();
    if browser == Browser::Nowhere && !args.print {
        return Err(not_opened("there is no display here").into());
    }
    let link = sign_in(context, args.target, args.destination).await?;
    let url = exposed(link.url.as_ref());
    if context.json {
        terminal::json(&LinkView {
            url,
            expires_at: time::wire(link.expires_at.as_ref()),
            account_id: &link.account_id,
            role_name: &link.role_name,
        })?;
    } else if args.print {
        terminal::line(url)?;
    } else {
        let opened = tokio::time::timeout(OPENS, browser.open(url)).await;
        if !opened.unwrap_or(true) {
            return Err(not_opened("no browser could be opened").into());
        }
        terminal::say(format_args!(
            "The console is open in your browser: {} in account {}",
            link.role_name, link.account_id
        ));
    }
    Ok(exit::OK)
}

async fn sign_in(
    context: &Context,
    target: TargetArgs,
    destination: Option<String>,
) -> Result<SignInResponse, Stop> {
    let picked = pick::target(context, "console", target).await?;
    let ask = async |target| {
        let client = context.connect().await?;
        let request = SignInRequest {
            target: Some(target),
            destination: destination.unwrap_or_default(),
        };
        let mut credentials = client.credentials();
        let reply = Progress::new("asking AWS for a link")
            .over(credentials.sign_in(request))
            .await?;
        Ok(reply.into_inner())
    };
    picked.then(ask).await
}

fn not_opened(why: &str) -> Failure {
    Failure::new(Reason::NotFound, why).with(
        key::HINT,
        "add --print, and open the link where there is one",
    )
}
