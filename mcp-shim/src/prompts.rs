//! The prompts: what a person may ask for with a slash command, and completions
//! of the account and role in them, from what the daemon knows already.

use awsso_proto::v1::{Account, ListAccountsRequest};
use rmcp::model::{
    ArgumentInfo, CacheScope, CompleteRequestParams, CompleteResult, CompletionInfo, ErrorData,
    GetPromptResult, JsonObject, ListPromptsResult, Prompt, PromptArgument, PromptMessage, Role,
};
use serde_json::Value;

use crate::call::Call;

const LOGIN: &str = "aws_login";
const WHOAMI: &str = "aws_whoami";
const INVESTIGATE: &str = "aws_investigate";

/// The prompts change with the binary only.
const LIST_FRESH_MS: u64 = 3_600_000;

pub(crate) fn list() -> ListPromptsResult {
    let argument = |name: &str, description: &str, required: bool| {
        PromptArgument::new(name)
            .with_description(description)
            .with_required(required)
    };
    ListPromptsResult::with_all_items(vec![
        Prompt::new(LOGIN, Some("Log in to AWS SSO"), None).with_title("Log in to AWS"),
        Prompt::new(
            WHOAMI,
            Some("Who is logged in to AWS, with which accounts and roles"),
            None,
        )
        .with_title("My AWS accounts and roles"),
        Prompt::new(
            INVESTIGATE,
            Some("Look into a question in one AWS account, reading only"),
            Some(vec![
                argument("account", "The account: its id or name", true),
                argument("role", "The role; better a read-only one", true),
                argument("question", "What you want to know", true),
            ]),
        )
        .with_title("Investigate in AWS"),
    ])
    .with_ttl_ms(LIST_FRESH_MS)
    .with_cache_scope(CacheScope::Public)
}

pub(crate) fn get(
    name: &str,
    arguments: Option<&JsonObject>,
) -> Result<GetPromptResult, ErrorData> {
    let argument = |name: &str| {
        arguments
            .and_then(|arguments| arguments.get(name))
            .and_then(Value::as_str)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ErrorData::invalid_params(format!("missing argument: {name}"), None))
    };
    let text = match name {
        LOGIN => {
            "Log me in to AWS SSO: call aws_sso_status, and if a login is required aws_sso_login. \
                  Show me the link and the code if there is one, then wait with aws_sso_status and \
                  waitSeconds until I am logged in."
                .to_owned()
        }
        WHOAMI => {
            "Tell me who I am in AWS: call aws_sso_status, then aws_sso_ls_accounts, and show a \
                   table of the accounts with their ids and my roles in them."
                .to_owned()
        }
        INVESTIGATE => format!(
            "Look into this in the AWS account {}, with the role {}: {}\n\n\
             Use aws_sso_read_command only, cut results down with filter or --query, and change nothing. Say which commands you ran and what \
             in their output supports your answer.",
            argument("account")?,
            argument("role")?,
            argument("question")?,
        ),
        _ => {
            return Err(ErrorData::invalid_params(
                format!("unknown prompt: {name}"),
                None,
            ));
        }
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(
        Role::User,
        text,
    )]))
}

/// Accounts and roles that begin with what was typed; whatever is wrong, none.
pub(crate) async fn complete(call: &Call<'_>, request: &CompleteRequestParams) -> CompleteResult {
    let is_ours = request.r#ref.as_prompt_name() == Some(INVESTIGATE);
    let values = match request.argument.name.as_str() {
        "account" | "role" if is_ours => {
            let account = request
                .context
                .as_ref()
                .and_then(|context| context.get_argument("account"));
            let accounts = known(call).await.unwrap_or_default();
            completions(
                &accounts,
                &request.argument,
                account.map_or("", String::as_str),
            )
        }
        _ => Vec::new(),
    };
    let total = values.len();
    let values: Vec<_> = values
        .into_iter()
        .take(CompletionInfo::MAX_VALUES)
        .collect();
    let more = total > values.len();
    let info = CompletionInfo::with_pagination(values, u32::try_from(total).ok(), more);
    CompleteResult::new(info.unwrap_or_default())
}

/// What is known without asking AWS.
async fn known(call: &Call<'_>) -> Option<Vec<Account>> {
    let request = ListAccountsRequest {
        session: Some(call.context().session(None)),
        known: true,
        ..ListAccountsRequest::default()
    };
    let mut pages = call
        .ask(|client| {
            let request = request.clone();
            async move { client.accounts().list(request).await }
        })
        .await
        .ok()?;
    let mut accounts = Vec::new();
    while let Some(page) = pages.message().await.ok()? {
        accounts.extend(page.accounts);
    }
    Some(accounts)
}

fn completions(accounts: &[Account], argument: &ArgumentInfo, account: &str) -> Vec<String> {
    let typed = argument.value.to_lowercase();
    let mut values: Vec<String> = if argument.name == "role" {
        let meant = |of: &&Account| {
            account.is_empty() || of.account_id == account || of.account_name == account
        };
        let roles = accounts.iter().filter(meant).flat_map(|of| &of.roles);
        roles.cloned().collect()
    } else {
        let is_id = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
        accounts
            .iter()
            .map(|of| {
                if is_id {
                    &of.account_id
                } else {
                    &of.account_name
                }
            })
            .cloned()
            .collect()
    };
    values.retain(|value| value.to_lowercase().starts_with(&typed));
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Vec<Account> {
        [
            ("1111", "production", "Admin"),
            ("2222", "staging", "Audit"),
        ]
        .map(|(id, name, role)| Account {
            account_id: id.into(),
            account_name: name.into(),
            roles: vec![role.into(), "ReadOnly".into()],
            ..Account::default()
        })
        .into()
    }

    fn complete(name: &str, value: &str, account: &str) -> Vec<String> {
        completions(&accounts(), &ArgumentInfo::new(name, value), account)
    }

    #[test]
    fn an_account_is_completed_by_name_or_id() {
        assert_eq!(complete("account", "", ""), ["production", "staging"]);
        assert_eq!(complete("account", "PROD", ""), ["production"]);
        assert_eq!(complete("account", "22", ""), ["2222"]);
        assert!(complete("account", "x", "").is_empty());
    }

    #[test]
    fn a_role_is_completed_among_those_of_its_account() {
        assert_eq!(complete("role", "a", ""), ["Admin", "Audit"]);
        assert_eq!(complete("role", "", "staging"), ["Audit", "ReadOnly"]);
        assert_eq!(complete("role", "a", "1111"), ["Admin"]);
    }

    #[test]
    fn a_prompt_needs_its_arguments() {
        for prompt in list().prompts {
            let arguments: JsonObject = prompt
                .arguments
                .iter()
                .flatten()
                .map(|argument| (argument.name.clone(), Value::from("x")))
                .collect();
            assert!(
                get(&prompt.name, Some(&arguments)).is_ok(),
                "{}",
                prompt.name
            );
        }
        assert!(get(INVESTIGATE, None).is_err());
        assert!(get("aws_everything", None).is_err());
    }
}
