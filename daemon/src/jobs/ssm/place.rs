//! Calls to one target's SSM, and to what its runs need beside it, with its
//! role's keys and at the pace of each place.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use awsso_proto::Failure;

use crate::{
    jobs::{Jobs, Target, aws_error},
    limiter::{Fault, Lane, Limiter, Repeat},
};

/// What is needed to talk about one target's SSM.
#[derive(Clone)]
pub(super) struct Ssm {
    pub jobs: Jobs,
    pub target: Target,
    limiter: Arc<Limiter>,
}

impl Ssm {
    pub fn new(jobs: &Jobs, target: &Target) -> Self {
        Self {
            limiter: limiter(jobs, target, "ssm"),
            jobs: jobs.clone(),
            target: target.clone(),
        }
    }

    /// The limiter of another service in the same account and region.
    pub fn limiter_of(&self, service: &str) -> Arc<Limiter> {
        limiter(&self.jobs, &self.target, service)
    }

    /// Makes a call of SSM.
    pub async fn call<T, E, F>(
        &self,
        name: &'static str,
        repeat: Repeat,
        attempt: impl FnMut(aws_sdk_ssm::Client) -> F,
    ) -> Result<T, SsmError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let aws = &self.jobs.0.parts.aws;
        let client = |keys| aws.ssm(&self.target.region, keys);
        self.call_by(&self.limiter, client, name, repeat, attempt)
            .await
    }

    /// Makes a call; when AWS did not accept the keys, and so did nothing, once
    /// more with new ones.
    pub async fn call_by<C, T, E, F>(
        &self,
        limiter: &Limiter,
        client: impl Fn(Credentials) -> Result<C, Failure>,
        name: &'static str,
        repeat: Repeat,
        mut attempt: impl FnMut(C) -> F,
    ) -> Result<T, SsmError>
    where
        C: Clone,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut repeated = false;
        loop {
            let keys = self
                .jobs
                .credentials(&self.target)
                .await
                .map_err(SsmError::Login)?;
            let client = client(keys.for_sdk(&self.target.role)).map_err(SsmError::Login)?;
            let result = limiter
                .call(name, Lane::Person, repeat, || attempt(client.clone()))
                .await;
            match result {
                Err(fault) if !repeated && aws_error::is_bad_credentials(fault.code()) => {
                    repeated = true;
                    self.jobs.reject(&self.target, &keys);
                }
                result => return result.map_err(SsmError::Aws),
            }
        }
    }
}

fn limiter(jobs: &Jobs, target: &Target, service: &str) -> Arc<Limiter> {
    let place = format!("{service} {} {}", target.role.account, target.region);
    jobs.0.parts.limiters.of(&place)
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) enum SsmError {
    Login(Failure),
    Aws(Fault),
}

impl SsmError {
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Aws(fault) if fault.code().contains("AccessDenied"))
    }

    /// AWS answered, and the answer is no: asking another way may help.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Aws(Fault::Refused { .. }))
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Login(_) => "",
            Self::Aws(fault) => fault.code(),
        }
    }
}

impl From<SsmError> for Failure {
    fn from(error: SsmError) -> Self {
        match error {
            SsmError::Login(failure) => failure,
            SsmError::Aws(fault) => fault.into(),
        }
    }
}
