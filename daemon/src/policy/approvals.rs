//! What agents may do only when a person says yes: the questions that wait, and
//! the answers that hold. An answer comes from whoever gives one first: `awsso
//! approvals`, the desktop, or the agent's own client, when that asks its person.
//! Nothing outlives the daemon, and without an answer the answer is no.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use awsso_proto::{
    Failure, Reason, approval,
    error::key,
    v1::{self, ApprovalScope, JobKind, timestamp},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info};

use crate::{clock::Clock, os::notify};

/// A question without an answer is withdrawn after this time.
const ASK_FOR: Duration = Duration::from_mins(10);
/// An approved run is to be fetched in this time.
const ONCE_LASTS: Duration = Duration::from_mins(10);
const SESSION_LASTS: Duration = Duration::from_hours(12);
const COMMAND_LASTS: Duration = Duration::from_hours(8);
/// Who was told no is not asked about the same again at once.
const NO_LASTS: Duration = Duration::from_mins(5);
/// The longest that a call is held for an answer: clients give up after a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(50);
const MOST_WAITING: usize = 100;
const MOST_ANSWERS: usize = 1_000;
/// Of thousands of targets a person reads a few.
const PLACES_SHOWN: usize = 10;

/// The agent's end of a connection.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Gone with the connection.
    pub connection: Weak<()>,
    pub name: String,
    pub pid: Option<u32>,
}

impl Asker {
    fn is(&self, other: &Self) -> bool {
        self.connection.ptr_eq(&other.connection)
    }
}

/// What is asked for. Equal is what a person would not tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub kind: JobKind,
    pub argv: Vec<String>,
    /// What else of the request a person should know.
    pub detail: String,
    pub class: String,
    pub places: Vec<v1::ApprovalPlace>,
}

impl Work {
    /// The same kind of thing, nowhere else and as nobody else.
    fn is_like(&self, approved: &Self) -> bool {
        let whom = |place: &v1::ApprovalPlace| (place.account_id.clone(), place.role_name.clone());
        let approved_for: Vec<_> = approved.places.iter().map(whom).collect();
        self.kind == approved.kind
            && self.class == approved.class
            && self
                .places
                .iter()
                .all(|place| approved_for.contains(&whom(place)))
    }
}

/// Who answers.
#[derive(Clone, Copy)]
pub enum By<'a> {
    Person,
    /// A shim that may pass on the answer of its client's person, to what it
    /// asked for itself.
    Client(&'a Asker),
}

#[derive(Debug)]
struct Waiting {
    asker: Asker,
    work: Work,
    question: Question,
    expires_at: SystemTime,
}

/// As those see it who answer it or wait for the answer.
#[derive(Debug, Clone)]
struct Question {
    shown: v1::Approval,
    answered: CancellationToken,
    /// Whether the desktop shows it with buttons; `None` while that is tried.
    on_desktop: watch::Receiver<Option<bool>>,
}

#[derive(Debug)]
struct Answer {
    asker: Asker,
    work: Work,
    /// No scope: a no.
    scope: Option<ApprovalScope>,
    until: SystemTime,
}

impl Answer {
    fn holds_for(&self, asker: &Asker, work: &Work) -> bool {
        match self.scope {
            Some(ApprovalScope::Command) => self.work == *work,
            Some(ApprovalScope::Session) => self.asker.is(asker) && work.is_like(&self.work),
            Some(_) | None => self.asker.is(asker) && self.work == *work,
        }
    }
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Approvals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    tracker: TaskTracker,
    stop: CancellationToken,
    state: Mutex<State>,
    /// What people see.
    list: watch::Sender<Vec<v1::Approval>>,
    /// Counts who sits there to be asked.
    people: Arc<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    answers: Vec<Answer>,
}

/// Somebody who sees the questions.
#[derive(Debug)]
pub struct Watcher {
    list: watch::Receiver<Vec<v1::Approval>>,
    _here: Option<Arc<()>>,
}

impl Watcher {
    /// What waits, the oldest first.
    pub fn waiting(&mut self) -> Vec<v1::Approval> {
        self.list.borrow_and_update().clone()
    }

    /// Returns when that has changed; false: it never will again.
    pub async fn changed(&mut self) -> bool {
        self.list.changed().await.is_ok()
    }
}

