//! Many accounts, many callers: what the limiter, the index and the broker make of them.

use std::time::{Duration, Instant};

use anyhow::ensure;
use awsso_e2e::{
    World,
    known::{PRODUCTION, READ_ONLY},
    sandbox::Config,
};
use awsso_proto::v1::{ClientKind, GetCredentialsRequest, SessionRef, Target};
use futures_util::future::join_all;

use crate::{
    figures::{program, raw_ratio},
    measure::in_turns,
    program::whole,
    table::Row,
};

const ACCOUNTS: usize = 1_000;
const ROLES: [&str; 2] = ["AdministratorAccess", "ReadOnly"];
const RATE: u32 = 20;
const LATENCY: Duration = Duration::from_millis(50);

pub async fn world() -> World {
    World::logged_in_to(Config {
        accounts: ACCOUNTS,
        ..Config::default()
    })
    .await
}

pub fn asking(world: &World, account: &str, role: &str) -> GetCredentialsRequest {
    let session = SessionRef {
        start_url: world.sandbox.start_url(),
        sso_region: world.sandbox.region().to_owned(),
        ..SessionRef::default()
    };
    GetCredentialsRequest {
        target: Some(Target {
            session: Some(session),
            account: account.to_owned(),
            role: role.to_owned(),
            region: String::new(),
        }),
        ..GetCredentialsRequest::default()
    }
}

/// Every role of every account at once, from a portal that answers 20 a second and refuses the rest.
pub async fn limited_portal() -> anyhow::Result<[Row; 2]> {
    let world = world().await;
    world.sandbox.faults().set_portal_rate(Some(RATE));
    let client = world.connect(ClientKind::Cli).await;
    let organization = world.sandbox.organization();
    let calls = organization.accounts().iter().flat_map(|account| {
        ROLES.map(|role| {
            let (client, request) = (client.clone(), asking(&world, &account.id, role));
            async move { client.credentials().get(request).await }
        })
    });
    let calls: Vec<_> = calls.collect();
    let ideal = u32::try_from(calls.len())? / RATE;
    let start = Instant::now();
    let answers = join_all(calls).await;
    let took = start.elapsed().as_secs_f64();
    let failed: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    ensure!(
        failed.is_empty(),
        "{} callers saw an error, the first: {:?}",
        failed.len(),
        failed[0].message()
    );
    let asked = world.sandbox.count("sso.GetRoleCredentials");
    let refused = world.sandbox.count("throttled.sso.GetRoleCredentials");
    let share = percent(refused, asked);
    let ratio = took / f64::from(ideal);
    Ok([
        Row::figure(
            "2,000 roles from a portal that takes 20 a second, all answered",
            [
                format!("{took:.1} s"),
                format!("{ideal} s"),
                format!("{ratio:.3} x"),
                "<= 1.15 x".to_owned(),
            ],
            ratio <= 1.15,
        ),
        Row::figure(
            "... and how many of the calls it answered 429",
            [
                format!("{refused}"),
                format!("{asked} calls"),
                format!("{share:.2} %"),
                "<= 3 %".to_owned(),
            ],
            share <= 3.0,
        ),
    ])
}

fn percent(part: u64, whole: u64) -> f64 {
    let exact = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    100.0 * exact(part) / exact(whole).max(1.0)
}

/// A thousand accounts with their roles, cold and warm, and a person who does not want to wait for them.
pub async fn listing(rounds: usize) -> anyhow::Result<Vec<Row>> {
    let mut world = world().await;
    world.sandbox.faults().set_latency(LATENCY);
    let start = Instant::now();
    let list = world.awsso_in_background(&["ls-accounts", "--json"]);
    world.sandbox.reached("sso.ListAccountRoles", 100).await;
    let asked = Instant::now();
    let target = ["--account", PRODUCTION, "--role", READ_ONLY];
    let _ = world
        .awsso(&[&["credential-process"][..], &target].concat())
        .await
        .ok();
    let person = asked.elapsed();
    let _ = list.end().await.ok();
    let took = start.elapsed();
    let calls = u32::try_from(ACCOUNTS / 100 + ACCOUNTS)?;
    let in_turn = LATENCY * calls;
    let part = in_turn.as_secs_f64() / took.as_secs_f64();
    let mut rows = vec![
        Row::figure(
            "1,000 accounts listed cold, 50 ms away, to one call after the other",
            [
                ms(took),
                ms(in_turn),
                format!("1/{part:.1}"),
                "<= 1/16".to_owned(),
            ],
            part >= 16.0,
        ),
        Row::figure(
            "a person's credential-process meanwhile, to its own latency",
            [
                ms(person),
                ms(LATENCY),
                format!("{:.2} x", person.as_secs_f64() / LATENCY.as_secs_f64()),
                "<= 2 x".to_owned(),
            ],
            person <= LATENCY * 2,
        ),
    ];
    world.sandbox.faults().set_latency(Duration::ZERO);
    let pairs = in_turns(
        rounds,
        &mut world,
        |world| whole(program(world, "awsso").args(["ls-accounts", "--json"])),
        |world| whole(&mut program(world, crate::figures::EMPTY)),
    )?;
    rows.push(Row::figure(
        "the same list warm, whole process",
        [
            format!("{:.2} ms", pairs.ours()),
            String::new(),
            String::new(),
            "<= 8 ms".to_owned(),
        ],
        pairs.ours() <= 8.0,
    ));
    let args = [
        "credential-process",
        target[0],
        target[1],
        target[2],
        target[3],
    ];
    let what = "awsso credential-process, warm, to the same bytes on a raw socket";
    rows.push(raw_ratio(&mut world, rounds, what, &args)?);
    Ok(rows)
}

fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1_000.0)
}
