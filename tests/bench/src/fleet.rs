//! A thousand instances in twenty commands, whose tasks take 1 to 30 seconds: what AWS is asked for it, whoever watches,
//! and how soon a watcher hears of an end.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use awsso_e2e::{
    World,
    known::{ADMIN, PRODUCTION},
    sandbox::Config,
};
use awsso_proto::{
    Client,
    v1::{
        ClientKind, Job, SsmTarget, SsmWork, StartJobRequest, WatchJobRequest, instant,
        start_job_request::Work, watch_job_response::Event,
    },
};
use futures_util::future::try_join_all;

use crate::{scale::asking, table::Row};

const INSTANCES: usize = 1_000;
const COMMANDS: u64 = 20;
const WATCHERS: usize = 3;
/// AWS is not next door.
const LATENCY: Duration = Duration::from_millis(30);
/// Both streams are written to, so that each output has to be fetched: a list shows the two as one.
const COMMAND: &str = "work\necho slow 1>&2";
const QUICK: Duration = Duration::from_secs(10);

/// When a watcher heard of the end of each instance.
type Heard = HashMap<String, SystemTime>;

pub async fn rows() -> anyhow::Result<Vec<Row>> {
    let world = World::logged_in_to(Config {
        fleet: INSTANCES,
        ..Config::default()
    })
    .await;
    world.sandbox.faults().set_latency(LATENCY);
    let client = world.connect(ClientKind::Cli).await;
    let reply = client.jobs().start(request(&world)).await?.into_inner();
    let job = reply.job.context("a job")?;
    let watchers = (0..WATCHERS).map(|_| world.connect(ClientKind::Cli));
    let watchers = futures_util::future::join_all(watchers).await;
    let heard = watchers
        .iter()
        .map(|client| watched(&world, client, &job.id));
    let heard = try_join_all(heard).await?;

    let count = |operation: &str| world.sandbox.count(&format!("ssm.{operation}"));
    let sent = count("SendCommand");
    ensure!(sent == COMMANDS, "{sent} commands were sent");
    let began = job.started_at.as_ref().and_then(instant);
    let began = began.context("when the job began")?;
    let ends = world.sandbox.command_ends();
    let runs = ends.values().map(|end| seconds(*end, began));
    let (mut alone, mut longest) = (0.0, 0.0_f64);
    for span in runs {
        alone += span.ceil();
        longest = longest.max(span);
    }
    let polls = count("ListCommandInvocations");
    let fetches = count("GetCommandInvocation");
    let times = alone / f64::from(u32::try_from(polls)?);
    // Once a second, thrice more in the first, once more at the end.
    let ticks = longest.ceil() + 4.0;
    let each = f64::from(u32::try_from(polls)?) / f64::from(u32::try_from(COMMANDS)?);
    let mut lags: Vec<f64> = Vec::new();
    for heard in &heard {
        ensure!(heard.len() == INSTANCES, "{} ends were heard", heard.len());
        let early = heard.iter().filter_map(|(instance, at)| {
            let end = ends.get(instance)?;
            (*end <= began + QUICK).then(|| seconds(*at, *end))
        });
        lags.extend(early);
    }
    lags.sort_by(f64::total_cmp);
    let lag = *lags
        .get(lags.len() / 2)
        .context("a task that ended early")?;
    let row = |what: &str, cells: [String; 4], ok| Row::figure(what, cells, ok);
    Ok(vec![
        row(
            "1,000 instances, 20 commands, 3 watchers: polls, to one poller each a second",
            [
                polls.to_string(),
                format!("{alone:.0}"),
                format!("1/{times:.1}"),
                "<= 1/20".to_owned(),
            ],
            times >= 20.0,
        ),
        row(
            "... polls of one command, to the ticks of the job",
            [
                format!("{each:.1}"),
                format!("{ticks:.0}"),
                format!("{:.2}", each / ticks),
                "<= 1".to_owned(),
            ],
            each <= ticks,
        ),
        row(
            "... outputs fetched by instance",
            [
                fetches.to_string(),
                INSTANCES.to_string(),
                String::new(),
                "<= 1 each".to_owned(),
            ],
            usize::try_from(fetches)? <= INSTANCES,
        ),
        row(
            "... AWS showed an end in the first 10 s, watchers heard of it, median",
            [
                format!("{lag:.2} s"),
                format!("{} ends", lags.len()),
                String::new(),
                "<= 1.0 s".to_owned(),
            ],
            lag <= 1.0,
        ),
    ])
}

fn request(world: &World) -> StartJobRequest {
    let target = asking(world, PRODUCTION, ADMIN).target;
    let work = SsmWork {
        command: COMMAND.to_owned(),
        targets: vec![SsmTarget {
            key: "tag:Role".to_owned(),
            values: vec!["fleet".to_owned()],
        }],
        ..SsmWork::default()
    };
    StartJobRequest {
        target,
        work: Some(Work::Ssm(work)),
        ..StartJobRequest::default()
    }
}

async fn watched(world: &World, client: &Client, id: &str) -> anyhow::Result<Heard> {
    let request = WatchJobRequest {
        job_id: id.to_owned(),
        ..WatchJobRequest::default()
    };
    let mut events = client.jobs().watch(request).await?.into_inner();
    let mut heard = Heard::new();
    while let Some(reply) = events.message().await? {
        if let Some(Event::Job(job)) = reply.event {
            hear(&mut heard, &job, world.sandbox.now());
        }
    }
    Ok(heard)
}

fn hear(heard: &mut Heard, job: &Job, now: SystemTime) {
    for task in job.tasks.iter().filter(|task| task.state().is_final()) {
        heard.entry(task.instance_id.clone()).or_insert(now);
    }
}

fn seconds(later: SystemTime, earlier: SystemTime) -> f64 {
    later
        .duration_since(earlier)
        .unwrap_or_default()
        .as_secs_f64()
}
