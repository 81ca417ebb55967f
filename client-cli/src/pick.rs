//! The account and the role of a command, chosen by a person when no flag and no
//! profile names them: by any part of a name, an id or an e-mail address, what
//! was used lately first. Drawn on stderr, so that stdout stays the command's.
//! Where no person is, nobody is asked.

use std::{cmp::Reverse, fmt, io, io::IsTerminal as _};

use awsso_proto::{
    Failure, Reason,
    error::key,
    ipc::Interrupts,
    v1::{Account, RecentRole, Target},
};
use console::Term;
use crossterm::terminal::disable_raw_mode;
use inquire::{InquireError, Select};

use self::choices::{Choice, Listed, named, role_choices};
use crate::{args::TargetArgs, context::Context, exit::Stop};

mod choices;

/// Choices that are seen at once, and the lines around them.
const MOST_LINES: usize = 15;
const FRAME_LINES: usize = 3;

/// A target, and what a signal means since a person was asked for it.
pub struct Picked {
    pub target: Target,
    /// Who listened to a signal once goes on: it ends nothing by itself any more.
    signals: Option<Interrupts>,
}

/// The target of `command`; a person is asked for what is missing.
pub async fn target(
    context: &Context,
    command: &str,
    mut named: TargetArgs,
) -> Result<Picked, Stop> {
    let is_whole = named.account.is_some() && named.role.is_some();
    let has_profile = !context.session.profile.is_empty();
    let mut signals = None;
    if !is_whole && !has_profile && !context.json && somebody_is_there() {
        let signals = signals.insert(Interrupts::new()?);
        unless_interrupted(Some(signals), choose(context, &mut named)).await?;
    }
    Ok(Picked {
        target: context.target(command, named)?,
        signals,
    })
}

impl Picked {
    /// Does what the target was picked for; a signal ends it, as if nobody had been asked.
    pub async fn then<T>(
        self,
        work: impl AsyncFnOnce(Target) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let Self {
            target,
            mut signals,
        } = self;
        unless_interrupted(signals.as_mut(), work(target)).await
    }
}

async fn unless_interrupted<T>(
    signals: Option<&mut Interrupts>,
    work: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    let Some(signals) = signals else {
        return work.await;
    };
    tokio::select! {
        done = work => done,
        _ = signals.next() => Err(Stop::Interrupted),
    }
}

fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !console::is_dumb()
}

async fn choose(context: &Context, named: &mut TargetArgs) -> Result<(), Stop> {
    let listed = Listed::ask(context, named).await?;
    let choice = match &listed.accounts[..] {
        [only] if named.account.is_some() => Choice::account(only),
        _ => {
            let choices = listed.account_choices(named.role.as_deref());
            if choices.is_empty() {
                return match named.role {
                    // It may be a role of config.toml: that names its own account.
                    Some(_) => Ok(()),
                    None => Err(none("there is no account for you").into()),
                };
            }
            ask("Account:", choices).await?
        }
    };
    if named.role.is_none() {
        named.role = Some(match choice.role {
            Some(role) => role.to_owned(),
            None => choose_role(context, choice.account, &listed.recent).await?,
        });
    }
    named.account = Some(choice.account.account_id.clone());
    Ok(())
}

async fn choose_role(
    context: &Context,
    account: &Account,
    recent: &[RecentRole],
) -> Result<String, Stop> {
    let asked;
    let account = if account.roles_known {
        account
    } else {
        let only = TargetArgs {
            account: Some(account.account_id.clone()),
            ..TargetArgs::default()
        };
        asked = Listed::ask(context, &only).await?;
        asked.accounts.first().unwrap_or(account)
    };
    let mut choices = role_choices(account, recent);
    match choices.len() {
        0 => Err(no_roles(account).into()),
        1 => Ok(choices.remove(0)),
        _ => ask("Role:", choices).await,
    }
}

/// Waits for a person, on a thread of its own: the terminal answers to nobody else.
async fn ask<T: fmt::Display>(what: &'static str, mut choices: Vec<T>) -> Result<T, Stop> {
    let rows = usize::from(Term::stderr().size().0);
    let shown: Vec<_> = choices.iter().map(ToString::to_string).collect();
    let prompt = move || {
        Select::new(what, shown)
            .with_page_size(rows.saturating_sub(FRAME_LINES).clamp(1, MOST_LINES))
            .with_sorter(&best_first)
            .raw_prompt()
    };
    let _terminal = LeftAsItWas;
    let answered = tokio::task::spawn_blocking(prompt).await;
    let chosen = answered
        .map_err(io::Error::other)?
        .map_err(|error| match error {
            InquireError::OperationCanceled | InquireError::OperationInterrupted => {
                Stop::Interrupted
            }
            InquireError::IO(error) => error.into(),
            error => io::Error::other(error).into(),
        })?;
    Ok(choices.swap_remove(chosen.index))
}

/// Dropped, also before the person has answered: the terminal is as it was before the question.
struct LeftAsItWas;

impl Drop for LeftAsItWas {
    fn drop(&mut self) {
        // A terminal that is gone has no mode.
        let _ = disable_raw_mode();
        let _ = Term::stderr().show_cursor();
    }
}

/// Of what fits equally well, the order of the list decides.
fn best_first(scored: &mut [(usize, i64)]) {
    scored.sort_by_key(|&(at, score)| (Reverse(score), at));
}

fn no_roles(account: &Account) -> Failure {
    let named = named(account);
    let why = if account.roles_error.is_empty() {
        format!("there is no role for you in {named}")
    } else {
        format!(
            "the roles in {named} are not known: {}",
            account.roles_error
        )
    };
    none(why).with(key::ACCOUNT, &account.account_id)
}

fn none(what: impl Into<String>) -> Failure {
    Failure::new(Reason::NotFound, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_fits_equally_well_the_first_stays_first() {
        let mut scored = [(0, 5), (1, 9), (2, 5), (3, 9)];
        best_first(&mut scored);
        assert_eq!(scored.map(|(at, _)| at), [1, 3, 0, 2]);
    }
}
