//! `awsso.v1.Jobs`: start, watch, list, cancel, read.

use std::{sync::Arc, time::Duration};

use awsso_proto::{
    Failure, Reason,
    v1::{
        self, CancelJobRequest, CancelJobResponse, ListJobsRequest, ListJobsResponse, OutputChunk,
        OutputStream, QueryOutputRequest, QueryOutputResponse, ReadOutputRequest,
        ReadOutputResponse, StartJobRequest, StartJobResponse, WatchJobRequest, WatchJobResponse,
        jobs_server::Jobs as Service, start_job_request::Work, watch_job_response::Event,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{STREAM_QUEUE, Services, Stream, approvals::asked, connection::Caller, policy::place};
use crate::{
    jobs::{Bounds, Job, Planned, query},
    policy::{self, Principal, Redactor, Verdict},
};

/// Output in one message.
const CHUNK: usize = 64 << 10;
const MAX_READ: usize = 4 << 20;
/// A job with more tasks is told no more often than this.
const MANY: usize = 50;
const MANY_PAUSE: Duration = Duration::from_millis(100);

#[tonic::async_trait]
impl Service for Services {
    async fn start(
        &self,
        request: Request<StartJobRequest>,
    ) -> Result<Response<StartJobResponse>, Status> {
        let caller = Caller::of(&request);
        let note = Self::note(&request);
        if let Some(work) = &request.get_ref().work {
            note.command(work);
        }
        let (principal, files) = self.admit(&request)?;
        let request = request.into_inner();
        let nothing = || Failure::new(Reason::InvalidArgument, "there is no work to do");
        let work = request.work.ok_or_else(nothing)?;
        let rules = &files.settings.policy.rules;
        let action = policy::action_of(&work, rules, &self.config.environment)?;
        if principal == Principal::Agent {
            action.check_for_agents()?;
        }
        if request.read_only {
            action.check_reads_only()?;
        }
        self.admit_to_logins(principal)?;
        let bounds = Bounds {
            time: request.time_limit.map(duration).transpose()?,
            parallel: usize::try_from(request.parallel).unwrap_or(usize::MAX),
            max_errors: request
                .max_errors
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        };
        // A client that leaves before this ends has started nothing; afterwards
        // the job is the daemon's.
        let mut planned = if let Some(selection) = request.selection {
            self.selection(&files, principal, selection).await?
        } else {
            let target = self.target(&files, principal, request.target).await?;
            note.target(&target);
            if principal == Principal::Person {
                self.accounts.used(&target.session, &target.role);
            }
            vec![Planned::new(target)]
        };
        let targets = planned.iter().filter_map(|it| it.target.as_ref().ok());
        let targets: Vec<_> = targets.collect();
        let seen = self.seen(principal, &action, &targets, rules).await?;
        let places = targets
            .iter()
            .zip(&seen)
            .map(|(target, seen)| place(target, seen.as_ref()));
        let verdict = Verdict::of(principal, &action, places, rules);
        match verdict {
            Verdict::Ask(asking) if !request.dry_run => {
                note.decided("ask", &asking.why);
                let wait = request.approval_wait.map(duration).transpose()?;
                self.name_accounts(&mut planned).await;
                let shown = asked(&work, &action, &planned, bounds.time);
                let (asker, patience) = (caller.asker(), wait.unwrap_or_default());
                let cleared = self.approvals.clear(&asker, shown, &asking.why, patience);
                cleared
                    .await
                    .map_err(|failure| self.relayed(failure, &caller, rules))?;
                note.decided("allow", "a person approved it");
            }
            verdict => verdict.permit(request.dry_run)?,
        }
        let job = match (work, request.dry_run) {
            (Work::AwsCli(work), true) => self.jobs.plan_aws_cli(&planned, work)?,
            (Work::Ssm(work), true) => self.jobs.plan_ssm(planned, work, bounds).await?,
            (Work::AwsCli(work), false) => {
                let job = self
                    .jobs
                    .start_aws_cli(planned, work, bounds, caller.kind());
                job.await?.snapshot()
            }
            (Work::Ssm(work), false) => {
                let job = self.jobs.start_ssm(planned, work, bounds, caller.kind());
                job.await?.snapshot()
            }
        };
        note.job(&job);
        let job = self.for_eyes_of(principal, job);
        Ok(Response::new(StartJobResponse { job: Some(job) }))
    }

    type WatchStream = Stream<WatchJobResponse>;

    async fn watch(
        &self,
        request: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Self::note(&request).job_id(&request.get_ref().job_id);
        let (principal, _) = self.admit(&request)?;
        let request = request.into_inner();
        self.may_see(principal, &request.job_id).await?;
        let job = self.jobs.find(&request.job_id).await?;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let closing = self.closing.clone();
        let services = self.clone();
        self.tracker.spawn(async move {
            let watch = Watch::new(&services, principal, job, &sender, &request);
            tokio::select! {
                _ = watch.run() => {} // an error means that the client hung up
                () = closing.cancelled() => {}
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let (principal, _) = self.admit(&request)?;
        let mut jobs = self.jobs.list().await;
        jobs.retain(|job| policy::may_see(principal, job.asked_by()).is_ok());
        let jobs = jobs.into_iter();
        Ok(Response::new(ListJobsResponse {
            jobs: jobs.map(|job| self.for_eyes_of(principal, job)).collect(),
        }))
    }

    async fn cancel(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        Self::note(&request).job_id(&request.get_ref().job_id);
        let (principal, _) = self.admit(&request)?;
        let id = request.into_inner().job_id;
        self.may_see(principal, &id).await?;
        let job = self.jobs.find(&id).await?;
        job.cancel();
        Ok(Response::new(CancelJobResponse {
            job: Some(self.for_eyes_of(principal, job.snapshot())),
        }))
    }

    async fn read_output(
        &self,
        request: Request<ReadOutputRequest>,
    ) -> Result<Response<ReadOutputResponse>, Status> {
        Self::note(&request).output(&request.get_ref().output_id);
        let (principal, _) = self.admit(&request)?;
        let request = request.into_inner();
        self.may_see(principal, &request.output_id).await?;
        let eyes = self.redactor_for(principal);
        let output = self.jobs.output(&request.output_id, eyes).await?;
        let (stream, most) = (request.stream(), at_most(request.max_bytes));
        let part = output.read(stream, request.offset, most).await?;
        Ok(Response::new(ReadOutputResponse {
            data: part.data,
            offset: request.offset,
            total_bytes: part.total,
        }))
    }

    async fn query_output(
        &self,
        request: Request<QueryOutputRequest>,
    ) -> Result<Response<QueryOutputResponse>, Status> {
        Self::note(&request).output(&request.get_ref().output_id);
        let (principal, _) = self.admit(&request)?;
        let request = request.into_inner();
        self.may_see(principal, &request.output_id).await?;
        let (stream, most) = (request.stream(), at_most(request.max_bytes));
        let eyes = self.redactor_for(principal);
        let output = self.jobs.output(&request.output_id, eyes).await?;
        let nothing = || Failure::new(Reason::InvalidArgument, "there is no question");
        let query = request.query.ok_or_else(nothing)?;
        let answer = query::ask(&output, stream, query, most).await?;
        Ok(Response::new(answer))
    }
}

impl Services {
    /// Of a job or an output that is not there, whoever looks for it says so.
    async fn may_see(&self, principal: Principal, id: &str) -> Result<(), Failure> {
        match self.jobs.asked_by(id).await {
            Some(asked_by) => policy::may_see(principal, asked_by),
            None => Ok(()),
        }
    }

    /// What this principal sees outputs through.
    fn redactor_for(&self, principal: Principal) -> Option<Redactor> {
        match principal {
            Principal::Person => None,
            Principal::Agent => Some(self.redactor.clone()),
        }
    }

    /// AWS and programs have a say in what is wrong with a job, too.
    fn for_eyes_of(&self, principal: Principal, mut job: v1::Job) -> v1::Job {
        if let Some(redactor) = self.redactor_for(principal) {
            let problem = job.problem.iter_mut();
            let problem = problem
                .flat_map(|it| std::iter::once(&mut it.message).chain(it.metadata.values_mut()));
            let details = job.tasks.iter_mut().map(|task| &mut task.detail);
            for text in problem.chain(details).filter(|text| !text.is_empty()) {
                *text = redactor.text(text);
            }
        }
        job
    }
}

/// What a client asks for at once, as far as it gets it.
fn at_most(max_bytes: u32) -> usize {
    match usize::try_from(max_bytes).unwrap_or(MAX_READ) {
        0 => CHUNK,
        most => most.min(MAX_READ),
    }
}

/// One client's view of a job.
struct Watch<'a> {
    services: &'a Services,
    principal: Principal,
    job: Arc<Job>,
    to: &'a mpsc::Sender<Result<WatchJobResponse, Status>>,
    with_output: bool,
    /// What was sent, by task and stream.
    offsets: Vec<[u64; 2]>,
}

struct HungUp;

impl<'a> Watch<'a> {
    fn new(
        services: &'a Services,
        principal: Principal,
        job: Arc<Job>,
        to: &'a mpsc::Sender<Result<WatchJobResponse, Status>>,
        request: &WatchJobRequest,
    ) -> Self {
        let mut offsets = vec![[0; 2]; job.outputs.len()];
        for from in &request.from {
            let task = usize::try_from(from.task).unwrap_or(usize::MAX);
            if let Some(offsets) = offsets.get_mut(task) {
                offsets[usize::from(from.stream() == OutputStream::Stderr)] = from.offset;
            }
        }
        Self {
            services,
            principal,
            offsets,
            job,
            to,
            with_output: !request.without_output,
        }
    }

    /// The job as it is, output and changes as they come, the job as it ended.
    async fn run(mut self) -> Result<(), HungUp> {
        let (mut state, mut printed) = self.job.watch();
        let suspended = self.job.suspended();
        // What kind of job it is decides what a client does with the output.
        let mut told = state.borrow().revision();
        self.job_as_it_is().await?;
        loop {
            let (current, ended) = {
                let state = state.borrow_and_update();
                (state.revision(), state.is_final())
            };
            printed.mark_unchanged();
            // A final state is set after the last output: what is there now is all.
            if self.with_output {
                self.output().await?;
            }
            if told != current {
                self.job_as_it_is().await?;
                told = current;
            }
            if ended {
                return Ok(());
            }
            // A job of thousands of tasks is a large message, and changes all the time.
            if self.offsets.len() > MANY {
                tokio::time::sleep(MANY_PAUSE).await;
            }
            tokio::select! {
                _ = state.changed() => {}
                _ = printed.changed(), if self.with_output => {}
                () = suspended.cancelled() => {
                    let what = "the daemon stops; the job goes on in AWS, and the next daemon follows it";
                    let failure = Failure::new(Reason::ShuttingDown, what);
                    let _ = self.to.send(Err(failure.into())).await; // the client hung up
                    return Err(HungUp);
                }
            }
        }
    }

    async fn output(&mut self) -> Result<(), HungUp> {
        for task in 0..self.offsets.len() {
            let redactor = self.services.redactor_for(self.principal);
            let shown = self.job.shown(task, redactor);
            for (at, stream) in [OutputStream::Stdout, OutputStream::Stderr]
                .into_iter()
                .enumerate()
            {
                loop {
                    let offset = self.offsets[task][at];
                    let data = match shown.read(stream, offset, CHUNK).await {
                        Ok(part) => part.data,
                        Err(failure) => {
                            let _ = self.to.send(Err(failure.into())).await; // the client hung up
                            return Err(HungUp);
                        }
                    };
                    if data.is_empty() {
                        break;
                    }
                    self.offsets[task][at] += data.len() as u64;
                    self.send(Event::Output(OutputChunk {
                        task: u32::try_from(task).unwrap_or(u32::MAX),
                        stream: stream.into(),
                        offset,
                        data,
                    }))
                    .await?;
                }
            }
        }
        Ok(())
    }

    async fn job_as_it_is(&self) -> Result<(), HungUp> {
        let job = self.job.snapshot();
        let job = self.services.for_eyes_of(self.principal, job);
        self.send(Event::Job(job)).await
    }

    async fn send(&self, event: Event) -> Result<(), HungUp> {
        let message = WatchJobResponse { event: Some(event) };
        self.to.send(Ok(message)).await.map_err(|_| HungUp)
    }
}

fn duration(span: prost_types::Duration) -> Result<Duration, Failure> {
    Duration::try_from(span).map_err(|_| {
        Failure::new(
            Reason::InvalidArgument,
            "the time limit is negative or too long",
        )
    })
}
