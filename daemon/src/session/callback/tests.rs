//! The listener as browsers, strangers and accidents meet it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::loopback::MAX_REQUEST;

/// What a browser gets for one request.
async fn get(port: u16, line: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Serves one login; `Ok` is the code that came.
fn serving(callback: &Arc<Callback>) -> tokio::task::JoinHandle<Result<String, Failure>> {
    let callback = Arc::clone(callback);
    tokio::spawn(async move {
        let finish = async |code: Result<SecretString, Failure>| match code {
            Ok(code) => (Ok(code.expose_secret().to_owned()), Ok(())),
            Err(failure) => (Err(failure.clone()), Err(failure)),
        };
        callback.serve("corp <&> co", finish).await.unwrap()
    })
}

fn query(callback: &Callback, rest: &str) -> String {
    format!("GET {PATH}?state={}&{rest}", callback.state())
}

#[tokio::test(flavor = "current_thread")]
async fn the_code_arrives_and_the_person_reads_that_they_are_logged_in() {
    let callback = Arc::new(Callback::bind().unwrap());
    let served = serving(&callback);
    let page = get(callback.port, &query(&callback, "code=a%2Fb+c")).await;
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(page.contains("You are logged in"), "{page}");
    assert!(
        page.contains("corp &lt;&amp;&gt; co") || page.contains("corp &lt;&amp;> co"),
        "{page}"
    );
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert_eq!(served.await.unwrap().unwrap(), "a/b c");
    // One answer: then nobody is at home.
    drop(callback);
}

#[tokio::test(flavor = "current_thread")]
async fn the_listener_is_there_before_anybody_serves_it_and_gone_after() {
    let callback = Arc::new(Callback::bind().unwrap());
    let port = callback.port;
    let early = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    assert!(early.is_ok());
    drop((early, callback));
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_denied_login_is_told_to_the_person_and_to_us() {
    let callback = Arc::new(Callback::bind().unwrap());
    let served = serving(&callback);
    let page = get(callback.port, &query(&callback, "error=access_denied")).await;
    assert!(page.contains("You are not logged in"), "{page}");
    assert!(page.contains("the login was denied"), "{page}");
    assert_eq!(
        served.await.unwrap().unwrap_err().reason,
        Reason::LoginDenied
    );
}

#[tokio::test(flavor = "current_thread")]
async fn what_does_not_carry_our_state_changes_nothing() {
    let callback = Arc::new(Callback::bind().unwrap());
    let served = serving(&callback);
    let port = callback.port;
    let state = callback.state().to_owned();
    for (line, status) in [
        ("GET /favicon.ico".to_owned(), "404"),
        ("GET /".to_owned(), "404"),
        (format!("GET {PATH}"), "400"),
        (format!("GET {PATH}?code=evil"), "400"),
        (format!("GET {PATH}?state=&code=evil"), "400"),
        (format!("GET {PATH}?state={}&code=evil", &state[1..]), "400"),
        (format!("GET {PATH}?state={state}x&code=evil"), "400"),
        (format!("GET {PATH}?state={state}"), "400"),
        (format!("GET {PATH}?state={state}&code="), "400"),
        (format!("POST {PATH}?state={state}&code=evil"), "405"),
        (format!("GET {PATH}?{}", "x".repeat(MAX_REQUEST)), "4"),
    ] {
        let page = get(port, &line).await;
        assert!(
            page.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {page}"
        );
        assert!(!page.contains("evil"), "{page}");
    }
    get(port, &query(&callback, "code=good")).await;
    assert_eq!(served.await.unwrap().unwrap(), "good");
}

#[tokio::test(flavor = "current_thread")]
async fn idle_connections_and_a_second_answer_hold_up_nothing() {
    let callback = Arc::new(Callback::bind().unwrap());
    let port = callback.port;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS - 1 {
        idle.push(
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap(),
        );
    }
    let (first, second) = (
        query(&callback, "code=first"),
        query(&callback, "code=second"),
    );
    let served = serving(&callback);
    let page = get(port, &first).await;
    assert!(page.contains("You are logged in"), "{page}");
    let late = tokio::spawn(async move {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        if let Ok(mut stream) = stream {
            let _ = stream
                .write_all(format!("{second} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
                .await;
        }
    });
    drop(idle);
    assert_eq!(served.await.unwrap().unwrap(), "first");
    late.await.unwrap();
}

#[test]
fn the_challenge_is_the_s256_of_the_verifier() {
    let callback = Callback {
        verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            .to_owned()
            .into(),
        ..Callback::bind().unwrap()
    };
    // RFC 7636, appendix B.
    assert_eq!(
        callback.challenge(),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
    let fresh = Callback::bind().unwrap();
    assert_eq!(fresh.verifier().len(), 43);
    assert_ne!(fresh.verifier(), fresh.state());
}

#[test]
fn the_words_of_a_web_page_are_cut_to_letters() {
    let failure = denied("server_error\r\n<script>");
    assert_eq!(
        failure.message,
        "AWS ended the login with server_errorscript"
    );
    assert!(
        !format!("{:?}", Callback::bind().unwrap()).contains(Callback::bind().unwrap().state())
    );
}
