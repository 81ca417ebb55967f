//! What a person sees: the page of a device code and the page of an authorization request. Real forms, no script.

use crate::answer::Answer;
use crate::call::Call;
use crate::cloud::Cloud;
use crate::xml::escape;

use super::device::Standing;
use super::{AuthorizeRequest, Choice};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;\
    color:#16191f;background:#fff}h1{font-size:1.4rem}code{font-size:1.2rem;letter-spacing:.08em}\
    label{display:block;margin-bottom:.25rem}input{font:inherit;padding:.5rem;border:1px solid #687078;\
    border-radius:4px;width:12rem}button{font:inherit;padding:.5rem 1.25rem;margin:1rem .5rem 0 0;border-radius:4px;\
    border:1px solid #545b64;background:#fff;color:#16191f;cursor:pointer}\
    button#allow,button#next{background:#0b5cad;border-color:#0b5cad;color:#fff}\
    :focus-visible{outline:3px solid #f89256;outline-offset:2px}";

pub(crate) fn answer(cloud: &Cloud, page: &str, call: &Call) -> Answer {
    let posted = call.method == hyper::Method::POST;
    if posted && !is_own_form(cloud, call) {
        return say(403, "Not from here", "This form was sent by another site.");
    }
    match (page, posted) {
        ("device", false) => device(cloud, call.parameter("user_code")),
        ("device", true) => device_decided(cloud, call),
        ("authorize", false) => authorize(cloud, call),
        ("authorize", true) => authorize_decided(cloud, call),
        _ => say(
            200,
            "AWS access portal",
            "This is the sandbox's start page. There is nothing to do here.",
        ),
    }
}

fn device(cloud: &Cloud, user_code: Option<&str>) -> Answer {
    let Some(user_code) = user_code.filter(|code| !code.is_empty()) else {
        return page(
            200,
            "Enter your code",
            "<p>Type the code that the application shows.</p><form method=\"get\" action=\"/device\">\
             <label for=\"user_code\">Code</label>\
             <input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" placeholder=\"ABCD-EFGH\" required>\
             <br><button id=\"next\" type=\"submit\">Next</button></form>",
        );
    };
    match cloud.login.device_standing(user_code, cloud.clock.now()) {
        Standing::Pending => {
            let code = escape(user_code);
            page(
                200,
                "Authorization requested",
                &format!(
                    "<p>An application asks for access to your AWS accounts. Allow it only if it shows this code:</p>\
                     <p><code id=\"code\">{code}</code></p><form method=\"post\" action=\"/device\">\
                     <input id=\"user_code\" type=\"hidden\" name=\"user_code\" value=\"{code}\">{BUTTONS}</form>"
                ),
            )
        }
        Standing::Decided(choice) => decided(choice),
        Standing::Unknown => unknown_code(),
    }
}

const BUTTONS: &str = "<button id=\"allow\" type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\
                       <button id=\"deny\" type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>";

fn device_decided(cloud: &Cloud, call: &Call) -> Answer {
    let form = call.form();
    let Some(choice) = choice(form.get("decision")) else {
        return say(400, "No decision", "Choose Allow or Deny.");
    };
    if cloud.login.decide(
        form.get("user_code").unwrap_or_default(),
        choice,
        cloud.clock.now(),
    ) {
        decided(choice)
    } else {
        unknown_code()
    }
}

fn authorize(cloud: &Cloud, call: &Call) -> Answer {
    let now = cloud.clock.now();
    let checked = AuthorizeRequest::from_query(call)
        .and_then(|request| cloud.login.check_authorize(&request, now).map(|()| request));
    let request = match checked {
        Ok(request) => request,
        Err(why) => return say(400, "Bad request", &why),
    };
    if cloud.faults.standing().auto_approve.is_some() {
        let code = cloud.login.issue_code(request.clone(), &cloud.mint, now);
        return Answer::redirect(request.destination(Some(&code)));
    }
    let hidden = |name: &str, value: &str| {
        format!(
            "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
            escape(value)
        )
    };
    let fields = [
        hidden("response_type", "code"),
        hidden("code_challenge_method", "S256"),
        hidden("client_id", &request.client_id),
        hidden("redirect_uri", &request.redirect_uri),
        hidden("state", &request.state),
        hidden("code_challenge", &request.code_challenge),
        hidden("scopes", &request.scopes.join(" ")),
    ];
    let scopes: Vec<_> = request
        .scopes
        .iter()
        .map(|scope| format!("<li><code>{}</code></li>", escape(scope)))
        .collect();
    let scopes = scopes.concat();
    page(
        200,
        "Allow access?",
        &format!(
            "<p>An application on this computer asks for access to your AWS accounts.</p><ul>{scopes}</ul>\
             <form method=\"post\" action=\"/authorize\">{}{BUTTONS}</form>",
            fields.concat()
        ),
    )
}

fn authorize_decided(cloud: &Cloud, call: &Call) -> Answer {
    let now = cloud.clock.now();
    // Checked again: the form came through the browser.
    let checked = AuthorizeRequest::from_form(call)
        .and_then(|request| cloud.login.check_authorize(&request, now).map(|()| request));
    match (checked, choice(call.form().get("decision"))) {
        (Err(why), _) => say(400, "Bad request", &why),
        (Ok(_), None) => say(400, "No decision", "Choose Allow or Deny."),
        (Ok(request), Some(Choice::Deny)) => Answer::redirect(request.destination(None)),
        (Ok(request), Some(Choice::Allow)) => {
            let code = cloud.login.issue_code(request.clone(), &cloud.mint, now);
            Answer::redirect(request.destination(Some(&code)))
        }
    }
}

fn choice(text: Option<&str>) -> Option<Choice> {
    match text? {
        "allow" => Some(Choice::Allow),
        "deny" => Some(Choice::Deny),
        _ => None,
    }
}

/// A browser names the origin of a form; one of another site could click Allow unseen.
fn is_own_form(cloud: &Cloud, call: &Call) -> bool {
    call.host_is_loopback()
        && call.header("origin").is_none_or(|origin| {
            origin == cloud.base_url || origin.strip_prefix("http://") == call.header("host")
        })
}

fn decided(choice: Choice) -> Answer {
    match choice {
        Choice::Allow => say(
            200,
            "Request approved",
            "You can close this window and go back to the application.",
        ),
        Choice::Deny => say(
            200,
            "Request denied",
            "The application was not given access.",
        ),
    }
}

fn unknown_code() -> Answer {
    say(
        404,
        "Unknown code",
        "This code does not exist or has expired. Start again in the application.",
    )
}

fn say(status: u16, title: &str, text: &str) -> Answer {
    page(
        status,
        title,
        &format!("<p role=\"status\">{}</p>", escape(text)),
    )
}

pub(crate) fn page(status: u16, title: &str, main: &str) -> Answer {
    Answer::page(
        status,
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{main}</main></body></html>"
        ),
    )
}
