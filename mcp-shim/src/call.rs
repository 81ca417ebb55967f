//! One tool call: what it was asked with, when it must have answered, and how
//! it tells the client that it is still at work.

use std::{
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use awsso_proto::{Client, Failure, Reason, client::Identity, v1::ClientKind};
use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, ProgressNotificationParam},
    service::RequestContext,
};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use crate::{
    context::Context,
    elicit::{Round, Way, form, link},
    server::Shim,
};

/// Clients give up after about a minute; what is not done by then is told as
/// far as it came.
pub(crate) const USUAL_WAIT: Duration = Duration::from_secs(45);

/// The longest that a call may be asked to wait: by a client that sees no
/// progress, and by one that does.
const LONGEST_SILENT_WAIT: Duration = Duration::from_secs(50);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(4);

/// What a call may take on top of its waiting, whatever happens behind it.
const GRACE: Duration = Duration::from_secs(8);

const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A line of progress is for a status bar.
const MAX_NOTE: usize = 120;

/// A client's name is for display: long enough for any real one.
const MAX_CLIENT_NAME: usize = 100;

pub(crate) struct Call<'a> {
    pub shim: &'a Shim,
    started: Instant,
    request: RequestContext<RoleServer>,
    who: Identity,
    /// The client asked before, and calls again with an answer.
    round: Option<Round>,
    /// How its person can be asked to approve something.
    forms: Option<Way>,
    /// They have been asked in this call, or cannot be.
    asked: AtomicBool,
    /// When the call has waited enough, as its arguments say.
    deadline: Mutex<Instant>,
    /// What the work last said of itself.
    note: Mutex<String>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(shim: &'a Shim, request: RequestContext<RoleServer>) -> Self {
        let started = Instant::now();
        let forms = Way::of_forms(&request);
        Self {
            shim,
            started,
            deadline: Mutex::new(started + USUAL_WAIT),
            who: identity(&request),
            request,
            round: None,
            forms,
            asked: AtomicBool::new(forms.is_none()),
            note: Mutex::default(),
        }
    }

    /// A call that may come again after a question.
    pub(crate) fn of(
        shim: &'a Shim,
        params: &CallToolRequestParams,
        request: RequestContext<RoleServer>,
    ) -> Self {
        let call = Self::new(shim, request);
        let link = link::Round::of(params).map(Round::Link);
        let form = || shim.seal.round(params, call.client_name()).map(Round::Form);
        let round = link.or_else(form);
        Self { round, ..call }
    }

    /// The link of a login was shown.
    pub(crate) fn login_round(&self) -> Option<&link::Round> {
        match &self.round {
            Some(Round::Link(round)) => Some(round),
            Some(Round::Form(_)) | None => None,
        }
    }

    /// The person was asked for an approval.
    pub(crate) fn approval_round(&self) -> Option<&form::Round> {
        match &self.round {
            Some(Round::Form(round)) => Some(round),
            Some(Round::Link(_)) | None => None,
        }
    }

    /// How often the client has called before.
    pub(crate) fn rounds(&self) -> u32 {
        match &self.round {
            Some(Round::Link(round)) => round.number,
            Some(Round::Form(round)) => round.number,
            None => 0,
        }
    }

    /// How the client's person can be asked to approve something.
    pub(crate) fn forms(&self) -> Option<Way> {
        self.forms
    }

    /// Whether the client's person will be asked when something needs an approval:
    /// nobody else is waited for before.
    pub(crate) fn asks(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn asks_no_more(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// As the daemon knows the client.
    pub(crate) fn client_name(&self) -> &str {
        &self.who.name
    }

    pub(crate) fn context(&self) -> &Context {
        &self.shim.context
    }

    pub(crate) fn request(&self) -> &RequestContext<RoleServer> {
        &self.request
    }

    /// When to answer with what there is.
    pub(crate) fn deadline(&self, wait_seconds: Option<u64>) -> Instant {
        let wait = wait_seconds.map_or(USUAL_WAIT, Duration::from_secs);
        let longest = if self.request.meta.get_progress_token().is_some() {
            LONGEST_WAIT
        } else {
            LONGEST_SILENT_WAIT
        };
        let deadline = self.started + wait.min(longest);
        *self.latest() = deadline.max(self.started + USUAL_WAIT);
        deadline
    }

    fn latest(&self) -> MutexGuard<'_, Instant> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fires when the client cancelled this call or is gone.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.request.ct
    }

    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        self.shim.daemon.client(&self.who).await
    }

    /// Asks the daemon what may be asked twice.
    pub(crate) async fn ask<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.shim.daemon.call(&self.who, call).await
    }

    /// Takes down what the next progress says, if anybody is told.
    pub(crate) fn at_work(&self, note: impl FnOnce() -> Option<String>) {
        if self.request.meta.get_progress_token().is_some()
            && let Some(note) = note()
        {
            *self.note.lock().unwrap_or_else(PoisonError::into_inner) = one_line(&note);
        }
    }

    /// Waits for the answer, reports progress meanwhile, and has an end.
    pub(crate) async fn answered<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            answer = self.with_progress(work) => answer,
            () = self.overdue() => Err(Failure::new(
                Reason::AwsUnavailable,
                format!("no answer within {} s", self.started.elapsed().as_secs()),
            )),
        }
    }

    /// Waits until the call has taken longer than it may.
    async fn overdue(&self) {
        loop {
            // The arguments may ask for a longer wait once they are read.
            let limit = *self.latest() + GRACE;
            if Instant::now() >= limit {
                return;
            }
            sleep_until(limit).await;
        }
    }

    async fn with_progress<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(token) = self.request.meta.get_progress_token() else {
            return work.await;
        };
        ticking(work, |seconds| {
            let note = self.note.lock().unwrap_or_else(PoisonError::into_inner);
            let message = match note.as_str() {
                "" => format!("{seconds} s"),
                note => format!("{seconds} s: {note}"),
            };
            let progress =
                ProgressNotificationParam::new(token.clone(), seconds).with_message(message);
            async {
                // A client that hung up is noticed elsewhere.
                let _ = self.request.peer.notify_progress(progress).await;
            }
        })
        .await
    }
}

/// What fits a status bar.
fn one_line(note: &str) -> String {
    let visible = note.trim().chars().filter(|c| !c.is_control());
    visible.take(MAX_NOTE).collect()
}

/// Waits for the work, and says every few seconds how long it has taken.
async fn ticking<T, F: Future<Output = ()>>(
    work: impl Future<Output = T>,
    tick: impl Fn(f64) -> F,
) -> T {
    let mut work = pin!(work);
    let started = Instant::now();
    let mut ticks = tokio::time::interval_at(started + PROGRESS_EVERY, PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => tick(started.elapsed().as_secs_f64().floor()).await,
        }
    }
}

/// Who stands behind the shim, as the client says of itself.
fn identity(request: &RequestContext<RoleServer>) -> Identity {
    let name = request.client_info().map_or_else(
        || "awsso-mcp".to_owned(),
        |client| format!("{}/{}", client.name, client.version),
    );
    Identity {
        kind: ClientKind::Shim,
        name: name
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_CLIENT_NAME)
            .collect(),
        form_elicitation: Way::of_forms(request).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn progress_comes_every_five_seconds_and_stops_with_the_answer() {
        let told = RefCell::new(Vec::new());
        let work = async {
            tokio::time::sleep(Duration::from_secs(17)).await;
            "done"
        };
        let answer = ticking(work, async |seconds| told.borrow_mut().push(seconds)).await;
        assert_eq!((answer, told.into_inner()), ("done", vec![5.0, 10.0, 15.0]));
    }
}
