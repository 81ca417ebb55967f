//! `awsso daemon install|uninstall`: the service manager starts the daemon. All of
//! it is done or nothing; what is done already is not done again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use awsso_proto::{Failure, Reason, disk, error::key, ipc, launch};
use serde::Serialize;
use tokio::process::Command;

use super::daemon;
use crate::{
    args::ServiceArgs,
    context::{self, Context},
    exit::{Stop, file_failure},
    mcp::program::lasting,
    os,
    progress::Progress,
    service::{Places, Service, Step, Unit, is_ours},
    settings_file, terminal,
};

/// A command of a service manager may wait for a daemon that drains.
const LIMIT: Duration = Duration::from_mins(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    manager: &'a str,
    files: Vec<&'a Path>,
    changed: bool,
}

pub async fn install(context: &Context, args: &ServiceArgs) -> Result<(), Stop> {
    let service = os::service_manager().service(&places(context)?);
    reach(&service).await?;
    let before = read(&service)?;
    let written = before
        .iter()
        .zip(&service.units)
        .all(|(there, unit)| there.as_ref() == Some(&unit.bytes));
    let on = is_on(&service).await;
    let changed = !(written && on);
    if args.dry_run {
        show(context, &service, &before, |unit| Some(&unit.bytes))?;
        let steps = if changed { &service.on[..] } else { &[] };
        show_steps(context, steps)?;
    } else if changed {
        make_room(context).await?;
        let work = turn_on(&service, &before, on);
        Progress::new(format!("asking {}", service.name))
            .over(work)
            .await?;
    }
    let told = if changed {
        "starts awssod for its clients"
    } else {
        "starts awssod for its clients already; nothing to do"
    };
    tell(context, &service, args, changed, told)
}

pub async fn uninstall(context: &Context, args: &ServiceArgs) -> Result<(), Stop> {
    let service = os::service_manager().service(&places(context)?);
    reach(&service).await?;
    let before = read(&service)?;
    let on = is_on(&service).await;
    let changed = on || before.iter().any(Option::is_some);
    if args.dry_run {
        show(context, &service, &before, |_| None)?;
        let steps = if changed { &service.off[..] } else { &[] };
        show_steps(context, steps)?;
    } else if changed {
        make_room(context).await?;
        let work = turn_off(&service);
        Progress::new(format!("asking {}", service.name))
            .over(work)
            .await?;
    }
    let told = if changed {
        "no longer starts awssod; clients do"
    } else {
        "does not start awssod; nothing to do"
    };
    tell(context, &service, args, changed, told)
}

fn places(context: &Context) -> Result<Places, Stop> {
    let path = std::env::var_os("PATH");
    let lasting = |program: PathBuf| lasting(program, path.as_deref());
    let home = context::home();
    let no_home = || Failure::new(Reason::InvalidArgument, "HOME is not set");
    let user = context::variable("USERNAME").or_else(|| context::variable("USER"));
    let domain = context::variable("USERDOMAIN").map(|domain| domain + "\\");
    Ok(Places {
        awsso: lasting(std::env::current_exe()?),
        awssod: lasting(launch::find_daemon()?),
        home: home.ok_or_else(no_home)?,
        config: context::variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute()),
        state: context.endpoint.state.clone(),
        socket: context.endpoint.socket.clone(),
        user: domain.unwrap_or_default() + &user.unwrap_or_default(),
    })
}

async fn reach(service: &Service) -> Result<(), Failure> {
    run(&service.reach).await.map_err(|why| {
        let text = format!("{} cannot be asked: {why}", service.name);
        let hint = "run this in a login session of yours; without a service, clients start awssod by themselves";
        Failure::new(Reason::NotFound, text).with(key::HINT, hint)
    })
}

async fn is_on(service: &Service) -> bool {
    for step in &service.is_on {
        if run(step).await.is_err() {
            return false;
        }
    }
    true
}

/// What is there now; a file that somebody else has written is an error.
fn read(service: &Service) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let read = |unit: &Unit| match fs::read(&unit.path) {
        Ok(bytes) if is_ours(&bytes) => Ok(Some(bytes)),
        Ok(_) => {
            let text = format!(
                "{} is not awsso's; nothing was changed",
                unit.path.display()
            );
            let hint = "move that file away, then run the command again";
            Err(Failure::new(Reason::InvalidArgument, text).with(key::HINT, hint))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_failure(&unit.path.display(), &error)),
    };
    service.units.iter().map(read).collect()
}

