//! The login in a browser: authorization code with PKCE, as the AWS CLI does it
//! (RFC 6749 section 4.1, RFC 7636, RFC 8252).

use std::{sync::Arc, time::Duration};

use awsso_proto::{Failure, Reason};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    callback::Callback,
    event::LoginAnswer,
    oidc::{Oidc, SCOPE, is_unknown_client},
    token::{BrowserGrant, Flow, Registration, Token},
};
use crate::limiter::{Fault, Limiter, fault};

pub(super) const CODE_GRANT: &str = "authorization_code";

/// What a person gets to log in; a device code lives as long.
const PATIENCE: Duration = Duration::from_mins(10);
/// A code is short-lived and good for one exchange.
const EXCHANGES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

impl Oidc {
    /// The listener first, then the registration, then the link: whoever opens
    /// it finds somebody at home.
    pub async fn start_in_browser(&self, limiter: &Limiter) -> Result<BrowserGrant, Failure> {
        let callback = Callback::bind().map_err(|error| {
            Failure::new(
                Reason::Internal,
                format!("no port of 127.0.0.1 can be used for the login: {error}"),
            )
            .with(
                awsso_proto::error::key::HINT,
                "use --flow device, which needs none",
            )
        })?;
        let registration = self
            .register(limiter, Flow::Browser)
            .await
            .map_err(|fault| self.login_failure(fault))?;
        Ok(BrowserGrant {
            authorization_uri: self.authorization_uri(&registration, &callback)?,
            registration,
            expires_at: self.clock.now() + PATIENCE,
            callback: Arc::new(callback),
        })
    }

    /// RFC 6749 section 4.1.1; AWS calls the parameter `scopes`.
    fn authorization_uri(
        &self,
        registration: &Registration,
        callback: &Callback,
    ) -> Result<String, Failure> {
        let endpoint = self.aws.oidc_endpoint(&self.spec.region)?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &registration.client_id)
            .append_pair("redirect_uri", &callback.redirect_uri())
            .append_pair("state", callback.state())
            .append_pair("code_challenge_method", "S256")
            .append_pair("scopes", SCOPE)
            .append_pair("code_challenge", &callback.challenge())
            .finish();
        Ok(format!(
            "{}/authorize?{query}",
            endpoint.trim_end_matches('/')
        ))
    }

    /// Waits for the browser and exchanges the code that it brings.
    pub async fn finish_in_browser(&self, grant: &BrowserGrant) -> LoginAnswer {
        let finish = async |code: Result<SecretString, Failure>| {
            let answer = match code {
                Ok(code) => self.exchange(grant, &code).await,
                Err(denied) => LoginAnswer::Failed(denied),
            };
            let ending = match &answer {
                LoginAnswer::Token(_) => Ok(()),
                LoginAnswer::Failed(failure) => Err(failure.clone()),
                _ => Err(Failure::new(
                    Reason::LoginRequired,
                    "AWS has forgotten this client; log in again",
                )),
            };
            (answer, ending)
        };
        let served = grant.callback.serve(&self.spec.name, finish).await;
        served.unwrap_or_else(|error| {
            LoginAnswer::Failed(Failure::new(
                Reason::Internal,
                format!("the login's port cannot be used: {error}"),
            ))
        })
    }

    async fn exchange(&self, grant: &BrowserGrant, code: &SecretString) -> LoginAnswer {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.exchange_once(grant, code).await {
                Ok(token) => return LoginAnswer::Token(token),
                Err(fault) if is_unknown_client(&fault) => return LoginAnswer::UnknownClient,
                Err(fault) if fault.is_passing() && tries < EXCHANGES => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(fault) => return LoginAnswer::Failed(self.login_failure(fault)),
            }
        }
    }

    async fn exchange_once(
        &self,
        grant: &BrowserGrant,
        code: &SecretString,
    ) -> Result<Token, Fault> {
        let (registration, callback) = (&grant.registration, &grant.callback);
        let output = self
            .client()?
            .create_token()
            .client_id(&registration.client_id)
            .client_secret(registration.client_secret.expose_secret())
            .grant_type(CODE_GRANT)
            .code(code.expose_secret())
            .redirect_uri(callback.redirect_uri())
            .code_verifier(callback.verifier())
            .send()
            .await
            .map_err(|error| fault(&error))?;
        self.token(output, Flow::Browser)
    }
}
