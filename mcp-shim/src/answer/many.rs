//! Many tasks in one answer: a table with a row for each, then what they
//! printed, told once where several printed the same, then one line on the whole.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use awsso_proto::v1::{Task, TaskState};

use super::run::{Body, body, grouped, on_new_line, part, seconds, still_running, told};
use crate::run::{Printed, Run};

/// Rows of a table. Of more tasks those are left out that went well.
const MOST_ROWS: usize = 200;

/// Characters of what AWS said of one task.
const MOST_DETAIL: usize = 200;

/// What a task may differ in from the others, and how that is told.
type Column = (&'static str, fn(&Task) -> String);

const PLACE: [Column; 3] = [
    ("account", account),
    ("role", |task| task.role_name.clone()),
    ("region", |task| task.region.clone()),
];
const INSTANCE: Column = ("instance", |task| task.instance_id.clone());

pub(super) fn text(run: &Run, max_chars: usize) -> String {
    let tasks = &run.job.tasks;
    // What is the same for all tasks stands in the last line, not in every row.
    let (mut columns, same): (Vec<_>, Vec<_>) = PLACE
        .iter()
        .partition(|(_, of)| values(tasks, *of).len() > 1);
    if !values(tasks, INSTANCE.1).is_empty() {
        columns.push(&INSTANCE);
    }
    let mut text = table(&columns, run);
    let groups = alike(&run.printed);
    let sizes: Vec<usize> = groups
        .iter()
        .map(|group| size(&run.printed[group[0]]))
        .collect();
    let (mut shown, mut of) = (0, 0);
    for (group, room) in groups.iter().zip(shares(&sizes, max_chars)) {
        let Body {
            text: printed,
            shown: chars,
            of: all,
            ..
        } = body(&run.printed[group[0]], room);
        shown += chars;
        of += all;
        on_new_line(&mut text, &format!("== {}", numbers(group)));
        if chars < all {
            let _ = write!(text, " ({})", part(chars, all));
        }
        text.push('\n');
        text.push_str(&printed);
    }
    if tasks.is_empty() && run.is_over() {
        on_new_line(&mut text, "there was nothing to run it on");
    }
    if !run.is_over() {
        on_new_line(&mut text, &still_running(&run.job.id));
    }
    on_new_line(&mut text, &trailer(&same, run, shown, of));
    text
}

/// The different values of a column. What is empty was not known.
fn values(tasks: &[Task], of: fn(&Task) -> String) -> BTreeSet<String> {
    let values = tasks.iter().map(of);
    values.filter(|value| !value.is_empty()).collect()
}

fn table(columns: &[&Column], run: &Run) -> String {
    let tasks = &run.job.tasks;
    let mut rows: Vec<usize> = (0..tasks.len()).collect();
    if rows.len() > MOST_ROWS {
        rows.sort_by_key(|at| tasks[*at].state() == TaskState::Succeeded);
        rows.truncate(MOST_ROWS);
        rows.sort_unstable();
    }
    let mut names = vec!["#"];
    names.extend(columns.iter().map(|(name, _)| *name));
    names.extend(["result", "chars", "outputId"]);
    let mut table = names.join("  ");
    table.push('\n');
    for at in &rows {
        let task = &tasks[*at];
        let mut cells = vec![(at + 1).to_string()];
        cells.extend(columns.iter().map(|(_, of)| of(task)));
        cells.push(told(task));
        cells.push(size(&run.printed[*at]).to_string());
        cells.push(task.output_id.clone());
        // A name that is not known still has its column.
        let cells = cells.iter().map(|cell| match cell.as_str() {
            "" => "-",
            cell => cell,
        });
        table.push_str(&cells.collect::<Vec<_>>().join("  "));
        if let Some(note) = note(task) {
            table.push_str("  ");
            table.push_str(&note);
        }
        table.push('\n');
    }
    let left_out = tasks.len() - rows.len();
    if left_out > 0 {
        let _ = writeln!(table, "({} more rows are not shown)", grouped(left_out));
    }
    table
}

/// What a model must know of a task beyond its result.
fn note(task: &Task) -> Option<String> {
    let mut note: String = task.detail.chars().take(MOST_DETAIL).collect();
    if task.truncated {
        note.push_str("; the output was longer than what is stored");
    }
    if task.state() != TaskState::Succeeded && !task.other_roles.is_empty() {
        let _ = write!(note, "; other roles: {}", task.other_roles.join(", "));
    }
    let note = note.trim_start_matches("; ");
    (!note.is_empty()).then(|| note.to_owned())
}

/// `production (111122223333)`
fn account(task: &Task) -> String {
    match task.account_name.as_str() {
        "" => task.account_id.clone(),
        name => format!("{name} ({})", task.account_id),
    }
}

/// Tasks that printed something, those together that printed the same.
fn alike(printed: &[Printed]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = HashMap::new();
    for (at, task) in printed.iter().enumerate() {
        if size(task) == 0 {
            continue;
        }
        let group = match whole(task) {
            Some(whole) => *known.entry(whole).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// All that a task printed, where all is here to be compared.
fn whole(task: &Printed) -> Option<(&[u8], &[u8])> {
    let stdout = match &task.reshaped {
        Some(Ok(text)) => text.as_bytes(),
        Some(Err(_)) => return None,
        None => task.stdout.whole()?,
    };
    Some((stdout, task.stderr.whole()?))
}

fn size(task: &Printed) -> usize {
    let stdout = match &task.reshaped {
        Some(Ok(text)) => text.chars().count(),
        _ => task.stdout.chars(),
    };
    stdout + task.stderr.chars()
}

/// How many characters each may have: the short ones all of theirs, the long ones
/// the same.
fn shares(sizes: &[usize], max_chars: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| sizes[*at]);
    let mut shares = vec![0; sizes.len()];
    let mut left = max_chars;
    for (done, at) in order.iter().enumerate() {
        let share = sizes[*at].min(left / (sizes.len() - done));
        shares[*at] = share;
        left -= share;
    }
    shares
}

/// `1-3, 7`
fn numbers(group: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in group.iter().map(|at| at + 1) {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => ranges.push((number, number)),
        }
    }
    let told = ranges.iter().map(|(start, end)| {
        if start == end {
            start.to_string()
        } else {
            format!("{start}-{end}")
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// `[2 of 3 succeeded | 12 s | role ReadOnly region eu-west-1 | jobId job_1]`
fn trailer(same: &[&Column], run: &Run, shown: usize, of: usize) -> String {
    let mut parts = vec![run.summary(), seconds(run.watched)];
    let place = same.iter().filter_map(|(name, of)| {
        let value = values(&run.job.tasks, *of).pop_first()?;
        Some(format!("{name} {value}"))
    });
    let place: Vec<_> = place.collect();
    if !place.is_empty() {
        parts.push(place.join(" "));
    }
    if shown < of {
        parts.push(part(shown, of));
    }
    parts.push(format!("jobId {}", run.job.id));
    format!("[{}]", parts.join(" | "))
}

#[cfg(test)]
mod tests;
