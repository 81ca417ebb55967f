//! `awsso audit show|verify`: reads the files themselves, so that they can be read
//! and checked without the daemon that wrote them.

use std::{io, path::Path, time::Duration};

use awsso_proto::audit::{self, Line, Report};
use serde::Serialize;

use crate::{
    args::{AuditCommand, AuditShowArgs},
    context::{self, Context},
    exit::{self, Stop},
    render::{self, time},
    terminal,
};

/// Quick to the eye, nothing to the machine.
const GLANCE: Duration = Duration::from_millis(250);

pub async fn run(context: &Context, command: &AuditCommand) -> Result<u8, Stop> {
    match command {
        AuditCommand::Show(args) => show(context, args).await,
        AuditCommand::Verify => verify(context),
    }
}

#[derive(Serialize)]
struct LinesView {
    lines: Vec<Line>,
}

async fn show(context: &Context, args: &AuditShowArgs) -> Result<u8, Stop> {
    let state = &context.endpoint.state;
    let since = args.since.and_then(|span| context::now().checked_sub(span));
    let since = since.map(time::rfc3339).unwrap_or_default();
    // Instants of one form are in order as texts are.
    let wanted = |line: &Line| {
        line.entry.at >= since
            && (!args.agent || line.entry.who.kind == "agent")
            && (!args.person || line.entry.who.kind == "person")
    };
    let all = lines(state, 0)?;
    let mut last = all.last().map_or(0, |line| line.seq);
    let mut view = LinesView {
        lines: all.into_iter().filter(wanted).collect(),
    };
    let table = |view: &LinesView| render::audit::table(&view.lines);
    if !args.follow {
        render::print_list(
            context.format(&args.list),
            &view,
            || table(&view),
            || render::audit::csv(&view.lines),
        )?;
        return Ok(exit::OK);
    }
    let mut header = true;
    loop {
        if context.json {
            for line in &view.lines {
                terminal::json_line(line)?;
            }
        } else if header || !view.lines.is_empty() {
            let text = table(&view).into_table();
            let rows = match text.split_once('\n') {
                Some((_, rows)) if !header => rows,
                _ => &text,
            };
            terminal::data(rows.as_bytes())?;
            header = false;
        }
        tokio::time::sleep(GLANCE).await;
        let added = lines(state, last)?;
        last = added.last().map_or(last, |line| line.seq);
        view.lines = added.into_iter().filter(wanted).collect();
    }
}

/// The lines behind this one. What is torn or was changed is for `verify`.
fn lines(state: &Path, after: u64) -> Result<Vec<Line>, Stop> {
    let failed = |error: &io::Error| exit::file_failure(&state.display(), error);
    let files = match audit::files(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(|error| failed(&error))?,
    };
    // Of files whose first lines were shown, only the last can hold more.
    let begins = |(first, _): &(Option<u64>, _)| first.is_some_and(|first| first <= after);
    let known = files.iter().filter(|file| begins(file)).count();
    let mut lines = Vec::new();
    for (_, path) in &files[known.saturating_sub(1)..] {
        let text = match std::fs::read(path) {
            // Renamed or removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text.map_err(|error| failed(&error))?,
        };
        let whole = text.split_inclusive(|byte| *byte == b'\n');
        let whole = whole.filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        lines.extend(whole.filter(|line| line.seq > after));
    }
    Ok(lines)
}

#[derive(Serialize)]
struct ReportView {
    ok: bool,
    lines: u64,
    files: usize,
    notes: Vec<String>,
    problem: Option<ProblemView>,
}

#[derive(Serialize)]
struct ProblemView {
    file: String,
    line: usize,
    what: String,
}

fn verify(context: &Context) -> Result<u8, Stop> {
    let state = &context.endpoint.state;
    let report = match audit::verify(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Report::default(),
        report => report.map_err(|error| exit::file_failure(&state.display(), &error))?,
    };
    let code = match report.tampered {
        None => exit::OK,
        Some(_) => exit::FAILED,
    };
    if context.json {
        terminal::json(&ReportView::from(report))?;
        return Ok(code);
    }
    match &report.tampered {
        None => terminal::line(format_args!(
            "The audit log is as it was written: {} line(s) in {} file(s)",
            report.lines, report.files
        ))?,
        Some(found) => terminal::complain(format_args!(
            "the audit log is not as it was written: {found}"
        )),
    }
    for note in &report.notes {
        terminal::say(format_args!("  note: {note}"));
    }
    Ok(code)
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        Self {
            ok: report.tampered.is_none(),
            lines: report.lines,
            files: report.files,
            notes: report.notes.iter().map(ToString::to_string).collect(),
            problem: report.tampered.map(|found| ProblemView {
                file: found.file.display().to_string(),
                line: found.line,
                what: found.what,
            }),
        }
    }
}
