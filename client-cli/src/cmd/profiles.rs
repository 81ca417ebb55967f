//! `awsso profiles sync`: the accounts and roles of a session, as profiles in
//! the AWS config file.

use std::collections::BTreeMap;

use awsso_proto::{
    Client, Failure, Reason,
    error::key,
    v1::{Account, GetSessionRequest, ListAccountsRequest, SessionStatus},
};
use serde::Serialize;

use crate::{
    args::{ProfilesCommand, ProfilesSyncArgs},
    context::{self, Context},
    exit::{self, Stop},
    profiles::{self, Form, Outcome, Plan, Stopped},
    progress::Progress,
    settings_file::{self, SettingsFile},
    terminal,
};

#[derive(Serialize)]
struct Synced<'a> {
    file: String,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

pub async fn run(context: &Context, command: ProfilesCommand) -> Result<u8, Stop> {
    match command {
        ProfilesCommand::Sync(args) => sync(context, &args).await,
    }
}

async fn sync(context: &Context, args: &ProfilesSyncArgs) -> Result<u8, Stop> {
    let home = context::home();
    let named = context::variable("AWS_CONFIG_FILE");
    let file = SettingsFile::new(profiles::config_file(named.as_deref(), home.as_deref())?);
    let client = context.connect().await?;
    let (name, accounts) = Progress::new("asking AWS for the accounts")
        .over(accounts(context, &client, args.prune))
        .await?;
    let session = session(context, &client, &name).await?;
    let plan = Plan {
        session: &session,
        accounts: &accounts,
        template: &args.template,
        form: form(args)?,
        region: args.region.as_deref().unwrap_or(&session.region),
        prune: args.prune,
    };
    let apply = |text: &str| {
        plan.apply(text).map_err(|stopped| match stopped {
            Stopped::File(why) => file.unusable(why),
            Stopped::Template(failure) => failure,
        })
    };
    let (changes, outcome) = if args.dry_run {
        let old = file.read()?;
        let (new, outcome) = apply(&old)?;
        if !context.json {
            terminal::data(settings_file::diff(file.path(), &old, &new).as_bytes())?;
        }
        (old != new, outcome)
    } else {
        file.update(|old| {
            let (new, outcome) = apply(old)?;
            let changes = new != old;
            Ok((new, (changes, outcome)))
        })?
    };
    tell(&file, args, &plan, &outcome, changes);
    if context.json {
        terminal::json(&Synced {
            file: file.path().display().to_string(),
            outcome: &outcome,
        })?;
    }
    Ok(exit::OK)
}

/// The session that was meant, and all of its accounts: half a list would look
/// as if the other half were gone. Before anything is dropped AWS is asked anew.
async fn accounts(
    context: &Context,
    client: &Client,
    refresh: bool,
) -> Result<(String, Vec<Account>), Stop> {
    let request = ListAccountsRequest {
        session: Some(context.session.clone()),
        refresh,
        ..ListAccountsRequest::default()
    };
    let mut pages = client.accounts().list(request).await?.into_inner();
    let mut session = String::new();
    let mut complete = false;
    let mut accounts = BTreeMap::new();
    while let Some(page) = pages.message().await? {
        session = page.session;
        complete |= page.fetched_at.is_some();
        for account in page.accounts {
            accounts.insert(account.account_id.clone(), account);
        }
    }
    if !complete {
        let text = "the list of accounts broke off";
        return Err(Failure::new(Reason::AwsUnavailable, text).into());
    }
    if let Some(odd) = accounts.values().find_map(odd_word) {
        return Err(unwritable("name of a role", odd).into());
    }
    Ok((session, accounts.into_values().collect()))
}

/// What must not get into a file of commands, some of which a shell will read.
fn odd_word(account: &Account) -> Option<&str> {
    let mut words = account.roles.iter().chain([&account.account_id]);
    let odd = words.find(|text| profiles::word(text).as_ref() != Some(text));
    odd.map(String::as_str)
}

async fn session(context: &Context, client: &Client, name: &str) -> Result<SessionStatus, Stop> {
    let request = GetSessionRequest {
        session: Some(context.session.clone()),
    };
    let sessions = client.session().get(request).await?.into_inner().sessions;
    let found = sessions.into_iter().find(|session| session.name == name);
    let session = found.ok_or_else(|| {
        let text = format!("there is no session named {name:?} any more");
        Failure::new(Reason::NotFound, text)
    })?;
    if profiles::word(&session.name).is_none() {
        return Err(unwritable("name of the session", &session.name).into());
    }
    Ok(session)
}

fn form(args: &ProfilesSyncArgs) -> Result<Form, Stop> {
    if !args.credential_process {
        return Ok(Form::Native);
    }
    let program = std::env::current_exe()?;
    let word = program.to_str().and_then(profiles::word);
    let word = word.ok_or_else(|| unwritable("path of awsso", &program.to_string_lossy()))?;
    Ok(Form::CredentialProcess(word))
}

fn unwritable(what: &str, text: &str) -> Failure {
    Failure::new(
        Reason::InvalidArgument,
        format!("the {what}, {text:?}, cannot be written into an AWS config file"),
    )
    .with(
        key::HINT,
        "only letters, digits, blanks and -_./@:+=,~ are read alike by all tools",
    )
}

fn tell(
    file: &SettingsFile,
    args: &ProfilesSyncArgs,
    plan: &Plan<'_>,
    outcome: &Outcome,
    changes: bool,
) {
    let path = file.path().display();
    if changes {
        terminal::say(format_args!(
            "{path}: {} added, {} changed, {} removed{}",
            outcome.added.len(),
            outcome.changed.len(),
            outcome.removed.len(),
            if args.dry_run { " (not written)" } else { "" },
        ));
    } else {
        terminal::say(format_args!("{path}: nothing has changed"));
    }
    for account in plan.accounts.iter().filter(|account| !account.roles_known) {
        terminal::say(format_args!(
            "the roles of {} {} are not known ({}): its profiles stay as they are",
            account.account_id, account.account_name, account.roles_error
        ));
    }
    if !outcome.gone.is_empty() {
        terminal::say(format_args!(
            "kept although their account or role is gone (--prune removes them): {}",
            outcome.gone.join(", ")
        ));
    }
    if !outcome.skipped.is_empty() {
        terminal::say(format_args!(
            "not written, because the name is taken outside of the block: {}",
            outcome.skipped.join(", ")
        ));
    }
    let new_to_others = plan.form == Form::Native && !outcome.session_known;
    if new_to_others && changes && !args.dry_run {
        terminal::say(format_args!(
            "the session {} is new to the AWS tools; to share the login with them now: awsso daemon restart",
            plan.session.name
        ));
    }
}