impl Approvals {
    pub fn new(clock: Clock, tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            clock,
            tracker,
            stop,
            state: Mutex::default(),
            list: watch::Sender::new(Vec::new()),
            people: Arc::default(),
        }))
    }

    /// The questions, for one who only looks or one who can be asked.
    pub fn watch(&self, only_looks: bool) -> Watcher {
        Watcher {
            list: self.0.list.subscribe(),
            _here: (!only_looks).then(|| Arc::clone(&self.0.people)),
        }
    }

    /// Returns when a person has approved this; waits `patience` for that, when
    /// somebody can be asked. `why` names the rule that wants to know.
    pub async fn clear(
        &self,
        asker: &Asker,
        work: Work,
        why: &str,
        patience: Duration,
    ) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + patience.min(LONGEST_WAIT);
        let Some(mut question) = self.ask(asker, &work, why)? else {
            return Ok(());
        };
        if patience.is_zero() {
            return Err(required(&question.shown));
        }
        if self.can_be_asked(&mut question.on_desktop).await {
            // An answer or none: what it is stands in the answers.
            let _ = tokio::time::timeout_at(deadline, question.answered.cancelled()).await;
        }
        self.ask(asker, &work, why)?
            .map_or(Ok(()), |waiting| Err(required(&waiting.shown)))
    }

    /// A person's answer.
    pub fn decide(&self, by: By<'_>, decision: &v1::DecideApprovalRequest) -> Result<(), Failure> {
        let scope = match (decision.approve, decision.scope()) {
            (false, _) => None,
            (true, ApprovalScope::Unspecified) => Some(ApprovalScope::Once),
            (true, scope) => Some(scope),
        };
        if let (By::Client(_), Some(ApprovalScope::Command)) = (by, scope) {
            let what = "for all agents a person approves at a terminal only";
            return Err(
                Failure::new(Reason::DeniedByPolicy, what).with(key::HINT, elsewhere(&decision.id))
            );
        }
        let now = self.0.clock.now();
        let mut state = self.lock();
        state.forget(now);
        let position = state.waiting.iter().position(|waiting| {
            let may = match by {
                By::Person => true,
                By::Client(asker) => waiting.asker.is(asker),
            };
            may && waiting.question.shown.id == decision.id
        });
        let Some(position) = position else {
            let what = format!("no approval {:?} waits for an answer", decision.id);
            return Err(
                Failure::new(Reason::NotFound, what).with(key::HINT, "see: awsso approvals list")
            );
        };
        let Waiting {
            question,
            asker,
            work,
            ..
        } = state.waiting.remove(position);
        if state.answers.len() >= MOST_ANSWERS {
            state.answers.remove(0);
        }
        let lasts = match scope {
            None => NO_LASTS,
            Some(ApprovalScope::Session) => SESSION_LASTS,
            Some(ApprovalScope::Command) => COMMAND_LASTS,
            Some(_) => ONCE_LASTS,
        };
        info!(id = %decision.id, scope = scope.map_or("no", |scope| scope.as_str_name()), "answered");
        state.answers.push(Answer {
            asker,
            work,
            scope,
            until: now + lasts,
        });
        self.publish(&state);
        drop(state);
        question.answered.cancel();
        Ok(())
    }

    /// `None`: it is approved. An approval of one run is used up by this.
    fn ask(&self, asker: &Asker, work: &Work, why: &str) -> Result<Option<Question>, Failure> {
        let now = self.0.clock.now();
        let mut state = self.lock();
        state.forget(now);
        let mut answers = state.answers.iter();
        // What a person said last counts.
        if let Some(position) = answers.rposition(|answer| answer.holds_for(asker, work)) {
            return match state.answers[position].scope {
                None => Err(refused()),
                Some(ApprovalScope::Once) => {
                    state.answers.remove(position);
                    Ok(None)
                }
                Some(_) => Ok(None),
            };
        }
        let mut waiting = state.waiting.iter();
        if let Some(waiting) = waiting.find(|it| it.asker.is(asker) && it.work == *work) {
            return Ok(Some(waiting.question.clone()));
        }
        if state.waiting.len() >= MOST_WAITING {
            return Err(Failure::new(
                Reason::Busy,
                format!("{MOST_WAITING} approvals wait for an answer already"),
            ));
        }
        let expires_at = now + ASK_FOR;
        let (on_desktop, desktop) = watch::channel(None);
        let question = Question {
            shown: v1::Approval {
                id: random_id(),
                asked_at: Some(timestamp(now)),
                expires_at: Some(timestamp(expires_at)),
                client_name: asker.name.clone(),
                pid: asker.pid.unwrap_or_default(),
                kind: work.kind.into(),
                argv: work.argv.clone(),
                detail: work.detail.clone(),
                class: work.class.clone(),
                why: why.to_owned(),
                places: work.places.iter().take(PLACES_SHOWN).cloned().collect(),
                targets: u32::try_from(work.places.len()).unwrap_or(u32::MAX),
            },
            answered: CancellationToken::new(),
            on_desktop: desktop,
        };
        info!(id = %question.shown.id, client = %asker.name, class = %work.class, "waits for approval");
        state.waiting.push(Waiting {
            asker: asker.clone(),
            work: work.clone(),
            question: question.clone(),
            expires_at,
        });
        self.publish(&state);
        let attended = self
            .clone()
            .attend(question.clone(), on_desktop, expires_at);
        self.0.tracker.spawn(attended);
        Ok(Some(question))
    }

    /// Shows one question on the desktop, and withdraws it in time.
    async fn attend(
        self,
        question: Question,
        on_desktop: watch::Sender<Option<bool>>,
        expires_at: SystemTime,
    ) {
        let id = &question.shown.id;
        let desktop = async {
            let shown = notify::Question {
                summary: &summary(&question.shown),
                body: &body(&question.shown),
                yes: "Approve once",
                no: "Deny",
            };
            let answer = notify::ask(&shown, &question.answered, || {
                on_desktop.send_replace(Some(true));
            });
            match answer.await {
                Ok(Some(approve)) => {
                    let decision = v1::DecideApprovalRequest {
                        id: id.clone(),
                        approve,
                        scope: ApprovalScope::Once.into(),
                    };
                    let _ = self.decide(By::Person, &decision); // answered elsewhere meanwhile
                }
                Ok(None) => {}
                Err(error) => debug!(%error, "not asked on the desktop"),
            }
            // Nobody is there, or the person closed it: the others can still answer.
            on_desktop.send_replace(Some(false));
        };
        let end = async {
            tokio::select! {
                () = question.answered.cancelled() => return,
                () = self.0.clock.wait_until(Some(expires_at)) => {}
                () = self.0.stop.cancelled() => {}
            }
            let mut state = self.lock();
            state.forget(self.0.clock.now());
            self.publish(&state);
            drop(state);
            question.answered.cancel();
        };
        tokio::join!(desktop, end);
    }

    async fn can_be_asked(&self, on_desktop: &mut watch::Receiver<Option<bool>>) -> bool {
        if Arc::strong_count(&self.0.people) > 1 {
            return true;
        }
        let tried = on_desktop.wait_for(Option::is_some).await;
        tried.is_ok_and(|reached| *reached == Some(true))
    }

    fn publish(&self, state: &State) {
        let shown = state.waiting.iter().map(|it| it.question.shown.clone());
        self.0.list.send_replace(shown.collect());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is too old, or whose client is gone. A yes for exactly this outlives its client.
    fn forget(&mut self, now: SystemTime) {
        let is_there = |asker: &Asker| asker.connection.strong_count() > 0;
        self.waiting
            .retain(|it| now < it.expires_at && is_there(&it.asker));
        self.answers.retain(|answer| {
            let lasts = answer.scope == Some(ApprovalScope::Command) || is_there(&answer.asker);
            now < answer.until && lasts
        });
    }
}

