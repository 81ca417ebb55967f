//! The sandbox as a program: one line of JSON when it is ready, then it serves until it is told to end.

use std::io::{self, Write as _};
use std::time::Duration;

use awsso_sandbox::{Config, Sandbox};
use clap::Parser;
use tokio::io::AsyncReadExt as _;

/// A local stand-in for AWS.
#[derive(Parser)]
#[command(name = "awsso-sandbox", version)]
struct Arguments {
    /// Port on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Number of accounts, 1 to 5000.
    #[arg(long, default_value_t = 3)]
    accounts: usize,
    /// The region everything lives in.
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// A start URL accepted besides the sandbox's own.
    #[arg(long = "start-url", value_name = "URL")]
    start_urls: Vec<String>,
    /// Approve each login this many milliseconds after it was asked for.
    #[arg(long, value_name = "MS")]
    auto_approve: Option<u64>,
    /// Lifetime of access tokens.
    #[arg(long, value_name = "SECS", default_value_t = 3600)]
    token_lifetime: u64,
    /// Lifetime of role credentials.
    #[arg(long, value_name = "SECS", default_value_t = 3600)]
    credential_lifetime: u64,
    /// Pause between polls for a device code.
    #[arg(long, value_name = "SECS", default_value_t = 5)]
    interval: u64,
    /// Added to every answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Requests per second the portal takes.
    #[arg(long, value_name = "N")]
    portal_rate: Option<u32>,
    /// Largest page of the portal's lists.
    #[arg(long, value_name = "N", default_value_t = 100)]
    page_size: usize,
    /// End when stdin is closed.
    #[arg(long)]
    until_eof: bool,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let until_eof = arguments.until_eof;
    let sandbox = Sandbox::start(arguments.into()).await?;
    announce(&sandbox)?;
    tokio::select! {
        ended = interrupted() => ended?,
        () = closed(), if until_eof => {}
    }
    sandbox.stop().await;
    Ok(())
}

impl From<Arguments> for Config {
    fn from(arguments: Arguments) -> Self {
        Self {
            port: arguments.port,
            accounts: arguments.accounts,
            region: arguments.region,
            start_urls: arguments.start_urls,
            auto_approve: arguments.auto_approve.map(Duration::from_millis),
            token_lifetime: Duration::from_secs(arguments.token_lifetime),
            credential_lifetime: Duration::from_secs(arguments.credential_lifetime),
            interval: Duration::from_secs(arguments.interval),
            latency: Duration::from_millis(arguments.latency),
            portal_rate: arguments.portal_rate,
            page_size: arguments.page_size,
            ..Self::default()
        }
    }
}

/// Stdout carries this one line, for the program that waits for it.
fn announce(sandbox: &Sandbox) -> io::Result<()> {
    let ready = serde_json::json!({
        "baseUrl": sandbox.base_url(),
        "startUrl": sandbox.start_url(),
        "region": sandbox.region(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{ready}")?;
    stdout.flush()
}

async fn interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

async fn closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 256];
    // An error ends the stream as much as its end does.
    while matches!(stdin.read(&mut buffer).await, Ok(read) if read > 0) {}
}
