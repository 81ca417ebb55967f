//! The sandbox's own switches over HTTP, for tests that run it as another process. Below `/_sandbox/`.
//!
//! A web page must not be able to flip them or to read the secrets: a request with an `Origin`, or to a host that is
//! not loopback, is refused.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::cloud::Cloud;
use crate::login::Choice;
use crate::portal;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultOrders {
    #[serde(default)]
    clear: bool,
    latency_ms: Option<u64>,
    /// 0 is no limit.
    portal_rate: Option<u32>,
    page_size: Option<usize>,
    rotate_refresh_tokens: Option<bool>,
    visibility_delay_ms: Option<u64>,
    pickup_delay_ms: Option<u64>,
    instances_may_write: Option<bool>,
    upload_delay_ms: Option<u64>,
    bucket_region: Option<String>,
    /// Actions of IAM.
    #[serde(default)]
    deny: Vec<String>,
    clock_skew_seconds: Option<i64>,
    throttle_next: Option<Order>,
    fail_next: Option<Order>,
    reset_next: Option<Order>,
    hang_next: Option<Order>,
    garbage_next: Option<Order>,
    /// A target.
    lose_answer_next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    target: String,
    #[serde(default = "once")]
    count: u64,
    #[serde(default = "internal_error")]
    status: u16,
}

fn once() -> u64 {
    1
}

fn internal_error() -> u16 {
    500
}

pub(crate) fn answer(cloud: &Cloud, switch: &str, call: &Call) -> Answer {
    if call.headers.contains_key("origin") || !call.host_is_loopback() {
        return error(403, "not for web pages");
    }
    match act(cloud, switch, call) {
        Ok(value) => Answer::json(&value),
        Err((status, why)) => error(status, &why),
    }
}

fn act(cloud: &Cloud, switch: &str, call: &Call) -> Result<Value, (u16, String)> {
    match (call.method.as_str(), switch) {
        ("POST", "approve") => Ok(decide(cloud, call, Choice::Allow)),
        ("POST", "deny") => Ok(decide(cloud, call, Choice::Deny)),
        ("POST", "auto-approve") => {
            // Without `ms` it is switched off.
            let after = match call.parameter("ms") {
                None | Some("" | "off") => None,
                Some(_) => Some(Duration::from_millis(number(call, "ms")?)),
            };
            cloud.faults.set_auto_approve(after);
            Ok(done())
        }
        ("POST", "faults") => {
            let orders =
                serde_json::from_slice(&call.body).map_err(|error| (400, error.to_string()))?;
            give_orders(cloud, orders);
            Ok(done())
        }
        ("POST", "advance") => {
            cloud
                .clock
                .advance(Duration::from_secs(number(call, "seconds")?));
            Ok(done())
        }
        ("POST", "revoke-tokens") => {
            cloud.login.revoke_tokens();
            Ok(done())
        }
        ("POST", "revoke-credentials") => {
            cloud.keys.revoke_all();
            Ok(done())
        }
        ("POST", "expire-tokens") => {
            cloud.login.expire_tokens(cloud.now());
            Ok(done())
        }
        ("POST", "forget-clients") => {
            cloud.login.forget_clients();
            Ok(done())
        }
        ("POST", "credentials") => credentials(cloud, call),
        ("POST", "reset-counts") => {
            cloud.tally.reset();
            Ok(done())
        }
        ("GET", "counts") => Ok(json!(cloud.tally.counts())),
        ("GET", "secrets") => Ok(json!(cloud.mint.issued())),
        _ => Err((404, format!("no switch {} {switch}", call.method))),
    }
}

fn decide(cloud: &Cloud, call: &Call, choice: Choice) -> Value {
    let now = cloud.now();
    let code = call
        .parameter("user_code")
        .map(str::to_owned)
        .or_else(|| cloud.login.newest_pending(now));
    let decided = code.is_some_and(|code| cloud.login.decide(&code, choice, now));
    json!({ "ok": decided })
}

/// Keys without a login, for tests that are not about signing in.
fn credentials(cloud: &Cloud, call: &Call) -> Result<Value, (u16, String)> {
    let account = call.parameter("account_id").unwrap_or_default();
    let role = call.parameter("role_name").unwrap_or_default();
    let lifetime = match call.parameter("seconds") {
        None => cloud.config.credential_lifetime,
        Some(_) => Duration::from_secs(number(call, "seconds")?),
    };
    let issued =
        portal::issue(cloud, account, role, lifetime).ok_or((404, "no such role".to_owned()))?;
    Ok(json!({
        "accessKeyId": issued.access_key_id,
        "secretAccessKey": issued.secret_access_key,
        "sessionToken": issued.session_token,
        "expiration": clock::epoch_millis(issued.expires),
    }))
}

fn give_orders(cloud: &Cloud, orders: FaultOrders) {
    let faults = &cloud.faults;
    if orders.clear {
        faults.clear();
    }
    let millis = |order: Option<u64>| order.map(Duration::from_millis);
    if let Some(latency) = millis(orders.latency_ms) {
        faults.set_latency(latency);
    }
    if let Some(rate) = orders.portal_rate {
        faults.set_portal_rate((rate > 0).then_some(rate));
    }
    if let Some(size) = orders.page_size {
        faults.set_page_size(size);
    }
    if let Some(on) = orders.rotate_refresh_tokens {
        faults.set_refresh_token_rotation(on);
    }
    if let Some(delay) = millis(orders.visibility_delay_ms) {
        faults.set_visibility_delay(delay);
    }
    if let Some(delay) = millis(orders.pickup_delay_ms) {
        faults.set_pickup_delay(delay);
    }
    if let Some(may) = orders.instances_may_write {
        faults.set_instances_may_write(may);
    }
    if let Some(delay) = millis(orders.upload_delay_ms) {
        faults.set_upload_delay(delay);
    }
    if let Some(region) = orders.bucket_region {
        faults.set_bucket_region(&region);
    }
    for action in orders.deny {
        faults.deny(&action);
    }
    if let Some(seconds) = orders.clock_skew_seconds {
        cloud.clock.set_skew_seconds(seconds);
    }
    if let Some(order) = orders.throttle_next {
        faults.throttle_next(&order.target, order.count);
    }
    if let Some(order) = orders.fail_next {
        faults.fail_next(&order.target, order.count, order.status);
    }
    if let Some(order) = orders.reset_next {
        faults.reset_next(&order.target, order.count);
    }
    if let Some(order) = orders.hang_next {
        faults.hang_next(&order.target, order.count);
    }
    if let Some(order) = orders.garbage_next {
        faults.garbage_next(&order.target, order.count);
    }
    if let Some(target) = orders.lose_answer_next {
        faults.lose_answer_next(&target);
    }
}

fn number(call: &Call, name: &str) -> Result<u64, (u16, String)> {
    let text = call.parameter(name).unwrap_or_default();
    text.parse()
        .map_err(|_| (400, format!("{name} is a whole number")))
}

fn done() -> Value {
    json!({ "ok": true })
}

fn error(status: u16, why: &str) -> Answer {
    Answer::json(&json!({ "error": why })).with_status(status)
}
