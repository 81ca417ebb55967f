//! What the endpoint says: JSON that nobody keeps, zeroed when it has been sent.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{super::keys::Opened, Source};

/// Room for any answer: one that grows leaves copies behind.
const MAX_ANSWER: usize = 16 << 10;

/// As SDKs read it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
    account_id: &'a str,
}

impl<'a> Answer<'a> {
    pub(super) fn new(source: &'a Source, keys: &'a Opened, expires_at: SystemTime) -> Self {
        Self {
            access_key_id: keys.access_key_id(),
            secret_access_key: keys.secret_access_key(),
            token: keys.session_token(),
            expiration: humantime::format_rfc3339_seconds(expires_at).to_string(),
            account_id: &source.role.account,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Refusal<'a> {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

impl Refusal<'_> {
    pub(super) fn response(&self) -> Response<Document> {
        let mut response = Document::of(self).ok();
        *response.status_mut() = self.status;
        response
    }
}

/// One JSON document, zeroed when it has been sent.
pub(super) struct Document(Option<Bytes>);

impl Document {
    pub(super) fn of(value: &impl Serialize) -> Self {
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        serde_json::to_writer(&mut *text, value).expect("strings become JSON");
        Self(Some(Bytes::from_owner(text)))
    }

    pub(super) fn ok(self) -> Response<Self> {
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(self)
            .expect("headers that are constants")
    }
}

impl Body for Document {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
