//! How much all outputs together take. When it is too much, the jobs that ended
//! first lose theirs and say so; they stay on the list. What runs loses nothing.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Job, Jobs};

/// Makes room for this job, when it begins and when it has ended. Counts in
/// memory: files are only touched to remove them.
pub(super) async fn make(jobs: &Jobs, job: &Arc<Job>) {
    let Ok(files) = jobs.0.parts.config.files() else {
        return; // whoever starts a job is told
    };
    let limit = files.settings.limits.outputs_total_bytes;
    let all: Vec<_> = jobs.lock().iter().cloned().collect();
    let held = all.iter().map(|other| Held {
        bytes: other.outputs.iter().map(|output| output.stored()).sum(),
        may_go: other.is_final() && !Arc::ptr_eq(other, job),
    });
    let leaving = leaving(&held.collect::<Vec<_>>(), limit);
    if leaving.is_empty() {
        return;
    }
    info!(limit, jobs = leaving.len(), "old outputs make room");
    let remove = move || leaving.into_iter().for_each(|at| all[at].discard());
    if let Err(error) = tokio::task::spawn_blocking(remove).await {
        warn!(%error, "old outputs stay");
    }
}

/// What one job has stored.
struct Held {
    bytes: u64,
    may_go: bool,
}

/// Of jobs that are given newest first, the oldest until the rest fits.
fn leaving(held: &[Held], limit: u64) -> Vec<usize> {
    let mut total: u64 = held.iter().map(|held| held.bytes).sum();
    let mut leaving = Vec::new();
    for (at, held) in held.iter().enumerate().rev() {
        if total <= limit {
            break;
        }
        if held.may_go && held.bytes > 0 {
            total -= held.bytes;
            leaving.push(at);
        }
    }
    leaving
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_until_the_rest_fits_and_what_runs_stays() {
        let goes = |bytes| Held {
            bytes,
            may_go: true,
        };
        let stays = |bytes| Held {
            bytes,
            may_go: false,
        };
        for (held, limit, expected) in [
            (vec![], 0, vec![]),
            (vec![goes(5), goes(5)], 10, vec![]),
            (vec![goes(5), goes(5)], 9, vec![1]),
            (vec![goes(5), goes(0), goes(5)], 4, vec![2, 0]),
            (vec![goes(5), stays(50), goes(5)], 55, vec![2]),
            (vec![stays(50)], 10, vec![]),
        ] {
            assert_eq!(leaving(&held, limit), expected);
        }
    }
}
