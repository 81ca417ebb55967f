//! The sandbox over plain HTTP: faults as a socket sees them, the switches, and the pages a browser shows.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test does"
)]

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use awsso_sandbox::{Config, Sandbox};
use serde_json::{Value, json};

// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:45678/oauth/callback";

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

async fn sandbox() -> Sandbox {
    Sandbox::start(Config::default()).await.unwrap()
}

fn connect(sandbox: &Sandbox) -> TcpStream {
    TcpStream::connect(sandbox.base_url().strip_prefix("http://").unwrap()).unwrap()
}

fn ask(sandbox: &Sandbox, request: &str, headers: &str, body: &str) -> io::Result<Reply> {
    let mut stream = connect(sandbox);
    let host = sandbox.base_url().strip_prefix("http://").unwrap();
    let host = if headers.contains("host:") {
        String::new()
    } else {
        format!("host: {host}\r\n")
    };
    let length = body.len();
    let request = format!(
        "{request} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head[9..12].parse().unwrap();
    Ok(Reply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn get(sandbox: &Sandbox, target: &str) -> Reply {
    ask(sandbox, &format!("GET {target}"), "", "").unwrap()
}

fn post(sandbox: &Sandbox, target: &str, body: &str) -> Reply {
    ask(sandbox, &format!("POST {target}"), "", body).unwrap()
}

fn accounts(sandbox: &Sandbox, token: &str) -> io::Result<Reply> {
    ask(
        sandbox,
        "GET /assignment/accounts",
        &format!("x-amz-sso_bearer_token: {token}\r\n"),
        "",
    )
}

fn register(sandbox: &Sandbox) -> Value {
    let client = json!({
        "clientName": "test", "clientType": "public", "scopes": ["sso:account:access"],
        "grantTypes": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "redirectUris": ["http://127.0.0.1/oauth/callback"], "issuerUrl": sandbox.start_url(),
    });
    post(sandbox, "/client/register", &client.to_string()).json()
}

fn start_device(sandbox: &Sandbox, client: &Value) -> Value {
    let start = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"], "startUrl": sandbox.start_url(),
    });
    post(sandbox, "/device_authorization", &start.to_string()).json()
}

fn poll(sandbox: &Sandbox, client: &Value, asked: &Value) -> Reply {
    let grant = json!({
        "clientId": client["clientId"], "clientSecret": client["clientSecret"],
        "grantType": "urn:ietf:params:oauth:grant-type:device_code", "deviceCode": asked["deviceCode"],
    });
    post(sandbox, "/token", &grant.to_string())
}

fn authorize_target(client: &Value, callback: &str) -> String {
    let client_id = client["clientId"].as_str().unwrap();
    format!(
        "/authorize?response_type=code&client_id={client_id}&redirect_uri={callback}&state=s%3C1&\
         code_challenge_method=S256&scopes=sso%3Aaccount%3Aaccess&code_challenge={CHALLENGE}"
    )
}

/// The hidden fields of a page's form, as the browser would send them.
fn form_fields(page: &str) -> String {
    let field = |input: &str, name: &str| {
        let value = input
            .split_once(&format!(" {name}=\""))?
            .1
            .split_once('"')?
            .0;
        Some(value.replace("&lt;", "%3C"))
    };
    let fields: Vec<_> = page
        .split("<input")
        .skip(1)
        .filter_map(|input| {
            Some(format!(
                "{}={}",
                field(input, "name")?,
                field(input, "value")?
            ))
        })
        .collect();
    fields.join("&")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_connection_gives_no_answer_and_nothing_is_carried_out() {
    let sandbox = sandbox().await;
    let secrets = sandbox.issued_secrets().len();
    sandbox.faults().reset_next("ssooidc.RegisterClient", 1);
    let lost = ask(
        &sandbox,
        "POST /client/register",
        "",
        r#"{"clientName":"a","clientType":"public"}"#,
    );
    assert_eq!(
        lost.err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(sandbox.issued_secrets().len(), secrets);
    assert!(
        register(&sandbox)["clientId"].is_string(),
        "the fault is used up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_was_carried_out() {
    let sandbox = sandbox().await;
    sandbox.faults().lose_answer_next("ssooidc.RegisterClient");
    let lost = ask(
        &sandbox,
        "POST /client/register",
        "",
        r#"{"clientName":"a","clientType":"public"}"#,
    );
    assert_eq!(
        lost.err().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(
        sandbox.issued_secrets().len(),
        1,
        "the client secret nobody was told"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_ends_with_the_sandbox() {
    let sandbox = sandbox().await;
    sandbox.faults().hang_next("sso", 1);
    let mut stream = connect(&sandbox);
    stream
        .write_all(b"GET /assignment/accounts HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        .unwrap();
    sandbox.reached("sso.ListAccounts", 1).await;
    sandbox.stop().await;
    let mut rest = Vec::new();
    // An end or a reset: either way no byte of an answer came.
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_sandbox_closes_its_port() {
    let sandbox = sandbox().await;
    let address = sandbox
        .base_url()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let mut stream = connect(&sandbox);
    drop(sandbox);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest); // returns once the connection's task is gone
    assert_eq!(rest, b"");
    while TcpStream::connect(&address).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_answer_in_the_words_of_their_service() {
    let sandbox = sandbox().await;
    let token = sandbox.sign_in();
    sandbox.faults().throttle_next("sso", 1);
    let throttled = accounts(&sandbox, &token).unwrap();
    assert_eq!(
        (throttled.status, throttled.header("x-amzn-errortype")),
        (429, Some("TooManyRequestsException"))
    );
    sandbox.faults().fail_next("sso.ListAccounts", 1, 503);
    assert_eq!(accounts(&sandbox, &token).unwrap().status, 503);
    sandbox.faults().garbage_next("*", 1);
    assert!(serde_json::from_str::<Value>(&accounts(&sandbox, &token).unwrap().body).is_err());
    let good = accounts(&sandbox, &token).unwrap();
    assert_eq!(good.json()["accountList"].as_array().unwrap().len(), 3);
    assert!(good.header("x-amzn-requestid").is_some());
    let (all, refused) = (
        sandbox.count("sso.ListAccounts"),
        sandbox.count("throttled.sso.ListAccounts"),
    );
    assert_eq!((all, refused), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_refuses_what_is_over_its_rate() {
    let sandbox = sandbox().await;
    let token = sandbox.sign_in();
    sandbox.faults().set_portal_rate(Some(1));
    let statuses: Vec<_> = (0..3)
        .map(|_| accounts(&sandbox, &token).unwrap().status)
        .collect();
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_can_be_revoked_and_expired() {
    let sandbox = sandbox().await;
    let token = sandbox.sign_in();
    sandbox.expire_tokens();
    let refused = accounts(&sandbox, &token).unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.json()["message"],
        "Session token not found or invalid"
    );
    let token = sandbox.sign_in();
    sandbox.revoke_tokens();
    assert_eq!(accounts(&sandbox, &token).unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_page_asks_and_its_buttons_decide() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let asked = start_device(&sandbox, &client);
    let complete = asked["verificationUriComplete"].as_str().unwrap();
    let page = get(&sandbox, complete.strip_prefix(sandbox.base_url()).unwrap());
    assert!(page.body.contains("id=\"allow\"") && page.body.contains("id=\"deny\""));
    let fields = form_fields(&page.body);
    let done = post(&sandbox, "/device", &format!("{fields}&decision=allow"));
    assert!(done.body.contains("Request approved"));
    assert_eq!(
        poll(&sandbox, &client, &asked).json()["tokenType"],
        "Bearer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_login_is_told_to_the_client() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let asked = start_device(&sandbox, &client);
    assert_eq!(
        Some(sandbox.device_code_requested().await.as_str()),
        asked["userCode"].as_str()
    );
    assert!(sandbox.deny());
    let refused = poll(&sandbox, &client, &asked);
    assert_eq!(
        (refused.status, refused.header("x-amzn-errortype")),
        (400, Some("AccessDeniedException"))
    );
    assert_eq!(refused.json()["error"], "access_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_click_allow() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let asked = start_device(&sandbox, &client);
    let body = format!(
        "user_code={}&decision=allow",
        asked["userCode"].as_str().unwrap()
    );
    let reply = ask(
        &sandbox,
        "POST /device",
        "origin: http://evil.example\r\n",
        &body,
    )
    .unwrap();
    assert_eq!(reply.status, 403);
    assert_eq!(
        poll(&sandbox, &client, &asked).json()["error"],
        "authorization_pending"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn text_from_outside_is_escaped_on_the_pages() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let page = get(&sandbox, &authorize_target(&client, CALLBACK));
    assert!(page.body.contains("value=\"s&lt;1\""), "{}", page.body);
    let wrong = authorize_target(&client, CALLBACK).replace("account%3Aaccess", "%3Cb%3E");
    let page = get(&sandbox, &wrong);
    assert_eq!(page.status, 400);
    assert!(page.body.contains("&lt;b&gt;") && !page.body.contains("<b>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_browser_login_gives_a_code_that_works_once() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let page = get(&sandbox, &authorize_target(&client, CALLBACK));
    let reply = post(
        &sandbox,
        "/authorize",
        &format!("{}&decision=allow", form_fields(&page.body)),
    );
    assert_eq!(reply.status, 303);
    let location = reply.header("location").unwrap();
    let code = location.strip_prefix(&format!("{CALLBACK}?code=")).unwrap();
    let code = code.strip_suffix("&state=s%3C1").unwrap();
    let exchange = || {
        let grant = json!({
            "clientId": client["clientId"], "clientSecret": client["clientSecret"], "code": code,
            "grantType": "authorization_code", "redirectUri": CALLBACK, "codeVerifier": VERIFIER,
        });
        post(&sandbox, "/token", &grant.to_string())
    };
    let tokens = exchange().json();
    assert!(tokens["refreshToken"].is_string());
    assert_eq!(
        accounts(&sandbox, tokens["accessToken"].as_str().unwrap())
            .unwrap()
            .status,
        200
    );
    assert_eq!(exchange().json()["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_browser_login_goes_back_with_the_denial() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let page = get(&sandbox, &authorize_target(&client, CALLBACK));
    let reply = post(
        &sandbox,
        "/authorize",
        &format!("{}&decision=deny", form_fields(&page.body)),
    );
    assert_eq!(
        reply.header("location").unwrap(),
        format!("{CALLBACK}?error=access_denied&state=s%3C1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_never_sent_to_a_foreign_address() {
    let sandbox = sandbox().await;
    sandbox.set_auto_approve(Some(Duration::ZERO));
    let client = register(&sandbox);
    assert_eq!(
        get(&sandbox, &authorize_target(&client, CALLBACK)).status,
        303
    );
    for foreign in [
        "http://evil.example/oauth/callback",
        "http://127.0.0.1:1@evil.example/oauth/callback",
    ] {
        let reply = get(&sandbox, &authorize_target(&client, foreign));
        assert_eq!(
            (reply.status, reply.header("location")),
            (400, None),
            "{foreign}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_cannot_reach_the_switches() {
    let sandbox = sandbox().await;
    for headers in [
        "origin: http://127.0.0.1\r\n",
        "origin: null\r\n",
        "host: evil.example\r\n",
    ] {
        assert_eq!(
            ask(&sandbox, "GET /_sandbox/secrets", headers, "")
                .unwrap()
                .status,
            403,
            "{headers}"
        );
        assert_eq!(
            ask(&sandbox, "POST /_sandbox/revoke-tokens", headers, "")
                .unwrap()
                .status,
            403,
            "{headers}"
        );
    }
    assert_eq!(get(&sandbox, "/_sandbox/secrets").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switches_work_over_http() {
    let sandbox = sandbox().await;
    let client = register(&sandbox);
    let asked = start_device(&sandbox, &client);
    assert_eq!(post(&sandbox, "/_sandbox/approve", "").json()["ok"], true);
    assert_eq!(
        post(&sandbox, "/_sandbox/approve", "").json()["ok"],
        false,
        "nothing is pending any more"
    );
    let token = poll(&sandbox, &client, &asked).json()["accessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let order = r#"{"pageSize":2,"throttleNext":{"target":"sso","count":1}}"#;
    assert_eq!(post(&sandbox, "/_sandbox/faults", order).status, 200);
    assert_eq!(
        post(&sandbox, "/_sandbox/faults", r#"{"typo":1}"#).status,
        400
    );
    assert_eq!(accounts(&sandbox, &token).unwrap().status, 429);
    assert_eq!(
        accounts(&sandbox, &token).unwrap().json()["accountList"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        get(&sandbox, "/_sandbox/counts").json()["sso.ListAccounts"],
        2
    );
    assert_eq!(
        post(&sandbox, "/_sandbox/advance?seconds=3600", "").status,
        200
    );
    assert_eq!(accounts(&sandbox, &token).unwrap().status, 401);
    assert_eq!(post(&sandbox, "/_sandbox/forget-clients", "").status, 200);
    assert_eq!(poll(&sandbox, &client, &asked).status, 401);
    post(&sandbox, "/_sandbox/reset-counts", "");
    assert_eq!(get(&sandbox, "/_sandbox/counts").json(), json!({}));
    assert!(
        get(&sandbox, "/_sandbox/secrets")
            .json()
            .as_array()
            .unwrap()
            .contains(&token.into())
    );
}
