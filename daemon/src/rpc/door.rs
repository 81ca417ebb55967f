//! The door: every request comes in here, whatever service it is for. It begins
//! the request's note in the audit log, which the services add to, and it looks
//! through what leaves for an agent as an error.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use awsso_proto::{Failure, HELLO};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::{connection::Caller, hello::Welcome};
use crate::policy::{Audit, How, Note, Principal, Redactor};

/// States and lists: nothing is done, and clients ask all the time.
const QUIET: &[&str] = &[
    "Daemon.Hello",
    "Daemon.Watch",
    "Daemon.Diagnose",
    "Session.Get",
    "Session.Watch",
    "Accounts.List",
    "Jobs.List",
    "Approvals.Watch",
    "Policy.Explain",
];
/// What a person's own jobs printed is the person's.
const READS: &[&str] = &["Jobs.Watch", "Jobs.ReadOutput", "Jobs.QueryOutput"];
/// SDKs ask hundreds of times a minute.
const COUNTED: &[&str] = &["Credentials.Get"];

/// In front of all services.
#[derive(Debug, Clone)]
pub struct Door {
    pub audit: Audit,
    pub redactor: Redactor,
    pub welcome: Welcome,
}

/// One service, behind the door.
#[derive(Debug, Clone)]
pub struct Behind<S> {
    door: Door,
    service: S,
}

impl<S> Layer<S> for Door {
    type Service = Behind<S>;

    fn layer(&self, service: S) -> Behind<S> {
        Behind {
            door: self.clone(),
            service,
        }
    }
}

impl<S, B> Service<http::Request<Body>> for Behind<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let caller = Caller::among(request.extensions());
        let met = self.door.welcome.meet_with(&caller, request.headers());
        let principal = caller.principal();
        let verb = verb(request.uri().path());
        let note = Note::begin(&self.door.audit, how(&verb, principal), verb, caller.who());
        request.extensions_mut().insert(note.clone());
        let redactor = self.door.redactor.clone();
        let hello = match met {
            None => None,
            Some((hello, Ok(()))) => Some(hello),
            Some((hello, Err(failure))) => {
                note.ended(Err(&failure));
                return Box::pin(async move {
                    let mut response = Status::from(failure).into_http();
                    response.headers_mut().insert(HELLO, hello);
                    Ok(response)
                });
            }
        };
        let answer = self.service.call(request);
        answer
            .map(move |answer| {
                let mut response = answer?;
                let refused = Status::from_header_map(response.headers());
                match refused.filter(|status| status.code() != Code::Ok) {
                    None => note.ended(Ok(())),
                    Some(status) => {
                        let failure = Failure::from(status);
                        note.ended(Err(&failure));
                        if principal == Principal::Agent {
                            let shown = Status::from(masked(failure, &redactor));
                            response = shown.into_http();
                        }
                    }
                }
                if let Some(hello) = hello {
                    response.headers_mut().insert(HELLO, hello);
                }
                Ok(match principal {
                    Principal::Agent => response.map(|body| late_errors_masked(body, redactor)),
                    Principal::Person => response.map(Body::new),
                })
            })
            .boxed()
    }
}

/// `/awsso.v1.Jobs/Start` → `Jobs.Start`
fn verb(path: &str) -> String {
    let path = path.strip_prefix("/awsso.v1.").unwrap_or(path);
    let short = path.chars().take(100);
    short.map(|c| if c == '/' { '.' } else { c }).collect()
}

fn how(verb: &str, principal: Principal) -> How {
    let is_read = READS.contains(&verb) && principal == Principal::Person;
    if COUNTED.contains(&verb) {
        How::Counted
    } else if QUIET.contains(&verb) || is_read {
        How::Refused
    } else {
        How::Always
    }
}

/// An error that ends a stream comes after what was answered.
fn late_errors_masked<B>(body: B, redactor: Redactor) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Body::new(body.map_frame(move |frame| {
        let mut trailers = match frame.into_trailers() {
            Ok(trailers) => trailers,
            Err(data) => return data,
        };
        let status = Status::from_header_map(&trailers);
        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
            let shown = Status::from(masked(Failure::from(status), &redactor));
            // Nothing of what was there stays; a status that cannot be told is none.
            trailers = http::HeaderMap::new();
            let _ = shown.add_header(&mut trailers);
        }
        Frame::trailers(trailers)
    }))
}

/// AWS and programs have a say in what went wrong.
fn masked(mut failure: Failure, redactor: &Redactor) -> Failure {
    failure.message = redactor.text(&failure.message);
    for value in failure.metadata.values_mut() {
        *value = redactor.text(value);
    }
    failure
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use awsso_proto::{Reason, error::key};
    use http_body_util::StreamBody;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn an_error_that_ends_a_stream_is_masked_for_an_agent() {
        let redactor = Redactor::new(Clock::system());
        let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0";
        let _known = redactor.know(&[secret], None);
        let failure = Failure::new(Reason::Internal, format!("it said {secret}"))
            .with(key::HINT, format!("not {secret}"))
            .retry_after(Some(Duration::from_secs(3)));
        let mut trailers = http::HeaderMap::new();
        Status::from(failure).add_header(&mut trailers).unwrap();
        let frames = [
            Frame::data(Bytes::from_static(b"first")),
            Frame::trailers(trailers),
        ];
        let frames = frames.map(Ok::<_, std::convert::Infallible>);
        let body = StreamBody::new(tokio_stream::iter(frames));
        let seen = late_errors_masked(body, redactor).collect().await.unwrap();
        let shown = seen.trailers().unwrap();
        let text = format!("{shown:?}");
        let status = Status::from_header_map(shown).unwrap();
        assert!(
            !text.contains(secret) && !status.message().contains(secret),
            "{text}"
        );
        let shown = Failure::from(status);
        assert_eq!(shown.reason, Reason::Internal);
        assert_eq!(
            shown.message,
            format!("it said {}", "*".repeat(secret.len()))
        );
        assert_eq!(shown.retry_after, Some(Duration::from_secs(3)));
        assert!(!shown.metadata[key::HINT].contains(secret));
        assert_eq!(seen.to_bytes(), "first");
    }

    #[test]
    fn what_is_done_is_recorded_and_what_is_only_asked_is_not() {
        use Principal::{Agent, Person};
        for (path, principal, expected) in [
            ("/awsso.v1.Jobs/Start", Person, How::Always),
            ("/awsso.v1.Jobs/ReadOutput", Agent, How::Always),
            ("/awsso.v1.Jobs/ReadOutput", Person, How::Refused),
            ("/awsso.v1.Session/Get", Agent, How::Refused),
            ("/awsso.v1.Session/Login", Agent, How::Always),
            ("/awsso.v1.Credentials/Get", Person, How::Counted),
            ("/awsso.v1.Unheard/Of", Person, How::Always),
        ] {
            assert_eq!(how(&verb(path), principal), expected, "{path}");
        }
    }
}
