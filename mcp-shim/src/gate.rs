//! Who may speak HTTP to us. Loopback is open to every user of this machine and,
//! by DNS rebinding, to every web page: a request must name us by one of our own
//! names, come from no other origin, and carry the token. Pure.

use http::{
    HeaderMap, StatusCode, Uri,
    header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
};

use crate::token::Token;

const HTTP_PORT: u16 = 80;

pub(crate) struct Gate {
    /// Names of this server, each with its port.
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    /// Without one, who reaches us may use us.
    token: Option<Token>,
}

/// Why a request is refused; the words are constant.
pub(crate) type Refusal = (StatusCode, &'static str);

impl Gate {
    pub(crate) fn new(port: u16, token: Option<Token>) -> Self {
        let names = ["localhost", "127.0.0.1", "[::1]"];
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == HTTP_PORT {
            // Clients leave it out then.
            hosts.extend(names.map(str::to_owned));
        }
        Self {
            origins: hosts.iter().map(|host| format!("http://{host}")).collect(),
            hosts,
            token,
        }
    }

    /// Whether the request is meant for us and comes from no foreign page.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let forbidden = |what| Err((StatusCode::FORBIDDEN, what));
        let Ok(Some(host)) = only(headers, HOST) else {
            return Err((StatusCode::BAD_REQUEST, "one Host header is needed"));
        };
        let is_named = |name: &str| {
            self.hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
        };
        if !is_named(host) {
            return forbidden("this Host is not served");
        }
        if uri.authority().is_some_and(|name| !is_named(name.as_str())) {
            return forbidden("this host is not served");
        }
        match only(headers, ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.origins.iter().any(|ours| ours == origin) => Ok(()),
            Ok(Some(_)) | Err(()) => forbidden("this Origin is not served"),
        }
    }

    /// Whether the request carries the token, once and whole.
    pub(crate) fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(header), None) if token.authorizes(header.as_bytes()) => Ok(()),
            _ => Err((
                StatusCode::UNAUTHORIZED,
                "the bearer token of this server is needed",
            )),
        }
    }
}

/// The value of a header that may come once at most.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn admitted(port: u16, host: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        let uri = Uri::from_static("/mcp");
        Gate::new(port, None).admit(&uri, &headers).is_ok()
    }

    #[test]
    fn only_on_the_port_of_http_a_host_may_leave_it_out() {
        assert!(admitted(3000, "localhost:3000") && !admitted(3000, "localhost"));
        assert!(admitted(80, "localhost:80") && admitted(80, "LOCALHOST"));
        assert!(!admitted(80, "localhost:3000") && !admitted(80, "evil.example"));
    }
}
