//! Who comes in, and where an endpoint is opened again.

use super::*;
use crate::clock::Clock;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn refused(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<u16> {
    let door = Door::new(4711, TOKEN.into());
    let request = headers.iter().fold(
        Request::builder().method(method).uri(path),
        |request, (name, value)| request.header(*name, *value),
    );
    let refusal = door.refusal(&request.body(()).unwrap());
    refusal.map(|refusal| refusal.status.as_u16())
}

#[test]
fn only_a_program_with_the_token_comes_in() {
    let (host, token) = (("host", "127.0.0.1:4711"), ("authorization", TOKEN));
    assert_eq!(refused("GET", "/", &[host, token]), None);
    let bearer = format!("Bearer {TOKEN}");
    for headers in [
        &[host][..],
        &[token],
        &[host, token, token],
        &[host, host, token],
        &[host, ("authorization", &TOKEN[1..])],
        &[host, ("authorization", &bearer)],
        &[("host", "localhost:4711"), token],
        &[("host", "127.0.0.1"), token],
        &[("host", "example.com:4711"), token],
        &[host, token, ("origin", "http://127.0.0.1:4711")],
        &[host, token, ("origin", "null")],
    ] {
        assert_eq!(refused("GET", "/", headers), Some(403), "{headers:?}");
    }
    assert_eq!(refused("GET", "/x", &[host, token]), Some(404));
    for method in ["POST", "PUT", "HEAD", "OPTIONS"] {
        assert_eq!(refused(method, "/", &[host, token]), Some(405), "{method}");
        // Nothing is told to who has no token.
        assert_eq!(refused(method, "/x", &[host]), Some(403), "{method}");
    }
}

#[tokio::test]
async fn an_endpoint_is_opened_again_where_it_was_and_nowhere_by_half() {
    let redactor = &Redactor::new(Clock::system());
    let first = Endpoint::open(None, redactor).await.unwrap();
    let again = LoopbackEndpoint {
        port: first.port().into(),
        token: Some(Secret::new(first.token())),
    };
    let busy = Endpoint::open(Some(&again), redactor).await.unwrap_err();
    assert_eq!(busy.reason, Reason::Busy, "{busy}");
    let (url, token) = (first.url(), first.token().to_owned());
    drop(first);
    let second = Endpoint::open(Some(&again), redactor).await.unwrap();
    assert_eq!((second.url(), second.token()), (url, token.as_str()));
    assert!(!format!("{second:?}").contains(&token));

    for (port, token) in [(0, TOKEN), (70_000, TOKEN), (4711, "short"), (4711, "")] {
        let half = LoopbackEndpoint {
            port,
            token: Some(Secret::new(token)),
        };
        let failure = Endpoint::open(Some(&half), redactor).await.unwrap_err();
        assert_eq!(failure.reason, Reason::InvalidArgument, "{port} {token}");
    }
}
