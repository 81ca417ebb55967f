//! One request as the sandbox reads it: the raw parts a signature is made of, and the decoded ones.

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::percent;

/// Has no `Debug`: headers and body carry secrets.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// As sent, still percent-coded.
    pub(crate) raw_path: String,
    raw_query: String,
    /// Decoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        Self {
            method: parts.method,
            raw_path: parts.uri.path().to_owned(),
            query: percent::query_pairs(&raw_query),
            raw_query,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A parameter of the query string.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The pairs of a form or query-protocol body.
    pub(crate) fn form(&self) -> Form {
        Form {
            pairs: percent::form_pairs(&String::from_utf8_lossy(&self.body)),
        }
    }

    /// The query string read as a form, where a plus that is not coded is a blank.
    pub(crate) fn query_form(&self) -> Form {
        Form {
            pairs: percent::form_pairs(&self.raw_query),
        }
    }

    pub(crate) fn host_is_loopback(&self) -> bool {
        let host = self.header("host").unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) {
                name
            } else {
                host
            }
        });
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    }
}

pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        find(&self.pairs, name)
    }

    /// The members of a query-protocol list: `<prefix>.1`, `<prefix>.2`, …
    pub(crate) fn list(&self, prefix: &str) -> Vec<&str> {
        (1..)
            .map_while(|number| self.get(&format!("{prefix}.{number}")))
            .collect()
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
pub(crate) fn for_test(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let mut request = hyper::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    Call::new(parts, Bytes::copy_from_slice(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for (host, loopback) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("[::1]:80", true),
            ("example.com:80", false),
            ("127.0.0.1.example.com", false),
            ("", false),
        ] {
            assert_eq!(
                for_test("GET", "/", &[("host", host)], "").host_is_loopback(),
                loopback,
                "{host}"
            );
        }
    }

    #[test]
    fn a_list_ends_at_the_first_gap() {
        let call = for_test("POST", "/", &[], "Id.1=a&Id.2=b&Id.4=d");
        assert_eq!(call.form().list("Id"), ["a", "b"]);
    }
}
