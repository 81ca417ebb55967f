//! `awsso logout` and `awsso status`.

use awsso_proto::v1::{GetSessionRequest, LogoutRequest, SessionStatus};
use serde::Serialize;

use crate::{
    args::{Format, ListArgs, LogoutArgs},
    context::{self, Context},
    exit::{self, Stop},
    progress::Progress,
    render::{self, session::StatusView},
    terminal,
};

#[derive(Serialize)]
struct LogoutView {
    sessions: Vec<String>,
}

pub async fn logout(context: &Context, args: LogoutArgs) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let request = LogoutRequest {
        session: Some(context.session_named(args.name)),
        all: args.all,
    };
    let progress = Progress::new("logging out");
    let mut sessions = client.session();
    let reply = progress.over(sessions.logout(request)).await?.into_inner();
    let sessions = reply.sessions;
    if context.json {
        terminal::json(&LogoutView { sessions })?;
    } else if sessions.is_empty() {
        terminal::line("Nobody was logged in")?;
    } else {
        terminal::line(format_args!("Logged out of {}", sessions.join(", ")))?;
    }
    Ok(exit::OK)
}

pub async fn status(context: &Context, args: &ListArgs) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let request = GetSessionRequest {
        session: Some(context.session.clone()),
    };
    let reply = client.session().get(request).await?.into_inner();
    let sessions = reply.sessions.as_slice();
    let format = context.format(args);
    render::print_list(
        format,
        &StatusView::new(client.server(), sessions),
        || render::session::table(sessions, context::now()),
        || render::session::csv(sessions),
    )?;
    if format == Format::Table {
        explain(sessions);
    }
    Ok(exit::OK)
}

/// What a table has no room for.
fn explain(sessions: &[SessionStatus]) {
    if sessions.is_empty() {
        terminal::say("No session is configured: set AWS_SSO_START_URL and AWS_SSO_REGION,");
        terminal::say("or add an sso-session to the AWS config (aws configure sso-session)");
    }
    for session in sessions {
        if !session.last_error.is_empty() {
            terminal::say(format_args!("{}: {}", session.name, session.last_error));
        }
        if let Some(prompt) = &session.pending_login {
            terminal::say(render::session::prompt(prompt, context::now()));
        }
    }
}
