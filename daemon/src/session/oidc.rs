//! Calls of the IAM Identity Center OIDC service, told as events of the machine
//! (docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference).

use std::time::{Duration, SystemTime};

use aws_sdk_ssooidc::operation::create_token::CreateTokenOutput;
use awsso_proto::{Failure, Reason};

use super::{
    authorization_code::CODE_GRANT,
    callback::REGISTERED_URI,
    event::{LoginAnswer, RenewAnswer},
    token::{DeviceGrant, Flow, Origin, Registration, Token},
    vanity,
};
use crate::{
    aws::Aws,
    clock::Clock,
    config::SessionSpec,
    limiter::{Fault, Lane, Limiter, Repeat, fault},
};

pub(super) const SCOPE: &str = "sso:account:access";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_GRANT: &str = "refresh_token";
const CLIENT_NAME: &str = "awsso";

/// RFC 8628 section 3.2: without an interval a client waits five seconds.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_GRANT_LIFE: i32 = 600;
/// What AWS gives a registration.
const REGISTRATION_LIFE: Duration = Duration::from_hours(90 * 24);
const DEFAULT_TOKEN_LIFE: i32 = 3_600;

/// The OIDC service of one session.
#[derive(Debug, Clone)]
pub struct Oidc {
    pub aws: Aws,
    pub clock: Clock,
    pub spec: SessionSpec,
}

impl Oidc {
    /// Registers if need be, then asks for a device code. A cached registration
    /// that AWS has forgotten is replaced, once.
    pub async fn start_on_a_device(
        &self,
        limiter: &Limiter,
        cached: Option<Registration>,
    ) -> Result<(Registration, DeviceGrant), Failure> {
        if let Some(registration) = cached {
            match self.device_authorization(limiter, &registration).await {
                Ok(grant) => return Ok((registration, grant)),
                Err(fault) if is_unknown_client(&fault) => {}
                Err(fault) => return Err(self.login_failure(fault)),
            }
        }
        let registration = self
            .register(limiter, Flow::Device)
            .await
            .map_err(|fault| self.login_failure(fault))?;
        let grant = self
            .device_authorization(limiter, &registration)
            .await
            .map_err(|fault| self.login_failure(fault))?;
        Ok((registration, grant))
    }

    /// What the AWS CLI registers, under a name of our own.
    pub(super) async fn register(
        &self,
        limiter: &Limiter,
        flow: Flow,
    ) -> Result<Registration, Fault> {
        let client = self.client()?;
        let issuer = match flow {
            Flow::Browser => Some(vanity::resolve(&self.aws, &self.spec.start_url).await),
            Flow::Device => None,
        };
        let output = limiter
            .call("RegisterClient", Lane::Person, Repeat::Freely, || {
                let request = client
                    .register_client()
                    .client_name(CLIENT_NAME)
                    .client_type("public")
                    .scopes(SCOPE);
                let request = match &issuer {
                    Some(issuer) => request
                        .grant_types(CODE_GRANT)
                        .redirect_uris(REGISTERED_URI)
                        .issuer_url(&**issuer),
                    None => request.grant_types(DEVICE_GRANT),
                };
                request.grant_types(REFRESH_GRANT).send()
            })
            .await?;
        let (Some(client_id), Some(client_secret)) = (output.client_id, output.client_secret)
        else {
            return Err(incomplete("RegisterClient"));
        };
        Ok(Registration {
            client_id,
            client_secret: client_secret.into(),
            expires_at: match u64::try_from(output.client_secret_expires_at) {
                Ok(seconds) if seconds > 0 => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
                // RFC 7591 section 3.2.1: 0 means that it does not expire.
                _ => self.clock.now() + REGISTRATION_LIFE,
            },
        })
    }

    async fn device_authorization(
        &self,
        limiter: &Limiter,
        registration: &Registration,
    ) -> Result<DeviceGrant, Fault> {
        use secrecy::ExposeSecret as _;
        let client = self.client()?;
        let start_url = vanity::resolve(&self.aws, &self.spec.start_url).await;
        let output = limiter
            .call(
                "StartDeviceAuthorization",
                Lane::Person,
                Repeat::Freely,
                || {
                    client
                        .start_device_authorization()
                        .client_id(&registration.client_id)
                        .client_secret(registration.client_secret.expose_secret())
                        .start_url(&*start_url)
                        .send()
                },
            )
            .await?;
        let (Some(device_code), Some(user_code), Some(uri)) = (
            output.device_code,
            output.user_code,
            output.verification_uri,
        ) else {
            return Err(incomplete("StartDeviceAuthorization"));
        };
        Ok(DeviceGrant {
            device_code: device_code.into(),
            verification_uri_complete: output
                .verification_uri_complete
                .unwrap_or_else(|| uri.clone()),
            verification_uri: uri,
            user_code,
            expires_at: self.after(output.expires_in, DEFAULT_GRANT_LIFE),
            interval: match u64::try_from(output.interval) {
                Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
                _ => DEFAULT_INTERVAL,
            },
        })
    }

