//! Sign-in to the console: role credentials become a token, and the token a link that a browser can follow.
//!
//! `GET /federation`, as AWS documents it for identity brokers. Nothing is signed: the credentials themselves are in
//! the request. Where AWS redirects to the console, the sandbox, which has none, shows a page that says who is signed
//! in, until when, and where to. An error is a page too, as AWS's is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::call::{Call, Form};
use crate::clock;
use crate::cloud::Cloud;
use crate::keys::{Caller, Origin};
use crate::login::pages;
use crate::xml::escape;

/// How long a sign-in token can be used, as often as one likes.
const GOOD_FOR: Duration = Duration::from_mins(15);
const SHORTEST_SESSION: u64 = 900;
const LONGEST_SESSION: u64 = 43_200;
/// The domains of AWS's consoles, one a partition.
const CONSOLES: [&str; 4] = [
    "aws.amazon.com",
    "amazonaws.cn",
    "amazonaws-us-gov.com",
    "amazonaws-eusc.eu",
];

/// The tokens that were handed out.
#[derive(Default)]
pub(crate) struct SigninTokens {
    tokens: Mutex<HashMap<String, Ticket>>,
}

#[derive(Clone)]
struct Ticket {
    caller: Caller,
    good_until: SystemTime,
    session_ends: SystemTime,
}

/// The credentials, as the documentation names their parts.
#[derive(Deserialize)]
struct Session {
    #[serde(rename = "sessionId")]
    id: String,
    #[serde(rename = "sessionKey")]
    secret: String,
    #[serde(rename = "sessionToken")]
    token: String,
}

pub(crate) fn answer(cloud: &Cloud, operation: &str, call: &Call) -> Result<Answer, Refusal> {
    let query = call.query_form();
    match operation {
        "GetSigninToken" => get_signin_token(cloud, &query),
        "Login" => login(cloud, &query),
        _ => Err(refused("Invalid action parameter")),
    }
}

fn get_signin_token(cloud: &Cloud, query: &Form) -> Result<Answer, Refusal> {
    let now = cloud.now();
    let session = query.get("Session").unwrap_or_default();
    let key = serde_json::from_str::<Session>(session)
        .ok()
        .and_then(|session| {
            let key = cloud.keys.find(&session.id)?;
            let held = key.secret == session.secret
                && key.session_token == session.token
                && key.expires > now;
            held.then_some(key)
        })
        .ok_or_else(invalid_credentials)?;
    let session_ends = match query.get("SessionDuration") {
        None => key.expires,
        // AWS says no more than this when the credentials come from role chaining.
        Some(_) if key.caller.origin != Origin::Portal => return Err(invalid_credentials()),
        Some(seconds) => {
            let seconds = seconds.parse().ok();
            let seconds =
                seconds.filter(|seconds| (SHORTEST_SESSION..=LONGEST_SESSION).contains(seconds));
            now + Duration::from_secs(
                seconds.ok_or_else(|| refused("Invalid session duration parameter"))?,
            )
        }
    };
    let token = cloud.mint.signin_token();
    let ticket = Ticket {
        caller: key.caller,
        good_until: now + GOOD_FOR,
        session_ends,
    };
    cloud.signin.keep(token.clone(), ticket);
    Ok(Answer::json(&json!({ "SigninToken": token })).with("cache-control", "no-store"))
}

fn login(cloud: &Cloud, query: &Form) -> Result<Answer, Refusal> {
    let destination = query.get("Destination").unwrap_or_default();
    if !is_of_a_console(destination) {
        return Err(refused("Invalid destination parameter"));
    }
    let ticket = query
        .get("SigninToken")
        .and_then(|token| cloud.signin.find(token))
        .filter(|ticket| ticket.good_until > cloud.now())
        .ok_or_else(|| refused("Token expired or invalid"))?;
    let account = escape(&ticket.caller.account);
    let (role, arn) = (escape(&ticket.caller.role), escape(&ticket.caller.arn()));
    let (until, to) = (clock::rfc3339(ticket.session_ends), escape(destination));
    Ok(pages::page(
        200,
        "Signed in to the console",
        &format!(
            "<p>In account <code id=\"account\">{account}</code> with role <code id=\"role\">{role}</code>, as \
             <code id=\"arn\">{arn}</code>, until <code id=\"until\">{until}</code>.</p>\
             <p>AWS would go on to <code id=\"destination\">{to}</code>.</p>"
        ),
    ))
}

impl SigninTokens {
    fn keep(&self, token: String, ticket: Ticket) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token, ticket);
    }

    fn find(&self, token: &str) -> Option<Ticket> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).cloned()
    }
}

/// AWS sends nobody to a page that is not its own.
fn is_of_a_console(destination: &str) -> bool {
    let Some(rest) = destination.strip_prefix("https://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    CONSOLES.iter().any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|before| before.ends_with('.') && !before.contains(['@', ':']))
    })
}

fn invalid_credentials() -> Refusal {
    refused("Invalid credentials parameter")
}

fn refused(why: &str) -> Refusal {
    Refusal::bad("InvalidParameter", why)
}

#[cfg(test)]
mod tests {
    use super::is_of_a_console;

    #[test]
    fn only_awss_own_pages_are_destinations() {
        for (destination, console) in [
            ("https://console.aws.amazon.com/", true),
            (
                "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1#x",
                true,
            ),
            ("https://console.amazonaws.cn/", true),
            ("https://console.amazonaws-us-gov.com/", true),
            ("http://console.aws.amazon.com/", false),
            ("https://console.aws.amazon.com@evil.example/", false),
            (
                "https://evil.example/?https://console.aws.amazon.com",
                false,
            ),
            ("https://evilaws.amazon.com/", false),
            ("", false),
        ] {
            assert_eq!(is_of_a_console(destination), console, "{destination}");
        }
    }
}
