//! Calls of the AWS access portal with a session's token: a 401 gets one
//! renewal, then a person is needed; a 429 never looks like a logout.

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use awsso_proto::Failure;

use crate::{
    aws::Aws,
    limiter::{Fault, Lane, Repeat},
    session::Session,
};

/// Why a portal call gave nothing.
#[derive(Debug, Clone)]
pub enum PortalError {
    /// The session has no token that could be used.
    Session(Failure),
    Aws(Fault),
}

impl From<PortalError> for Failure {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Session(failure) => failure,
            PortalError::Aws(fault) => fault.into(),
        }
    }
}

/// Makes a call with the session's token, and what the session's epoch was.
pub async fn call<T, E, F>(
    aws: &Aws,
    session: &Session,
    name: &'static str,
    lane: Lane,
    mut attempt: impl FnMut(aws_sdk_sso::Client, String) -> F,
) -> Result<(T, u64), PortalError>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let client = aws
        .portal(&session.spec().region)
        .map_err(PortalError::Session)?;
    let mut renewed = false;
    loop {
        let access = session.token().await.map_err(PortalError::Session)?;
        let result = session
            .limiter()
            .call(name, lane, Repeat::Freely, || {
                attempt(client.clone(), access.expose().to_owned())
            })
            .await;
        match result {
            Ok(value) => return Ok((value, access.epoch)),
            Err(Fault::Refused { status: 401, .. }) if !renewed => {
                renewed = true;
                session
                    .rejected(&access)
                    .await
                    .map_err(PortalError::Session)?;
            }
            Err(fault) => return Err(PortalError::Aws(fault)),
        }
    }
}
