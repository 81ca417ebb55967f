//! The door: every request comes in here, whatever service it is for. It begins
//! the request's note in the audit log, which the services add to, and it looks
//! through what leaves for an agent as an error.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use awsso_proto::{Failure, HELLO};
use futures_util::FutureExt as _;
use tonic::{Code, Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::{connection::Caller, hello::Welcome};
use crate::policy::{Audit, How, Note, Principal, Redactor};

/// States and lists: nothing is done, and clients ask all the time.
const QUIET: &[&str] = &[
    "Daemon.Hello",
    "Daemon.Watch",
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
    B: Default,
{
    type Response = S::Response;
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
                Ok(response)
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
    use super::*;

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
