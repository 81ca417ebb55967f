//! The OIDC endpoint on the wire: `RegisterClient`, `StartDeviceAuthorization`, `CreateToken`. Unsigned JSON.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::NewClient;
use super::authorize::loopback_parts;
use super::token::{Grant, Terms};
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::{clock, percent};

const GRANTS: [&str; 3] = [
    "authorization_code",
    "urn:ietf:params:oauth:grant-type:device_code",
    "refresh_token",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterClient {
    client_name: String,
    client_type: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    grant_types: Vec<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    issuer_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartDeviceAuthorization {
    client_id: String,
    client_secret: String,
    start_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateToken {
    client_id: String,
    client_secret: String,
    grant_type: String,
    device_code: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
}

pub(crate) fn answer(cloud: &Cloud, operation: &str, call: &Call) -> Result<Answer, Refusal> {
    let value = match operation {
        "RegisterClient" => register_client(cloud, read(call)?)?,
        "StartDeviceAuthorization" => start_device_authorization(cloud, &read(call)?)?,
        "CreateToken" => create_token(cloud, &read(call)?)?,
        _ => {
            return Err(Refusal::new(
                404,
                "UnknownOperationException",
                "No such operation",
            ));
        }
    };
    Ok(Answer::json(&value).with("cache-control", "no-store"))
}

fn register_client(cloud: &Cloud, request: RegisterClient) -> Result<Value, Refusal> {
    if request.client_type != "public" {
        return Err(Refusal::bad(
            "InvalidClientMetadataException",
            "Only the client type public is supported",
        ));
    }
    if request.client_name.is_empty() {
        return Err(invalid("clientName is empty"));
    }
    if let Some(scope) = request.scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(Refusal::bad(
            "InvalidScopeException",
            format!("Unknown scope {scope}"),
        ));
    }
    if let Some(grant) = request
        .grant_types
        .iter()
        .find(|grant| !GRANTS.contains(&grant.as_str()))
    {
        return Err(Refusal::bad(
            "UnsupportedGrantTypeException",
            format!("Unknown grant type {grant}"),
        ));
    }
    let by_code = request
        .grant_types
        .iter()
        .any(|grant| grant == "authorization_code");
    if by_code && request.redirect_uris.is_empty() {
        return Err(Refusal::bad(
            "InvalidRedirectUriException",
            "redirectUris is required for authorization_code",
        ));
    }
    if let Some(uri) = request
        .redirect_uris
        .iter()
        .find(|uri| loopback_parts(uri).is_none())
    {
        return Err(Refusal::bad(
            "InvalidRedirectUriException",
            format!("Redirect URI {uri} is not allowed"),
        ));
    }
    if by_code
        && !request
            .issuer_url
            .as_deref()
            .is_some_and(|url| cloud.is_start_url(url))
    {
        return Err(invalid("issuerUrl is not that of this organization"));
    }
    let now = cloud.clock.now();
    let client = NewClient {
        scopes: request.scopes,
        grant_types: request.grant_types,
        redirect_uris: request.redirect_uris,
    };
    let registered = cloud.login.register(client, &cloud.mint, now);
    Ok(json!({
        "clientId": registered.client_id,
        "clientSecret": registered.client_secret,
        "clientIdIssuedAt": clock::epoch_millis(now) / 1000,
        "clientSecretExpiresAt": clock::epoch_millis(registered.expires) / 1000,
    }))
}

fn start_device_authorization(
    cloud: &Cloud,
    request: &StartDeviceAuthorization,
) -> Result<Value, Refusal> {
    let now = cloud.clock.now();
    cloud
        .login
        .lock()
        .client(&request.client_id, &request.client_secret, now)?;
    if !cloud.is_start_url(&request.start_url) {
        return Err(invalid("Invalid start url provided"));
    }
    let asked = cloud
        .login
        .start_device(&request.client_id, &cloud.mint, now);
    let page = format!("{}/device", cloud.base_url);
    Ok(json!({
        "deviceCode": asked.device_code,
        "userCode": asked.user_code,
        "verificationUri": page,
        "verificationUriComplete": format!("{page}?user_code={}", percent::encode(&asked.user_code)),
        "expiresIn": asked.lifetime.as_secs(),
        "interval": asked.interval_seconds,
    }))
}

fn create_token(cloud: &Cloud, request: &CreateToken) -> Result<Value, Refusal> {
    let need = |value: &'_ Option<String>, name: &str| -> Result<String, Refusal> {
        value
            .clone()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid(format!("{name} is required")))
    };
    let (code, redirect_uri, verifier);
    let grant = match request.grant_type.as_str() {
        "urn:ietf:params:oauth:grant-type:device_code" => {
            code = need(&request.device_code, "deviceCode")?;
            Grant::Device { code: &code }
        }
        "authorization_code" => {
            code = need(&request.code, "code")?;
            redirect_uri = need(&request.redirect_uri, "redirectUri")?;
            verifier = need(&request.code_verifier, "codeVerifier")?;
            cloud.mint.was_shown(&verifier);
            Grant::Code {
                code: &code,
                redirect_uri: &redirect_uri,
                verifier: &verifier,
            }
        }
        "refresh_token" => {
            code = need(&request.refresh_token, "refreshToken")?;
            Grant::Refresh { token: &code }
        }
        _ => {
            return Err(Refusal::bad(
                "UnsupportedGrantTypeException",
                "Unsupported grant type",
            ));
        }
    };
    let standing = cloud.faults.standing();
    let terms = Terms {
        auto_approve: standing.auto_approve,
        rotate: standing.rotate_refresh_tokens,
    };
    let now = cloud.clock.now();
    let tokens = cloud.login.exchange(
        &request.client_id,
        &request.client_secret,
        &grant,
        terms,
        &cloud.mint,
        now,
    )?;
    let mut body = json!({
        "accessToken": tokens.access_token,
        "tokenType": "Bearer",
        "expiresIn": tokens.lifetime.as_secs(),
    });
    if let Some(refresh_token) = tokens.refresh_token {
        body["refreshToken"] = refresh_token.into();
    }
    Ok(body)
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    serde_json::from_slice(&call.body).map_err(|_| invalid("Invalid request body"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad("InvalidRequestException", message)
}

/// `sso:account:access` and the scopes of other AWS applications.
fn is_scope(scope: &str) -> bool {
    matches!(scope, "openid" | "aws")
        || ["sso:", "codewhisperer:"]
            .iter()
            .any(|family| scope.starts_with(family))
}
