//! `awsso lock|unlock`: the daemon forgets its secrets; a person has them read again.

use awsso_proto::{
    Client,
    v1::{LockRequest, UnlockRequest},
};
use serde::Serialize;

use crate::{
    context::{self, Context},
    exit::{self, Stop},
    terminal,
};

#[derive(Serialize)]
struct LockView {
    locked: bool,
    changed: bool,
    /// Sessions whose login was kept in memory only.
    lost: Vec<String>,
}

/// Starts no daemon: without one nothing is in memory.
pub async fn close(context: &Context) -> Result<u8, Stop> {
    let client = Client::connect_any_protocol(&context.endpoint, &context::identity()).await?;
    let Some(client) = client else {
        return tell(context, false, "awssod is not running", false, Vec::new());
    };
    let answer = client.daemon().lock(LockRequest {}).await?.into_inner();
    let text = if answer.changed {
        "Locked: no secret is in memory. To open it: awsso unlock"
    } else {
        "It is locked already. To open it: awsso unlock"
    };
    if !answer.lost.is_empty() {
        terminal::say(format_args!(
            "Logins that were kept in memory only are gone: {}",
            answer.lost.join(", ")
        ));
    }
    tell(context, true, text, answer.changed, answer.lost)
}

pub async fn open(context: &Context) -> Result<u8, Stop> {
    let client = context.connect().await?;
    let answer = client.daemon().unlock(UnlockRequest {}).await?.into_inner();
    let text = if answer.changed {
        "Unlocked"
    } else {
        "It is not locked"
    };
    tell(context, false, text, answer.changed, Vec::new())
}

fn tell(
    context: &Context,
    locked: bool,
    text: &str,
    changed: bool,
    lost: Vec<String>,
) -> Result<u8, Stop> {
    if context.json {
        terminal::json(&LockView {
            locked,
            changed,
            lost,
        })?;
    } else {
        terminal::line(text)?;
    }
    Ok(exit::OK)
}