/// A daemon that runs ends, unless that would lose something.
async fn make_room(context: &Context) -> Result<(), Stop> {
    daemon::stop(context, "stop", false).await?;
    // The manager is to find a folder that clients trust.
    if let Some(dir) = ipc::folder_of(&context.endpoint.socket) {
        ipc::private_dir(dir)?;
    }
    Ok(())
}

async fn turn_on(
    service: &Service,
    before: &[Option<Vec<u8>>],
    was_on: bool,
) -> Result<(), Failure> {
    let done = async {
        for unit in &service.units {
            write(unit, &unit.bytes)?;
        }
        steps(&service.on).await
    };
    let Err(mut failure) = done.await else {
        return Ok(());
    };
    // As it was before; the error that counts is the first one.
    let _ = steps(&service.off).await;
    for (unit, before) in service.units.iter().zip(before) {
        let _ = match before {
            Some(bytes) => write(unit, bytes),
            None => remove(unit),
        };
    }
    let _ = steps(if was_on { &service.on } else { &service.forget }).await;
    failure.message += "; it is as it was before";
    Err(failure)
}

async fn turn_off(service: &Service) -> Result<(), Failure> {
    steps(&service.off).await?;
    for unit in &service.units {
        remove(unit)?;
    }
    steps(&service.forget).await
}

fn write(unit: &Unit, bytes: &[u8]) -> Result<(), Failure> {
    let dir = unit.path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)
        .and_then(|()| disk::replace(&unit.path, bytes))
        .map_err(|error| file_failure(&unit.path.display(), &error))
}

/// And the folders that only it needed.
fn remove(unit: &Unit) -> Result<(), Failure> {
    match fs::remove_file(&unit.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_failure(&unit.path.display(), &error));
        }
        _ => {}
    }
    for dir in unit.path.ancestors().skip(1).take(2) {
        let _ = fs::remove_dir(dir); // somebody else's units are in it
    }
    Ok(())
}

async fn steps(steps: &[Step]) -> Result<(), Failure> {
    for step in steps {
        match run(step).await {
            Err(why) if !step.may_fail => {
                let text = format!("{} failed: {why}", step.words.join(" "));
                return Err(Failure::new(Reason::Internal, text)
                    .with(key::HINT, "look at what the service manager has logged"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The error is its last line on stderr.
async fn run(step: &Step) -> Result<(), String> {
    let (program, args) = step.words.split_first().expect("a command has a program");
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(LIMIT, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{program}: {error}")),
        Err(_) => return Err(format!("{program} does not end")),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

fn show<'a>(
    context: &Context,
    service: &'a Service,
    before: &[Option<Vec<u8>>],
    after: impl Fn(&'a Unit) -> Option<&'a Vec<u8>>,
) -> Result<(), Stop> {
    if context.json {
        return Ok(());
    }
    let text = |bytes: Option<&Vec<u8>>| {
        String::from_utf8_lossy(bytes.map_or(&[], Vec::as_slice)).into_owned()
    };
    for (unit, before) in service.units.iter().zip(before) {
        let (old, new) = (text(before.as_ref()), text(after(unit)));
        terminal::data(settings_file::diff(&unit.path, &old, &new).as_bytes())?;
    }
    Ok(())
}

fn show_steps(context: &Context, steps: &[Step]) -> Result<(), Stop> {
    if context.json {
        return Ok(());
    }
    let mut lines = steps.iter().map(|step| step.words.join(" "));
    lines.try_for_each(terminal::line)
}

fn tell(
    context: &Context,
    service: &Service,
    args: &ServiceArgs,
    changed: bool,
    told: &str,
) -> Result<(), Stop> {
    if context.json {
        let files = service.units.iter().map(|unit| unit.path.as_path());
        return terminal::json(&Outcome {
            manager: service.name,
            files: files.collect(),
            changed,
        });
    }
    if args.dry_run {
        terminal::say("Nothing was changed.");
        return Ok(());
    }
    terminal::line(format_args!("{} {told}", service.name))
}
