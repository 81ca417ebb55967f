//! `awsso credential-process`, which never asks a person for anything, and
//! `awsso env`, and the variables that hold credentials.

use std::{collections::BTreeMap, ffi::OsString};

use awsso_proto::v1::{GetCredentialsRequest, GetCredentialsResponse, Secret, Target};
use serde::Serialize;

use super::exec;
use crate::{
    args::{EnvArgs, Shell, TargetArgs},
    context::{self, Context},
    exit::{self, Stop},
    pick,
    progress::Progress,
    render::time,
    terminal,
};

const ASKING: &str = "asking AWS for credentials";

/// What the SDKs expect of a `credential_process`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialProcess<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    account_id: &'a str,
}

pub async fn process(context: &Context, target: TargetArgs) -> Result<u8, Stop> {
    let request = GetCredentialsRequest {
        target: Some(context.target("credential-process", target)?),
        unattended: true,
    };
    let asked = context.credentials_at_once(request.clone());
    let credentials = match Progress::new(ASKING).over(asked).await {
        Some(credentials) => credentials?,
        None => ask(context, request).await?,
    };
    terminal::json(&CredentialProcess {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: exposed(credentials.secret_access_key.as_ref()),
        session_token: exposed(credentials.session_token.as_ref()),
        expiration: time::wire(credentials.expires_at.as_ref()),
        account_id: &credentials.account_id,
    })?;
    Ok(exit::OK)
}

pub async fn env(context: &Context, args: EnvArgs) -> Result<u8, Stop> {
    let picked = pick::target(context, "env", args.target).await?;
    let credentials = picked
        .then(async |target| get(context, target).await)
        .await?;
    let variables = variables(&credentials);
    if context.json {
        terminal::json(&variables.into_iter().collect::<BTreeMap<_, _>>())?;
        return Ok(exit::OK);
    }
    let shell = args.shell.unwrap_or_else(|| own_shell(&context::variable));
    let others = others(exec::of_other_credentials(), &variables);
    let lines: String = others
        .iter()
        .map(|name| removal(shell, name))
        .chain(
            variables
                .iter()
                .map(|(name, value)| assignment(shell, name, value)),
        )
        .collect();
    terminal::data(lines.as_bytes())?;
    Ok(exit::OK)
}

/// What must go, and is not set anew. A name that is more than a name is left alone.
fn others(
    names: impl Iterator<Item = OsString>,
    variables: &[(&'static str, String)],
) -> Vec<String> {
    let is_plain = |name: &String| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| is_plain(name) && variables.iter().all(|(set, _)| set != name))
        .collect()
}

/// For a person who asks now.
pub(super) async fn get(context: &Context, target: Target) -> Result<GetCredentialsResponse, Stop> {
    let request = GetCredentialsRequest {
        target: Some(target),
        unattended: false,
    };
    ask(context, request).await
}

async fn ask(
    context: &Context,
    request: GetCredentialsRequest,
) -> Result<GetCredentialsResponse, Stop> {
    let client = context.connect().await?;
    let mut credentials = client.credentials();
    let reply = Progress::new(ASKING).over(credentials.get(request)).await?;
    Ok(reply.into_inner())
}

/// The variables that give a child these credentials.
pub(super) fn variables(credentials: &GetCredentialsResponse) -> Vec<(&'static str, String)> {
    let region = &credentials.region;
    [
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        (
            "AWS_SECRET_ACCESS_KEY",
            exposed(credentials.secret_access_key.as_ref()).to_owned(),
        ),
        (
            "AWS_SESSION_TOKEN",
            exposed(credentials.session_token.as_ref()).to_owned(),
        ),
        (
            "AWS_CREDENTIAL_EXPIRATION",
            time::wire(credentials.expires_at.as_ref()).unwrap_or_default(),
        ),
        // Version 1 of the AWS CLI knows only the second.
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region.clone()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

pub(super) fn exposed(secret: Option<&Secret>) -> &str {
    secret.map_or("", Secret::expose)
}

fn own_shell(var: &dyn Fn(&str) -> Option<String>) -> Shell {
    let path = var("SHELL").unwrap_or_default();
    match path.rsplit(['/', '\\']).next().unwrap_or_default() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        "pwsh" | "powershell" => Shell::Powershell,
        "" if var("PSModulePath").is_some() => Shell::Powershell,
        "" if var("ComSpec").is_some() => Shell::Cmd,
        _ => Shell::Bash,
    }
}

/// One line after which a variable is not there.
fn removal(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Bash | Shell::Zsh => format!("unset {name}\n"),
        Shell::Fish => format!("set -e {name}\n"),
        Shell::Powershell => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue\n"),
        Shell::Cmd => format!("set \"{name}=\"\n"),
    }
}

/// One line that sets a variable, with nothing in the value left to interpret.
fn assignment(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Bash | Shell::Zsh => {
            format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
        }
        Shell::Fish => {
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            format!("set -gx {name} '{value}'\n")
        }
        Shell::Powershell => format!("$Env:{name} = '{}'\n", value.replace('\'', "''")),
        Shell::Cmd => format!("set \"{name}={}\"\n", value.replace('%', "%%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_for_its_shell() {
        for (shell, line) in [
            (Shell::Bash, "export K='a'\\''$b\\'\n"),
            (Shell::Zsh, "export K='a'\\''$b\\'\n"),
            (Shell::Fish, "set -gx K 'a\\'$b\\\\'\n"),
            (Shell::Powershell, "$Env:K = 'a''$b\\'\n"),
            (Shell::Cmd, "set \"K=a'$b\\\"\n"),
        ] {
            assert_eq!(assignment(shell, "K", "a'$b\\"), line);
        }
    }

    #[test]
    fn only_what_is_not_set_anew_is_removed() {
        let names = [
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_CONTAINER_$(date)",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        let set = [("AWS_SESSION_TOKEN", "t".to_owned())];
        assert_eq!(
            others(names.iter().map(OsString::from), &set),
            ["AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        );
        for (shell, line) in [
            (Shell::Bash, "unset K\n"),
            (Shell::Zsh, "unset K\n"),
            (Shell::Fish, "set -e K\n"),
            (
                Shell::Powershell,
                "Remove-Item Env:K -ErrorAction SilentlyContinue\n",
            ),
            (Shell::Cmd, "set \"K=\"\n"),
        ] {
            assert_eq!(removal(shell, "K"), line);
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let script = assignment(Shell::Bash, "K", "a'$b\\ \"`c`") + "printf %s \"$K\"";
        let read = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(read.stdout, b"a'$b\\ \"`c`");
    }

    #[test]
    fn the_shell_variable_decides_whose_syntax_it_is() {
        let shell = |path: &str| own_shell(&|name| (name == "SHELL").then(|| path.to_owned()));
        assert_eq!(shell("/usr/bin/fish"), Shell::Fish);
        assert_eq!(shell("/bin/zsh"), Shell::Zsh);
        assert_eq!(shell("/bin/dash"), Shell::Bash);
        assert_eq!(
            own_shell(&|name| (name == "PSModulePath").then(|| "x".to_owned())),
            Shell::Powershell
        );
    }

    #[test]
    fn a_region_that_is_not_known_is_not_set() {
        let credentials = GetCredentialsResponse {
            access_key_id: "AKIA".into(),
            secret_access_key: Some(Secret::new("s")),
            session_token: Some(Secret::new("t")),
            ..GetCredentialsResponse::default()
        };
        let names: Vec<_> = variables(&credentials)
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(
            names,
            [
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN"
            ]
        );
    }
}
