//! The access portal: accounts, roles and role credentials for whoever holds an access token.

use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::keys::{Caller, IssuedKeys, Origin};
use crate::{clock, paging, sigv4};

/// Whose portal it is: AWS uses the user name as the session name of role credentials.
const USER: &str = "alice";
const LARGEST_PAGE: usize = 100;

pub(crate) fn answer(cloud: &Cloud, operation: &str, call: &Call) -> Result<Answer, Refusal> {
    let token = call.header("x-amz-sso_bearer_token").unwrap_or_default();
    if operation == "Logout" {
        return if cloud.login.sign_out(token) {
            Ok(Answer::json(&json!({})))
        } else {
            Err(unauthorized())
        };
    }
    if !cloud.login.is_signed_in(token, cloud.clock.now()) {
        return Err(unauthorized());
    }
    let value = match operation {
        "ListAccounts" => list_accounts(cloud, call)?,
        "ListAccountRoles" => list_account_roles(cloud, call)?,
        "GetRoleCredentials" => get_role_credentials(cloud, call)?,
        _ => {
            return Err(Refusal::new(
                404,
                "ResourceNotFoundException",
                "No such operation",
            ));
        }
    };
    Ok(Answer::json(&value))
}

/// Credentials of a role, as the portal would issue them.
pub(crate) fn issue(
    cloud: &Cloud,
    account: &str,
    role: &str,
    lifetime: Duration,
) -> Option<IssuedKeys> {
    cloud
        .organization
        .account(account)
        .filter(|account| account.has_role(role))?;
    let digest = sigv4::sha256(format!("{account}/{role}").as_bytes());
    let caller = Caller {
        account: account.to_owned(),
        role: role.to_owned(),
        role_in_arn: format!("AWSReservedSSO_{role}_{}", &digest[..16]),
        session_name: USER.to_owned(),
        origin: Origin::Portal,
    };
    Some(
        cloud
            .keys
            .issue(&cloud.mint, caller, cloud.clock.now(), lifetime),
    )
}

fn list_accounts(cloud: &Cloud, call: &Call) -> Result<Value, Refusal> {
    let accounts = cloud.organization.accounts().iter().collect();
    let page = paging::page(
        accounts,
        "accounts",
        call.parameter("next_token"),
        page_size(cloud, call)?,
    )
    .map_err(|_| invalid("Invalid next token"))?;
    let list: Vec<_> = page
        .items
        .iter()
        .map(|account| {
            json!({ "accountId": account.id, "accountName": account.name, "emailAddress": account.email })
        })
        .collect();
    Ok(json!({ "accountList": list, "nextToken": page.next }))
}

fn list_account_roles(cloud: &Cloud, call: &Call) -> Result<Value, Refusal> {
    let id = account_id(call)?;
    let account = cloud.organization.account(id).ok_or_else(no_access)?;
    let list = format!("roles/{id}");
    let page = paging::page(
        account.roles.iter().collect(),
        &list,
        call.parameter("next_token"),
        page_size(cloud, call)?,
    )
    .map_err(|_| invalid("Invalid next token"))?;
    let list: Vec<_> = page
        .items
        .iter()
        .map(|role| json!({ "roleName": role, "accountId": id }))
        .collect();
    Ok(json!({ "roleList": list, "nextToken": page.next }))
}

fn get_role_credentials(cloud: &Cloud, call: &Call) -> Result<Value, Refusal> {
    let id = account_id(call)?;
    let role = call.parameter("role_name").filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| invalid("Role name is required"))?;
    let issued = issue(cloud, id, role, cloud.config.credential_lifetime).ok_or_else(no_access)?;
    Ok(json!({
        "roleCredentials": {
            "accessKeyId": issued.access_key_id,
            "secretAccessKey": issued.secret_access_key,
            "sessionToken": issued.session_token,
            "expiration": clock::epoch_millis(issued.expires),
        }
    }))
}

fn account_id(call: &Call) -> Result<&str, Refusal> {
    let id = call.parameter("account_id").unwrap_or_default();
    let is_id = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    if is_id {
        Ok(id)
    } else {
        Err(invalid("Account ID is not valid"))
    }
}

fn page_size(cloud: &Cloud, call: &Call) -> Result<usize, Refusal> {
    let asked = match call.parameter("max_result") {
        None => LARGEST_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=LARGEST_PAGE).contains(size))
            .ok_or_else(|| invalid("max_result has to be between 1 and 100"))?,
    };
    Ok(asked.min(cloud.faults.standing().page_size))
}

fn unauthorized() -> Refusal {
    Refusal::new(
        401,
        "UnauthorizedException",
        "Session token not found or invalid",
    )
}

fn no_access() -> Refusal {
    Refusal::new(403, "ForbiddenException", "No access")
}

fn invalid(message: &str) -> Refusal {
    Refusal::bad("InvalidRequestException", message)
}
