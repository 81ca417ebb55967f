//! The daemon's log: one private file, rotated and bounded.

use std::{path::Path, sync::Mutex};

use awsso_proto::{Failure, Reason, ipc};
use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use tracing_subscriber::EnvFilter;

const MAX_BYTES: usize = 5 << 20;
const OLD_FILES: usize = 2;

/// `AWSSO_LOG` takes the directives of tracing's `EnvFilter`.
pub fn init(dir: &Path, directives: Option<&str>) -> Result<(), Failure> {
    ipc::private_dir(dir)?;
    let mut private = ipc::private_file();
    private.read(true).append(true).create(true);
    let file = FileRotate::new(
        dir.join("awssod.log"),
        AppendCount::new(OLD_FILES),
        ContentLimit::BytesSurpassed(MAX_BYTES),
        Compression::None,
        Some(private),
    );
    let filter = EnvFilter::try_new(directives.unwrap_or("info"))
        .map_err(|error| Failure::new(Reason::InvalidArgument, format!("AWSSO_LOG: {error}")))?;
    // A second daemon in one process (a test) keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(without_payloads(filter))
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
    Ok(())
}

/// These print requests, tokens among them, at their lower levels: whatever
/// `AWSSO_LOG` says, they do not get there.
const QUIET: [&str; 16] = [
    "aws_runtime",
    "aws_sdk_sso",
    "aws_sdk_ssm",
    "aws_sdk_ssooidc",
    "aws_sigv4",
    "aws_smithy_http",
    "aws_smithy_http_client",
    "aws_smithy_json",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_smithy_types",
    "h2",
    "hyper",
    "hyper_util",
    "rustls",
    "tonic",
];

fn without_payloads(filter: EnvFilter) -> EnvFilter {
    QUIET.iter().fold(filter, |filter, target| {
        let directive = format!("{target}=warn");
        filter.add_directive(directive.parse().expect("a directive of ours"))
    })
}
