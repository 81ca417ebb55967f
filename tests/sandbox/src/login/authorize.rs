//! The authorization-code grant: what a client asks the browser to open, and the code it comes back with.

use std::time::{Duration, SystemTime};

use super::{Login, pkce};
use crate::answer::Refusal;
use crate::call::Call;
use crate::mint::Mint;
use crate::percent;

/// AWS gives a client little time to exchange its code.
const CODE_LIFETIME: Duration = Duration::from_mins(1);

/// A checked `GET /authorize`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorizeRequest {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: String,
    pub(crate) code_challenge: String,
    pub(crate) scopes: Vec<String>,
}

pub(super) struct Code {
    request: AuthorizeRequest,
    expires: SystemTime,
}

impl AuthorizeRequest {
    /// Reads the parameters with `get`; what is wrong is said to the person, not sent to the redirect URI.
    fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, String> {
        let need = |name: &str| {
            get(name)
                .filter(|value| !value.is_empty())
                .ok_or(format!("{name} is missing"))
        };
        if need("response_type")? != "code" {
            return Err("response_type has to be code".into());
        }
        if need("code_challenge_method")? != "S256" {
            return Err("code_challenge_method has to be S256".into());
        }
        let request = Self {
            client_id: need("client_id")?.to_owned(),
            redirect_uri: need("redirect_uri")?.to_owned(),
            state: need("state")?.to_owned(),
            code_challenge: need("code_challenge")?.to_owned(),
            scopes: get("scopes")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        };
        if !pkce::is_challenge(&request.code_challenge) {
            return Err("code_challenge is no S256 challenge".into());
        }
        Ok(request)
    }

    pub(crate) fn from_query(call: &Call) -> Result<Self, String> {
        // A browser writes a blank as `+` or `%20`; both are one here.
        Self::read(|name| call.parameter(name)).map(|mut request| {
            request.scopes = request
                .scopes
                .iter()
                .flat_map(|scope| scope.split('+'))
                .map(str::to_owned)
                .collect();
            request
        })
    }

    pub(crate) fn from_form(call: &Call) -> Result<Self, String> {
        let form = call.form();
        Self::read(|name| form.get(name))
    }

    /// Where the browser goes with the decision; `code` is `None` when the user said no.
    pub(crate) fn destination(&self, code: Option<&str>) -> String {
        let state = percent::encode(&self.state);
        match code {
            Some(code) => format!(
                "{}?code={}&state={state}",
                self.redirect_uri,
                percent::encode(code)
            ),
            None => format!("{}?error=access_denied&state={state}", self.redirect_uri),
        }
    }
}

impl Login {
    /// Whether a request is one its client may make.
    pub(crate) fn check_authorize(
        &self,
        request: &AuthorizeRequest,
        now: SystemTime,
    ) -> Result<(), String> {
        let state = self.lock();
        let client = state
            .registrations
            .get(&request.client_id)
            .filter(|client| client.expires > now)
            .ok_or("client_id is not registered")?;
        if !client
            .grant_types
            .iter()
            .any(|grant| grant == "authorization_code")
        {
            return Err("the client is not registered for the authorization_code grant".into());
        }
        if !client
            .redirect_uris
            .iter()
            .any(|registered| same_but_for_port(registered, &request.redirect_uri))
        {
            return Err("redirect_uri is not the registered one".into());
        }
        match request
            .scopes
            .iter()
            .find(|scope| !client.scopes.contains(scope))
        {
            Some(scope) => Err(format!("scope {scope} is not registered")),
            None => Ok(()),
        }
    }

    pub(crate) fn issue_code(
        &self,
        request: AuthorizeRequest,
        mint: &Mint,
        now: SystemTime,
    ) -> String {
        let code = mint.authorization_code();
        self.lock().codes.insert(
            code.clone(),
            Code {
                request,
                expires: now + CODE_LIFETIME,
            },
        );
        code
    }

    /// Takes the code: a second try finds nothing, whatever came of the first.
    pub(super) fn take_code(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let found = self.lock().codes.remove(code);
        let good = found.is_some_and(|found| {
            found.expires > now
                && found.request.client_id == client_id
                && found.request.redirect_uri == redirect_uri
                && pkce::matches(verifier, &found.request.code_challenge)
        });
        if good {
            Ok(())
        } else {
            Err(Refusal::bad(
                "InvalidGrantException",
                "Invalid grant provided",
            ))
        }
    }
}

/// Registered without a port, used with any: `http://127.0.0.1/oauth/callback`.
fn same_but_for_port(registered: &str, used: &str) -> bool {
    match (loopback_parts(registered), loopback_parts(used)) {
        (Some((host, path)), Some((used_host, used_path))) => {
            host == used_host && path == used_path
        }
        _ => false,
    }
}

/// Host and path of a plain loopback URL.
pub(super) fn loopback_parts(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = match authority.strip_prefix("[::1]") {
        Some(port) => ("[::1]", port),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_number = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    (matches!(host, "127.0.0.1" | "[::1]") && port_is_number && !path.contains(['?', '#']))
        .then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_may_differ_in_its_port_only() {
        let registered = "http://127.0.0.1/oauth/callback";
        for (used, same) in [
            ("http://127.0.0.1:40123/oauth/callback", true),
            ("http://127.0.0.1/oauth/callback", true),
            ("http://127.0.0.1:40123/other", false),
            ("http://127.0.0.1:40123@example.com/oauth/callback", false),
            ("http://example.com/oauth/callback", false),
            ("https://127.0.0.1:1/oauth/callback", false),
        ] {
            assert_eq!(same_but_for_port(registered, used), same, "{used}");
        }
    }

    #[test]
    fn the_decision_goes_back_with_the_state_of_the_client() {
        let request = AuthorizeRequest {
            client_id: "c".into(),
            redirect_uri: "http://127.0.0.1:1/oauth/callback".into(),
            state: "a&b".into(),
            code_challenge: String::new(),
            scopes: Vec::new(),
        };
        assert_eq!(
            request.destination(Some("x")),
            "http://127.0.0.1:1/oauth/callback?code=x&state=a%26b"
        );
        assert!(
            request
                .destination(None)
                .ends_with("?error=access_denied&state=a%26b")
        );
    }
}
