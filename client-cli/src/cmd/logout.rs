//! `awsso logout`.

use awsso_proto::v1::LogoutRequest;
use serde::Serialize;

use crate::{
    args::LogoutArgs,
    context::Context,
    exit::{self, Stop},
    progress::Progress,
    terminal,
};

#[derive(Serialize)]
struct LogoutView {
    sessions: Vec<String>,
}

pub async fn run(context: &Context, args: LogoutArgs) -> Result<u8, Stop> {
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
