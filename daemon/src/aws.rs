//! The one place that builds SDK clients. Endpoints, proxy, certificates and
//! time limits are decided here, and nowhere by a request. The SDK's own
//! retries are off: the limiter retries.

mod route;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::{
    client::{
        http::HttpConnector as _,
        orchestrator::{HttpRequest, HttpResponse},
        result::{ConnectorError, SdkError},
    },
    http::StatusCode,
};
use aws_smithy_types::{
    body::SdkBody,
    byte_stream::ByteStream,
    date_time::{DateTime, Format},
    error::ErrorMetadata,
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_types::{SdkConfig, app_name::AppName, region::Region};
use awsso_proto::{Failure, Reason};
use futures_util::FutureExt as _;

use route::Route;

use crate::{
    clock::Clock,
    config::{AwsFile, Config, check_endpoint},
};

/// One attempt: a portal answers in well under a second, or not at all.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Whoever looks for what is wrong is told that it takes too long.
const CONTACT_LIMIT: Duration = Duration::from_secs(3);
/// A page that is read here is a few hundred bytes of JSON.
const MAX_PAGE: usize = 1 << 20;

/// Fifty instances of EC2, described at length.
const MAX_ANSWER: usize = 8 << 20;

const NO_ANSWER: &str = "no answer in time";
const NO_REQUEST: &str = "it cannot be asked that";

/// Builds clients over one connection pool.
#[derive(Debug, Clone)]
pub struct Aws {
    config: Arc<Config>,
    clock: Clock,
    shared: SdkConfig,
    network: Route,
}

/// What became of asking AWS for the time.
#[derive(Debug)]
pub struct Contact {
    pub url: String,
    pub time: Result<SystemTime, String>,
    /// By our own clock, in the middle of the question.
    pub asked: SystemTime,
    pub proxy: bool,
}

/// The services that awsso calls, by the names that the AWS settings use.
#[derive(Debug, Clone, Copy)]
enum Service {
    Sso,
    SsoOidc,
    Ssm,
    Sts,
    S3,
    CloudWatchLogs,
    Ec2,
    SignIn,
}

impl Aws {
    pub fn new(config: Arc<Config>, clock: &Clock) -> Result<Self, Failure> {
        let files = config.files().unwrap_or_default();
        let network = Route::new(&config, &files.settings.network)?;
        let http = network.client();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .operation_attempt_timeout(ATTEMPT_LIMIT)
            .build();
        let shared = SdkConfig::builder()
            .behavior_version(aws_sdk_sso::config::BehaviorVersion::latest())
            .http_client(http)
            .time_source(clock.time_source())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled())
            .app_name(AppName::new("awsso").expect("a valid app name"))
            .build();
        Ok(Self {
            config,
            clock: clock.clone(),
            shared,
            network,
        })
    }

    pub fn portal(&self, region: &str) -> Result<aws_sdk_sso::Client, Failure> {
        Ok(aws_sdk_sso::Client::new(&self.of(Service::Sso, region)?))
    }

    pub fn oidc(&self, region: &str) -> Result<aws_sdk_ssooidc::Client, Failure> {
        Ok(aws_sdk_ssooidc::Client::new(
            &self.of(Service::SsoOidc, region)?,
        ))
    }

    /// Whether a login goes to AWS itself and not to a stand-in for it.
    pub fn oidc_is_real(&self) -> bool {
        let files = self.config.files();
        let endpoint = files.and_then(|files| self.endpoint(Service::SsoOidc, &files.aws));
        matches!(endpoint, Ok(None))
    }

    /// Where a page redirects to; `None` when it does not.
    pub async fn redirect_of(&self, url: &str) -> Result<Option<String>, String> {
        let answer = self.http(http::Request::head(url)).await?;
        let redirects = (300..400).contains(&answer.status().as_u16());
        let location = answer.headers().get("location").filter(|_| redirects);
        Ok(location.map(str::to_owned))
    }

    /// Asks the login service in a region what time it is; nothing is sent along.
    pub async fn contact(&self, region: &str) -> Contact {
        let (url, clock) = (self.oidc_endpoint(region), &self.clock);
        let before = clock.now();
        let time = match &url {
            Ok(url) => {
                let asked = tokio::time::timeout(CONTACT_LIMIT, self.time_at(url));
                asked.await.unwrap_or_else(|_| Err(NO_ANSWER.to_owned()))
            }
            Err(failure) => Err(failure.to_string()),
        };
        let took = clock.now().duration_since(before).unwrap_or_default();
        Contact {
            url: url.unwrap_or_default(),
            time,
            asked: before + took / 2,
            proxy: !self.network.proxy.is_disabled(),
        }
    }

    async fn time_at(&self, url: &str) -> Result<SystemTime, String> {
        let answer = self.ask(http::Request::head(url), &|error| deepest(error));
        let answer = answer.await?;
        let date = answer.headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        date.and_then(|date| SystemTime::try_from(date).ok())
            .ok_or_else(|| "the answer has no date".to_owned())
    }

    /// Status and body of a page, followed nowhere.
    pub async fn fetch(&self, url: &str) -> Result<(u16, Vec<u8>), String> {
        let fetched = async {
            let answer = self.http(http::Request::get(url)).await?;
            let status = answer.status().as_u16();
            Ok((status, bytes(answer.into_body(), MAX_PAGE).await?))
        };
        let limited = tokio::time::timeout(ATTEMPT_LIMIT, fetched).await;
        limited.unwrap_or_else(|_| Err(NO_ANSWER.to_owned()))
    }

    /// Sends a request that is signed already; what it answered, as a text.
    pub async fn send(
        &self,
        request: http::Request<String>,
    ) -> Result<(StatusCode, String), SdkError<ErrorMetadata, HttpResponse>> {
        let request = HttpRequest::try_from(request.map(SdkBody::from));
        let request = request.map_err(|_| SdkError::construction_failure(NO_REQUEST))?;
        let sent = async {
            let answer = self.network.connector(None, None).call(request).await;
            let answer = answer.map_err(SdkError::dispatch_failure)?;
            let status = answer.status();
            let text = match bytes(answer.into_body(), MAX_ANSWER).await {
                Ok(bytes) => String::from_utf8(bytes).map_err(|error| error.to_string()),
                Err(what) => Err(what),
            };
            let raw = || HttpResponse::new(status, SdkBody::empty());
            let text = text.map_err(|what| SdkError::response_error(what, raw()))?;
            Ok((status, text))
        };
        match tokio::time::timeout(ATTEMPT_LIMIT, sent).await {
            Ok(sent) => sent,
            Err(_) => Err(SdkError::timeout_error(NO_ANSWER)),
        }
    }

    async fn http(&self, request: http::request::Builder) -> Result<HttpResponse, String> {
        self.ask(request, &|error| error.to_string()).await
    }

    async fn ask(
        &self,
        request: http::request::Builder,
        words: &(dyn Fn(&ConnectorError) -> String + Sync),
    ) -> Result<HttpResponse, String> {
        let request = request.body(SdkBody::empty());
        // What is wrong with it may hold its URL, and that may be a secret.
        let request = request.map_err(|_| NO_REQUEST.to_owned())?;
        let request = HttpRequest::try_from(request).map_err(|_| NO_REQUEST.to_owned())?;
        let answer = self.network.connector(None, None).call(request);
        tokio::time::timeout(CONNECT_LIMIT, answer)
            .await
            .map_err(|_| NO_ANSWER.to_owned())?
            .map_err(|error| words(&error))
    }

    /// Where browsers sign in to the console, unless it is AWS itself.
    pub fn sign_in_endpoint(&self) -> Result<Option<String>, Failure> {
        self.endpoint(Service::SignIn, &self.config.files()?.aws)
    }

    /// The name of the person whose daemon this is.
    pub fn user(&self) -> Option<&str> {
        ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| self.config.environment.get(name))
    }

    /// Where the browser is sent to log in: the OIDC service itself.
    pub fn oidc_endpoint(&self, region: &str) -> Result<String, Failure> {
        use aws_sdk_ssooidc::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
        let config = self.of(Service::SsoOidc, region)?;
        if let Some(url) = config.endpoint_url() {
            return Ok(url.to_owned());
        }
        let problem = |error: &dyn std::fmt::Display| {
            Failure::new(
                Reason::InvalidArgument,
                format!("the endpoint of the login in {region}: {error}"),
            )
        };
        let params = Params::builder()
            .region(region)
            .use_fips(config.use_fips().unwrap_or_default())
            .use_dual_stack(config.use_dual_stack().unwrap_or_default())
            .build()
            .map_err(|error| problem(&error))?;
        // The rules are in the SDK: nothing is waited for.
        DefaultResolver::new()
            .resolve_endpoint(&params)
            .now_or_never()
            .ok_or_else(|| problem(&"not known"))?
            .map(|endpoint| endpoint.url().to_owned())
            .map_err(|error| problem(&error))
    }

    /// Where EC2 is.
    pub fn ec2_endpoint(&self, region: &str) -> Result<String, Failure> {
        use aws_sdk_ssm::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
        let config = self.of(Service::Ec2, region)?;
        if let Some(url) = config.endpoint_url() {
            return Ok(url.to_owned());
        }
        let params = Params::builder()
            .region(region)
            .use_fips(config.use_fips().unwrap_or_default())
            .use_dual_stack(config.use_dual_stack().unwrap_or_default())
            .build();
        // Their hosts differ in the first word, in every partition, FIPS and dual-stack too.
        let of_ssm = params.ok().and_then(|params| {
            let resolved = DefaultResolver::new()
                .resolve_endpoint(&params)
                .now_or_never()?;
            Some(resolved.ok()?.url().to_owned())
        });
        let url =
            of_ssm.and_then(|url| Some(format!("https://ec2{}", url.strip_prefix("https://ssm")?)));
        url.ok_or_else(|| {
            let what = format!("the endpoint of EC2 in {region} is not known");
            Failure::new(Reason::InvalidArgument, what)
        })
    }

    pub fn ssm(
        &self,
        region: &str,
        credentials: Credentials,
    ) -> Result<aws_sdk_ssm::Client, Failure> {
        let config = self.of(Service::Ssm, region)?;
        let config = aws_sdk_ssm::config::Builder::from(&config)
            .credentials_provider(credentials)
            .build();
        Ok(aws_sdk_ssm::Client::from_conf(config))
    }

    pub fn sts(
        &self,
        region: &str,
        credentials: Credentials,
    ) -> Result<aws_sdk_sts::Client, Failure> {
        let config = self.of(Service::Sts, region)?;
        let config = aws_sdk_sts::config::Builder::from(&config)
            .credentials_provider(credentials)
            .build();
        Ok(aws_sdk_sts::Client::from_conf(config))
    }

    pub fn s3(
        &self,
        region: &str,
        credentials: Credentials,
    ) -> Result<aws_sdk_s3::Client, Failure> {
        let config = self.of(Service::S3, region)?;
        // A stand-in need not know a host name for each bucket.
        let path_style = config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&config)
            .credentials_provider(credentials)
            .force_path_style(path_style)
            .build();
        Ok(aws_sdk_s3::Client::from_conf(config))
    }

    pub fn cloudwatch_logs(
        &self,
        region: &str,
        credentials: Credentials,
    ) -> Result<aws_sdk_cloudwatchlogs::Client, Failure> {
        let config = self.of(Service::CloudWatchLogs, region)?;
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(&config)
            .credentials_provider(credentials)
            .build();
        Ok(aws_sdk_cloudwatchlogs::Client::from_conf(config))
    }

    fn of(&self, service: Service, region: &str) -> Result<SdkConfig, Failure> {
        let aws = self.config.files()?.aws;
        let flag = |variable: &str, key: &str| {
            self.config.environment.get(variable).map_or_else(
                || default_profile(&aws, key).is_some_and(|v| v.eq_ignore_ascii_case("true")),
                |value| value.eq_ignore_ascii_case("true"),
            )
        };
        let mut builder = self
            .shared
            .to_builder()
            .region(Region::new(region.to_owned()))
            .use_fips(flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"))
            .use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
        builder.set_endpoint_url(self.endpoint(service, &aws)?);
        Ok(builder.build())
    }

    /// docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html, in its
    /// order. Read by us because the Rust SDK does not know the `sso_oidc` key
    /// that the AWS CLI uses, and because an endpoint that gets tokens is checked.
    fn endpoint(&self, service: Service, aws: &AwsFile) -> Result<Option<String>, Failure> {
        let environment = &self.config.environment;
        let (variable, keys): (_, &[&str]) = match service {
            Service::Sso => ("AWS_ENDPOINT_URL_SSO", &["sso"]),
            Service::SsoOidc => ("AWS_ENDPOINT_URL_SSO_OIDC", &["sso_oidc", "sso-oidc"]),
            Service::Ssm => ("AWS_ENDPOINT_URL_SSM", &["ssm"]),
            Service::Sts => ("AWS_ENDPOINT_URL_STS", &["sts"]),
            Service::S3 => ("AWS_ENDPOINT_URL_S3", &["s3"]),
            Service::CloudWatchLogs => ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &["cloudwatch_logs"]),
            Service::Ec2 => ("AWS_ENDPOINT_URL_EC2", &["ec2"]),
            Service::SignIn => ("AWS_ENDPOINT_URL_SIGNIN", &["signin"]),
        };
        if environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Ok(None);
        }
        // Checked when the environment was read.
        if let Some(url) = environment
            .get(variable)
            .or_else(|| environment.get("AWS_ENDPOINT_URL"))
        {
            return Ok(Some(url.to_owned()));
        }
        if default_profile(aws, "ignore_configured_endpoint_urls")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let of_service = default_profile(aws, "services")
            .and_then(|name| aws.services.get(name))
            .and_then(|section| {
                keys.iter()
                    .find_map(|key| section.get(&format!("{key}.endpoint_url")))
            });
        let url = of_service.or_else(|| default_profile(aws, "endpoint_url"));
        if let Some(url) = url {
            check_endpoint("endpoint_url in the AWS config file", url)?;
        }
        Ok(url.map(str::to_owned))
    }
}

/// Why in the end: "io error" helps nobody, "connection refused" does.
fn deepest(error: &ConnectorError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A body, as far as it may be that long.
async fn bytes(body: SdkBody, most: usize) -> Result<Vec<u8>, String> {
    let mut body = ByteStream::new(body);
    let mut bytes = Vec::new();
    while let Some(chunk) = body.try_next().await.map_err(|error| error.to_string())? {
        if bytes.len() + chunk.len() > most {
            return Err("the answer is too long".to_owned());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn default_profile<'a>(aws: &'a AwsFile, key: &str) -> Option<&'a str> {
    aws.profiles
        .get("default")
        .and_then(|profile| profile.get(key))
}