    /// One poll for the token. Not retried: the machine polls again.
    pub async fn poll(&self, registration: &Registration, grant: &DeviceGrant) -> LoginAnswer {
        use secrecy::ExposeSecret as _;
        let client = match self.client() {
            Ok(client) => client,
            Err(fault) => return LoginAnswer::Failed(fault.into()),
        };
        let result = client
            .create_token()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose_secret())
            .grant_type(DEVICE_GRANT)
            .device_code(grant.device_code.expose_secret())
            .send()
            .await;
        let fault = match result {
            Ok(output) => {
                return self.token(output, Flow::Device).map_or_else(
                    |fault| LoginAnswer::Failed(fault.into()),
                    LoginAnswer::Token,
                );
            }
            Err(error) => fault(&error),
        };
        let ended = |reason, text| LoginAnswer::Failed(Failure::new(reason, text));
        match fault.code() {
            "AuthorizationPendingException" => LoginAnswer::Pending,
            "SlowDownException" => LoginAnswer::SlowDown,
            "ExpiredTokenException" => {
                ended(Reason::LoginExpired, "nobody confirmed the code in time")
            }
            "AccessDeniedException" => ended(Reason::LoginDenied, "the login was denied"),
            "InvalidClientException" | "UnauthorizedClientException" => LoginAnswer::UnknownClient,
            _ => match fault {
                Fault::Throttled => LoginAnswer::SlowDown,
                nameless @ Fault::Refused { .. } if nameless.is_nameless() => {
                    LoginAnswer::NotNow(Failure::from(nameless).message)
                }
                Fault::Unavailable { what, .. } => LoginAnswer::NotNow(what),
                refused @ Fault::Refused { .. } => LoginAnswer::Failed(self.login_failure(refused)),
            },
        }
    }

    /// One renewal by refresh token (RFC 6749 section 6). Not retried: the
    /// machine knows when to try again.
    pub async fn renew(&self, registration: &Registration, token: &Token) -> RenewAnswer {
        use secrecy::ExposeSecret as _;
        let (Some(refresh), Origin::Login(flow)) = (&token.refresh, token.origin) else {
            return RenewAnswer::Refused("there is no refresh token".to_owned());
        };
        let client = match self.client() {
            Ok(client) => client,
            Err(fault) => return RenewAnswer::NotNow(Failure::from(fault).message),
        };
        let result = client
            .create_token()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose_secret())
            .grant_type(REFRESH_GRANT)
            .refresh_token(refresh.expose_secret())
            .send()
            .await;
        let answer = result
            .map_err(|error| fault(&error))
            .and_then(|output| self.token(output, flow));
        match answer {
            Ok(token) => RenewAnswer::Token(token),
            Err(nameless) if nameless.is_nameless() => {
                RenewAnswer::NotNow(Failure::from(nameless).message)
            }
            Err(Fault::Refused { code, message, .. }) => {
                RenewAnswer::Refused(match code.as_str() {
                    "InvalidGrantException" | "ExpiredTokenException" => {
                        "AWS has ended the session".to_owned()
                    }
                    _ => format!("AWS does not renew the session ({code}: {message})"),
                })
            }
            Err(Fault::Throttled) => RenewAnswer::NotNow("AWS asks to slow down".to_owned()),
            Err(Fault::Unavailable { what, .. }) => RenewAnswer::NotNow(what),
        }
    }

    pub(super) fn token(&self, output: CreateTokenOutput, flow: Flow) -> Result<Token, Fault> {
        let Some(access) = output.access_token else {
            return Err(incomplete("CreateToken"));
        };
        Ok(Token {
            access: access.into(),
            refresh: output.refresh_token.map(Into::into),
            issued_at: self.clock.now(),
            expires_at: self.after(output.expires_in, DEFAULT_TOKEN_LIFE),
            origin: Origin::Login(flow),
        })
    }

    fn after(&self, seconds: i32, default: i32) -> SystemTime {
        let seconds = if seconds > 0 { seconds } else { default };
        self.clock.now() + Duration::from_secs(u64::from(seconds.unsigned_abs()))
    }

    pub(super) fn client(&self) -> Result<aws_sdk_ssooidc::Client, Fault> {
        self.aws
            .oidc(&self.spec.region)
            .map_err(|failure| Fault::Refused {
                code: "Configuration".to_owned(),
                message: failure.message,
                status: 400,
            })
    }

    /// A login that could not be: what a person can check comes first.
    pub(super) fn login_failure(&self, fault: Fault) -> Failure {
        match fault {
            Fault::Refused { code, message, .. } => Failure::new(
                Reason::NotFound,
                format!(
                    "AWS refuses the login at {} in {} ({code}: {message})",
                    self.spec.start_url, self.spec.region
                ),
            )
            .with(
                awsso_proto::error::key::HINT,
                "check the start URL and the region of IAM Identity Center",
            ),
            other => other.into(),
        }
    }
}

pub(super) fn is_unknown_client(fault: &Fault) -> bool {
    matches!(
        fault.code(),
        "InvalidClientException" | "UnauthorizedClientException"
    )
}

fn incomplete(operation: &str) -> Fault {
    Fault::Unavailable {
        what: format!("the answer to {operation} is incomplete"),
        maybe_done: true,
    }
}
