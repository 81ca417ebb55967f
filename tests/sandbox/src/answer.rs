//! What goes back: an [`Answer`], or a [`Refusal`] that is written the way each of AWS's protocols writes an error.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::mint;
use crate::xml::{Xml, escape};

/// Has no `Debug`: bodies carry secrets.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// An error of a service, before it is put on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// How a service talks, which decides the shape of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// REST JSON of the portal.
    Portal,
    /// REST JSON of the OIDC endpoint, whose bodies are those of OAuth.
    OAuth,
    /// JSON 1.1, told apart by `X-Amz-Target`.
    Json,
    /// Query protocol, XML back.
    Query,
    /// Query protocol with EC2's own error shape.
    Ec2,
    /// REST XML of S3.
    S3,
    /// A page for a person, errors included: sign-in.
    Page,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self::new(200, "application/json", value.to_string())
    }

    pub(crate) fn amz_json(value: &Value) -> Self {
        Self::new(200, "application/x-amz-json-1.1", value.to_string())
    }

    pub(crate) fn xml(body: String) -> Self {
        Self::new(200, "text/xml;charset=UTF-8", body)
    }

    pub(crate) fn bytes(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(200, content_type, body)
    }

    pub(crate) fn page(status: u16, body: String) -> Self {
        // No form-action: Chromium applies it to the redirect after a form too, and that goes to the client's port.
        Self::new(status, "text/html; charset=utf-8", body)
            .with(
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            )
            .with("cache-control", "no-store")
            .with("referrer-policy", "same-origin")
    }

    pub(crate) fn redirect(to: String) -> Self {
        Self {
            status: 303,
            headers: vec![("location", to), ("cache-control", "no-store".into())],
            body: Bytes::new(),
        }
    }

    /// What a captive portal or a broken proxy sends in place of AWS.
    pub(crate) fn garbage() -> Self {
        Self::new(
            200,
            "text/html",
            "<!doctype html><title>Welcome to Hotel Wi-Fi</title>\u{fffd}{\"not\": json",
        )
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// SSM and its kind answer every client error with 400.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    pub(crate) fn write(&self, protocol: Protocol) -> Answer {
        let request_id = mint::uuid();
        let answer = match protocol {
            Protocol::Portal => {
                let body = json!({
                    "message": self.message,
                    "__type": format!("com.amazonaws.switchboard.portal#{}", self.code),
                });
                Answer::json(&body).with("x-amzn-errortype", self.code)
            }
            Protocol::OAuth => {
                let body =
                    json!({ "error": oauth_error(self.code), "error_description": self.message });
                Answer::json(&body).with("x-amzn-errortype", self.code)
            }
            Protocol::Json => {
                Answer::amz_json(&json!({ "__type": self.code, "message": self.message }))
                    .with("x-amzn-errortype", self.code)
            }
            Protocol::Query => Answer::xml(Xml::document(
                "ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"",
                |xml| {
                    xml.element("Error", |xml| {
                        xml.leaf(
                            "Type",
                            if self.status < 500 {
                                "Sender"
                            } else {
                                "Receiver"
                            },
                        );
                        xml.leaf("Code", self.code);
                        xml.leaf("Message", &self.message);
                    });
                    xml.leaf("RequestId", &request_id);
                },
            )),
            Protocol::Ec2 => Answer::xml(Xml::document("Response", |xml| {
                xml.element("Errors", |xml| {
                    xml.element("Error", |xml| {
                        xml.leaf("Code", self.code);
                        xml.leaf("Message", &self.message);
                    });
                });
                xml.leaf("RequestID", &request_id);
            })),
            Protocol::S3 => Answer::bytes(
                "application/xml",
                Xml::document("Error", |xml| {
                    xml.leaf("Code", self.code);
                    xml.leaf("Message", &self.message);
                    xml.leaf("RequestId", &request_id);
                    xml.leaf("HostId", "sandbox");
                }),
            ),
            Protocol::Page => {
                let what = format!("HTTP Status {} - {}", self.status, escape(&self.message));
                Answer::page(
                    self.status,
                    format!(
                        "<!doctype html><html lang=\"en\"><title>{what}</title><h1>{what}</h1></html>"
                    ),
                )
            }
        };
        answer
            .with(request_id_header(protocol), request_id)
            .with_status(self.status)
    }
}

pub(crate) fn request_id_header(protocol: Protocol) -> &'static str {
    if protocol == Protocol::S3 {
        "x-amz-request-id"
    } else {
        "x-amzn-requestid"
    }
}

/// `AuthorizationPendingException` is `authorization_pending` in OAuth's words.
fn oauth_error(code: &str) -> String {
    let words = code.strip_suffix("Exception").unwrap_or(code);
    let mut out = String::new();
    for letter in words.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_has_its_oauth_name() {
        for (code, error) in [
            ("AuthorizationPendingException", "authorization_pending"),
            ("SlowDownException", "slow_down"),
            ("ExpiredTokenException", "expired_token"),
            ("UnsupportedGrantTypeException", "unsupported_grant_type"),
            ("InvalidRedirectUriException", "invalid_redirect_uri"),
        ] {
            assert_eq!(oauth_error(code), error);
        }
    }

    #[test]
    fn each_protocol_writes_its_own_error() {
        let refusal = Refusal::new(403, "AccessDenied", "no <way>");
        let text = |protocol| String::from_utf8(refusal.write(protocol).body.to_vec()).unwrap();
        assert!(text(Protocol::Portal).contains("com.amazonaws.switchboard.portal#AccessDenied"));
        assert!(text(Protocol::Json).contains(r#""__type":"AccessDenied""#));
        assert!(
            text(Protocol::Query)
                .contains("<Code>AccessDenied</Code><Message>no &lt;way&gt;</Message>")
        );
        assert!(text(Protocol::Ec2).contains("<Response><Errors><Error><Code>AccessDenied</Code>"));
        assert!(text(Protocol::S3).contains("<Error><Code>AccessDenied</Code>"));
    }
}
