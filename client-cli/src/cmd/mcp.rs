//! `awsso mcp`: our entry in the settings of MCP clients.

use std::{collections::BTreeMap, path::Path};

use awsso_proto::{Failure, Reason, error::key};
use clap::ValueEnum as _;
use serde::Serialize;

use crate::{
    args::{ListArgs, McpCommand, McpInstallArgs, McpRemoveArgs},
    context::{self, Context},
    exit::{self, Stop},
    mcp::{
        Client, Entry, NAME, Report,
        check::Finding,
        place::{Machine, Place},
        program, survey,
    },
    render::{self, Rows},
    settings_file::{self, SettingsFile},
    terminal,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    client: String,
    file: &'a Path,
    changed: bool,
}

#[derive(Serialize)]
struct Clients<'a> {
    clients: Vec<ClientView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientView<'a> {
    client: String,
    file: &'a Path,
    installed: bool,
    configured: bool,
    command: Option<&'a str>,
    findings: &'a [Finding],
}

pub async fn run(context: &Context, command: McpCommand) -> Result<u8, Stop> {
    let machine = Machine::this()?;
    match command {
        McpCommand::Install(args) => install(context, &machine, args).await,
        McpCommand::Remove(args) => remove(context, &machine, &args),
        McpCommand::List(args) => list(context, &machine, &args).await,
    }
}

async fn install(context: &Context, machine: &Machine, args: McpInstallArgs) -> Result<u8, Stop> {
    let client = args.client;
    let mut env: BTreeMap<_, _> = args.env.into_iter().collect();
    let session = &context.session.name;
    if !session.is_empty() {
        env.entry("AWSSO_SESSION".to_owned())
            .or_insert_with(|| session.clone());
    }
    let entry = Entry {
        command: program::path()?,
        args: Vec::new(),
        env,
    };
    let place = machine.place(client);
    if !args.force && !place.has_client() {
        return Err(not_installed(client, &place).into());
    }
    let file = SettingsFile::new(place.file);
    let changed = change(context, client, &file, args.dry_run, "added", |old| {
        client.put(old, &entry)
    })?;
    if !args.dry_run {
        if changed {
            terminal::say(format_args!("Restart {} to use it.", client.title()));
        }
        let report = survey(machine, client).await;
        tell_what_is_unknown_there(&report);
        tell_findings(&report);
    }
    Ok(exit::OK)
}

fn remove(context: &Context, machine: &Machine, args: &McpRemoveArgs) -> Result<u8, Stop> {
    let client = args.client;
    let file = SettingsFile::new(machine.place(client).file);
    let before = file.read_backup().unwrap_or_default();
    change(context, client, &file, args.dry_run, "removed", |old| {
        client.take(old, &before)
    })?;
    Ok(exit::OK)
}

/// Changes the settings, or shows how they would change, and says so.
fn change(
    context: &Context,
    client: Client,
    file: &SettingsFile,
    dry_run: bool,
    done: &str,
    next: impl Fn(&str) -> Result<String, crate::mcp::Unreadable>,
) -> Result<bool, Stop> {
    let next = |old: &str| next(old).map_err(|why| file.unusable(why));
    let changed = if dry_run {
        let old = file.read()?;
        let new = next(&old)?;
        if !context.json {
            terminal::data(settings_file::diff(file.path(), &old, &new).as_bytes())?;
        }
        old != new
    } else {
        file.update(|old| {
            let new = next(old)?;
            let changed = new != old;
            Ok((new, changed))
        })?
    };
    let path = file.path().display();
    terminal::say(match (changed, dry_run) {
        (false, _) => format!("{path}: nothing has changed"),
        (true, true) => format!("{path}: {NAME} would be {done}"),
        (true, false) => format!("{path}: {NAME} {done}"),
    });
    if context.json {
        terminal::json(&Outcome {
            client: client.word(),
            file: file.path(),
            changed,
        })?;
    }
    Ok(changed)
}

fn not_installed(client: Client, place: &Place) -> Failure {
    let signs: Vec<_> = place
        .signs
        .iter()
        .map(|sign| sign.display().to_string())
        .collect();
    let text = format!(
        "{} does not seem to be installed: {} is not there",
        client.title(),
        signs.join(" or ")
    );
    Failure::new(Reason::NotFound, text).with(
        key::HINT,
        "start it once; or --force, to write its settings all the same",
    )
}

/// A client that a desktop has started does not know the variables of this shell.
fn tell_what_is_unknown_there(report: &Report) {
    let names = ["AWS_SSO_START_URL", "AWSSO_SESSION", "AWS_PROFILE"];
    let env = report.entry.as_ref().map(|server| &server.entry.env);
    let is_named = env.is_some_and(|env| names.iter().any(|name| env.contains_key(*name)));
    if !is_named && context::variable("AWS_SSO_START_URL").is_some() {
        terminal::say(
            "AWS_SSO_START_URL is known in this shell only. For clients that a desktop starts: \
             [session.NAME] in config.toml, or --env AWS_SSO_START_URL=… --env AWS_SSO_REGION=…",
        );
    }
}

/// Whatever is wrong: it could be told, so all is well.
async fn list(context: &Context, machine: &Machine, args: &ListArgs) -> Result<u8, Stop> {
    let mut reports = Vec::new();
    for client in Client::value_variants() {
        reports.push(survey(machine, *client).await);
    }
    let document = Clients {
        clients: reports.iter().map(view).collect(),
    };
    let format = context.format(args);
    render::print_list(format, &document, || rows(&reports), || csv(&reports))?;
    if format == crate::args::Format::Table {
        reports.iter().for_each(tell_findings);
    }
    Ok(exit::OK)
}

fn view(report: &Report) -> ClientView<'_> {
    let command = report
        .entry
        .as_ref()
        .map(|server| server.entry.command.as_str());
    ClientView {
        client: report.client.word(),
        file: &report.file,
        installed: report.is_installed,
        configured: report.entry.is_some(),
        command,
        findings: &report.findings,
    }
}

fn rows(reports: &[Report]) -> Rows {
    let mut rows = Rows::new(&["CLIENT", "STATE", "FILE"]);
    for report in reports {
        let state = match (&report.entry, report.findings.is_empty()) {
            (_, false) => "see below",
            (Some(_), true) => "ready",
            (None, true) if report.is_installed => "not configured",
            (None, true) => "not installed",
        };
        rows.push([
            report.client.word(),
            state.to_owned(),
            report.file.display().to_string(),
        ]);
    }
    rows
}

/// What is wrong with a client, and what helps, is in one column for all of it.
fn csv(reports: &[Report]) -> Rows {
    let mut rows = Rows::new(&[
        "client",
        "file",
        "installed",
        "configured",
        "command",
        "findings",
    ]);
    for report in reports {
        let view = view(report);
        let findings = view.findings.iter();
        let told = findings.map(|it| format!("{}. To do: {}", it.message, it.cure));
        rows.push([
            view.client,
            view.file.display().to_string(),
            view.installed.to_string(),
            view.configured.to_string(),
            view.command.unwrap_or_default().to_owned(),
            told.collect::<Vec<_>>().join("; "),
        ]);
    }
    rows
}

fn tell_findings(report: &Report) {
    for finding in &report.findings {
        let entry = finding.entry.as_ref().map(|entry| format!(" ({entry})"));
        let text = format!(
            "{}{}: {}. To do: {}",
            report.client.title(),
            entry.unwrap_or_default(),
            finding.message,
            finding.cure
        );
        terminal::say(render::printable(&text));
    }
}