/// One line: who wants to do what where.
fn summary(shown: &v1::Approval) -> String {
    let who = match shown.client_name.as_str() {
        "" => "An agent",
        name => name,
    };
    let place = shown.places.first().cloned().unwrap_or_default();
    let account = match place.account_name.as_str() {
        "" => place.account_id,
        name => name.to_owned(),
    };
    let more = match shown.targets {
        0 | 1 => String::new(),
        targets => format!(" and {} more", targets - 1),
    };
    format!(
        "{who} asks ({}): {} in {account}{more}",
        shown.class, place.role_name
    )
}

fn body(shown: &v1::Approval) -> String {
    let detail = match shown.detail.as_str() {
        "" => String::new(),
        detail => format!("\n{detail}"),
    };
    format!(
        "{}{detail}\nOr: awsso approvals approve {}",
        approval::command(shown),
        shown.id
    )
}

fn required(shown: &v1::Approval) -> Failure {
    let id = &shown.id;
    Failure::new(Reason::ApprovalRequired, shown.why.as_str())
        .with(key::APPROVAL, id)
        .with(
            key::HINT,
            format!(
                "{}; then the same request again is carried out",
                elsewhere(id)
            ),
        )
}

/// How a person answers without the agent's window.
pub(super) fn elsewhere(id: &str) -> String {
    format!("a person runs: awsso approvals approve {id}")
}

fn refused() -> Failure {
    Failure::new(Reason::DeniedByPolicy, "a person was asked, and said no")
}

/// Short enough to be typed, and found out by nobody: it approves nothing by itself.
fn random_id() -> String {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("apr_{}", crate::hex(&bytes))
}

#[cfg(test)]
mod tests;
