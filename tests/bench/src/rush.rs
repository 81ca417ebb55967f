//! Calls over many connections at once, beside a bare tonic server.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use awsso_e2e::{
    bin,
    known::{PRODUCTION, READ_ONLY},
};
use awsso_proto::{
    Client, Endpoint,
    client::{Channel, Identity},
    v1::{
        ClientKind, GetCredentialsRequest, HelloRequest, credentials_client::CredentialsClient,
        daemon_client::DaemonClient,
    },
};
use futures_util::future::{join_all, try_join_all};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tonic::Status;

use crate::{
    measure::median,
    scale::{self, asking},
    table::Row,
};

const CONNECTIONS: usize = 50;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(1);

/// Warm `Credentials.Get`, in turns with the skeleton's empty call.
pub async fn row() -> anyhow::Result<Row> {
    let world = scale::world().await;
    let request = asking(&world, PRODUCTION, READ_ONLY);
    let clients = join_all((0..CONNECTIONS).map(|_| world.connect(ClientKind::Cli))).await;
    let first = clients.first().context("a connection")?;
    first.credentials().get(request.clone()).await?;
    let ours = || {
        clients
            .iter()
            .map(|client| Ask::Keys(client.credentials(), request.clone()))
    };

    let skeleton = Skeleton::start().await?;
    let bare = try_join_all((0..CONNECTIONS).map(|_| skeleton.connect())).await?;
    let beside = || bare.iter().map(|client| Ask::Hello(client.daemon()));

    let (mut rates, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(a_second(ours()).await?);
        floor.push(a_second(beside()).await?);
    }
    let (rate, floor) = (median(rates.into_iter()), median(floor.into_iter()));
    Ok(Row::figure(
        "warm Credentials.Get a second over 50 connections, to a skeleton's empty call",
        [
            format!("{rate:.0}"),
            format!("{floor:.0}"),
            format!("{:.2} x", rate / floor),
            ">= 40000".to_owned(),
        ],
        rate >= 40_000.0,
    ))
}

/// What one connection asks again and again.
enum Ask {
    Keys(CredentialsClient<Channel>, GetCredentialsRequest),
    Hello(DaemonClient<Channel>),
}

impl Ask {
    async fn once(&mut self) -> Result<(), Status> {
        match self {
            Self::Keys(credentials, request) => credentials.get(request.clone()).await.map(drop),
            Self::Hello(daemon) => daemon.hello(HelloRequest::default()).await.map(drop),
        }
    }
}

/// How many are answered in a second when all ask at once.
async fn a_second(asks: impl Iterator<Item = Ask>) -> anyhow::Result<f64> {
    let end = Instant::now() + ROUND;
    let counts = asks.map(|mut ask| {
        tokio::spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < end {
                ask.once().await?;
                count += 1;
            }
            anyhow::Ok(count)
        })
    });
    let counts = try_join_all(counts).await?.into_iter();
    let total: u32 = counts.sum::<anyhow::Result<u32>>()?;
    Ok(f64::from(total) / ROUND.as_secs_f64())
}

/// Ends with its value.
struct Skeleton {
    folder: TempDir,
    _child: Child,
}

impl Skeleton {
    async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mut child = Command::new(bin("awsso-bench-skeleton"))
            .arg(socket(folder.path()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let ready = BufReader::new(stdout).lines().next_line().await?;
        ensure!(ready.is_some(), "the skeleton does not listen");
        Ok(Self {
            folder,
            _child: child,
        })
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        let endpoint = Endpoint {
            socket: socket(self.folder.path()),
            explicit: true,
            state: self.folder.path().to_owned(),
        };
        let who = Identity {
            kind: ClientKind::Cli,
            name: "awsso-bench".to_owned(),
            form_elicitation: false,
        };
        Ok(Client::connect(&endpoint, &who).await?)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("skeleton.sock")
}
